//! The lexer of a job's query. It only takes what every reading of SQL that Redshift might have takes alike.
//!
//! Redshift's own lexer is not public. Where PostgreSQL 8 (from which it comes), PostgreSQL today and what is reported of
//! Redshift differ, the text is refused (docs/aws-behaviour.md, What stands in a literal): a backslash, which may or may not escape;
//! `$$`, which may or may not quote; a comment in a comment; characters that do not show.

use super::query_error::QueryError;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A word without quotes that may be a keyword.
    Word,
    /// A name for sure: in double quotes, after a dot or after AS.
    Name,
    /// A literal in single quotes.
    Literal,
    /// Digits.
    Number,
    /// An opening parenthesis or bracket.
    Open,
    /// A closing one.
    Close,
    /// Any other sign.
    Sign,
}

/// A token of the query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its text.
    pub text: &'a str,
    /// Its first byte in the query.
    pub at: usize,
    /// How many parentheses and brackets are open around it.
    pub depth: usize,
}

impl Token<'_> {
    /// True for this keyword, in any case.
    #[must_use]
    pub fn is(&self, keyword: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(keyword)
    }

    /// True for one of these keywords.
    #[must_use]
    pub fn is_one_of(&self, keywords: &[&str]) -> bool {
        keywords.iter().any(|keyword| self.is(keyword))
    }
}

/// A query without comments, and without the semicolon at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lexed<'a> {
    /// The text; of comments there is a space left, and their line ends.
    pub text: String,
    /// Its tokens, with their places in the query as it was given.
    pub tokens: Vec<Token<'a>>,
}

/// Reads a query.
///
/// # Errors
/// It has a character that is refused, something in it does not end, or a second statement follows.
pub fn lex(query: &str) -> Result<Lexed<'_>, QueryError> {
    characters(query)?;
    let mut lexer = Lexer { query, at: 0, open: vec![], tokens: vec![], text: String::new(), ended: None };
    while let Some(next) = lexer.rest().chars().next() {
        lexer.step(next)?;
    }
    if let Some((at, opened)) = lexer.open.pop() {
        return Err(QueryError::NotClosed { at, opened });
    }
    Ok(Lexed { text: lexer.text, tokens: lexer.tokens })
}

/// Refuses what must not stand anywhere, in literals, names and comments either.
fn characters(query: &str) -> Result<(), QueryError> {
    for (at, character) in query.char_indices() {
        match character {
            '\\' => return Err(QueryError::Backslash { at }),
            '\r' => return Err(QueryError::CarriageReturn { at }),
            '\n' | '\t' => {}
            _ if character.is_control() => return Err(QueryError::Control { at, code: character.into() }),
            _ if is_hidden(character) => return Err(QueryError::Hidden { at, code: character.into() }),
            _ => {}
        }
    }
    Ok(())
}

/// Characters that do not show, or change the order in which others do: Unicode's category Cf, the separators of lines
/// and paragraphs, fillers, selectors of variants, and what is no character.
fn is_hidden(character: char) -> bool {
    matches!(u32::from(character),
        0xAD | 0x34F | 0x600..=0x605 | 0x61C | 0x6DD | 0x70F | 0x890..=0x891 | 0x8E2 | 0x115F..=0x1160
        | 0x17B4..=0x17B5 | 0x180B..=0x180F | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0x3164
        | 0xFDD0..=0xFDEF | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB | 0x110BD | 0x110CD
        | 0x13430..=0x1343F | 0x1BCA0..=0x1BCA3 | 0x1D173..=0x1D17A | 0xE0000..=0xE0FFF)
        || u32::from(character) & 0xFFFE == 0xFFFE
}

/// White space as every SQL has it.
pub(super) fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\n' | '\t')
}

fn begins_word(character: char) -> bool {
    character.is_ascii_alphabetic() || character == '_' || !character.is_ascii()
}

fn is_in_word(character: char) -> bool {
    begins_word(character) || character.is_ascii_digit() || character == '$'
}

struct Lexer<'a> {
    query: &'a str,
    at: usize,
    /// Opened and not yet closed: where and by what.
    open: Vec<(usize, char)>,
    tokens: Vec<Token<'a>>,
    text: String,
    /// Where a semicolon ended the statement.
    ended: Option<usize>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.query[self.at..]
    }

    fn step(&mut self, next: char) -> Result<(), QueryError> {
        let (at, rest) = (self.at, self.rest());
        if rest.starts_with("--") {
            // the line's end stays
            self.skip(rest.find('\n').unwrap_or(rest.len()));
            return Ok(());
        }
        if let Some(comment) = rest.strip_prefix("/*") {
            let end = comment.find("*/").ok_or(QueryError::OpenComment { at })?;
            // with the star of the end: `/*/` begins another for some
            if let Some(inner) = comment[..=end].find("/*") {
                return Err(QueryError::NestedComment { at: at + 2 + inner });
            }
            self.skip(end + 4);
            return Ok(());
        }
        if is_space(next) {
            self.text.push(next);
            self.at += next.len_utf8();
            return Ok(());
        }
        if next == ';' {
            self.ended.get_or_insert(at);
            self.at += 1;
            return Ok(());
        }
        if let Some(at) = self.ended {
            return Err(QueryError::Several { at });
        }
        match next {
            '\'' => self.quoted(next, Kind::Literal, QueryError::OpenLiteral { at }),
            '"' => self.quoted(next, Kind::Name, QueryError::OpenName { at }),
            '(' | '[' => {
                self.token(Kind::Open, 1);
                self.open.push((at, next));
                Ok(())
            }
            ')' | ']' => self.close(next),
            '$' => Err(QueryError::Dollar { at }),
            _ if next.is_ascii_digit() => {
                self.number();
                Ok(())
            }
            _ if next.is_whitespace() => Err(QueryError::Space { at, code: next.into() }),
            _ if begins_word(next) => self.word(),
            _ => {
                self.token(Kind::Sign, next.len_utf8());
                Ok(())
            }
        }
    }

    /// Takes a comment out. A space has to stay, or what is around it would become one; the line ends stay so that the
    /// parser tells the user's lines.
    fn skip(&mut self, length: usize) {
        let lines = self.rest()[..length].matches('\n').count();
        self.text.push(' ');
        self.text.extend(std::iter::repeat_n('\n', lines));
        self.at += length;
    }

    fn token(&mut self, kind: Kind, length: usize) {
        let text = &self.rest()[..length];
        self.tokens.push(Token { kind, text, at: self.at, depth: self.open.len() });
        self.text.push_str(text);
        self.at += length;
    }

    /// A literal or a name: up to the quote that is not doubled.
    fn quoted(&mut self, quote: char, kind: Kind, open: QueryError) -> Result<(), QueryError> {
        let rest = self.rest();
        let mut end = 1;
        loop {
            let Some(found) = rest[end..].find(quote) else { return Err(open) };
            end += found + 1;
            if !rest[end..].starts_with(quote) {
                break;
            }
            end += 1;
        }
        self.token(kind, end);
        Ok(())
    }

    fn close(&mut self, closing: char) -> Result<(), QueryError> {
        let opening = if closing == ')' { '(' } else { '[' };
        match self.open.pop() {
            Some((_, opened)) if opened == opening => {
                self.token(Kind::Close, 1);
                Ok(())
            }
            _ => Err(QueryError::NotOpened { at: self.at, closing }),
        }
    }

    /// Digits, decimals and an exponent: in `1.LIMIT` and `1e5LIMIT` a keyword follows.
    fn number(&mut self) {
        let rest = self.rest();
        let digits =
            |from: usize| rest[from..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |end| from + end);
        let mut end = digits(0);
        if rest[end..].starts_with('.') {
            end = digits(end + 1);
        }
        if rest[end..].starts_with(['e', 'E']) {
            let sign = usize::from(rest[end + 1..].starts_with(['+', '-']));
            let exponent = digits(end + 1 + sign);
            if exponent > end + 1 + sign {
                end = exponent;
            }
        }
        self.token(Kind::Number, end);
    }

    fn word(&mut self) -> Result<(), QueryError> {
        let rest = self.rest();
        let end = rest.find(|c: char| !is_in_word(c) || c.is_whitespace()).unwrap_or(rest.len());
        let word = &rest[..end];
        // `a$b$` is one name in PostgreSQL, and might be the beginning of a quote elsewhere
        if let Some((second, _)) = word.match_indices('$').nth(1) {
            return Err(QueryError::Dollar { at: self.at + second });
        }
        let is_name = self.tokens.last().is_some_and(|last| last.text == "." || last.is("AS"));
        self.token(if is_name { Kind::Name } else { Kind::Word }, end);
        Ok(())
    }
}
