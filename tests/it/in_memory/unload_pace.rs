//! Jobs that run: how soon they are heard, how often they are looked at, and that none keeps the others waiting.

use crate::in_memory::driver::Driver;
use crate::in_memory::fake::faults::Write;
use crate::in_memory::fake::kubernetes::FakeKubernetes;
use crate::in_memory::fake::world::job;
use crate::in_memory::unload_once::ready;
use redshift_link::api::unload::status::JobState;
use serde_json::json;
use std::time::Duration;
use tokio::time::Instant;

const HOUR: Duration = Duration::from_secs(3600);

/// A job with a statement that runs for an hour.
async fn running() -> Driver {
    let mut driver = ready().await;
    driver.aws.state().warehouse.takes = HOUR;
    driver.submit("j", job("a", |_| {}));
    driver.pass(Duration::from_secs(60)).await;
    assert_eq!(driver.state("j"), Some(JobState::Running));
    driver
}

/// How often a statement was asked to end.
fn cancels(driver: &Driver) -> usize {
    let cancel =
        |write: &&Write| matches!(write, Write::Aws(effect) if effect.to_string().starts_with("CancelStatement"));
    driver.faults.tried().iter().filter(cancel).count()
}

/// Whatever is done with the statement at the moment when its job is changed, it is ended at once.
#[tokio::test(start_paused = true)]
async fn a_job_that_runs_is_heard_at_any_moment() {
    let suspend = |kubernetes: &FakeKubernetes| {
        kubernetes.edit_job("j", |old| {
            let mut job = old.expect("there");
            job.spec.suspend = Some(true);
            job
        });
    };
    type Change = fn(&FakeKubernetes);
    let changes: [(&str, Change); 3] = [
        ("suspended", suspend),
        ("deleted", |kubernetes| kubernetes.delete_job("j")),
        ("its link deleted", |kubernetes| kubernetes.delete("a")),
    ];
    for (what, change) in changes {
        for millis in (0..30_000).step_by(5300) {
            let mut driver = running().await;
            let (aws, kubernetes) = (driver.aws.clone(), driver.kubernetes.clone());
            let changed = async {
                tokio::time::sleep(Duration::from_millis(millis)).await;
                change(&kubernetes);
                Instant::now()
            };
            let ((), changed) = tokio::join!(driver.pass(Duration::from_secs(60)), changed);
            let cancelled = aws.state().warehouse.runs[0].cancelled.expect("cancelled");
            let late = cancelled - changed;
            assert!(late < Duration::from_secs(2), "{what} after {millis} ms: {late:?} late");
            assert_eq!(cancels(&driver), 1, "{what} after {millis} ms");
        }
    }
}

/// It is looked at only a few times a minute: its end is waited for besides.
#[tokio::test(start_paused = true)]
async fn the_end_of_a_statement_is_heard_at_once() {
    let mut driver = running().await;
    driver.until_ended("j").await;
    let (_, ended) = driver.aws.state().warehouse.runs[0].ended.expect("it ended");
    assert!(ended.elapsed() < Duration::from_secs(2), "{:?} late", ended.elapsed());
    driver.pass(Duration::from_secs(3)).await;
    assert_eq!(driver.state("j"), Some(JobState::Complete));
}

/// One that takes long to stop is not asked at each look.
#[tokio::test(start_paused = true)]
async fn a_statement_that_stops_slowly_is_asked_once_a_minute() {
    let mut driver = running().await;
    driver.aws.state().warehouse.aborting = Duration::from_secs(290);
    driver.kubernetes.delete_job("j");
    driver.pass(Duration::from_secs(289)).await;
    assert!((3..=5).contains(&cancels(&driver)), "{}", cancels(&driver));
    assert!(driver.kubernetes.job("j").is_some());
    driver.remove("j", "stops slowly").await;
}

/// Only what runs can be cancelled: one that waits for its turn is cancelled soon after it began.
#[tokio::test(start_paused = true)]
async fn a_statement_that_waits_to_run_is_cancelled_soon_after_it_began() {
    let mut driver = ready().await;
    driver.aws.state().warehouse.takes = HOUR;
    driver.aws.state().warehouse.starting = Duration::from_secs(1000);
    driver.submit("j", job("a", |_| {}));
    driver.pass(Duration::from_secs(60)).await;
    driver.kubernetes.delete_job("j");
    driver.pass(Duration::from_secs(1000)).await;
    let cancelled = driver.aws.state().warehouse.runs[0].cancelled;
    assert!(cancelled.is_some(), "it has run for the better part of a minute");
    driver.remove("j", "waits").await;
}

#[tokio::test(start_paused = true)]
async fn many_jobs_that_run_are_each_looked_at_and_none_waits_for_another() {
    const JOBS: usize = 100;
    let mut driver = ready().await;
    driver.aws.state().warehouse.takes = Duration::from_secs(600);
    driver.aws.state().latency = Some(1);
    let name = |number: usize| format!("j{number}");
    for number in 0..JOBS {
        driver.submit(&name(number), job("a", |spec| spec["output"]["path"] = json!(format!("stores/{number}/"))));
    }
    driver.run_side_by_side(Duration::from_secs(60)).await;
    assert_eq!(driver.aws.state().warehouse.runs.len(), JOBS, "all are submitted in the first minute");
    driver.aws.state().reads.clear();
    driver.run_side_by_side(Duration::from_secs(240)).await;
    let polls = driver.aws.state().reads.iter().filter(|read| **read == "DescribeStatement").count();
    let each = 240 * JOBS / polls;
    assert!((18..=30).contains(&each), "each about every {each} s");
    driver.run_side_by_side(Duration::from_secs(360)).await;
    for number in 0..JOBS {
        assert_eq!(driver.state(&name(number)), Some(JobState::Complete), "{number}: its statement ended a while ago");
    }
}
