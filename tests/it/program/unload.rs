//! An UNLOAD from end to end: rows of the producer's warehouse in the consumer's bucket, once, whenever the program is
//! killed.

use crate::bench::program::Program;
use crate::bench::stage::{Stage, condition};
use aws_sdk_redshiftdata::types::StatusString;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How sessions of the program end in the record of calls.
const SESSION: &str = "/redshift-link-test";
const LINK: &str = "warehouse";
const JOB: &str = "stores";
const ROWS: &[&str] = &["1|Turku", "2|Oulu", "3|Pori"];

/// A link that is ready for unloads into this bucket, over a warehouse with a table of stores.
async fn ready(test: &str, bucket: &str) -> (Stage, Program) {
    let stage = Stage::set(test).await;
    stage.bucket(bucket).await;
    let rows = ROWS.iter().map(|row| row.replace('|', ", '")).map(|row| format!("({row}')"));
    let insert = format!("INSERT INTO stores VALUES {}", rows.collect::<Vec<_>>().join(", "));
    for sql in ["CREATE TABLE stores (id int, city varchar(20))", &insert, "GRANT SELECT ON stores TO public"] {
        as_administrator(&stage, sql).await;
    }
    let program = stage.program();
    stage.apply(&stage.manifest(LINK, |spec| spec["unload"] = json!({"bucket": bucket, "prefix": "warehouse/"})));
    stage.until_ready(LINK, "True InPlace").await;
    (stage, program)
}

/// The warehouse's own administrator runs a statement.
async fn as_administrator(stage: &Stage, sql: &str) {
    let side = &stage.world["producer"];
    let cluster = &stage.pair(0)["producer"];
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let config = stage.aws.config(&side["admin"], &text(&side["region"])).await;
    let data = aws_sdk_redshiftdata::Client::new(&config);
    let request = data.execute_statement().cluster_identifier(text(&cluster["clusterIdentifier"])).sql(sql);
    let request = request.database(text(&cluster["database"])).db_user(text(&cluster["masterUsername"]));
    let id = request.send().await.expect("submitted").id.expect("an id");
    loop {
        let found = data.describe_statement().id(&id).wait_time_seconds(5).send().await.expect("described");
        match found.status {
            Some(StatusString::Finished) => return,
            Some(StatusString::Failed | StatusString::Aborted) => panic!("{sql}: {:?}", found.error),
            _ => {}
        }
    }
}

fn job(stage: &Stage, change: impl FnOnce(&mut Value)) -> Value {
    let mut job = json!({
        "apiVersion": "redshiftlink.dev/v1alpha1", "kind": "UnloadJob",
        "metadata": {"name": JOB, "namespace": stage.namespace},
        "spec": {"linkRef": {"name": LINK}, "query": "SELECT id, city FROM stores WHERE city <> 'Espoo'",
            "output": {"path": "stores/", "text": {"delimiter": "|"}}, "dataPolicy": "Delete"},
    });
    change(&mut job["spec"]);
    job
}

fn the_job(stage: &Stage) -> Option<Value> {
    stage.plane().get("unloadjob", &stage.namespace, JOB)
}

async fn until_complete(stage: &Stage) -> Value {
    let ended = || ["Complete", "Failed"].map(|kind| condition(the_job(stage).as_ref(), kind)).concat();
    stage.until("the job to end", || !ended().is_empty()).await;
    let job = the_job(stage).expect("there");
    assert!(condition(Some(&job), "Complete").starts_with("True"), "{job:#}");
    job
}

fn delete(stage: &Stage) {
    stage.plane().kubectl(&["delete", "unloadjob", JOB, "-n", &stage.namespace, "--wait=false"]);
}

async fn until_deleted(stage: &Stage) {
    stage.until("the job to be gone", || the_job(stage).is_none()).await;
}

/// The texts of all files below a prefix of the bucket, by key.
async fn files(stage: &Stage, bucket: &str, prefix: &str) -> BTreeMap<String, String> {
    let side = &stage.world["consumer"];
    let config = stage.aws.config(&side["admin"], side["region"].as_str().expect("a region")).await;
    let s3 = aws_sdk_s3::Client::new(&config);
    let listed = s3.list_objects_v2().bucket(bucket).prefix(prefix).send().await.expect("listed");
    let mut found = BTreeMap::new();
    for key in listed.contents.unwrap_or_default().into_iter().filter_map(|object| object.key) {
        let object = s3.get_object().bucket(bucket).key(&key).send().await.expect("there");
        let bytes = object.body.collect().await.expect("read").into_bytes();
        found.insert(key, String::from_utf8(bytes.to_vec()).expect("text"));
    }
    found
}

/// How often each operation of the Data API was called by the program.
fn data_calls(stage: &Stage, after: u64) -> (BTreeMap<String, usize>, u64) {
    let (calls, last) = stage.aws.calls(after);
    let mut counted = BTreeMap::new();
    for call in calls {
        let action = call["action"].as_str().expect("an action").to_owned();
        if action.starts_with("redshift-data:") {
            *counted.entry(action).or_default() += 1;
        }
    }
    (counted, last)
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_the_warehouse_are_read_from_the_consumers_bucket() {
    let bucket = "exports-end-to-end";
    let (stage, mut program) = ready("unload", bucket).await;
    let before = stage.inventory();
    let calls = stage.aws.calls(0).1;
    stage.apply(&job(&stage, |_| {}));
    let done = until_complete(&stage).await;
    assert_eq!((&done["status"]["rows"], &done["status"]["attempt"]), (&json!(3), &json!(1)), "{done:#}");

    let location = done["status"]["location"].as_str().expect("a location");
    let prefix = location.strip_prefix(&format!("s3://{bucket}/")).expect("in the bucket");
    let mut files = files(&stage, bucket, prefix).await;
    assert!(files.remove(&format!("{prefix}manifest")).is_some(), "{files:?}");
    let mut rows: Vec<&str> = files.values().flat_map(|text| text.lines()).collect();
    rows.sort_unstable();
    assert_eq!(rows, ROWS);

    let (called, calls) = data_calls(&stage, calls);
    assert_eq!(called["redshift-data:ExecuteStatement"], 1, "{called:?}");
    let polls = called["redshift-data:DescribeStatement"];
    assert!(called.values().sum::<usize>() - polls <= 4, "{called:?}");
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert_eq!(data_calls(&stage, calls).0, BTreeMap::new(), "once finished, no call");

    delete(&stage);
    until_deleted(&stage).await;
    assert_eq!(stage.inventory(), before, "the data went with the job");
    assert!(program.terminate(), "a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_the_warehouse_refuses_is_given_up() {
    let (stage, _program) = ready("unload-refused", "exports-refused").await;
    stage.apply(&job(&stage, |spec| spec["query"] = "SELECT * FROM stores_of_another".into()));
    stage.until("the job to fail", || condition(the_job(&stage).as_ref(), "Failed").starts_with("True")).await;
    let failed = the_job(&stage).expect("there");
    assert!(failed.to_string().contains("stores_of_another"), "{failed:#}");
    assert_eq!(failed["status"]["attempt"], 1, "SQL that is wrong is not tried again: {failed:#}");
    delete(&stage);
    until_deleted(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_cancelled_before_its_roles_go() {
    let bucket = "exports-cancelled";
    let (stage, _program) = ready("unload-cancelled", bucket).await;
    stage.aws.post("settings", json!({"unload_file_seconds": 5}));
    stage.apply(&job(&stage, |_| {}));
    stage
        .until("the statement to run", || the_job(&stage).is_some_and(|job| job["status"]["state"] == "Running"))
        .await;
    stage.delete(LINK);
    stage.until_gone(LINK).await;
    let job = the_job(&stage).expect("there");
    assert_ne!(job["status"]["state"], "Running", "{job:#}");
    let (calls, _) = stage.aws.calls(0);
    let nth = |action: &str| calls.iter().position(|call| call["action"] == action && call["executed"] == true);
    let cancelled = nth("redshift-data:CancelStatement").expect("cancelled");
    let detached = calls.iter().rposition(|call| call["action"] == "redshift:ModifyClusterIamRoles").expect("detached");
    assert!(cancelled < detached);
    delete(&stage);
    until_deleted(&stage).await;
    assert_eq!(files(&stage, bucket, "").await, BTreeMap::new());
}

/// Somebody takes the finalizers off while the controller is down: nobody knows of the fences and of the cluster's role.
#[tokio::test(flavor = "multi_thread")]
async fn orphans_finds_fences_and_roles_on_clusters() {
    let bucket = "exports-orphans";
    let (stage, mut program) = ready("unload-orphans", bucket).await;
    stage.apply(&job(&stage, |_| {}));
    let uid = until_complete(&stage).await["metadata"]["uid"].as_str().expect("a UID").to_owned();
    let orphans = || stage.run(&["orphans", "--region", stage.world["producer"]["region"].as_str().expect("a region")]);
    assert_eq!(orphans(), (0, String::new()));

    program.kill();
    let freed = |kind: &str, name: &str| {
        stage.plane().kubectl(&["delete", kind, name, "-n", &stage.namespace, "--wait=false"]);
        let patch = r#"{"metadata":{"finalizers":null}}"#;
        stage.plane().kubectl(&["patch", kind, name, "-n", &stage.namespace, "--type=merge", "-p", patch]);
    };
    freed("unloadjob", JOB);
    until_deleted(&stage).await;
    let (code, text) = orphans();
    let fences =
        format!("fences s3://{bucket}/warehouse/_redshift-link/{uid}/ of statement {}/{JOB}/", stage.namespace);
    assert!(code == 2 && text.lines().count() == 1 && text.contains(&fences), "{text}");

    // without the link the accounts file says where to look
    freed("crossaccountredshiftlink", LINK);
    stage.until_gone(LINK).await;
    let cluster = stage.pair(0)["producer"]["clusterIdentifier"].clone();
    stage.set_accounts(|file| {
        file["accounts"][0]["allow"][0]["clusters"] = json!([cluster]);
        file["accounts"][1]["allow"][0]["buckets"] = json!([format!("{bucket}/warehouse/")]);
    });
    let (code, text) = orphans();
    let roles = text.lines().filter(|line| line.contains(" cluster-role ") && line.contains(":role/redshift-link/"));
    assert!(code == 2 && text.contains(&fences) && roles.count() == 1, "{text}");
}

/// Killed right before and right after each of its writes at AWS, the program submits one statement.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_each_write_the_statement_runs_once() {
    let bucket = "exports-killed";
    let (stage, mut program) = ready("unload-killed", bucket).await;
    let before = stage.inventory();
    let calls = stage.aws.calls(0).1;
    stage.apply(&job(&stage, |_| {}));
    until_complete(&stage).await;
    delete(&stage);
    until_deleted(&stage).await;
    let (clean, _) = stage.aws.calls(calls);
    let own = |call: &&Value| call["write"] == true && call["caller"].as_str().is_some_and(|c| c.ends_with(SESSION));
    let writes: BTreeSet<&str> = clean.iter().filter(own).filter_map(|call| call["action"].as_str()).collect();
    assert!(writes.contains("s3:PutObject") && writes.contains("redshift-data:ExecuteStatement"), "{writes:?}");
    for (write, kind) in writes.iter().flat_map(|write| ["hold_before", "hold_after"].map(|kind| (write, kind))) {
        let calls = stage.aws.calls(0).1;
        stage.aws.post("faults", json!({"kind": kind, "action": write, "nth": 1}));
        stage.apply(&job(&stage, |_| {}));
        let reached = || {
            if condition(the_job(&stage).as_ref(), "Complete").starts_with("True") {
                delete(&stage);
            }
            stage.aws.get("held?wait=1")["action"] == **write
        };
        stage.until(&format!("{kind} {write}"), reached).await;
        program.kill();
        stage.aws.post("release", json!({}));
        program = stage.program();
        if the_job(&stage).is_some_and(|job| job["metadata"]["deletionTimestamp"].is_null()) {
            until_complete(&stage).await;
            delete(&stage);
        }
        until_deleted(&stage).await;
        assert_eq!(stage.inventory(), before, "killed {kind} {write}");
        let (calls, _) = stage.aws.calls(calls);
        let submitted =
            calls.iter().filter(|c| c["action"] == "redshift-data:ExecuteStatement" && c["executed"] == true);
        let tokens: BTreeSet<&str> = submitted.filter_map(|call| call["parameters"]["ClientToken"].as_str()).collect();
        assert_eq!(tokens.len(), 1, "killed {kind} {write}");
    }
}
