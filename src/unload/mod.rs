//! UNLOAD: the statement of a job, and what is checked before there is one.

pub mod lexer;
pub mod query;
pub mod statement;

#[cfg(test)]
mod tests;
