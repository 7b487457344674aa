//! Each option, as a field and as text; what does not go together; what is no option.

use super::readers::{Seen, escaping, standard};
use crate::api::unload::output::{Compression, Output};
use crate::api::unload::rules::{self, OutputError};
use crate::unload::query::check;
use crate::unload::statement::{Destination, StatementError, statement};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;

const ROLES: [&str; 2] =
    ["arn:aws:iam::111122223333:role/redshift-link/a", "arn:aws:iam::444455556666:role/redshift-link/b"];
const KEY: &str = "arn:aws:kms:eu-west-1:444455556666:key/mrk-0123";

fn to() -> Destination {
    Destination::new("dev-exports", "eu-west-1", "warehouse/", "stores/2026-11/", "0b6c9c7e-0000", 2).unwrap()
}

fn output(fields: &Value) -> Output {
    let mut all = json!({"path": "stores/2026-11/"});
    all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    serde_json::from_value(all).unwrap_or_else(|error| panic!("{fields}: {error}"))
}

fn sql(fields: &Value) -> Result<String, StatementError> {
    statement(&check("SELECT 'a' FROM t").unwrap(), &output(fields), &to(), &ROLES, "eu-west-1")
}

/// The lines after those that every statement has.
fn lines(fields: &Value) -> Vec<String> {
    let sql = sql(fields).unwrap_or_else(|error| panic!("{fields}: {error}"));
    sql.lines().skip(3).map(ToOwned::to_owned).collect()
}

#[test]
fn a_whole_statement() {
    let fields = json!({"parquet": {"rowGroupSize": "64MB"}, "partitionBy": ["city", "Year"], "includePartitionColumns": true,
        "maxFileSize": "256MB", "parallel": false, "encryption": {"kmsKeyArn": KEY}, "extension": "parquet"});
    let query = check("SELECT id, 'it''s' AS city FROM stores -- all\n;").unwrap();
    let sql = statement(&query, &output(&fields), &to(), &ROLES, "us-east-1").unwrap();
    let expected = "UNLOAD ('SELECT id, ''it''''s'' AS city FROM stores')
TO 's3://dev-exports/warehouse/stores/2026-11/0b6c9c7e-0000/2/'
IAM_ROLE 'arn:aws:iam::111122223333:role/redshift-link/a,arn:aws:iam::444455556666:role/redshift-link/b'
FORMAT AS PARQUET
ROWGROUPSIZE AS 64 MB
PARTITION BY (\"city\", \"Year\") INCLUDE
MANIFEST VERBOSE
KMS_KEY_ID 'arn:aws:kms:eu-west-1:444455556666:key/mrk-0123' ENCRYPTED
PARALLEL OFF
MAXFILESIZE AS 256 MB
EXTENSION 'parquet'
REGION AS 'eu-west-1'";
    assert_eq!(sql, expected);
    assert_eq!(to().manifest(), "warehouse/stores/2026-11/0b6c9c7e-0000/2/manifest");
}

#[test]
fn each_option_is_written() {
    let cases = [
        (json!({"parquet": {}}), vec!["FORMAT AS PARQUET", "MANIFEST VERBOSE"]),
        (json!({"csv": {}}), vec!["FORMAT AS CSV", "MANIFEST VERBOSE"]),
        (json!({"json": {}}), vec!["FORMAT AS JSON", "MANIFEST VERBOSE"]),
        (json!({"text": {}}), vec!["MANIFEST VERBOSE"]),
        (
            json!({"csv": {"delimiter": ";", "header": true, "nullAs": "NULL", "compression": "Gzip"}}),
            vec!["FORMAT AS CSV", "DELIMITER AS ';'", "HEADER", "NULL AS 'NULL'", "GZIP", "MANIFEST VERBOSE"],
        ),
        (json!({"json": {"compression": "Zstd"}}), vec!["FORMAT AS JSON", "ZSTD", "MANIFEST VERBOSE"]),
        (
            json!({"text": {"delimiter": "\t", "header": true, "addQuotes": true, "escape": true, "nullAs": "", "compression": "Bzip2"}}),
            vec!["DELIMITER AS '\t'", "HEADER", "ADDQUOTES", "ESCAPE", "NULL AS ''", "BZIP2", "MANIFEST VERBOSE"],
        ),
        (
            json!({"text": {"fixedWidth": [{"column": "id", "width": 10}, {"column": "city", "width": 100}], "nullAs": "-",
                "header": false, "addQuotes": false, "escape": false}}),
            vec!["FIXEDWIDTH AS 'id:10,city:100'", "NULL AS '-'", "MANIFEST VERBOSE"],
        ),
        (
            json!({"csv": {}, "partitionBy": ["city"]}),
            vec!["FORMAT AS CSV", "PARTITION BY (\"city\")", "MANIFEST VERBOSE"],
        ),
        (json!({"csv": {}, "parallel": true}), vec!["FORMAT AS CSV", "MANIFEST VERBOSE", "PARALLEL ON"]),
        (json!({"csv": {}, "encryption": {"auto": true}}), vec!["FORMAT AS CSV", "MANIFEST VERBOSE", "ENCRYPTED AUTO"]),
        (
            json!({"csv": {}, "maxFileSize": "6.2GB"}),
            vec!["FORMAT AS CSV", "MANIFEST VERBOSE", "MAXFILESIZE AS 6.2 GB"],
        ),
        (json!({"csv": {}, "extension": "csv.gz"}), vec!["FORMAT AS CSV", "MANIFEST VERBOSE", "EXTENSION 'csv.gz'"]),
    ];
    for (fields, expected) in cases {
        assert_eq!(lines(&fields), expected, "{fields}");
    }
}

/// The link's key is for jobs that name none.
#[test]
fn the_jobs_choice_of_a_key_comes_before_the_links() {
    let own = KEY.replace("mrk", "own");
    let to = to().with_key(KEY).unwrap();
    for (fields, expected) in [
        (json!({}), format!("KMS_KEY_ID '{KEY}' ENCRYPTED")),
        (json!({"encryption": {"kmsKeyArn": own, "auto": false}}), format!("KMS_KEY_ID '{own}' ENCRYPTED")),
        (json!({"encryption": {"auto": true}}), "ENCRYPTED AUTO".into()),
    ] {
        let output = Output { parquet: Some(<_>::default()), ..output(&fields) };
        let sql = statement(&check("SELECT 1").unwrap(), &output, &to, &ROLES, "eu-west-1").unwrap();
        assert!(sql.lines().any(|line| line == expected), "{fields}: {sql}");
        assert_eq!(sql.matches("ENCRYPTED").count(), 1);
    }
    assert!(to.with_key("alias/x").is_err());
}

/// What the table refuses, and what is near it and taken.
#[test]
fn each_rule_both_ways() {
    let fixed = |name: &str, value: Value| json!({"text": {"fixedWidth": [{"column": "a", "width": 1}], name: value}});
    let size = |format: &str, size: &str| json!({format: {}, "maxFileSize": size});
    let group = |group: &str, file: &str| json!({"parquet": {"rowGroupSize": group}, "maxFileSize": file});
    let cases = [
        (&rules::ONE_FORMAT, vec![json!({}), json!({"csv": {}, "text": {}})], vec![json!({"text": {}})]),
        (
            &rules::FILE_SIZE,
            vec![
                size("csv", "4.999MB"),
                size("csv", "6201MB"),
                size("csv", "6.201GB"),
                size("csv", "0.004GB"),
                size("csv", "6200GB"),
            ],
            vec![size("csv", "5MB"), size("csv", "6200MB"), size("csv", "6.2GB"), size("csv", "0.005GB")],
        ),
        (
            &rules::PARQUET_FILE_SIZE,
            vec![size("parquet", "31.999MB"), size("parquet", "5MB")],
            vec![size("parquet", "32MB"), size("parquet", "0.032GB"), size("parquet", "200MB")],
        ),
        (
            &rules::ROW_GROUP_SIZE,
            vec![json!({"parquet": {"rowGroupSize": "31MB"}}), json!({"parquet": {"rowGroupSize": "129MB"}})],
            vec![json!({"parquet": {"rowGroupSize": "32MB"}}), json!({"parquet": {"rowGroupSize": "128MB"}})],
        ),
        (&rules::ROW_GROUP_FITS, vec![group("128MB", "127.9MB"), group("64MB", "0.05GB")], vec![group("64MB", "64MB")]),
        (
            &rules::FIXED_WIDTH_DELIMITER,
            vec![fixed("delimiter", "|".into())],
            vec![fixed("nullAs", "-".into()), json!({"text": {"delimiter": ","}})],
        ),
        (
            &rules::FIXED_WIDTH_HEADER,
            vec![fixed("header", true.into())],
            vec![fixed("header", false.into()), json!({"text": {"header": true}})],
        ),
        (
            &rules::FIXED_WIDTH_QUOTES,
            vec![fixed("addQuotes", true.into())],
            vec![fixed("addQuotes", false.into()), json!({"text": {"addQuotes": true}})],
        ),
        (
            &rules::FIXED_WIDTH_ESCAPE,
            vec![fixed("escape", true.into())],
            vec![fixed("escape", false.into()), json!({"text": {"escape": true}})],
        ),
        (
            &rules::ONE_ENCRYPTION,
            vec![
                json!({"csv": {}, "encryption": {}}),
                json!({"csv": {}, "encryption": {"auto": false}}),
                json!({"csv": {}, "encryption": {"auto": true, "kmsKeyArn": KEY}}),
            ],
            vec![
                json!({"csv": {}, "encryption": {"auto": true}}),
                json!({"csv": {}, "encryption": {"auto": false, "kmsKeyArn": KEY}}),
            ],
        ),
        (
            &rules::PARTITION_COLUMNS,
            vec![json!({"csv": {}, "partitionBy": ["a", "A"]}), json!({"csv": {}, "partitionBy": ["a", "b", "a"]})],
            vec![json!({"csv": {}, "partitionBy": ["a", "b"]})],
        ),
        (
            &rules::INCLUDE_PARTITIONS,
            vec![json!({"csv": {}, "includePartitionColumns": true})],
            vec![
                json!({"csv": {}, "includePartitionColumns": false}),
                json!({"csv": {}, "includePartitionColumns": true, "partitionBy": ["a"]}),
            ],
        ),
    ];
    let mut tried = BTreeSet::new();
    for (rule, refused, taken) in cases {
        for fields in refused {
            assert_eq!(sql(&fields), Err(OutputError::Rule(rule.message).into()), "{fields}");
        }
        for fields in taken {
            assert!(sql(&fields).is_ok(), "{fields}: {:?}", sql(&fields));
        }
        tried.insert(rule.message);
    }
    assert_eq!(tried, rules::ALL.iter().map(|rule| rule.message).collect(), "each rule is tried");
    let twice = json!({"text": {"fixedWidth": [{"column": "a", "width": 1}, {"column": "a", "width": 2}]}});
    assert!(sql(&twice).unwrap_err().to_string().contains("once"));
}

/// What a format does not know is no field of it, so that nobody can ask for it.
#[test]
fn what_a_format_does_not_know_is_no_field_of_it() {
    let unknown: [(&str, &[&str]); 3] = [
        ("parquet", &["delimiter", "fixedWidth", "addQuotes", "escape", "nullAs", "header", "compression"]),
        ("csv", &["escape", "fixedWidth", "addQuotes", "rowGroupSize"]),
        ("json", &["delimiter", "header", "fixedWidth", "addQuotes", "escape", "nullAs", "rowGroupSize"]),
    ];
    for (format, names) in unknown {
        for name in names {
            let fields = json!({"path": "a/", format: {*name: true}});
            let error = serde_json::from_value::<Output>(fields).unwrap_err().to_string();
            assert!(error.contains(&format!("unknown field `{name}`")), "{format}.{name}: {error}");
        }
    }
    for name in ["allowOverwrite", "cleanPath", "iamRole", "manifest", "region", "masterSymmetricKey"] {
        let error = serde_json::from_value::<Output>(json!({"path": "a/", name: true})).unwrap_err().to_string();
        assert!(error.contains("unknown field"), "{name}: {error}");
    }
}

#[test]
fn what_others_give_is_checked_too() {
    let new = Destination::new;
    assert!(new("a.b-c", "us-gov-west-1", "", "a=b/c.d/", "0b6c", 1).is_ok());
    for bucket in
        ["", "ab", "Abc", "a'b", "a/b", "-ab", "ab-", "a..b", "my-point-0123-s3alias", "abc--x-s3", &"a".repeat(64)]
    {
        assert!(new(bucket, "eu-west-1", "", "a/", "0", 1).is_err(), "{bucket}");
    }
    for region in ["", "eu", "eu-west", "eu-west-", "eu-west-+1", "eu--1", "EU-west-1", "eu-west-1'", "eu-west-100"] {
        assert!(new("abc", region, "", "a/", "0", 1).is_err(), "{region}");
    }
    for path in ["a", "/", "../", "a//", "a'/", "_redshift-link/", "a b/"] {
        assert!(new("abc", "eu-west-1", path, "a/", "0", 1).is_err(), "{path}");
        assert!(new("abc", "eu-west-1", "", path, "0", 1).is_err(), "{path}");
    }
    assert!(new("abc", "eu-west-1", "", "", "0", 1).is_err());
    for uid in ["", "x", "-", "a/b", "a'"] {
        assert!(new("abc", "eu-west-1", "", "a/", uid, 1).is_err(), "{uid}");
    }
    assert!(new("abc", "eu-west-1", "", "a/", "0", 0).is_err());
    assert!(new("abc", "eu-west-1", &"a/".repeat(380), "a/", "0", 1).is_ok());
    assert!(new("abc", "eu-west-1", &"a/".repeat(384), "a/", "0", 1).unwrap_err().to_string().contains("too long"));
    let with = |roles: &[&str]| {
        statement(&check("SELECT 1").unwrap(), &output(&json!({"csv": {}})), &to(), roles, "eu-west-1")
    };
    let long = format!("arn:aws:iam::111122223333:role/{}", "a".repeat(600));
    for role in [
        "",
        "default",
        "arn:aws:iam::111122223333:role/",
        "arn:aws:iam::111122223333:role/a,b",
        "arn:aws:iam::111122223333:role/a b",
        "arn:aws:iam::111122223333:role/a'b",
        "arn:aws:iam::111122223333:user/a",
        "arn:aws:iam:eu-west-1:111122223333:role/a",
        "arn:aws:iam::1111:role/a",
        &long,
    ] {
        assert!(with(&[role]).is_err(), "{role}");
    }
    assert!(with(&[]).is_err());
    assert!(with(&["arn:aws-cn:iam::111122223333:role/p/a+b=c.d@e_f-g"]).is_ok());
}

/// The limit is that of the whole statement.
#[test]
fn a_statement_that_is_too_long_is_refused() {
    let query = check(&format!("SELECT '{}'", "a".repeat(99_800))).unwrap();
    let sql = |query| statement(query, &output(&json!({"csv": {}})), &to(), &ROLES, "eu-west-1");
    assert!(matches!(sql(&query), Err(StatementError::TooLong { bytes }) if bytes > 100_000));
    assert!(sql(&check(&format!("SELECT '{}'", "a".repeat(99_000))).unwrap()).is_ok());
}

/// Any options, good or bad: what is taken is read by both readers as the same, and its values stand in it.
#[test]
fn whatever_the_options_their_values_stay_in_their_literals() {
    let nasty = || prop_oneof![3 => "[ -~]{0,5}", 1 => any::<String>(), 2 => Just(String::new()), 2 => "[a-z]{1,4}"];
    let compressions = [Compression::Bzip2, Compression::Gzip, Compression::Zstd];
    let compression = prop::option::of(prop::sample::select(compressions.to_vec()));
    let one = || prop_oneof!["[ -~\t]", nasty()];
    let strategy = (one(), nasty(), nasty(), nasty(), prop::option::of(nasty()), compression, 0..4);
    proptest!(ProptestConfig::with_cases(2_000), |((delimiter, null_as, extension, column, key, compression, format) in strategy)| {
        let mut output = output(&json!({}));
        let fields = json!({"delimiter": delimiter, "nullAs": null_as, "compression": compression});
        match format {
            0 => output.csv = serde_json::from_value(fields).unwrap(),
            1 => output.text = serde_json::from_value(fields).unwrap(),
            2 => output.text = serde_json::from_value(json!({"fixedWidth": [{"column": column, "width": 7}]})).unwrap(),
            _ => output.partition_by = Some(vec![column.clone()]),
        }
        if output.partition_by.is_some() {
            output.parquet = Some(<_>::default());
        }
        output.extension = Some(extension.clone()).filter(|extension| !extension.is_empty());
        let key = key.map(|key| format!("{KEY}{key}"));
        output.encryption = key.as_ref().map(|key| serde_json::from_value(json!({"kmsKeyArn": key})).unwrap());
        let Ok(sql) = statement(&check("SELECT 1").unwrap(), &output, &to(), &ROLES, "us-east-1") else { return Ok(()) };
        let seen = standard(&sql);
        prop_assert_eq!(&seen, &escaping(&sql));
        let is_literal = |seen: &&Seen| matches!(seen, Seen::Literal(_));
        let literals: Vec<_> = seen.iter().filter(is_literal).cloned().collect();
        let mut expected = vec!["SELECT 1".into(), to().url(), ROLES.join(",")];
        match format {
            0 | 1 => expected.extend([delimiter, null_as]),
            2 => expected.push(format!("{column}:7")),
            _ => {}
        }
        expected.extend(key);
        expected.extend(output.extension.clone());
        expected.push("eu-west-1".into());
        let expected: Vec<_> = expected.into_iter().map(Seen::Literal).collect();
        prop_assert_eq!(literals, expected);
        let names: Vec<_> = seen.iter().filter(|seen| matches!(seen, Seen::Name(_))).collect();
        prop_assert_eq!(names.len(), usize::from(format == 3));
    });
}
