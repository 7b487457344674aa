//! An UNLOAD from end to end: rows of the producer's warehouse in the consumer's bucket, once, whenever the program is
//! killed.

use crate::bench::jobs::prefix;
use crate::bench::program::Program;
use crate::bench::stage::{Stage, condition};
use crate::bench::warehouse::Warehouse;
use aws_sdk_redshiftdata::Client as Data;
use futures::future::join_all;
use k8s_openapi::jiff::Timestamp;
use redshift_link::api::PLACE;
use redshift_link::unload::attempt::statement_name;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How sessions of the program end in the record of calls.
const SESSION: &str = "/redshift-link-test";
pub(super) const LINK: &str = "warehouse";
const JOB: &str = "stores";
const ROWS: &[&str] = &["1|Turku", "2|Oulu", "3|Pori"];

/// A link that is ready for unloads into this bucket.
pub(super) async fn linked(test: &str, bucket: &str) -> (Stage, Program) {
    let stage = Stage::set(test).await;
    stage.bucket(bucket).await;
    let program = stage.program();
    stage.apply(&stage.manifest(LINK, |spec| spec["unload"] = json!({"bucket": bucket, "prefix": "warehouse/"})));
    stage.until_ready(LINK, "True InPlace").await;
    (stage, program)
}

/// The same, over a warehouse with a table of stores.
pub(super) async fn ready(test: &str, bucket: &str) -> (Stage, Program) {
    let (stage, program) = linked(test, bucket).await;
    let warehouse = Warehouse::of(&stage.aws, &stage.world).await;
    let rows = ROWS.iter().map(|row| row.replace('|', ", '")).map(|row| format!("({row}')"));
    let insert = format!("INSERT INTO stores VALUES {}", rows.collect::<Vec<_>>().join(", "));
    for sql in ["CREATE TABLE stores (id int, city varchar(20))", &insert, "GRANT SELECT ON stores TO public"] {
        warehouse.does(sql).await;
    }
    (stage, program)
}

pub(super) fn job(stage: &Stage, change: impl FnOnce(&mut Value)) -> Value {
    stage.job_manifest(JOB, LINK, change)
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
    stage.aws.post("settings", json!({"unload_file_seconds": 2}));
    stage.apply(&job(&stage, |_| {}));
    let done = stage.until_job_complete(JOB).await;
    stage.aws.post("settings", json!({"unload_file_seconds": 0}));
    assert_eq!((&done["status"]["rows"], &done["status"]["attempt"]), (&json!(3), &json!(1)), "{done:#}");

    let prefix = prefix(&done);
    // the manifest is written last; a statement that runs is looked at every 20 seconds, and its end is heard besides
    let head = stage.s3().await.head_object().bucket(bucket).key(format!("{prefix}manifest")).send().await;
    let ended = head.expect("there").last_modified.expect("a time").secs();
    let finished: Timestamp = done["status"]["finishedAt"].as_str().expect("a time").parse().expect("a time");
    assert!(finished.as_second() - ended < 10, "{ended}: {done:#}");

    let mut files = stage.files(bucket, &prefix).await;
    assert!(files.remove(&format!("{prefix}manifest")).is_some(), "{files:?}");
    let text = String::from_utf8(files.into_values().flatten().collect()).expect("text");
    let mut rows: Vec<&str> = text.lines().collect();
    rows.sort_unstable();
    assert_eq!(rows, ROWS);

    let (called, calls) = data_calls(&stage, calls);
    assert_eq!(called["redshift-data:ExecuteStatement"], 1, "{called:?}");
    let polls = called["redshift-data:DescribeStatement"];
    assert!(called.values().sum::<usize>() - polls <= 4, "{called:?}");
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert_eq!(data_calls(&stage, calls).0, BTreeMap::new(), "once finished, no call");

    let counted = program.metrics();
    for line in ["jobs_ended_total{outcome=\"Complete\",reason=\"Complete\"} 1", "attempts_total 1", "rows_total 3"] {
        assert!(counted.contains(&format!("redshift_link_unload_{line}\n")), "{line}: {counted}");
    }

    stage.delete_job(JOB);
    stage.until_job_gone(JOB).await;
    assert_eq!(stage.inventory(), before, "the data went with the job");
    assert!(program.terminate(), "a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_the_warehouse_refuses_is_given_up() {
    let (stage, _program) = ready("unload-refused", "exports-refused").await;
    let manifest = stage.accounts.with_file_name("refused.yaml");
    let refused = job(&stage, |spec| spec["query"] = "SELECT * FROM stores_of_another".into());
    std::fs::write(&manifest, refused.to_string()).expect("a folder for tests");
    // followed from a terminal, as the commands of `unload_commands` are
    let (code, text) = stage.run(&["unload", "run", "-f", manifest.to_str().expect("a path")]);
    assert_eq!(code, 1, "{text}");
    assert!(text.contains("Reason:    StatementFailed") && text.contains("To do:     "), "{text}");
    assert!(text.contains("stores_of_another"), "the warehouse's own words: {text}");
    let failed = stage.job(JOB).expect("there");
    assert!(condition(Some(&failed), "Failed").starts_with("True"), "{failed:#}");
    assert_eq!(failed["status"]["attempt"], 1, "SQL that is wrong is not tried again: {failed:#}");
    stage.delete_job(JOB);
    stage.until_job_gone(JOB).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_cancelled_before_its_roles_go() {
    let bucket = "exports-cancelled";
    let (stage, _program) = ready("unload-cancelled", bucket).await;
    stage.aws.post("settings", json!({"unload_file_seconds": 60}));
    stage.apply(&job(&stage, |_| {}));
    stage.until("the statement to run", || stage.job(JOB).is_some_and(|job| job["status"]["state"] == "Running")).await;
    stage.delete(LINK);
    stage.until_gone(LINK).await;
    let job = stage.job(JOB).expect("there");
    assert_ne!(job["status"]["state"], "Running", "{job:#}");
    let (calls, _) = stage.aws.calls(0);
    let nth = |action: &str| calls.iter().position(|call| call["action"] == action && call["executed"] == true);
    let cancelled = nth("redshift-data:CancelStatement").expect("cancelled");
    let detached = calls.iter().rposition(|call| call["action"] == "redshift:ModifyClusterIamRoles").expect("detached");
    assert!(cancelled < detached);
    stage.delete_job(JOB);
    stage.until_job_gone(JOB).await;
    assert_eq!(stage.files(bucket, "").await, BTreeMap::new());
}

/// The program is gone, status does not tell the statement's id, and the statement is the oldest of more than five
/// pages of statements whose names begin like its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_statement_is_found_behind_pages_of_others() {
    let (stage, mut program) = ready("unload-lost", "exports-lost").await;
    stage.aws.post("settings", json!({"unload_file_seconds": 600}));
    stage.apply(&job(&stage, |_| {}));
    let id = || stage.job(JOB).and_then(|job| job["status"]["statementId"].as_str().map(ToOwned::to_owned));
    stage.until("the statement to run", || id().is_some()).await;
    program.kill();
    let (ours, lost) = (id(), stage.job(JOB).expect("there"));
    let status = ["patch", "unloadjob", JOB, "-n", &stage.namespace, "--subresource=status", "--type=merge", "-p"];
    stage.plane().kubectl(&[&status[..], &[r#"{"status":{"statementId":null}}"#]].concat());
    assert_eq!(id(), None);

    let place: Value =
        serde_json::from_str(lost["metadata"]["annotations"][PLACE].as_str().expect("a place")).expect("JSON");
    let role = place["roleArn"].as_str().and_then(|arn| arn.rsplit('/').next()).expect("a role");
    let session = stage.aws.post("credentials", json!({"account": place["account"], "role": role}));
    let data = Data::new(&stage.aws.config(&session, "eu-west-1").await);
    let name = statement_name(&serde_json::from_value(lost).expect("a job"), 1);
    let others = (0..520).map(|number| format!("{name}{number}")).collect::<Vec<_>>();
    for some in others.chunks(20) {
        join_all(some.iter().map(async |name| {
            let request = data.execute_statement().cluster_identifier(place["cluster"].as_str().expect("a cluster"));
            request.database("analytics").sql("SELECT 1").statement_name(name).send().await.expect("submitted");
        }))
        .await;
    }
    let calls = stage.aws.calls(0).1;
    let _program = stage.program();
    stage.until("the statement to be found", || id().is_some()).await;
    assert_eq!(id(), ours);
    let (called, _) = data_calls(&stage, calls);
    assert_eq!(called.get("redshift-data:ListStatements"), Some(&6), "{called:?}");
    assert_eq!(called.get("redshift-data:ExecuteStatement"), None, "{called:?}");
}

/// Somebody takes the finalizers off while the controller is down: nobody knows of the fences and of the cluster's role.
#[tokio::test(flavor = "multi_thread")]
async fn orphans_finds_fences_and_roles_on_clusters() {
    let bucket = "exports-orphans";
    let (stage, mut program) = ready("unload-orphans", bucket).await;
    stage.apply(&job(&stage, |_| {}));
    let uid = stage.until_job_complete(JOB).await["metadata"]["uid"].as_str().expect("a UID").to_owned();
    let orphans = || stage.run(&["orphans", "--region", stage.world["producer"]["region"].as_str().expect("a region")]);
    assert_eq!(orphans(), (0, String::new()));

    program.kill();
    let freed = |kind: &str, name: &str| {
        stage.plane().kubectl(&["delete", kind, name, "-n", &stage.namespace, "--wait=false"]);
        let patch = r#"{"metadata":{"finalizers":null}}"#;
        stage.plane().kubectl(&["patch", kind, name, "-n", &stage.namespace, "--type=merge", "-p", patch]);
    };
    freed("unloadjob", JOB);
    stage.until_job_gone(JOB).await;
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
    stage.until_job_complete(JOB).await;
    stage.delete_job(JOB);
    stage.until_job_gone(JOB).await;
    let (clean, _) = stage.aws.calls(calls);
    let own = |call: &&Value| call["write"] == true && call["caller"].as_str().is_some_and(|c| c.ends_with(SESSION));
    let writes: BTreeSet<&str> = clean.iter().filter(own).filter_map(|call| call["action"].as_str()).collect();
    assert!(writes.contains("s3:PutObject") && writes.contains("redshift-data:ExecuteStatement"), "{writes:?}");
    for (write, kind) in writes.iter().flat_map(|write| ["hold_before", "hold_after"].map(|kind| (write, kind))) {
        let calls = stage.aws.calls(0).1;
        stage.aws.post("faults", json!({"kind": kind, "action": write, "nth": 1}));
        stage.apply(&job(&stage, |_| {}));
        let reached = || {
            if condition(stage.job(JOB).as_ref(), "Complete").starts_with("True") {
                stage.delete_job(JOB);
            }
            stage.aws.get("held?wait=1")["action"] == **write
        };
        stage.until(&format!("{kind} {write}"), reached).await;
        program.kill();
        stage.aws.post("release", json!({}));
        program = stage.program();
        if stage.job(JOB).is_some_and(|job| job["metadata"]["deletionTimestamp"].is_null()) {
            stage.until_job_complete(JOB).await;
            stage.delete_job(JOB);
        }
        stage.until_job_gone(JOB).await;
        assert_eq!(stage.inventory(), before, "killed {kind} {write}");
        let (calls, _) = stage.aws.calls(calls);
        let submitted =
            calls.iter().filter(|c| c["action"] == "redshift-data:ExecuteStatement" && c["executed"] == true);
        let tokens: BTreeSet<&str> = submitted.filter_map(|call| call["parameters"]["ClientToken"].as_str()).collect();
        assert_eq!(tokens.len(), 1, "killed {kind} {write}");
    }
}
