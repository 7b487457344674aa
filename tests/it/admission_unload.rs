//! The API server refuses an UnloadJob that can never work, with a message, and takes what can: each rule both ways.

use super::admission::{Change, Make, Rule, ask, messages};
use crate::bench::control_plane::ControlPlane;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Once;

const NAMESPACE: &str = "admission-unload";

fn with(format: &str, options: &Value) -> Value {
    json!({
        "linkRef": {"name": "warehouse"},
        "query": "SELECT id, city FROM stores WHERE country = 'FI'",
        "output": {"path": "stores/2026-11/", format: options},
    })
}

fn parquet() -> Value {
    with("parquet", &json!({}))
}

fn csv() -> Value {
    with("csv", &json!({}))
}

fn text() -> Value {
    with("text", &json!({}))
}

fn fixed() -> Value {
    with("text", &json!({"fixedWidth": [{"column": "id", "width": 10}, {"column": "city", "width": 40}]}))
}

/// With everything that may be given.
fn full() -> Value {
    let mut spec = with("csv", &json!({"delimiter": ";", "header": true, "nullAs": "NULL", "compression": "Gzip"}));
    let more = json!({"partitionBy": ["city"], "includePartitionColumns": true, "maxFileSize": "256MB", "parallel": false,
        "encryption": {"auto": true}, "extension": "csv.gz"});
    spec["output"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let rest = json!({"activeDeadlineSeconds": 14400, "backoffLimit": 2, "suspend": true, "ttlSecondsAfterFinished": 86400,
        "dataPolicy": "Retain"});
    spec.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    spec
}

const KEY: &str = "arn:aws:kms:eu-west-1:444455556666:key/0b6c9c7e-0000-4000-8000-000000000001";

fn object(name: &str, spec: &Value) -> String {
    json!({"apiVersion": "redshiftlink.dev/v1alpha1", "kind": "UnloadJob",
        "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec})
    .to_string()
}

const CREATION: [Rule; 25] = [
    Rule {
        of: csv,
        refused: |spec| drop(spec["output"].as_object_mut().unwrap().remove("csv")),
        message: "exactly one of parquet, csv, json and text must be given",
        taken: |spec| spec["output"]["csv"] = json!({"header": true}),
    },
    Rule {
        of: csv,
        refused: |spec| spec["output"]["json"] = json!({}),
        message: "exactly one of parquet, csv, json and text must be given",
        taken: |spec| {
            spec["output"].as_object_mut().unwrap().remove("csv");
            spec["output"]["json"] = json!({"compression": "Zstd"});
        },
    },
    Rule {
        of: csv,
        refused: |spec| spec["output"]["maxFileSize"] = "4.999MB".into(),
        message: "maxFileSize is from 5MB to 6.2GB",
        taken: |spec| spec["output"]["maxFileSize"] = "5MB".into(),
    },
    Rule {
        of: csv,
        refused: |spec| spec["output"]["maxFileSize"] = "6.201GB".into(),
        message: "maxFileSize is from 5MB to 6.2GB",
        taken: |spec| spec["output"]["maxFileSize"] = "6.2GB".into(),
    },
    Rule {
        of: csv,
        refused: |spec| spec["output"]["maxFileSize"] = "6201MB".into(),
        message: "maxFileSize is from 5MB to 6.2GB",
        taken: |spec| spec["output"]["maxFileSize"] = "6200MB".into(),
    },
    Rule {
        of: csv,
        refused: |spec| spec["output"]["maxFileSize"] = "0.004GB".into(),
        message: "maxFileSize is from 5MB to 6.2GB",
        taken: |spec| spec["output"]["maxFileSize"] = "0.005GB".into(),
    },
    Rule {
        of: parquet,
        refused: |spec| spec["output"]["maxFileSize"] = "31.999MB".into(),
        message: "with parquet, maxFileSize is at least 32MB: it is rounded down to a multiple of that",
        taken: |spec| spec["output"]["maxFileSize"] = "0.032GB".into(),
    },
    Rule {
        of: parquet,
        refused: |spec| spec["output"]["parquet"]["rowGroupSize"] = "31MB".into(),
        message: "rowGroupSize is from 32MB to 128MB",
        taken: |spec| spec["output"]["parquet"]["rowGroupSize"] = "32MB".into(),
    },
    Rule {
        of: parquet,
        refused: |spec| spec["output"]["parquet"]["rowGroupSize"] = "129MB".into(),
        message: "rowGroupSize is from 32MB to 128MB",
        taken: |spec| spec["output"]["parquet"]["rowGroupSize"] = "128MB".into(),
    },
    Rule {
        of: parquet,
        refused: |spec| {
            spec["output"]["parquet"]["rowGroupSize"] = "128MB".into();
            spec["output"]["maxFileSize"] = "0.127GB".into();
        },
        message: "rowGroupSize is no more than maxFileSize: a file holds at least one row group",
        taken: |spec| {
            spec["output"]["parquet"]["rowGroupSize"] = "128MB".into();
            spec["output"]["maxFileSize"] = "128MB".into();
        },
    },
    Rule {
        of: fixed,
        refused: |spec| spec["output"]["text"]["delimiter"] = "|".into(),
        message: "fixedWidth does not go with delimiter: give one of them",
        taken: |spec| spec["output"]["text"]["nullAs"] = "-".into(),
    },
    Rule {
        of: fixed,
        refused: |spec| spec["output"]["text"]["header"] = true.into(),
        message: "fixedWidth does not go with header: leave one of them out",
        taken: |spec| spec["output"]["text"]["header"] = false.into(),
    },
    Rule {
        of: fixed,
        refused: |spec| spec["output"]["text"]["addQuotes"] = true.into(),
        message: "fixedWidth does not go with addQuotes: leave one of them out",
        taken: |spec| spec["output"]["text"]["addQuotes"] = false.into(),
    },
    Rule {
        of: fixed,
        refused: |spec| spec["output"]["text"]["escape"] = true.into(),
        message: "fixedWidth does not go with escape: leave one of them out",
        taken: |spec| spec["output"]["text"]["escape"] = false.into(),
    },
    // without fixedWidth all four go together
    Rule {
        of: fixed,
        refused: |spec| spec["output"]["text"]["delimiter"] = "\t".into(),
        message: "fixedWidth does not go with delimiter: give one of them",
        taken: |spec| {
            spec["output"]["text"] =
                json!({"delimiter": "\t", "header": true, "addQuotes": true, "escape": true, "nullAs": ""});
        },
    },
    Rule {
        of: csv,
        refused: |spec| spec["output"]["encryption"] = json!({"auto": true, "kmsKeyArn": KEY}),
        message: "encryption is either kmsKeyArn or auto: true; leave encryption out for the link's key or SSE-S3",
        taken: |spec| spec["output"]["encryption"] = json!({"kmsKeyArn": KEY}),
    },
    Rule {
        of: csv,
        refused: |spec| spec["output"]["encryption"] = json!({}),
        message: "encryption is either kmsKeyArn or auto: true; leave encryption out for the link's key or SSE-S3",
        taken: |spec| spec["output"]["encryption"] = json!({"auto": true}),
    },
    Rule {
        of: parquet,
        refused: |spec| spec["output"]["encryption"] = json!({"auto": false}),
        message: "encryption is either kmsKeyArn or auto: true; leave encryption out for the link's key or SSE-S3",
        taken: |spec| spec["output"]["encryption"] = json!({"auto": false, "kmsKeyArn": KEY}),
    },
    Rule {
        of: parquet,
        refused: |spec| spec["output"]["partitionBy"] = json!(["city", "City"]),
        message: "partitionBy names each column once, upper and lower case being the same",
        taken: |spec| spec["output"]["partitionBy"] = json!(["city", "country"]),
    },
    Rule {
        of: text,
        refused: |spec| spec["output"]["partitionBy"] = json!(["city", "id", "city"]),
        message: "partitionBy names each column once, upper and lower case being the same",
        taken: |spec| spec["output"]["partitionBy"] = (0..16).map(|n| json!(format!("c{n}"))).collect(),
    },
    Rule {
        of: parquet,
        refused: |spec| spec["output"]["includePartitionColumns"] = true.into(),
        message: "includePartitionColumns needs partitionBy",
        taken: |spec| spec["output"]["includePartitionColumns"] = false.into(),
    },
    Rule {
        of: parquet,
        refused: |spec| spec["output"]["includePartitionColumns"] = true.into(),
        message: "includePartitionColumns needs partitionBy",
        taken: |spec| {
            spec["output"]["includePartitionColumns"] = true.into();
            spec["output"]["partitionBy"] = json!(["city"]);
        },
    },
    Rule {
        of: csv,
        refused: |spec| spec["query"] = r"SELECT '\n'".into(),
        message: "a backslash in the query is refused: write CHR(92)",
        taken: |spec| spec["query"] = "SELECT CHR(92) || 'n', '/', 'it''s'\nFROM t -- ä\n".into(),
    },
    Rule {
        of: csv,
        refused: |spec| spec["query"] = r"SELECT 1 -- \".into(),
        message: "a backslash in the query is refused: write CHR(92)",
        // the whole length: it is the statement that must not be longer
        taken: |spec| spec["query"] = format!("SELECT '{}'", "ä".repeat(99_000)).into(),
    },
    Rule {
        of: csv,
        refused: |spec| spec["output"]["text"] = json!({"fixedWidth": [{"column": "id", "width": 10}]}),
        message: "exactly one of parquet, csv, json and text must be given",
        taken: |spec| *spec = full(),
    },
];

/// Changes of a job that exists. All else may change.
const UPDATES: [Rule; 8] = [
    Rule {
        of: full,
        refused: |spec| spec["linkRef"]["name"] = "other".into(),
        message: "linkRef is immutable: make another job",
        taken: |spec| spec["suspend"] = false.into(),
    },
    Rule {
        of: full,
        refused: |spec| spec["query"] = "SELECT 1".into(),
        message: "query is immutable: make another job",
        taken: |spec| spec["ttlSecondsAfterFinished"] = 0.into(),
    },
    Rule {
        of: full,
        refused: |spec| spec["output"]["parallel"] = true.into(),
        message: "output is immutable: make another job",
        taken: |spec| spec["activeDeadlineSeconds"] = 86_400.into(),
    },
    Rule {
        of: full,
        refused: |spec| drop(spec["output"].as_object_mut().unwrap().remove("extension")),
        message: "output is immutable: make another job",
        taken: |spec| drop(spec.as_object_mut().unwrap().remove("activeDeadlineSeconds")),
    },
    Rule {
        of: full,
        refused: |spec| spec["backoffLimit"] = 3.into(),
        message: "backoffLimit is immutable: make another job",
        taken: |spec| drop(spec.as_object_mut().unwrap().remove("suspend")),
    },
    Rule {
        of: full,
        refused: |spec| drop(spec.as_object_mut().unwrap().remove("backoffLimit")),
        message: "backoffLimit is immutable: make another job",
        taken: |spec| drop(spec.as_object_mut().unwrap().remove("ttlSecondsAfterFinished")),
    },
    Rule {
        of: full,
        refused: |spec| spec["dataPolicy"] = "Delete".into(),
        message: "dataPolicy is immutable: make another job",
        taken: |_| {},
    },
    Rule {
        of: full,
        refused: |spec| drop(spec.as_object_mut().unwrap().remove("dataPolicy")),
        message: "dataPolicy is immutable: make another job",
        taken: |_| {},
    },
];

/// What a schema refuses without a rule: by pattern, bound, enum, map or unknown field.
const SHAPES: [(&str, Make, Change); 48] = [
    ("spec.linkRef.name", csv, |spec| spec["linkRef"]["name"] = "Warehouse".into()),
    ("unknown field \"spec.linkRef.namespace\"", csv, |spec| spec["linkRef"]["namespace"] = "other".into()),
    ("spec.query", csv, |spec| spec["query"] = "".into()),
    ("spec.query", csv, |spec| spec["query"] = "a".repeat(100_001).into()),
    ("spec.output.path", csv, |spec| spec["output"]["path"] = "".into()),
    ("spec.output.path", csv, |spec| spec["output"]["path"] = "stores".into()),
    ("spec.output.path", csv, |spec| spec["output"]["path"] = "/stores/".into()),
    ("spec.output.path", csv, |spec| spec["output"]["path"] = "../".into()),
    ("spec.output.path", csv, |spec| spec["output"]["path"] = "a/../b/".into()),
    ("spec.output.path", csv, |spec| spec["output"]["path"] = "_redshift-link/".into()),
    ("spec.output.path", csv, |spec| spec["output"]["path"] = "a//b/".into()),
    ("spec.output.path", csv, |spec| spec["output"]["path"] = "a'/".into()),
    ("spec.output.path", csv, |spec| spec["output"]["path"] = "a\n/".into()),
    ("spec.output.maxFileSize", csv, |spec| spec["output"]["maxFileSize"] = "256".into()),
    ("spec.output.maxFileSize", csv, |spec| spec["output"]["maxFileSize"] = "1e3MB".into()),
    ("spec.output.maxFileSize", csv, |spec| spec["output"]["maxFileSize"] = 256.into()),
    ("spec.output.parquet.rowGroupSize", parquet, |spec| {
        spec["output"]["parquet"]["rowGroupSize"] = "64.5MB".into();
    }),
    ("spec.output.csv.delimiter", csv, |spec| spec["output"]["csv"]["delimiter"] = "||".into()),
    ("spec.output.csv.delimiter", csv, |spec| spec["output"]["csv"]["delimiter"] = "\"".into()),
    ("spec.output.csv.delimiter", csv, |spec| spec["output"]["csv"]["delimiter"] = "ä".into()),
    ("spec.output.text.delimiter", text, |spec| spec["output"]["text"]["delimiter"] = "'".into()),
    ("spec.output.text.delimiter", text, |spec| spec["output"]["text"]["delimiter"] = "\\".into()),
    ("spec.output.text.delimiter", text, |spec| spec["output"]["text"]["delimiter"] = "\n".into()),
    ("spec.output.csv.nullAs", csv, |spec| spec["output"]["csv"]["nullAs"] = "\\N".into()),
    ("spec.output.text.nullAs", text, |spec| spec["output"]["text"]["nullAs"] = "a'b".into()),
    ("spec.output.csv.compression", csv, |spec| spec["output"]["csv"]["compression"] = "Snappy".into()),
    ("spec.output.text.fixedWidth", text, |spec| spec["output"]["text"]["fixedWidth"] = json!([])),
    ("spec.output.text.fixedWidth[1]", text, |spec| {
        spec["output"]["text"]["fixedWidth"] = json!([{"column": "a", "width": 1}, {"column": "a", "width": 2}]);
    }),
    ("spec.output.text.fixedWidth[0].width", text, |spec| {
        spec["output"]["text"]["fixedWidth"] = json!([{"column": "a", "width": 0}]);
    }),
    ("spec.output.text.fixedWidth[0].column", text, |spec| {
        spec["output"]["text"]["fixedWidth"] = json!([{"column": "a:1,b", "width": 1}]);
    }),
    ("spec.output.partitionBy[0]", csv, |spec| spec["output"]["partitionBy"] = json!(["a\""])),
    ("spec.output.partitionBy", csv, |spec| spec["output"]["partitionBy"] = json!([])),
    ("spec.output.extension", csv, |spec| spec["output"]["extension"] = ".csv".into()),
    ("spec.output.encryption.kmsKeyArn", csv, |spec| spec["output"]["encryption"] = json!({"kmsKeyArn": "alias/x"})),
    ("spec.activeDeadlineSeconds", csv, |spec| spec["activeDeadlineSeconds"] = 0.into()),
    ("spec.activeDeadlineSeconds", csv, |spec| spec["activeDeadlineSeconds"] = 86_401.into()),
    ("spec.backoffLimit", csv, |spec| spec["backoffLimit"] = (-1).into()),
    ("spec.ttlSecondsAfterFinished", csv, |spec| spec["ttlSecondsAfterFinished"] = (-1).into()),
    ("spec.dataPolicy", csv, |spec| spec["dataPolicy"] = "Orphan".into()),
    ("unknown field \"spec.output.allowOverwrite\"", csv, |spec| spec["output"]["allowOverwrite"] = true.into()),
    ("unknown field \"spec.output.cleanPath\"", csv, |spec| spec["output"]["cleanPath"] = true.into()),
    ("unknown field \"spec.output.manifest\"", csv, |spec| spec["output"]["manifest"] = false.into()),
    ("unknown field \"spec.output.parquet.header\"", parquet, |spec| {
        spec["output"]["parquet"]["header"] = true.into();
    }),
    ("unknown field \"spec.output.parquet.compression\"", parquet, |spec| {
        spec["output"]["parquet"]["compression"] = "Gzip".into();
    }),
    ("unknown field \"spec.output.csv.escape\"", csv, |spec| spec["output"]["csv"]["escape"] = true.into()),
    ("unknown field \"spec.output.csv.rowGroupSize\"", csv, |spec| {
        spec["output"]["csv"]["rowGroupSize"] = "64MB".into();
    }),
    ("unknown field \"spec.output.json.header\"", csv, |spec| {
        spec["output"].as_object_mut().unwrap().remove("csv");
        spec["output"]["json"] = json!({"header": true});
    }),
    ("unknown field \"spec.roleArn\"", csv, |spec| spec["roleArn"] = "arn:aws:iam::111122223333:role/a".into()),
];

fn plane() -> &'static ControlPlane {
    static DEFINED: Once = Once::new();
    let plane = ControlPlane::shared();
    DEFINED.call_once(|| {
        plane.namespace(NAMESPACE);
    });
    plane
}

#[test]
fn each_rule_of_a_job_refuses_and_takes() {
    let plane = plane();
    plane.apply(&object("there", &full()));
    let mut tried = BTreeSet::new();
    let creation = CREATION.iter().map(|rule| (rule, "create", "new"));
    let updates = UPDATES.iter().map(|rule| (rule, "replace", "there"));
    for (rule, verb, name) in creation.chain(updates) {
        let mut bad = (rule.of)();
        (rule.refused)(&mut bad);
        let refusal = ask(plane, verb, &object(name, &bad)).expect_err(rule.message);
        assert!(refusal.contains(rule.message), "{}: {refusal}", rule.message);
        let mut good = (rule.of)();
        (rule.taken)(&mut good);
        ask(plane, verb, &object(name, &good)).unwrap_or_else(|error| panic!("beside {}: {error}", rule.message));
        tried.insert(rule.message.to_owned());
    }
    let definition: Value = serde_saphyr::from_str(&redshift_link::api::crds()[1].yaml).expect("YAML");
    let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
    assert_eq!(tried, messages(schema), "each rule is tried");
    plane.kubectl(&["delete", "unloadjob", "there", "-n", NAMESPACE]);
}

#[test]
fn a_job_of_the_wrong_shape_is_refused_with_its_field() {
    let plane = plane();
    for (field, kind, change) in SHAPES {
        let mut spec = kind();
        change(&mut spec);
        let refusal = ask(plane, "create", &object("new", &spec)).expect_err(field);
        assert!(refusal.contains(field), "{field}: {refusal}");
    }
}

/// A tool that waits by kstatus must not take a job for finished that nobody has looked at.
#[test]
fn a_job_just_made_has_observed_no_generation() {
    let plane = plane();
    plane.apply(&object("fresh", &parquet()));
    let made = plane.get("unload", NAMESPACE, "fresh").expect("there");
    assert_eq!(made["status"], json!({"observedGeneration": -1}));
    let found = plane.kubectl(&["get", "unload", "-n", NAMESPACE, "--field-selector", "spec.linkRef.name=warehouse"]);
    let columns = ["STATUS", "LINK", "ROWS", "SIZE", "DURATION", "AGE"];
    assert!(found.contains("fresh") && columns.iter().all(|column| found.contains(column)), "{found}");
    let explained = plane.explain("unload.spec.output.csv.delimiter");
    assert!(explained.contains("Absent: a comma"), "{explained}");
    plane.kubectl(&["delete", "unload", "fresh", "-n", NAMESPACE]);
}
