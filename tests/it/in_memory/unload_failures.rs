//! What becomes of a job whose statement failed, was ended, or left something else than it says.

use crate::in_memory::driver::Driver;
use crate::in_memory::fake::State;
use crate::in_memory::fake::buckets::Content;
use crate::in_memory::fake::faults::{Fault, Write};
use crate::in_memory::fake::warehouse::Ending;
use crate::in_memory::fake::world::job;
use crate::in_memory::unload_files::lists;
use crate::in_memory::unload_once::ready;
use crate::in_memory::unload_run::{CONNECTION, files, run, with};
use redshift_link::api::unload::status::JobState;
use redshift_link::aws::effect::Effect;
use redshift_link::aws::model::StatementStatus;
use serde_json::json;
use std::time::Duration;

/// A listing does not tell why a statement failed.
#[tokio::test(start_paused = true)]
async fn a_failure_that_is_found_by_name_alone_is_told_and_tried_again() {
    let mut clean = with(vec![Ending::Finished(files())]).await;
    let before = clean.faults.tried().len();
    run(&mut clean, |_| {}).await;
    let submits = |write: &Write| matches!(write, Write::Aws(Effect::ExecuteStatement { .. }));
    let number = clean.faults.tried()[before..].iter().position(submits).expect("submitted");
    let mut driver = with(vec![Ending::Failed(CONNECTION, files()), Ending::Finished(files())]).await;
    driver.faults.strike(number, Fault::StopAfter);
    driver.down = Duration::from_secs(600);
    driver.when_struck = Some(Driver::wipe_status);
    assert_eq!(run(&mut driver, |_| {}).await, "Complete ");
    assert_eq!(driver.aws.accepted().len(), 2, "the second attempt is another statement");
}

#[tokio::test(start_paused = true)]
async fn what_the_warehouse_refuses_is_final_and_leaves_nothing() {
    for versioned in [false, true] {
        let mut driver = with(vec![Ending::Failed("relation \"stores\" does not exist", files())]).await;
        driver.aws.state().versioned = versioned;
        driver.aws.state().put_size("exports", "warehouse/stores/other", 1);
        let done = run(&mut driver, |_| {}).await;
        assert!(done.starts_with("Failed StatementFailed") && done.contains("does not exist"), "{done}");
        assert_eq!(driver.job_condition("j", "Failed"), "True StatementFailed");
        assert_eq!(driver.job_condition("j", "Stalled"), "True StatementFailed");
        let left = driver.aws.in_buckets();
        assert_eq!(left.len(), 2, "the fence, and what others have: {left:?}");
        driver.remove("j", "failed").await;
        assert_eq!(driver.aws.in_buckets(), ["object exports/warehouse/stores/other 1"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_warehouse_that_failed_is_tried_again() {
    let failed = || Ending::Failed(CONNECTION, files());
    let mut driver = with(vec![failed(), failed(), Ending::Finished(files())]).await;
    assert_eq!(run(&mut driver, |_| {}).await, "Complete ");
    let status = driver.kubernetes.job("j").unwrap().status.unwrap();
    assert_eq!((status.attempt, status.failed_attempts), (Some(3), Some(2)));
    assert_eq!(driver.aws.accepted().len(), 3);
    let files = driver.aws.in_buckets().iter().filter(|line| line.contains("_part_")).count();
    assert_eq!(files, 2, "those of the last: {:?}", driver.aws.in_buckets());

    let mut driver = with(vec![failed()]).await;
    let done = run(&mut driver, |spec| spec["backoffLimit"] = json!(2)).await;
    assert!(done.starts_with("Failed BackoffLimitExceeded") && done.contains(CONNECTION), "{done}");
    assert_eq!(driver.aws.accepted().len(), 3);
    assert_eq!(driver.aws.in_buckets().len(), 3, "the fences: {:?}", driver.aws.in_buckets());
    let mut driver = with(vec![failed()]).await;
    assert!(run(&mut driver, |spec| spec["backoffLimit"] = json!(0)).await.starts_with("Failed BackoffLimitExceeded"));
    assert_eq!(driver.aws.accepted().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_not_worth_a_retry() {
    for ending in [Ending::Failed("Query (1) cancelled on user's request", files()), Ending::Aborted(files())] {
        let mut driver = with(vec![ending]).await;
        let done = run(&mut driver, |_| {}).await;
        assert!(done.starts_with("Failed StatementStopped"), "{done}");
        assert_eq!(driver.aws.in_buckets().len(), 1, "the fence");
    }
}

/// What is written after the end that the API told is found and removed, too.
#[tokio::test(start_paused = true)]
async fn one_that_writes_on_after_it_was_aborted_leaves_nothing() {
    for seconds in [1, 5, 20, 40] {
        let mut driver = with(vec![Ending::Aborted(files())]).await;
        driver.aws.state().warehouse.writes_on = Some(Duration::from_secs(seconds));
        run(&mut driver, |_| {}).await;
        driver.pass(Duration::from_secs(600)).await;
        assert_eq!(driver.aws.in_buckets().len(), 1, "{seconds}: {:?}", driver.aws.in_buckets());

        let mut driver = ready().await;
        driver.aws.state().warehouse.writes_on = Some(Duration::from_secs(seconds));
        driver.aws.state().warehouse.takes = Duration::from_secs(150);
        driver.submit("j", job("a", |_| {}));
        driver.pass(Duration::from_secs(30)).await;
        driver.remove("j", "writes on").await;
        driver.pass(Duration::from_secs(600)).await;
        assert!(driver.aws.in_buckets().is_empty(), "{seconds}: {:?}", driver.aws.in_buckets());
    }
}

/// Somebody's, with a URL longer than any key.
fn long_manifest(state: &mut State, bucket: &str, prefix: &str) {
    let meta = json!({"content_length": 700, "record_count": 1});
    let entry = json!({"url": format!("s3://{bucket}/{}", "a".repeat(9000)), "meta": meta});
    let body = json!({"entries": [entry], "meta": meta}).to_string();
    state.put(bucket, &format!("{prefix}manifest"), Content { size: body.len() as u64, body });
}

/// The folder of the fences is in a bucket that others write to.
#[tokio::test(start_paused = true)]
async fn what_others_put_among_the_fences_is_no_attempt() {
    for name in ["4294967295", "0", "+1", "01", "-1", "1/1", "x", ""] {
        let mut driver = ready().await;
        driver.submit("j", job("a", |_| {}));
        let uid = driver.kubernetes.job("j").unwrap().metadata.uid.unwrap();
        driver.aws.state().put_size("exports", &format!("warehouse/_redshift-link/{uid}/{name}"), 1);
        assert!(driver.finish("j", 1).await, "{name}");
        assert_eq!(driver.state("j"), Some(JobState::Complete), "{name}: {}", driver.ended("j"));
        assert_eq!(driver.kubernetes.job("j").unwrap().status.unwrap().attempt, Some(1), "{name}");
        driver.remove("j", name).await;
        assert_eq!(driver.aws.in_buckets().len(), 3, "{name}: the data alone");
    }
}

#[tokio::test(start_paused = true)]
async fn what_differs_from_the_manifest_is_no_result() {
    type Spoils = fn(&mut State, &str, &str);
    let rows: [(Spoils, &str); 8] = [
        (|state, b, p| state.delete(b, &format!("{p}0000_part_00")), "ManifestMismatch: s3://"),
        (|state, b, p| state.put_size(b, &format!("{p}0000_part_00"), 3), "has 3 bytes, and 700"),
        (|state, b, p| state.put_size(b, &format!("{p}more"), 1), "more is not in the manifest"),
        (|state, b, p| state.delete(b, &format!("{p}manifest")), "ManifestMissing"),
        (|state, b, p| state.put_size(b, &format!("{p}manifest"), 0), "ManifestMismatch"),
        (|state, b, p| lists(state, b, p, "warehouse/stores/other"), "other, which is elsewhere"),
        (|state, b, p| lists(state, b, p, &format!("{p}0002_part_00")), "0002_part_00 is missing"),
        (long_manifest, "the manifest lists s3://exports/aaa"),
    ];
    for (afterwards, says) in rows {
        let mut driver = ready().await;
        driver.aws.state().warehouse.afterwards = afterwards;
        let done = run(&mut driver, |_| {}).await;
        assert!(done.starts_with("Failed ") && done.contains(says), "{says}: {done}");
        let ended = driver.kubernetes.job("j").unwrap().status.unwrap().ended.unwrap();
        assert!(ended.message.chars().count() <= 4096, "what the API server takes: {}", ended.message.len());
        assert_eq!(driver.aws.accepted().len(), 1, "it is not tried again");
        assert!(driver.aws.in_buckets().len() > 2, "left for people to look at");
        driver.remove("j", says).await;
        let left = driver.aws.in_buckets();
        assert!(left.iter().all(|line| line.contains("warehouse/stores/other")), "{says}: {left:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn too_long_is_cancelled() {
    let mut driver = ready().await;
    driver.aws.state().warehouse.takes = Duration::from_secs(7200);
    let done = run(&mut driver, |spec| spec["activeDeadlineSeconds"] = json!(600)).await;
    assert!(done.starts_with("Failed DeadlineExceeded"), "{done}");
    let run = driver.aws.state().warehouse.runs[0].clone();
    assert_eq!(run.status(), StatementStatus::Aborted);
}
