//! Two readers of SQL, written for the tests and not like each other, nor like the one of the program.
//!
//! They stand for what Redshift might be. `standard` takes a backslash for itself, ends a comment at its outermost end and
//! knows no `$$`. `escaping` takes a backslash in a literal for an escape, ends a comment at the first end, and quotes by `$$`.

/// What both see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A word or number.
    Word(String),
    /// The value of a literal.
    Literal(String),
    /// The value of a quoted name.
    Name(String),
    /// Any other sign.
    Sign(char),
    /// Something that does not end.
    Open,
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()
}

/// A loop over characters with an index.
pub fn standard(sql: &str) -> Vec<Seen> {
    let c: Vec<char> = sql.chars().collect();
    let at = |i: usize| c.get(i).copied();
    let (mut i, mut seen) = (0, vec![]);
    while i < c.len() {
        match c[i] {
            ' ' | '\n' | '\t' => i += 1,
            '-' if at(i + 1) == Some('-') => {
                while i < c.len() && c[i] != '\n' {
                    i += 1;
                }
            }
            '/' if at(i + 1) == Some('*') => {
                let mut depth = 1;
                i += 2;
                while depth > 0 {
                    match (at(i), at(i + 1)) {
                        (Some('/'), Some('*')) => (depth, i) = (depth + 1, i + 2),
                        (Some('*'), Some('/')) => (depth, i) = (depth - 1, i + 2),
                        (Some(_), _) => i += 1,
                        (None, _) => {
                            seen.push(Seen::Open);
                            return seen;
                        }
                    }
                }
            }
            quote @ ('\'' | '"') => {
                let mut value = String::new();
                i += 1;
                loop {
                    match (at(i), at(i + 1)) {
                        (Some(one), Some(two)) if one == quote && two == quote => {
                            value.push(quote);
                            i += 2;
                        }
                        (Some(one), _) if one == quote => break,
                        (Some(one), _) => {
                            value.push(one);
                            i += 1;
                        }
                        (None, _) => {
                            seen.push(Seen::Open);
                            return seen;
                        }
                    }
                }
                i += 1;
                seen.push(if quote == '\'' { Seen::Literal(value) } else { Seen::Name(value) });
            }
            one if is_word(one) => {
                let start = i;
                while i < c.len() && is_word(c[i]) {
                    i += 1;
                }
                seen.push(Seen::Word(c[start..i].iter().collect()));
            }
            one => {
                seen.push(Seen::Sign(one));
                i += 1;
            }
        }
    }
    seen
}

/// Recursive descent over the rest of the text.
pub fn escaping(sql: &str) -> Vec<Seen> {
    let mut seen = vec![];
    let mut rest = sql;
    while let Some((what, left)) = next(rest) {
        let ended = what == Some(Seen::Open);
        seen.extend(what);
        if ended {
            break;
        }
        rest = left;
    }
    seen
}

fn next(rest: &str) -> Option<(Option<Seen>, &str)> {
    let first = rest.chars().next()?;
    if let Some(comment) = rest.strip_prefix("--") {
        return Some((None, comment.find('\n').map_or("", |end| &comment[end..])));
    }
    if let Some(comment) = rest.strip_prefix("/*") {
        return Some(comment.split_once("*/").map_or((Some(Seen::Open), ""), |(_, left)| (None, left)));
    }
    if let Some((tag, left)) = dollar(rest) {
        return Some(
            left.split_once(tag)
                .map_or((Some(Seen::Open), ""), |(value, left)| (Some(Seen::Literal(value.into())), left)),
        );
    }
    let after = &rest[first.len_utf8()..];
    Some(match first {
        ' ' | '\t' | '\n' => (None, after),
        '\'' => {
            value(after, String::new(), true).map_or((Some(Seen::Open), ""), |(v, left)| (Some(Seen::Literal(v)), left))
        }
        '"' => {
            value(after, String::new(), false).map_or((Some(Seen::Open), ""), |(v, left)| (Some(Seen::Name(v)), left))
        }
        _ if is_word(first) => {
            // a word ends where `$$` or `$tag$` may begin
            let end = rest.char_indices().skip(1).find(|(i, c)| !is_word(*c) || dollar(&rest[*i..]).is_some());
            let end = end.map_or(rest.len(), |(i, _)| i);
            (Some(Seen::Word(rest[..end].into())), &rest[end..])
        }
        _ => (Some(Seen::Sign(first)), after),
    })
}

fn dollar(rest: &str) -> Option<(&str, &str)> {
    let tag = rest.strip_prefix('$')?;
    let end = tag.find('$')?;
    let name = &tag[..end];
    let fits = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii());
    (fits && !name.starts_with(|c: char| c.is_ascii_digit())).then(|| rest.split_at(end + 2))
}

fn value(rest: &str, mut so_far: String, is_literal: bool) -> Option<(String, &str)> {
    let quote = if is_literal { '\'' } else { '"' };
    let end = rest.find([quote, '\\'])?;
    so_far.push_str(&rest[..end]);
    let tail = &rest[end..];
    if let Some(after) = tail.strip_prefix('\\') {
        if !is_literal {
            so_far.push('\\');
            return value(after, so_far, is_literal);
        }
        let escaped = after.chars().next()?;
        so_far.push(escaped);
        return value(&after[escaped.len_utf8()..], so_far, is_literal);
    }
    if tail[1..].starts_with(quote) {
        so_far.push(quote);
        return value(&tail[2..], so_far, is_literal);
    }
    Some((so_far, &tail[1..]))
}

/// The readers do differ where they should: else the tests would prove nothing.
#[test]
fn the_readers_differ_where_redshift_may() {
    let literal = |value: &str| Seen::Literal(value.into());
    assert_eq!(standard(r"'a\'"), [literal(r"a\")]);
    assert_eq!(escaping(r"'a\'"), [Seen::Open]);
    assert_eq!(escaping(r"'a\'b'"), [literal("a'b")]);
    assert_eq!(standard("'a''b'"), escaping("'a''b'"));
    assert_eq!(standard("/* /* */ 1 */").len(), 0);
    assert_eq!(escaping("/* /* */ 1 */").len(), 3);
    assert_eq!(escaping("a$$b$$"), [Seen::Word("a".into()), literal("b")]);
    assert_eq!(standard("a$$b$$"), [Seen::Word("a$$b$$".into())]);
}
