//! Values of every type go through jobs of every format, and are read back by other hands; nothing goes through as
//! nothing, and what is not whole is no result.

use super::unload::{LINK, linked};
use crate::bench::jobs::prefix;
use crate::bench::stage::{Stage, condition};
use crate::bench::warehouse::Warehouse;
use crate::bench::{python, root};
use serde_json::{Map, Value, json};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const TABLE: &str = "CREATE TABLE sales (id bigint, small smallint, whole integer, big bigint, amount numeric(18,4),
    part real, ratio double precision, code char(6), note varchar(20000), day date, moment timestamp,
    city varchar(20), paid boolean)";

/// Values at the edges of their types, and with whatever a format writes in a way of its own.
const ROW: &str = "SELECT i,
    CASE i % 11 WHEN 0 THEN NULL WHEN 1 THEN 32767 WHEN 2 THEN -32768 ELSE i % 1000 END,
    CASE i % 13 WHEN 0 THEN NULL WHEN 1 THEN 2147483647 WHEN 2 THEN -2147483648 ELSE i * 7 % 1000003 END,
    CASE i % 17 WHEN 0 THEN NULL WHEN 1 THEN 9223372036854775807 WHEN 2 THEN -9223372036854775808
        ELSE i::bigint * 1000003 END,
    CASE i % 19 WHEN 0 THEN NULL WHEN 1 THEN 99999999999999.9999 WHEN 2 THEN -0.0001 ELSE i / 7.0 END,
    CASE i % 23 WHEN 0 THEN NULL WHEN 1 THEN 'NaN'::real WHEN 2 THEN '-Infinity'::real WHEN 3 THEN 3.4e38
        ELSE i / 3.0 END,
    CASE i % 29 WHEN 0 THEN NULL WHEN 1 THEN 'NaN'::float8 WHEN 2 THEN 1.7e308 WHEN 3 THEN -5e-324 ELSE i / 3.0 END,
    (ARRAY[NULL, '', 'abc', 'a|b,c', 'é', '123456'])[1 + i % 6],
    CASE WHEN i % 9973 = 0 THEN repeat('long é ', 2000) ELSE (ARRAY[NULL, '', ' ', 'it''s', '\"quoted\"', '\"',
        'a,b|c;d', 'one' || chr(10) || 'two', 'one' || chr(13) || chr(10) || 'two', chr(9) || 'tab',
        'back' || chr(92) || 'slash', chr(92), 'ends' || chr(92), 'Žluťoučký 🐘 日本',
        '{\"json\": [1]}', 'null', '=cmd', '  blanks  ', chr(10)]
        )[1 + i % 19] || CASE WHEN i % 2 = 0 THEN '' ELSE i::text END END,
    CASE WHEN i % 31 = 0 THEN NULL ELSE date '1900-02-28' + (i % 90000)::int END,
    CASE WHEN i % 37 = 0 THEN NULL ELSE timestamp '1969-12-31 23:59:59.999999' + i * interval '3601.000001 seconds' END,
    (ARRAY[NULL, 'Turku', 'São Tomé', '50% off', 'a/b', 'x=y', 'q''q', 'Ω'])[1 + i % 8],
    CASE i % 3 WHEN 0 THEN NULL WHEN 1 THEN true ELSE false END
    FROM generate_series(1, ";

const FORMATS: [&str; 4] = ["parquet", "csv", "json", "text"];

fn output(format: &str) -> Value {
    let mut output = json!({"path": format!("{format}/")});
    output[format] = match format {
        "csv" => json!({"header": true, "nullAs": "NULL", "compression": "Gzip"}),
        "text" => json!({"header": true, "delimiter": "|", "escape": true, "nullAs": "NULL"}),
        _ => json!({}),
    };
    if format == "parquet" {
        output["partitionBy"] = json!(["city", "paid"]);
    }
    output
}

fn unload(stage: &Stage, format: &str, query: &str) {
    stage.apply(&stage.job_manifest(format, LINK, |spec| {
        spec["query"] = query.into();
        spec["output"] = output(format);
    }));
}

/// What `bench.readback` says of these files.
fn read_back(stage: &Stage, bucket: &str, prefixes: Map<String, Value>) -> Value {
    let cluster = &stage.pair(0)["producer"];
    let target = json!({"ClusterIdentifier": cluster["clusterIdentifier"], "Database": cluster["database"],
        "DbUser": cluster["masterUsername"]});
    let asked = json!({"url": stage.aws.url, "producer": stage.world["producer"]["account"], "target": target,
        "consumer": stage.world["consumer"]["account"], "bucket": bucket, "table": "sales", "prefixes": prefixes});
    let mut command = Command::new(python());
    command.args(["-m", "bench.readback"]).env("PYTHONPATH", root().join("tests")).current_dir(root());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("Python starts");
    child.stdin.take().expect("piped").write_all(asked.to_string().as_bytes()).expect("read");
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "read back");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

async fn table_comes_back(test: &str, rows: u64) {
    let bucket = format!("exports-{test}");
    let (mut stage, _program) = linked(test, &bucket).await;
    // what goes on for minutes with a million rows
    stage.patience = Duration::from_secs(1200);
    let warehouse = Warehouse::of(&stage.aws, &stage.world).await;
    warehouse.does(TABLE).await;
    warehouse.does(&format!("INSERT INTO sales {ROW}{rows}) AS s (i)")).await;
    // rows that are there twice come twice
    let twice = rows / 100;
    warehouse.does(&format!("INSERT INTO sales {ROW}{twice}) AS s (i)")).await;
    warehouse.does("GRANT SELECT ON sales TO public").await;
    let rows = rows + twice;

    let began = Instant::now();
    let mut prefixes = Map::new();
    for format in FORMATS {
        unload(&stage, format, "SELECT * FROM sales");
        let job = stage.until_job_complete(format).await;
        assert_eq!(job["status"]["rows"], rows, "{format}: {job:#}");
        prefixes.insert(format.into(), prefix(&job).into());
    }
    let unloaded = began.elapsed();
    let told = read_back(&stage, &bucket, prefixes);
    println!("{rows} rows: {FORMATS:?} unloaded in {unloaded:?}, compared in {:?}", began.elapsed() - unloaded);
    assert_eq!(told["table"], rows);
    for format in FORMATS {
        let whole = json!({"rows": rows, "missing": 0, "more": 0, "named": []});
        assert_eq!(told[format], whole, "{format}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_read_back_as_it_was() {
    table_comes_back("data", 20_000).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make sweeps"]
async fn a_million_rows_are_read_back_as_they_were() {
    table_comes_back("million", 1_000_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_rows_are_a_result_and_files_without_their_manifest_are_none() {
    let bucket = "exports-of-nothing";
    let (stage, _program) = linked("nothing", bucket).await;
    let query = "SELECT id, 'a' AS city, true AS paid FROM generate_series(1, 9) AS s (id)";
    FORMATS.iter().for_each(|format| unload(&stage, format, &format!("{query} WHERE id > 9")));
    for format in FORMATS {
        let status = stage.until_job_complete(format).await["status"].clone();
        assert_eq!((&status["rows"], &status["bytes"]), (&json!(0), &json!(0)), "{format}: {status:#}");
        let files = stage.files(bucket, &format!("warehouse/{format}/")).await;
        let left = ["csv", "text"].contains(&format);
        assert_eq!(!files.is_empty(), left, "{format}: {files:?}");
        assert!(files.values().all(Vec::is_empty), "{format}: {files:?}");
    }
    for (format, manifest, reason) in
        [("csv", "missing", "True ManifestMissing"), ("json", "short", "True ManifestMismatch")]
    {
        stage.delete_job(format);
        stage.until_job_gone(format).await;
        stage.aws.post("settings", json!({"unload_manifest": manifest}));
        unload(&stage, format, query);
        let job = stage.until_job_ends(format).await;
        assert_eq!(condition(Some(&job), "Failed"), reason, "{job:#}");
        assert!(!stage.files(bucket, &prefix(&job)).await.is_empty(), "left for people to look at");
    }
}
