//! What was put in comes out as one literal, always.

use super::readers::{Seen, escaping, standard};
use crate::api::unload::output::{Csv, Output};
use crate::unload::query::{Checked, QueryError, check, check_without_parser};
use crate::unload::statement::{Destination, statement};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// What quotes, escapes, ends, comments, nests, or has to do with it.
const DANGEROUS: [char; 13] = ['\'', '"', '\\', ';', '-', '/', '*', '$', '(', ')', '\n', ' ', 'a'];

/// Where the text stands in a query: bare, and within whatever quotes or comments.
const CONTEXTS: [&str; 10] = [
    "SELECT @",
    "SELECT 2 -@- 1",
    "SELECT 1@",
    "@SELECT 1",
    "SELECT '@'",
    "SELECT 'a@",
    "SELECT \"@\" FROM t",
    "SELECT 1 -- @\n, 2",
    "SELECT /* @ */ 1",
    "SELECT ('@') FROM t -- @",
];

fn sql(query: &Checked) -> String {
    static PARTS: LazyLock<(Output, Destination)> = LazyLock::new(|| {
        let output = Output { path: "p/".into(), csv: Some(Csv::default()), ..Output::default() };
        (output, Destination::new("bucket", "eu-west-1", "", "p/", "0b6c", 1).unwrap())
    });
    statement(query, &PARTS.0, &PARTS.1, &["arn:aws:iam::111122223333:role/a"], "eu-west-1").unwrap()
}

/// The tokens of a statement whose query is this literal.
fn expected(query: &str) -> Vec<Seen> {
    static TOKENS: LazyLock<Vec<Seen>> = LazyLock::new(|| {
        let word = |text: &str| Seen::Word(text.into());
        let literal = |text: &str| Seen::Literal(text.into());
        let begin = [
            word("UNLOAD"),
            Seen::Sign('('),
            Seen::Open,
            Seen::Sign(')'),
            word("TO"),
            literal("s3://bucket/p/0b6c/1/"),
        ];
        let role = [word("IAM_ROLE"), literal("arn:aws:iam::111122223333:role/a")];
        let options = ["FORMAT", "AS", "CSV", "MANIFEST", "VERBOSE"].map(word);
        begin.into_iter().chain(role).chain(options).collect()
    });
    let mut tokens = TOKENS.clone();
    tokens[2] = Seen::Literal(query.into());
    tokens
}

/// A query that was taken stays in its literal, is read alike by everyone, and says what the user's text says.
fn holds(given: &str, checked: &Checked) {
    let (text, sql) = (checked.text(), sql(checked));
    let expected = expected(text);
    assert_eq!(standard(&sql), expected, "{given:?}");
    assert_eq!(escaping(&sql), expected, "{given:?}");
    let inner = standard(text);
    assert_eq!(escaping(text), inner, "the query itself is read in one way: {given:?}");
    assert!(!inner.contains(&Seen::Sign(';')) && !inner.contains(&Seen::Open), "{given:?}");
    let mut whole = standard(given);
    while whole.last() == Some(&Seen::Sign(';')) {
        whole.pop();
    }
    assert_eq!(whole, inner, "what was taken out were comments and semicolons at the end: {given:?}");
}

fn each(length: usize, text: &mut String, all: &mut dyn FnMut(&str)) {
    all(text);
    if length > 0 {
        for character in DANGEROUS {
            text.push(character);
            each(length - 1, text, all);
            text.pop();
        }
    }
}

fn try_all(length: usize, contexts: &[&str], check: fn(&str) -> Result<Checked, QueryError>) -> usize {
    let mut taken = 0;
    for context in contexts {
        each(length, &mut String::new(), &mut |text| {
            let query = context.replace('@', text);
            if let Ok(checked) = check(&query) {
                holds(&query, &checked);
                taken += 1;
            }
        });
    }
    taken
}

#[test]
fn short_strings_of_dangerous_characters_stay_within() {
    let taken = try_all(4, &CONTEXTS, check_without_parser);
    println!("{taken} taken");
    assert!(taken > 20_000, "the test has something to test: {taken}");
}

/// With the parser, which is slow: it must take nothing back, and end on all of it.
#[test]
fn shorter_strings_stay_within_and_are_parsed() {
    let taken = try_all(2, &CONTEXTS, check);
    assert!(taken > 200, "{taken}");
}

#[test]
#[ignore = "takes minutes; by hand, with a release build seconds"]
fn longer_strings_of_dangerous_characters_stay_within() {
    assert!(try_all(6, &CONTEXTS[..5], check_without_parser) > 1_000_000);
    try_all(4, &CONTEXTS, check);
}

/// Pieces of queries, good and bad.
fn piece() -> impl Strategy<Value = String> {
    let whole = prop::sample::select(vec![
        "SELECT",
        "WITH x AS (",
        "FROM t",
        "UNION ALL",
        "LIMIT 1",
        "INTO",
        "''",
        "'a''b'",
        "\"a\"\"b\"",
        "$$",
        "$a$",
        "a$b",
        "--",
        "/*",
        "*/",
        ";",
        "1.5e3",
        "::int",
        "CASE WHEN a THEN b END",
        "x[0]",
        "E'a'",
        "U&'a'",
        "OVER (PARTITION BY a)",
        "DELETE",
        ")",
        "(",
        ",",
        "AS",
        "MATERIALIZED",
        "TOP 3",
        "NOT",
        "INTERVAL '1 day'",
        "*",
        "é",
        "\u{a0}",
        "\u{202e}",
        "\r",
        "\u{feff}",
    ]);
    prop_oneof![
        4 => whole.prop_map(ToOwned::to_owned),
        3 => prop::collection::vec(prop::sample::select(DANGEROUS.to_vec()), 1..8).prop_map(String::from_iter),
        1 => any::<String>(),
    ]
}

fn query() -> impl Strategy<Value = String> {
    let pieces = prop::collection::vec((piece(), prop::sample::select(vec!["", " ", "\n"])), 0..16);
    let begin = prop::sample::select(vec!["SELECT ", "WITH x AS (SELECT 1) SELECT ", "/* a */ SELECT ", ""]);
    (begin, pieces).prop_map(|(begin, pieces)| {
        pieces.into_iter().fold(begin.to_owned(), |query, (piece, between)| query + &piece + between)
    })
}

/// A text that may stand in a literal of a query, quotes doubled.
fn value() -> impl Strategy<Value = String> {
    any::<String>().prop_map(|text| text.replace('\'', "''"))
}

fn fuzz(cases: u32) -> Result<(), String> {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config.clone());
    let run = runner.run(&query(), |query| {
        if let Ok(checked) = check(&query) {
            holds(&query, &checked);
        }
        Ok(())
    });
    run.map_err(|error| error.to_string())?;
    let run = TestRunner::new(config).run(&value(), |value| {
        let query = format!("SELECT '{value}' AS a");
        match check(&query) {
            Ok(checked) => holds(&query, &checked),
            Err(error) => {
                let refused = |c: char| c == '\\' || c.is_control() || !c.is_ascii();
                prop_assert!(value.contains(refused), "{query:?}: {error}");
            }
        }
        Ok(())
    });
    run.map_err(|error| error.to_string())
}

#[test]
fn what_was_put_in_comes_out_as_one_literal() {
    fuzz(2_000).unwrap();
}

/// The fuzz target: `REDSHIFT_LINK_FUZZ_SECONDS=3600 cargo test --release --lib fuzz -- --ignored --nocapture`. On stable,
/// so that whoever has the toolchain can run it; proptest shrinks what it finds.
#[test]
#[ignore = "runs as long as it is told"]
fn fuzz_for_a_while() {
    let seconds = std::env::var("REDSHIFT_LINK_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(600);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut cases = 0_u64;
    while Instant::now() < end {
        fuzz(2_000).unwrap();
        cases += 4_000;
    }
    println!("fuzz: {cases} texts");
}
