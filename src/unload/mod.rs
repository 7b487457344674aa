//! UNLOAD: the statement of a job, what is checked before there is one, and the loop that runs it once.

pub mod attempt;
pub mod attempts;
pub mod controller;
mod count;
pub mod encryption;
pub mod end;
mod history;
pub mod lexer;
pub mod plan;
pub mod query;
pub mod query_error;
pub mod reconcile;
pub mod request;
mod run;
pub mod statement;
pub mod status;
pub mod step;
pub mod submission;
mod teardown;
mod under_way;
pub mod verify;
pub mod whose;

#[cfg(test)]
mod tests;
