//! Why a query may not stand in an UNLOAD.

use crate::api::unload::shape::STATEMENT_MAX;

/// Why a query is refused. Places are bytes of the query as it stands in the spec, from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Nothing but white space and comments.
    #[error("the query is empty: write a SELECT")]
    Empty,
    /// Longer than any statement may be.
    #[error(
        "the query has {bytes} bytes with its quotes doubled, and a statement may have {STATEMENT_MAX}: make a view of it and select from that"
    )]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// `\`.
    #[error(
        "a backslash at byte {at}: Redshift may take it for an escape or for itself, so it is refused; write CHR(92) instead, as in 'a' || CHR(92) || 'b'"
    )]
    Backslash {
        /// Where.
        at: usize,
    },
    /// A line that ends as on Windows.
    #[error("a carriage return at byte {at}: end lines by a line feed alone; in a value write CHR(13) instead")]
    CarriageReturn {
        /// Where.
        at: usize,
    },
    /// A control character.
    #[error("the control character U+{code:04X} at byte {at}: take it out; in a value write CHR({code}) instead")]
    Control {
        /// Where.
        at: usize,
        /// Which.
        code: u32,
    },
    /// A character that does not show.
    #[error("the character U+{code:04X} at byte {at} does not show, or changes how others show: take it out")]
    Hidden {
        /// Where.
        at: usize,
        /// Which.
        code: u32,
    },
    /// White space that is none for every SQL.
    #[error("the character U+{code:04X} at byte {at} looks like a space and is none in SQL: write a plain space")]
    Space {
        /// Where.
        at: usize,
        /// Which.
        code: u32,
    },
    /// `$` that might begin a quote or a parameter.
    #[error(
        "a dollar sign at byte {at}: quoting by $$ and parameters like $1 are refused; write literals in single quotes, and names with dollar signs in double quotes"
    )]
    Dollar {
        /// Where.
        at: usize,
    },
    /// A literal without end.
    #[error(
        "the literal that begins at byte {at} does not end: close it by a single quote, and double the quotes in it"
    )]
    OpenLiteral {
        /// Where.
        at: usize,
    },
    /// A quoted name without end.
    #[error(
        "the name that begins at byte {at} does not end: close it by a double quote, and double the double quotes in it"
    )]
    OpenName {
        /// Where.
        at: usize,
    },
    /// A comment without end.
    #[error("the comment that begins at byte {at} does not end: close it by */")]
    OpenComment {
        /// Where.
        at: usize,
    },
    /// A comment in a comment.
    #[error("a comment within a comment at byte {at}: where it ends is read in two ways; take one of them out")]
    NestedComment {
        /// Where.
        at: usize,
    },
    /// `(` without `)`.
    #[error("the {opened} at byte {at} is not closed: close it")]
    NotClosed {
        /// Where.
        at: usize,
        /// What.
        opened: char,
    },
    /// `)` without `(`.
    #[error("the {closing} at byte {at} closes nothing that was opened by its like: take it out, or open it")]
    NotOpened {
        /// Where.
        at: usize,
        /// What.
        closing: char,
    },
    /// Something after a semicolon.
    #[error(
        "the semicolon at byte {at} ends the statement, and another follows: write one SELECT, and one job for each"
    )]
    Several {
        /// Where.
        at: usize,
    },
    /// A second SELECT without a set operation.
    #[error("a second SELECT at byte {at}: write one, join them by UNION ALL, or put it into parentheses")]
    SecondSelect {
        /// Where.
        at: usize,
    },
    /// Another statement.
    #[error(
        "the query has to be one SELECT, or WITH and one SELECT, and at byte {at} it is not: begin it so, without parentheses around it"
    )]
    NotSelect {
        /// Where.
        at: usize,
    },
    /// LIMIT and its like in the outermost SELECT.
    #[error(
        "{word} at byte {at} stands in the outer SELECT, where UNLOAD takes none: put it into a subquery, as in SELECT * FROM (SELECT ... {word} ...) AS t"
    )]
    OuterLimit {
        /// Where.
        at: usize,
        /// Which keyword.
        word: &'static str,
    },
    /// SELECT INTO.
    #[error("INTO at byte {at} would make a table: take it out; a column of that name stands in double quotes")]
    Into {
        /// Where.
        at: usize,
    },
    /// A statement that changes something.
    #[error("{word} at byte {at} changes data or the database: an UNLOAD only reads; take it out")]
    Changes {
        /// Where.
        at: usize,
        /// Which keyword.
        word: &'static str,
    },
}
