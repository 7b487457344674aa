//! Which queries are taken, and with which words others are refused.

use crate::api::unload::shape::STATEMENT_MAX;
use crate::unload::query::check;
use crate::unload::query_error::QueryError as E;

fn taken(query: &str) -> (String, bool) {
    let checked = check(query).unwrap_or_else(|error| panic!("{query:?}: {error}"));
    (checked.text().to_owned(), checked.warning().is_some())
}

#[test]
fn what_redshift_takes_is_taken() {
    let known = [
        "SELECT id, city, opened FROM stores WHERE country = 'FI'",
        "select * from venue where venueid in (select venueid from venue order by venueid desc limit 10)",
        "SELECT * FROM (SELECT * FROM a ORDER BY b LIMIT 10) AS t",
        "SELECT * FROM (SELECT TOP 10 * FROM a) AS t",
        "WITH a AS (SELECT 1 AS x), b AS (SELECT x FROM a) SELECT * FROM b ORDER BY x",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 9) SELECT n FROM t",
        "SELECT 1 UNION ALL SELECT 2 INTERSECT SELECT 3",
        "SELECT a FROM t EXCEPT SELECT b FROM u",
        "SELECT DISTINCT a::varchar(10), count(*) FROM t GROUP BY 1 HAVING count(*) > 1",
        "SELECT \"limit\", t.limit, x AS offset FROM t",
        "SELECT 'it''s; -- no /* comment', \"a\"\"b;\" FROM t",
        "SELECT 'a LIMIT 1 INTO b'",
        "SELECT a$b, fetch FROM t",
        "SELECT row_number() OVER (PARTITION BY a ORDER BY b) FROM t",
        "SELECT CASE WHEN a IS NULL THEN 'x' ELSE 'y' END, f(1.5e3, .5) FROM t LEFT JOIN u USING (id)",
        "SELECT 'Ääkköset 日本 😀'",
        "SELECT copy, count(*) set FROM t",
    ];
    for query in known {
        assert_eq!(taken(query), (query.to_owned(), false), "{query}");
    }
}

#[test]
fn what_the_parser_does_not_know_is_taken_with_a_warning() {
    for query in
        ["SELECT APPROXIMATE PERCENTILE_DISC(0.5) WITHIN GROUP (ORDER BY a) FROM t x y z", "SELECT a.b[0 FOR] FROM t"]
    {
        let checked = check(query).unwrap_or_else(|error| panic!("{query:?}: {error}"));
        let warning = checked.warning().unwrap_or_else(|| panic!("{query}: known"));
        assert!(warning.contains("Redshift") && warning.contains("Line: 1"), "{warning}");
    }
    // comments do not shift the lines that it tells
    let checked = check("/* a\nb */ SELECT 1 -- c\n FROM t x y z").unwrap();
    assert!(checked.warning().unwrap().contains("Line: 3"), "{checked:?}");
}

/// What would take the parser long, or more stack than there is, is not given to it.
#[test]
fn what_is_too_deep_or_too_long_for_the_parser_is_taken_with_a_warning() {
    let deep = |open: &str, close: &str, n| format!("SELECT {}1{} FROM t", open.repeat(n), close.repeat(n));
    let shapes = [
        deep("(", ")", 17),
        deep("a.trim(", ")", 5),
        deep("a.trim(", ")", 9_000),
        deep("f(", ")", 5_000),
        deep("(", ")", 45_000),
        deep("NOT ", "", 2_000),
        deep("CASE WHEN a THEN ", " END", 1_000),
        deep("1+", "", 40_000),
        format!("SELECT 1{}", " UNION SELECT 1".repeat(6_000)),
        format!("SELECT 1{}", "::int".repeat(15_000)),
    ];
    for query in shapes {
        assert!(taken(&query).1, "{}", &query[..40]);
    }
    for query in [
        deep("(", ")", 16),
        deep("a.f(", ")", 4),
        deep("1+", "", 2_400),
        format!("SELECT 1{}", " UNION SELECT 1".repeat(1_500)),
    ] {
        assert!(!taken(&query).1, "{}", &query[..40]);
    }
}

#[test]
fn comments_and_what_ends_the_statement_are_taken_out() {
    let cases = [
        ("SELECT 1;", "SELECT 1"),
        ("SELECT 1 ; ;; \n", "SELECT 1"),
        ("SELECT 1; -- that is all; or is it?", "SELECT 1"),
        ("-- first\nSELECT 1 /* it's */ + 2 -- \"\n", "SELECT 1   + 2"),
        ("SELECT a/**/b", "SELECT a b"),
        ("SELECT 2 -/**/- 1", "SELECT 2 - - 1"),
        ("SELECT 2 /--\n* 1", "SELECT 2 / \n* 1"),
        ("SELECT '/*', '--' FROM t", "SELECT '/*', '--' FROM t"),
        ("SELECT 1 /* /", ""),
    ];
    for (query, text) in cases {
        if text.is_empty() {
            assert_eq!(check(query), Err(E::OpenComment { at: 9 }));
        } else {
            assert_eq!(taken(query).0, text, "{query:?}");
        }
    }
}

#[test]
fn each_refusal_has_its_place() {
    let limit = |at, word| E::OuterLimit { at, word };
    let changes = |at, word| E::Changes { at, word };
    let cases = [
        ("", E::Empty),
        (" \n-- nothing\n/* here */ ;", E::Empty),
        (r"SELECT '\'", E::Backslash { at: 8 }),
        (r"SELECT 1 -- \", E::Backslash { at: 12 }),
        ("SELECT 1\r\n", E::CarriageReturn { at: 8 }),
        ("SELECT '\0'", E::Control { at: 8, code: 0 }),
        ("SELECT '\u{85}'", E::Control { at: 8, code: 0x85 }),
        ("SELECT '\u{202e}'", E::Hidden { at: 8, code: 0x202e }),
        ("SELECT '\u{2066}'", E::Hidden { at: 8, code: 0x2066 }),
        ("\u{feff}SELECT 1", E::Hidden { at: 0, code: 0xfeff }),
        ("SELECT a\u{200b}b", E::Hidden { at: 8, code: 0x200b }),
        ("SELECT 1 -- \u{2029}", E::Hidden { at: 12, code: 0x2029 }),
        ("SELECT\u{a0}1", E::Space { at: 6, code: 0xa0 }),
        ("SELECT a\u{3000}b", E::Space { at: 8, code: 0x3000 }),
        ("SELECT $$a$$", E::Dollar { at: 7 }),
        ("SELECT $1", E::Dollar { at: 7 }),
        ("SELECT a$$b", E::Dollar { at: 9 }),
        ("SELECT a$b$c", E::Dollar { at: 10 }),
        ("SELECT 'a", E::OpenLiteral { at: 7 }),
        ("SELECT 'a''", E::OpenLiteral { at: 7 }),
        ("SELECT \"a", E::OpenName { at: 7 }),
        ("SELECT 1 /* a", E::OpenComment { at: 9 }),
        ("SELECT 1 /*/", E::OpenComment { at: 9 }),
        ("SELECT 1 /* a /* b */ */", E::NestedComment { at: 14 }),
        ("SELECT 1 /*/*/", E::NestedComment { at: 11 }),
        ("SELECT (1", E::NotClosed { at: 7, opened: '(' }),
        ("SELECT a[1", E::NotClosed { at: 8, opened: '[' }),
        ("SELECT 1)", E::NotOpened { at: 8, closing: ')' }),
        ("SELECT (1]", E::NotOpened { at: 9, closing: ']' }),
        ("SELECT 1; DROP TABLE a", E::Several { at: 8 }),
        ("SELECT 1;; SELECT 2", E::Several { at: 8 }),
        ("SELECT 1 SELECT 2", E::SecondSelect { at: 9 }),
        ("WITH a AS (SELECT 1) SELECT 1 FROM (a) SELECT 2", E::SecondSelect { at: 39 }),
        ("(SELECT 1) UNION (SELECT 2)", E::NotSelect { at: 0 }),
        ("VALUES (1)", E::NotSelect { at: 0 }),
        ("TABLE a", E::NotSelect { at: 0 }),
        ("EXPLAIN SELECT 1", E::NotSelect { at: 0 }),
        ("'SELECT 1'", E::NotSelect { at: 0 }),
        ("WITH a AS (SELECT 1)", E::NotSelect { at: 20 }),
        ("WITH a AS (SELECT 1) (SELECT 2)", E::NotSelect { at: 31 }),
        ("SELECT 1 LIMIT 1", limit(9, "LIMIT")),
        ("SELECT 1 limit all", limit(9, "LIMIT")),
        ("SELECT 1 WHERE a = 1.LIMIT 2", limit(21, "LIMIT")),
        ("SELECT 1e5LIMIT 2", limit(10, "LIMIT")),
        ("SELECT 1 AS AS LIMIT 2", limit(15, "LIMIT")),
        ("SELECT 1 UNION (SELECT 2) LIMIT 3", limit(26, "LIMIT")),
        ("WITH a AS (SELECT 1 LIMIT 2) SELECT * FROM a LIMIT 3", limit(45, "LIMIT")),
        ("SELECT 1 OFFSET 2", limit(9, "OFFSET")),
        ("SELECT 1 FETCH FIRST 2 ROWS ONLY", limit(9, "FETCH")),
        ("SELECT 1 FETCH NEXT ROW ONLY", limit(9, "FETCH")),
        ("SELECT TOP 3 a FROM t", limit(7, "TOP")),
        ("SELECT DISTINCT TOP 3 a FROM t", limit(16, "TOP")),
        ("SELECT 1 UNION SELECT TOP 3 a FROM t", limit(22, "TOP")),
        ("SELECT * INTO b FROM a", E::Into { at: 9 }),
        ("SELECT * FROM (SELECT 1 into x) AS t", E::Into { at: 24 }),
        ("DELETE FROM a", changes(0, "DELETE")),
        ("unload ('SELECT 1') TO 's3://a/'", changes(0, "UNLOAD")),
        ("WITH a AS (DELETE FROM b RETURNING *) SELECT * FROM a", changes(11, "DELETE")),
        ("WITH a AS ((INSERT INTO b VALUES (1))) SELECT 1", changes(12, "INSERT")),
        ("WITH a AS NOT MATERIALIZED (UPDATE b SET c = 1) SELECT 1", changes(28, "UPDATE")),
        ("WITH a AS MATERIALIZED (MERGE b) SELECT 1", changes(24, "MERGE")),
        ("WITH a AS (SELECT 1) DELETE FROM b", changes(21, "DELETE")),
    ];
    let mut messages = std::collections::HashSet::new();
    for (query, error) in cases {
        let text = error.to_string();
        let at = format!("byte {}", query.len());
        assert_eq!(check(query), Err(error), "{query:?}");
        assert!(text.contains("byte ") || query.is_empty() || text.contains("empty"), "{at}: {text}");
        assert!(text.contains(": ") || text.contains("; "), "it says what to do: {text}");
        messages.insert(std::mem::discriminant(&check(query).unwrap_err()));
    }
    assert_eq!(messages.len(), 19, "each kind of refusal but for the length is tried");
}

#[test]
fn the_length_counts_with_quotes_doubled() {
    let query = |quotes: usize, plain: usize| format!("SELECT '{}{}'", "''".repeat(quotes), "a".repeat(plain));
    // SELECT and its blank are 7; the quotes around the literal are doubled, too
    let fits = query(10_000, STATEMENT_MAX - 7 - 4 - 40_000);
    assert!(check(&fits).is_ok());
    let long = query(10_000, STATEMENT_MAX - 7 - 4 - 40_000 + 1);
    assert_eq!(check(&long), Err(E::TooLong { bytes: STATEMENT_MAX + 1 }));
    assert!(check(&long).unwrap_err().to_string().contains("100001"));
}
