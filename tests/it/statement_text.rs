//! What a job's query becomes, asked of a SQL server: in the statement it is one literal, and the server reads from it
//! what was put in, whether backslashes are escapes to it or not.

use crate::bench::local_aws::LocalAws;
use crate::bench::warehouse::Warehouse;
use redshift_link::api::unload::output::{Csv, Output};
use redshift_link::unload::query::check;
use redshift_link::unload::statement::{Destination, statement};
use serde_json::json;
use std::collections::BTreeMap;

/// What quotes, escapes, ends or comments; each of up to four such signs.
const SIGNS: [&str; 9] = ["'", "\"", "\\", ";", "--", "/*", "*/", "$", "\n"];
/// With what makes literals special before a quote, what does not show, and what is longer than a byte; up to three.
const MORE: [&str; 21] = [
    "'", "\"", "\\", ";", "-", "/", "*", "$", "\n", "E", "U&", "$$", "(", ")", "%", ":a", "?", "é", "🐘", "\u{202e}",
    "\u{2019}",
];

/// Where they stand in a query; the first four with more signs.
const CONTEXTS: [&str; 8] = [
    "SELECT @",
    "SELECT '@'",
    "SELECT E'@'",
    "SELECT \"@\" FROM t",
    "SELECT 1@",
    "SELECT 'a@",
    "SELECT 1 -- @\n, '@'",
    "SELECT /* @ */ ('@') FROM t",
];

/// Literals in one statement: a page of its result has as many rows, and a statement at most 100,000 bytes.
const ROWS: usize = 1000;
const BYTES: usize = 90_000;

fn each(signs: &[&str], most: usize, text: &mut String, all: &mut dyn FnMut(&str)) {
    all(text);
    if most > 0 {
        for sign in signs {
            let length = text.len();
            text.push_str(sign);
            each(signs, most - 1, text, all);
            text.truncate(length);
        }
    }
}

/// The queries that may stand in an UNLOAD, with their literals there; and how many texts may not.
fn literals() -> (BTreeMap<String, String>, usize) {
    let output = Output { path: "p/".into(), csv: Some(Csv::default()), ..Output::default() };
    let to = Destination::new("bucket", "eu-west-1", "", "p/", "0b6c", 1).expect("a destination");
    let behind =
        ")\nTO 's3://bucket/p/0b6c/1/'\nIAM_ROLE 'arn:aws:iam::111122223333:role/a'\nFORMAT AS CSV\nMANIFEST VERBOSE";
    let (mut taken, mut refused) = (BTreeMap::new(), 0);
    let mut one = |query: &str| match check(query) {
        Ok(checked) => {
            let sql = statement(&checked, &output, &to, &["arn:aws:iam::111122223333:role/a"], "eu-west-1");
            let sql = sql.expect("a statement");
            let literal = sql.strip_prefix("UNLOAD (").and_then(|rest| rest.strip_suffix(behind)).expect("an UNLOAD");
            taken.insert(checked.text().to_owned(), literal.to_owned());
        }
        Err(_) => refused += 1,
    };
    for (signs, most, contexts) in [(&SIGNS[..], 4, &CONTEXTS[..]), (&MORE[..], 3, &CONTEXTS[..4])] {
        for context in contexts {
            each(signs, most, &mut String::new(), &mut |text| one(&context.replace('@', text)));
        }
    }
    (taken, refused)
}

/// As many literals as fit into one statement.
fn batch(literals: &[(String, String)]) -> &[(String, String)] {
    let mut bytes = 0;
    let fits = |(_, literal): &&(String, String)| {
        bytes += literal.len() + "(1000, ),".len();
        bytes < BYTES
    };
    &literals[..literals.iter().take(ROWS).take_while(fits).count()]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_comes_out_of_a_server_as_it_went_into_the_statement() {
    let aws = LocalAws::start();
    let world = aws.post("world", json!({}));
    let warehouse = Warehouse::of(&aws, &world).await;
    let (literals, refused) = literals();
    let literals: Vec<(String, String)> = literals.into_iter().collect();
    for standard in [true, false] {
        aws.post("settings", json!({"standard_conforming_strings": standard}));
        let escapes = warehouse.texts(r"SELECT 'a\\b'").await;
        assert_eq!(escapes, [if standard { r"a\\b" } else { r"a\b" }], "the server reads as it was told to");
        let mut rest = &literals[..];
        while !rest.is_empty() {
            let now = batch(rest);
            let rows = now.iter().enumerate().map(|(n, (_, literal))| format!("({n}, {literal})"));
            let rows = rows.collect::<Vec<_>>().join(",");
            let read = warehouse.texts(&format!("SELECT t FROM (VALUES {rows}) AS v (n, t) ORDER BY n")).await;
            assert_eq!(read.len(), now.len());
            for ((query, literal), read) in now.iter().zip(read) {
                assert_eq!(read, *query, "standard {standard}: {literal}");
            }
            rest = &rest[now.len()..];
        }
    }
    println!("literals: {} read twice by the server, {refused} queries refused before", literals.len());
    assert!(literals.len() > 10_000, "there is something to read: {}", literals.len());
}
