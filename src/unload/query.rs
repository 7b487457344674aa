//! Is a job's query one that may stand in an UNLOAD?

use super::lexer::{Kind, Lexed, Token, is_space, lex};
use super::query_error::QueryError;
use crate::api::unload::shape::STATEMENT_MAX;
use sqlparser::ast::{Query, SetExpr, Statement};
use sqlparser::dialect::RedshiftSqlDialect;
use sqlparser::parser::{Parser, ParserError};

/// A query that may stand in an UNLOAD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    text: String,
    warning: Option<String>,
}

impl Checked {
    /// The query, without comments and without a semicolon at its end.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Why it could not be checked wholly; the warehouse decides.
    #[must_use]
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }
}

/// What begins a statement that changes something, or does anything but read.
const CHANGES: [&str; 24] = [
    "INSERT", "UPDATE", "DELETE", "MERGE", "TRUNCATE", "CREATE", "ALTER", "DROP", "GRANT", "REVOKE", "COPY", "UNLOAD",
    "CALL", "EXECUTE", "PREPARE", "SET", "RESET", "BEGIN", "COMMIT", "ROLLBACK", "VACUUM", "ANALYZE", "LOCK",
    "DECLARE",
];

/// What joins two SELECTs into one query.
const JOINS: [&str; 6] = ["UNION", "INTERSECT", "EXCEPT", "MINUS", "ALL", "DISTINCT"];

/// The parser is given no more tokens than this: the tree of a long chain of operators is as deep as the chain, and
/// dropping it takes stack.
const TOKENS_MAX: usize = 5_000;

/// Nor is it given parentheses that stand deeper in each other than this.
const DEPTH_MAX: usize = 16;

/// Nor calls like `a.f(...)` deeper in each other than this: it may try each of them twice, and so the innermost one as
/// often as two to that power. 14 `a.trim(` took a third of a second.
const CALLS_MAX: usize = 4;

/// Checks a query.
///
/// # Errors
/// The first reason for which it must not stand in an UNLOAD.
pub fn check(query: &str) -> Result<Checked, QueryError> {
    let lexed = read(query)?;
    let warning = parse(&lexed)?;
    Ok(Checked { text: lexed.text.trim_matches(is_space).to_owned(), warning })
}

/// As `check`, without the parser: it is by far the slowest of it, and changes no text.
#[cfg(test)]
pub(super) fn check_without_parser(query: &str) -> Result<Checked, QueryError> {
    let lexed = read(query)?;
    Ok(Checked { text: lexed.text.trim_matches(is_space).to_owned(), warning: None })
}

/// All that is checked without the parser, and that the parser cannot take back.
fn read(query: &str) -> Result<Lexed<'_>, QueryError> {
    let bytes = query.len() + query.matches('\'').count();
    if bytes > STATEMENT_MAX {
        return Err(QueryError::TooLong { bytes });
    }
    let lexed = lex(query)?;
    let first = lexed.tokens.first().ok_or(QueryError::Empty)?;
    if !first.is_one_of(&["SELECT", "WITH"]) {
        return Err(named(first, &CHANGES)
            .map_or(QueryError::NotSelect { at: first.at }, |word| QueryError::Changes { at: first.at, word }));
    }
    words(&lexed.tokens)?;
    Ok(lexed)
}

/// Looks for keywords where they mean what UNLOAD does not take.
fn words(tokens: &[Token<'_>]) -> Result<(), QueryError> {
    let has_with = tokens[0].is("WITH");
    let mut selects = 0;
    for (index, token) in tokens.iter().enumerate() {
        let (before, at) = (index.checked_sub(1).map(|index| &tokens[index]), token.at);
        if token.is("INTO") {
            return Err(QueryError::Into { at });
        }
        if let Some(word) = named(token, &CHANGES).filter(|_| begins_statement(&tokens[..index], selects == 0)) {
            return Err(QueryError::Changes { at, word });
        }
        if token.depth > 0 {
            continue;
        }
        if let Some(word) = limit(tokens, index) {
            return Err(QueryError::OuterLimit { at, word });
        }
        if token.is("SELECT") {
            let joined = before.is_none_or(|before| before.is_one_of(&JOINS));
            let after_with = has_with && selects == 0 && before.is_some_and(|before| before.text == ")");
            if !joined && !after_with {
                return Err(QueryError::SecondSelect { at });
            }
            selects += 1;
        }
    }
    if selects == 0 {
        let at = tokens.last().map_or(0, |last| last.at + last.text.len());
        return Err(QueryError::NotSelect { at });
    }
    Ok(())
}

/// The keyword by which the token limits the SELECT that it stands in.
fn limit(tokens: &[Token<'_>], index: usize) -> Option<&'static str> {
    let follows = |words: &[&str]| tokens.get(index + 1).is_some_and(|next| next.is_one_of(words));
    let follows_select = index > 0 && tokens[index - 1].is_one_of(&["SELECT", "ALL", "DISTINCT"]);
    // FETCH is no reserved word, and a column may have that name
    match named(&tokens[index], &["LIMIT", "OFFSET", "FETCH", "TOP"])? {
        "FETCH" if !follows(&["FIRST", "NEXT"]) => None,
        "TOP" if !follows_select => None,
        word => Some(word),
    }
}

/// True where a statement begins: in a parenthesis of WITH, and after the last of them.
fn begins_statement(before: &[Token<'_>], before_select: bool) -> bool {
    let Some(last) = before.last() else { return true };
    if last.kind == Kind::Close {
        return last.depth == 0 && before_select;
    }
    // what follows AS is a name for the lexer
    let is = |token: &&Token<'_>, word: &str| token.text.eq_ignore_ascii_case(word);
    let outside = before.iter().rev().skip_while(|token| token.text == "(");
    let mut words = outside.skip_while(|token| is(token, "MATERIALIZED") || is(token, "NOT"));
    last.text == "(" && words.next().is_some_and(|token| token.is("AS"))
}

/// The keyword of these that a token is.
fn named(token: &Token<'_>, words: &[&'static str]) -> Option<&'static str> {
    words.iter().copied().find(|word| token.is(word))
}

/// Has the parser read the query, too: a warning where it does not know what it reads.
fn parse(lexed: &Lexed<'_>) -> Result<Option<String>, QueryError> {
    let (depth, calls) = nesting(&lexed.tokens);
    if lexed.tokens.len() > TOKENS_MAX || depth > DEPTH_MAX || calls > CALLS_MAX {
        return Ok(Some(format!(
            "the query is too long or nested too deeply for its syntax to be checked: {} words and signs ({TOKENS_MAX} are), \
             {depth} parentheses within each other ({DEPTH_MAX} are), {calls} calls like a.f(...) within each other \
             ({CALLS_MAX} are); Redshift decides whether it is valid",
            lexed.tokens.len()
        )));
    }
    let parsed =
        Parser::new(&RedshiftSqlDialect {}).try_with_sql(&lexed.text).and_then(|mut parser| parser.parse_statements());
    match parsed.as_deref() {
        Ok([Statement::Query(query)]) => one_select(query).map(|()| None),
        Ok([_]) => Err(QueryError::NotSelect { at: 0 }),
        Ok([]) => Err(QueryError::Empty),
        Ok(_) => Err(QueryError::Several { at: 0 }),
        Err(error) => Ok(Some(format!("{}; Redshift may know it all the same, and decides", unknown(error)))),
    }
}

/// How many parentheses, and how many calls like `a.f(...)`, stand within each other at most.
fn nesting(tokens: &[Token<'_>]) -> (usize, usize) {
    let mut open = vec![];
    let (mut depth, mut calls, mut open_calls) = (0, 0, 0);
    for (index, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Open => {
                let is_call = index >= 2 && tokens[index - 2].text == ".";
                open.push(is_call);
                open_calls += usize::from(is_call);
                (depth, calls) = (depth.max(open.len()), calls.max(open_calls));
            }
            Kind::Close => open_calls -= usize::from(open.pop() == Some(true)),
            Kind::Word | Kind::Name | Kind::Literal | Kind::Number | Kind::Sign => {}
        }
    }
    (depth, calls)
}

fn unknown(error: &ParserError) -> String {
    match error {
        ParserError::TokenizerError(what) | ParserError::ParserError(what) => {
            format!("this program does not know the query's syntax: {what}")
        }
        ParserError::RecursionLimitExceeded => "the query is nested too deeply for its syntax to be checked".into(),
    }
}

/// What the words should have told already, asked of the tree.
fn one_select(query: &Query) -> Result<(), QueryError> {
    let at = 0;
    if query.limit_clause.is_some() {
        return Err(QueryError::OuterLimit { at, word: "LIMIT" });
    }
    if query.fetch.is_some() {
        return Err(QueryError::OuterLimit { at, word: "FETCH" });
    }
    for table in query.with.iter().flat_map(|with| &with.cte_tables) {
        selects(&table.query.body, false)?;
    }
    selects(&query.body, true)
}

/// Follows set operations. An explicit stack: they may be thousands.
fn selects(body: &SetExpr, outer: bool) -> Result<(), QueryError> {
    let at = 0;
    let mut left = vec![body];
    while let Some(body) = left.pop() {
        match body {
            SetExpr::Select(select) if select.into.is_some() => return Err(QueryError::Into { at }),
            SetExpr::Select(select) if outer && select.top.is_some() => {
                return Err(QueryError::OuterLimit { at, word: "TOP" });
            }
            SetExpr::SetOperation { left: first, right, .. } => left.extend([first.as_ref(), right.as_ref()]),
            SetExpr::Select(_) | SetExpr::Query(_) => {}
            SetExpr::Values(_) | SetExpr::Table(_) if !outer => {}
            SetExpr::Values(_) | SetExpr::Table(_) => return Err(QueryError::NotSelect { at }),
            SetExpr::Insert(_) => return Err(QueryError::Changes { at, word: "INSERT" }),
            SetExpr::Update(_) => return Err(QueryError::Changes { at, word: "UPDATE" }),
            SetExpr::Delete(_) => return Err(QueryError::Changes { at, word: "DELETE" }),
            SetExpr::Merge(_) => return Err(QueryError::Changes { at, word: "MERGE" }),
        }
    }
    Ok(())
}
