//! The query and the statement: what is taken, what is refused, and that no text leaves its literal.

mod breakout;
mod options;
mod queries;
mod readers;
