//! What becomes of a job: its result, its failures, its retries, and what it costs.

use crate::in_memory::driver::{Driver, GRACE, INTERVAL};
use crate::in_memory::fake::faults::Write;
use crate::in_memory::fake::warehouse::Ending;
use crate::in_memory::fake::world::{consumer, job, link, producer, unload_link};
use crate::in_memory::unload_once::{check, ready};
use k8s_openapi::jiff::Timestamp;
use redshift_link::api::UnloadJob;
use redshift_link::api::unload::status::JobState;
use redshift_link::aws::model::{Statement, StatementStatus};
use serde_json::{Value, json};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
pub const CONNECTION: &str = "connection reset by peer";

/// A warehouse that ends statements so.
pub async fn with(endings: Vec<Ending>) -> Driver {
    let driver = ready().await;
    driver.aws.state().warehouse.endings = endings;
    driver
}

/// What a job has ended as.
pub async fn run(driver: &mut Driver, change: impl FnOnce(&mut Value)) -> String {
    driver.submit("j", job("a", change));
    assert!(driver.finish("j", 40).await, "{:#?}", driver.kubernetes.job("j"));
    check(driver, "job");
    format!("{:?} {}", driver.state("j").unwrap(), driver.ended("j"))
}

pub fn files() -> Vec<(&'static str, u64)> {
    vec![("0000_part_00", 700), ("0001_part_00", 500)]
}

#[tokio::test(start_paused = true)]
async fn a_job_unloads_and_says_what() {
    let mut driver = ready().await;
    assert_eq!(run(&mut driver, |spec| spec["output"]["csv"] = json!({"header": true})).await, "Complete ");
    let status = driver.kubernetes.job("j").unwrap().status.unwrap();
    assert_eq!((status.rows, status.bytes, status.files), (Some(0), Some(1200), Some(2)), "without two header lines");
    assert_eq!(status.manifest, status.location.map(|location| format!("{location}manifest")));
    for (kind, reads) in [("Complete", "True Complete"), ("Ready", "True Complete"), ("Reconciling", "")] {
        assert_eq!(driver.job_condition("j", kind), reads);
    }
    assert_eq!(driver.job_condition("j", "QueryChecked"), "True Parsed");
}

/// Whatever is looked at again, wiped or begun anew, what a job came to is counted once.
#[tokio::test(start_paused = true)]
async fn what_jobs_come_to_is_counted_once() {
    let mut driver = with(vec![Ending::Failed(CONNECTION, files()), Ending::Finished(files())]).await;
    run(&mut driver, |_| {}).await;
    driver.submit("refused", job("a", |spec| spec["query"] = json!("DELETE FROM stores")));
    driver.submit("cancelled", job("a", |spec| spec["output"]["path"] = json!("cancelled/")));
    driver.pass(Duration::from_secs(10)).await;
    driver.kubernetes.delete_job("cancelled");
    driver.pass(HOUR).await;
    driver.restart();
    driver.look_now();
    driver.pass(HOUR).await;
    driver.remove("j", "counted").await;
    let text = driver.metrics.text().unwrap();
    for line in [
        r#"unload_jobs_ended_total{outcome="Complete",reason="Complete"} 1"#,
        r#"unload_jobs_ended_total{outcome="Failed",reason="InvalidQuery"} 1"#,
        r#"unload_jobs_ended_total{outcome="Cancelled",reason="Cancelled"} 1"#,
        "unload_attempts_total 3",
        "unload_rows_total 2",
        "unload_bytes_total 1200",
        "unload_job_duration_seconds_count 1",
    ] {
        assert!(text.contains(&format!("redshift_link_{line}\n")), "{line}: {text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_costs_few_calls_and_none_once_it_ended() {
    let mut driver = ready().await;
    driver.aws.state().warehouse.takes = Duration::from_secs(3600);
    driver.aws.state().reads.clear();
    run(&mut driver, |_| {}).await;
    let count = |driver: &Driver, name: &str| driver.aws.state().reads.iter().filter(|read| **read == name).count();
    assert_eq!(count(&driver, "ListStatements"), 1);
    let polls = count(&driver, "DescribeStatement");
    assert!((120..220).contains(&polls), "polls of an hour: {polls}");
    let submitted =
        |write: &&Write| matches!(write, Write::Aws(effect) if effect.to_string().starts_with("ExecuteStatement"));
    assert_eq!(driver.faults.tried().iter().filter(submitted).count(), 1);
    let writes = driver.faults.tried().iter().filter(|write| **write == Write::Kubernetes("apply job status")).count();
    assert!(writes < 12, "{writes} of the status in an hour");
    driver.kubernetes.delete("a");
    driver.settle().await;
    driver.pass(GRACE * 2).await;
    assert!(driver.kubernetes.get("a").is_none(), "a job that ended holds no link");
    let (reads, tried) = (driver.aws.state().reads.len(), driver.faults.tried().len());
    driver.pass(Duration::from_secs(86_400)).await;
    driver.restart();
    driver.pass(INTERVAL * 3).await;
    assert_eq!((driver.aws.state().reads.len(), driver.faults.tried().len()), (reads, tried));
}

#[tokio::test(start_paused = true)]
async fn a_result_without_rows_is_a_result() {
    for (format, empty) in
        [("parquet", vec![]), ("csv", vec!["0000_part_00", "0001_part_00"]), ("json", vec![]), ("text", vec!["000"])]
    {
        let mut driver = with(vec![Ending::NoRows(empty)]).await;
        let done = run(&mut driver, |spec| spec["output"] = json!({"path": "stores/", format: {}})).await;
        assert_eq!(done, "Complete ", "{format}");
        let status = driver.kubernetes.job("j").unwrap().status.unwrap();
        assert_eq!((status.rows, status.manifest), (Some(0), None), "{format}");
        let state = driver.aws.state();
        let asked: Vec<_> = state.warehouse.questions.iter().map(|asked| asked.submission.sql.as_str()).collect();
        assert_eq!(asked, ["SELECT 1 FROM sys_unload_history WHERE query_id = 7 AND unloaded_rows > 0"], "{format}");
    }
}

/// Somebody took the files away before they were looked at.
#[tokio::test(start_paused = true)]
async fn rows_that_the_warehouse_knows_of_and_the_bucket_lacks_are_no_result() {
    let mut driver = with(vec![Ending::NoRows(vec![])]).await;
    driver.aws.state().warehouse.known_rows = 3;
    let done = run(&mut driver, |_| {}).await;
    assert!(done.starts_with("Failed ManifestMissing") && done.contains("history"), "{done}");
}

#[tokio::test(start_paused = true)]
async fn suspended_at_any_moment_and_resumed_it_is_complete() {
    for seconds in [0, 1, 2, 3, 5, 21, 30, 44, 46, 50, 70] {
        let mut driver = ready().await;
        driver.submit("j", job("a", |_| {}));
        driver.pass(Duration::from_secs(seconds)).await;
        let what = format!("suspended after {seconds} s");
        driver.submit("j", job("a", |spec| spec["suspend"] = json!(true)));
        driver.pass(Duration::from_secs(3600)).await;
        let state = driver.state("j").unwrap();
        let ended = state == JobState::Complete;
        assert!(ended || state == JobState::Suspended, "{what}: {:#?}", driver.kubernetes.job("j"));
        if !ended {
            assert_eq!(driver.job_condition("j", "Suspended"), "True Suspended", "{what}");
            assert_eq!(driver.job_condition("j", "Ready"), "", "{what}");
        }
        driver.submit("j", job("a", |spec| spec["activeDeadlineSeconds"] = json!(600)));
        assert!(driver.finish("j", 3).await, "{what}");
        assert_eq!(driver.state("j"), Some(JobState::Complete), "{what}: {}", driver.ended("j"));
        let status = driver.kubernetes.job("j").unwrap().status.unwrap();
        assert_eq!(status.failed_attempts, Some(0), "{what}: a suspension spares the limit");
        check(&driver, &what);
        let data = driver.aws.in_buckets().iter().filter(|line| line.contains("_part_")).count();
        assert_eq!(data, 2, "{what}: {:?}", driver.aws.in_buckets());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_waited_for() {
    let mut driver = Driver::new();
    driver.submit("j", job("a", |_| {}));
    driver.pass(Duration::from_secs(60)).await;
    assert_eq!(driver.job_condition("j", "Ready"), "Unknown LinkNotFound");
    driver.apply(link("a", |spec| spec["mode"] = json!("Plan")));
    driver.settle().await;
    assert_eq!(driver.job_condition("j", "Ready"), "Unknown LinkNotReady");
    driver.aws.state().clusters.get_mut(&(producer(), "warehouse".into())).unwrap().status = "available".into();
    driver.apply(unload_link("a"));
    // the roles are there once the cluster has taken one on: it is paused just then
    driver.pass(Duration::from_secs(15)).await;
    assert!(driver.aws.accepted().is_empty());
    driver.aws.state().clusters.get_mut(&(producer(), "warehouse".into())).unwrap().status = "paused".into();
    driver.pass(Duration::from_secs(300)).await;
    assert_eq!(driver.job_condition("j", "Ready"), "Unknown ClusterNotAvailable");
    assert!(driver.aws.in_buckets().is_empty(), "no attempt was begun");
    driver.aws.state().clusters.get_mut(&(producer(), "warehouse".into())).unwrap().status = "available".into();
    assert!(driver.finish("j", 1).await);
    assert_eq!(driver.state("j"), Some(JobState::Complete));
}

#[tokio::test(start_paused = true)]
async fn a_query_that_may_not_stand_in_an_unload_is_refused() {
    let mut driver = ready().await;
    let done = run(&mut driver, |spec| spec["query"] = json!("DELETE FROM stores")).await;
    assert!(done.starts_with("Failed InvalidQuery"), "{done}");
    assert!(driver.aws.in_buckets().is_empty());
    driver.kubernetes.delete_job("j");
    assert!(driver.kubernetes.job("j").is_none(), "nothing holds it");
}

const KEY: &str = "arn:aws:kms:eu-west-1:444455556666:key/k-1";

/// The writing role knows the link's key alone: what the warehouse would be refused is refused before.
#[tokio::test(start_paused = true)]
async fn files_are_encrypted_with_no_other_key_than_the_link_s() {
    let other = "arn:aws:kms:eu-west-1:444455556666:key/k-2";
    let alias = "arn:aws:kms:eu-west-1:444455556666:alias/exports";
    let (own, auto) = (|key: &str| json!({"kmsKeyArn": key}), || json!({"auto": true}));
    let says_own = "output.encryption.kmsKeyArn is arn:aws:kms:eu-west-1:444455556666:key/k-";
    let says_auto = "bucket exports encrypts by default with ";
    let rows = [
        (Some(KEY), own(KEY), None, None),
        (Some(KEY), own(other), None, Some(says_own)),
        (None, own(KEY), None, Some(says_own)),
        (None, auto(), None, None),
        (None, auto(), Some("alias/aws/s3"), None),
        (None, auto(), Some(KEY), Some(says_auto)),
        (Some(KEY), auto(), Some(KEY), None),
        (Some(KEY), auto(), Some("k-1"), None),
        (Some(KEY), auto(), Some(alias), None),
        (Some(KEY), auto(), Some("alias/other"), Some(says_auto)),
        (Some(KEY), auto(), Some(other), Some(says_auto)),
    ];
    for (of_link, encryption, of_bucket, says) in rows {
        let what = format!("link {of_link:?}, job {encryption}, bucket {of_bucket:?}");
        let mut driver = Driver::new();
        {
            let mut state = driver.aws.state();
            let key = state.keys[&(consumer(), KEY.into())].clone();
            state.keys.insert((consumer(), alias.into()), key);
            state.bucket_keys.extend(of_bucket.map(|key| ("exports".into(), key.into())));
        }
        driver.apply(link("a", |spec| {
            spec["unload"] = json!({"bucket": "exports", "prefix": "warehouse/", "kmsKeyArn": of_link});
        }));
        driver.settle().await;
        let done = run(&mut driver, |spec| spec["output"]["encryption"] = encryption).await;
        match says {
            None => assert_eq!(done, "Complete ", "{what}"),
            Some(says) => {
                assert!(done.starts_with("Failed KeyNotOfLink: ") && done.contains(says), "{what}: {done}");
                assert!(done.contains("unload.kmsKeyArn of link a, or leave output.encryption out"), "{done}");
                assert!(driver.aws.accepted().is_empty() && driver.aws.in_buckets().is_empty(), "{what}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn transient_failures_burn_no_attempt() {
    for operation in
        ["PutObject", "ExecuteStatement", "ListStatements", "DescribeStatement", "GetObject", "ListObjectsV2"]
    {
        for code in ["ThrottlingException", "InternalServerException", "AccessDeniedException"] {
            let mut driver = ready().await;
            for account in ["111122223333", "444455556666"] {
                driver.aws.state().refuse(account, operation, code, "no");
            }
            driver.submit("j", job("a", |_| {}));
            driver.pass(Duration::from_secs(1800)).await;
            let what = format!("{operation} {code}");
            assert!(driver.state("j") != Some(JobState::Failed), "{what}: {}", driver.ended("j"));
            driver.aws.state().refusals.clear();
            assert!(driver.finish("j", 2).await, "{what}: {:#?}", driver.kubernetes.job("j"));
            assert_eq!(driver.state("j"), Some(JobState::Complete), "{what}: {}", driver.ended("j"));
            assert_eq!(driver.kubernetes.job("j").unwrap().status.unwrap().attempt, Some(1), "{what}");
            check(&driver, &what);
        }
    }
}

fn tracked(mut job: UnloadJob) -> UnloadJob {
    job.metadata.annotations = Some([("argocd.argoproj.io/tracking-id".to_owned(), "a:b".to_owned())].into());
    job
}

#[tokio::test(start_paused = true)]
async fn after_its_time_to_live_a_job_goes_unless_a_tool_would_make_it_again() {
    for (ttl, policy, left) in [(0, "Retain", 3), (900, "Delete", 0)] {
        let spec = move |spec: &mut Value| {
            spec["ttlSecondsAfterFinished"] = json!(ttl);
            spec["dataPolicy"] = json!(policy);
        };
        let mut driver = ready().await;
        driver.submit("j", job("a", spec));
        driver.pass(Duration::from_secs(300)).await;
        assert_eq!(driver.kubernetes.job("j").is_some(), ttl > 0);
        driver.pass(Duration::from_secs(1200)).await;
        assert!(driver.kubernetes.job("j").is_none());
        assert_eq!(driver.aws.in_buckets().len(), left, "{:?}", driver.aws.in_buckets());

        let mut driver = ready().await;
        driver.submit("j", tracked(job("a", spec)));
        driver.pass(Duration::from_secs(7200)).await;
        assert_eq!(driver.state("j"), Some(JobState::Complete));
        assert_eq!(driver.job_condition("j", "TimeToLive"), "False TrackedByGitOps");
    }
}

/// Statements of others whose names begin like ours are not ours, however many there are.
#[tokio::test(start_paused = true)]
async fn statements_of_others_are_left_alone() {
    let mut driver = ready().await;
    driver.submit("j", job("a", |_| {}));
    let uid = driver.kubernetes.job("j").unwrap().metadata.uid.unwrap();
    driver.aws.state().others = (0..450)
        .map(|n| Statement {
            id: format!("other-{n}"),
            name: format!("ml/j/{uid}/1;{n}"),
            status: StatementStatus::Started,
            error: None,
            created: Some(Timestamp::UNIX_EPOCH),
            rows: None,
            query_id: None,
        })
        .collect();
    driver.restart();
    assert!(driver.finish("j", 1).await);
    assert_eq!(driver.state("j"), Some(JobState::Complete));
    let id = driver.kubernetes.job("j").unwrap().status.unwrap().statement_id.unwrap();
    assert!(id.starts_with("statement-"), "{id}");
}

/// Somebody, or a lifecycle rule, removes the fence: status says that there was an attempt.
#[tokio::test(start_paused = true)]
async fn without_its_fence_an_attempt_is_not_begun_again() {
    for seconds in [0, 1, 2, 3, 5, 30, 46, 60] {
        let mut driver = ready().await;
        driver.submit("j", job("a", |_| {}));
        driver.pass(Duration::from_secs(seconds)).await;
        driver.aws.state().objects.retain(|(_, key), _| !key.contains("_redshift-link"));
        driver.restart();
        assert!(driver.finish("j", 40).await, "{seconds}: {:#?}", driver.kubernetes.job("j"));
        check(&driver, "no fence");
        let ended = driver.ended("j");
        let complete = driver.state("j") == Some(JobState::Complete);
        assert!(complete || ended.starts_with("SubmissionUnknown"), "{seconds}: {ended}");
        driver.remove("j", "no fence").await;
    }
}

/// It ran, nobody saw it end, and the API has forgotten it: whether it ran is not known, so it is not run again.
#[tokio::test(start_paused = true)]
async fn a_job_that_was_suspended_while_it_was_forgotten_is_not_run_again() {
    for hours in [1, 7, 23, 25, 40] {
        let mut driver = ready().await;
        driver.submit("j", job("a", |_| {}));
        // the finalizer, the fence, the attempt in status, the submission
        driver.pass(Duration::from_millis(100)).await;
        while driver.aws.accepted().is_empty() {
            driver.step_soon().await;
        }
        driver.wipe_status();
        driver.submit("j", job("a", |spec| spec["suspend"] = json!(true)));
        tokio::time::sleep(Duration::from_secs(hours * 3600)).await;
        driver.restart();
        driver.pass(Duration::from_secs(3600)).await;
        driver.submit("j", job("a", |_| {}));
        assert!(driver.finish("j", 40).await, "{hours}");
        check(&driver, "forgotten");
        assert_eq!(driver.state("j"), Some(JobState::Complete), "{hours}: its manifest is there");
        assert_eq!(driver.aws.accepted().len(), 1);
    }
}
