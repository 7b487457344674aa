//! Jobs and links that go: the statement is always ended before what lets it live.

use crate::in_memory::driver::{Driver, GRACE, INTERVAL};
use crate::in_memory::fake::world::{ACCOUNTS, CONSUMER, consumer, job, link, unload_link};
use crate::in_memory::unload_once::{FAULTS, check, ready};
use redshift_link::api::unload::status::JobState;
use redshift_link::aws::mark::{Installation, RoleKind};
use redshift_link::aws::scope::AccountId;
use serde_json::json;
use std::time::Duration;

const KEY: &str = "arn:aws:kms:eu-west-1:444455556666:key/k-1";

/// Moments in the life of a job: its fence, its submission, its running, its end.
fn moments() -> impl Iterator<Item = u64> {
    [0, 1, 2, 3, 5, 21, 30, 44, 46, 50, 70].into_iter()
}

async fn running_for(seconds: u64) -> Driver {
    let mut driver = ready().await;
    driver.submit("j", job("a", |_| {}));
    driver.pass(Duration::from_secs(seconds)).await;
    driver
}

async fn link_goes(driver: &mut Driver, what: &str) {
    for _ in 0..40 {
        driver.settle().await;
        if driver.kubernetes.get("a").is_none() {
            return;
        }
        driver.pass(Duration::from_secs(600)).await;
    }
    let jobs: Vec<_> = driver.kubernetes.jobs().into_iter().map(|job| (job.metadata.finalizers, job.status)).collect();
    panic!("{what}: {}; {jobs:#?}", driver.message("a", "Ready"));
}

/// Whichever comes first: all files, or none.
fn all_or_nothing(driver: &Driver, what: &str) {
    let left = driver.aws.in_buckets();
    assert!(left.is_empty() || left.len() == 3, "{what}: {left:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_job_deleted_at_any_moment_leaves_all_or_nothing() {
    for seconds in moments() {
        for versioned in [false, true] {
            for down in [None, Some(5), Some(3600), Some(90_000)] {
                let what = format!("deleted after {seconds} s, versions {versioned}, down for {down:?}");
                let mut driver = running_for(seconds).await;
                driver.aws.state().versioned = versioned;
                driver.kubernetes.delete_job("j");
                if let Some(down) = down {
                    tokio::time::sleep(Duration::from_secs(down)).await;
                    driver.restart();
                }
                driver.remove("j", &what).await;
                check(&driver, &what);
                all_or_nothing(&driver, &what);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn another_job_of_the_same_name_is_another() {
    for seconds in moments() {
        let what = format!("made anew after {seconds} s");
        let mut driver = running_for(seconds).await;
        let first = driver.kubernetes.job("j").unwrap().metadata.uid;
        driver.remove("j", &what).await;
        driver.submit("j", job("a", |_| {}));
        assert!(driver.finish("j", 1).await, "{what}");
        assert_ne!(driver.kubernetes.job("j").unwrap().metadata.uid, first);
        assert_eq!(driver.state("j"), Some(JobState::Complete), "{what}: {}", driver.ended("j"));
        check(&driver, &what);
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_deleted_under_a_job_ends_it_first() {
    let empty = Driver::new().aws.inventory();
    for wait in [false, true] {
        for seconds in moments() {
            for restarts in [false, true] {
                let what = format!("link deleted after {seconds} s, wait {wait}, restart {restarts}");
                let mut driver = ready().await;
                if wait {
                    driver.apply(link("a", |spec| {
                        spec["unload"] = json!({"bucket": "exports", "prefix": "warehouse/", "onTeardown": "Wait"});
                    }));
                    driver.settle().await;
                }
                driver.submit("j", job("a", |_| {}));
                driver.pass(Duration::from_secs(seconds)).await;
                driver.kubernetes.delete("a");
                if restarts {
                    driver.restart();
                }
                link_goes(&mut driver, &what).await;
                driver.settle().await;
                check(&driver, &what);
                assert_eq!(driver.aws.inventory(), empty, "{what}");
                let state = driver.state("j").unwrap();
                let ended = driver.ended("j");
                // one that was never begun waits for another link of that name
                let waits = state == JobState::Pending && driver.aws.accepted().is_empty();
                assert!(
                    waits || state == JobState::Complete || ended.starts_with("LinkGone"),
                    "{what}: {state:?} {ended}"
                );
                if wait && !driver.aws.accepted().is_empty() {
                    assert_eq!(state, JobState::Complete, "{what}: {ended}");
                }
                driver.remove("j", &what).await;
                all_or_nothing(&driver, &what);
            }
        }
    }
}

/// A link that is deleted says which jobs it waits for.
#[tokio::test(start_paused = true)]
async fn a_link_that_waits_says_for_which_jobs() {
    let mut driver = ready().await;
    driver.apply(link("a", |spec| {
        spec["unload"] = json!({"bucket": "exports", "prefix": "warehouse/", "onTeardown": "Wait"});
    }));
    driver.aws.state().warehouse.takes = Duration::from_secs(3600);
    driver.submit("j", job("a", |_| {}));
    driver.pass(Duration::from_secs(60)).await;
    driver.kubernetes.delete("a");
    driver.pass(Duration::from_secs(300)).await;
    let message = driver.message("a", "Ready");
    assert!(message.contains("UnloadJobs is waited for: j"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_link_that_no_longer_unloads_ends_its_jobs_first() {
    for seconds in moments() {
        let what = format!("unload taken out after {seconds} s");
        let mut driver = running_for(seconds).await;
        driver.apply(link("a", |_| {}));
        driver.pass(INTERVAL * 2).await;
        check(&driver, &what);
        let roles =
            driver.aws.inventory().iter().filter(|line| line.contains("cluster ") && line.contains("takes on")).count();
        assert_eq!(roles, 0, "{what}");
        driver.remove("j", &what).await;
        all_or_nothing(&driver, &what);
    }
}

/// What a statement that runs needs of its roles stays until it ended, whatever the spec says.
#[tokio::test(start_paused = true)]
async fn a_link_that_changes_waits_for_what_runs() {
    let changes = [
        json!({"bucket": "exports", "prefix": "warehouse/other/"}),
        json!({"bucket": "exports", "prefix": "warehouse/", "kmsKeyArn": KEY}),
        json!({"bucket": "elsewhere", "prefix": "warehouse/"}),
        json!({"bucket": "exports", "prefix": "warehouse/", "databaseUser": "app"}),
    ];
    for (number, unload) in changes.into_iter().enumerate() {
        // one that moves the jobs and one that does not, at every moment
        let moments = moments().take(if number < 2 { usize::MAX } else { 0 });
        for (seconds, takes) in [(30, 600)].into_iter().chain(moments.map(|seconds| (seconds, 45))) {
            let (restarts, long) = (seconds % 2 == 0, takes > 45);
            let what = format!("unload {unload} after {seconds} s of {takes}, restart {restarts}");
            let mut driver = ready().await;
            driver.aws.state().buckets.insert("elsewhere".into(), consumer());
            driver.aws.state().warehouse.takes = Duration::from_secs(takes);
            driver.submit("j", job("a", |_| {}));
            driver.pass(Duration::from_secs(seconds)).await;
            let runs = driver.state("j") == Some(JobState::Running);
            driver.apply(link("a", |spec| spec["unload"] = unload.clone()));
            if restarts {
                driver.restart();
            }
            driver.pass(Duration::from_secs(2)).await;
            if runs && long {
                assert_eq!(driver.condition("a", "UnloadRolesReady"), "Unknown JobsUnderWay", "{what}");
                assert!(driver.message("a", "Ready").contains("have ended, and no attempt begins before: j"), "{what}");
                driver.submit("k", job("a", |_| {}));
                driver.pass(Duration::from_secs(2)).await;
                assert_eq!(driver.job_condition("k", "Ready"), "Unknown LinkNotReady", "{what}");
            }
            assert!(driver.finish("j", 1).await, "{what}: {:#?}", driver.kubernetes.job("j"));
            let moved = driver.ended("j").starts_with("LinkChanged");
            assert!(moved || driver.state("j") == Some(JobState::Complete), "{what}: {}", driver.ended("j"));
            assert!(!(moved && runs), "{what}: what ran was let end");
            driver.pass(INTERVAL).await;
            assert_eq!(driver.ready("a"), "True InPlace", "{what}");
            check(&driver, &what);
        }
    }
}

/// What somebody else changed is put back while statements run: it is what they need.
#[tokio::test(start_paused = true)]
async fn a_role_that_somebody_changed_is_put_back_under_what_runs() {
    let mut driver = running_for(30).await;
    driver.aws.state().warehouse.runs.iter_mut().for_each(|run| run.takes = Duration::from_secs(7200));
    let name = (AccountId(CONSUMER.into()), Installation::new("test").unwrap().role(RoleKind::Write, "uid-of-a"));
    let changed = |driver: &Driver| driver.aws.state().roles[&name].inline.values().any(|document| document == "{}");
    for document in driver.aws.state().roles.get_mut(&name).unwrap().inline.values_mut() {
        *document = "{}".into();
    }
    assert!(changed(&driver));
    driver.pass(INTERVAL * 2).await;
    assert!(!changed(&driver), "{}", driver.message("a", "Ready"));
    assert_eq!(driver.state("j"), Some(JobState::Running));
}

#[tokio::test(start_paused = true)]
async fn a_suspended_link_lets_what_runs_run_and_begins_nothing() {
    let suspended = || {
        link("a", |spec| {
            spec["unload"] = json!({"bucket": "exports", "prefix": "warehouse/"});
            spec["suspend"] = json!(true);
        })
    };
    let mut driver = running_for(30).await;
    assert_eq!(driver.aws.accepted().len(), 1);
    driver.apply(suspended());
    assert!(driver.finish("j", 1).await);
    assert_eq!(driver.state("j"), Some(JobState::Complete));
    driver.submit("k", job("a", |_| {}));
    driver.pass(Duration::from_secs(3600)).await;
    assert_eq!(driver.job_condition("k", "Ready"), "Unknown LinkNotReady");
    driver.apply(unload_link("a"));
    assert!(driver.finish("k", 1).await);
}

/// The namespace goes: everything in it is deleted at once, in whatever order.
#[tokio::test(start_paused = true)]
async fn a_namespace_that_is_deleted_goes() {
    let empty = Driver::new().aws.inventory();
    for seconds in moments() {
        for job_first in [false, true] {
            let what = format!("namespace deleted after {seconds} s, job first {job_first}");
            let mut driver = running_for(seconds).await;
            if job_first {
                driver.kubernetes.delete_job("j");
                driver.step_soon().await;
                driver.kubernetes.delete("a");
            } else {
                driver.kubernetes.delete("a");
                driver.step_soon().await;
                driver.kubernetes.delete_job("j");
            }
            link_goes(&mut driver, &what).await;
            driver.remove("j", &what).await;
            check(&driver, &what);
            all_or_nothing(&driver, &what);
            assert_eq!(driver.aws.inventory(), empty, "{what}");
        }
    }
}

/// An account that is withdrawn cannot be looked into: nothing goes until it is back.
#[tokio::test(start_paused = true)]
async fn an_account_that_is_withdrawn_holds_everything_up() {
    let empty = Driver::new().aws.inventory();
    for (withdrawn, seconds) in [("111122223333", 5), ("111122223333", 30), ("444455556666", 5), ("444455556666", 30)] {
        let what = format!("{withdrawn} withdrawn after {seconds} s");
        let mut driver = running_for(seconds).await;
        let without = ACCOUNTS.replace(withdrawn, "999999999999");
        driver.set_accounts(&without);
        for operation in ["*", "read"] {
            driver.aws.state().refuse(withdrawn, operation, "AccountNotConfigured", "no such account");
        }
        driver.kubernetes.delete("a");
        driver.kubernetes.delete_job("j");
        driver.pass(Duration::from_secs(1800)).await;
        assert!(driver.kubernetes.job("j").is_some() && driver.kubernetes.get("a").is_some(), "{what}");
        assert_eq!(driver.job_condition("j", "Stalled"), "True AccountNotConfigured", "{what}");
        driver.aws.state().refusals.clear();
        driver.set_accounts(ACCOUNTS);
        link_goes(&mut driver, &what).await;
        driver.remove("j", &what).await;
        check(&driver, &what);
        all_or_nothing(&driver, &what);
        assert_eq!(driver.aws.inventory(), empty, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_in_an_abandoned_account_goes_and_says_so() {
    for abandoned in ["111122223333", "444455556666"] {
        let mut driver = running_for(30).await;
        for operation in ["*", "read"] {
            driver.aws.state().refuse(abandoned, operation, "AccountNotConfigured", "no such account");
        }
        let entry = format!("- id: \"{abandoned}\"\n");
        driver.set_accounts(&ACCOUNTS.replace(&entry, &format!("{entry}  abandoned: true\n")));
        driver.remove("j", abandoned).await;
        let told = driver.kubernetes.told("job j");
        assert!(told.iter().any(|happening| happening.reason == "Abandoned"), "{abandoned}: {told:?}");
    }
}

/// A fault at each write of a job's end, in which it is cancelled, cleaned, or merely let go.
#[tokio::test(start_paused = true)]
async fn any_crash_while_a_job_is_deleted_leaves_nothing() {
    for (seconds, policy) in [(4, "Retain"), (30, "Retain"), (200, "Delete")] {
        let started = || async move {
            let mut driver = ready().await;
            driver.aws.state().versioned = true;
            driver.aws.state().warehouse.takes = Duration::from_secs(150);
            driver.submit("j", job("a", |spec| spec["dataPolicy"] = json!(policy)));
            driver.pass(Duration::from_secs(seconds)).await;
            driver
        };
        let mut clean = started().await;
        let before = clean.faults.tried().len();
        clean.remove("j", "clean").await;
        let writes = clean.faults.tried()[before..].to_vec();
        assert!(clean.aws.in_buckets().is_empty(), "{:?}", clean.aws.in_buckets());
        for (number, write) in writes.iter().enumerate() {
            for fault in FAULTS {
                for wipe in [false, true] {
                    let what = format!("{fault:?} at write {number} {write:?} after {seconds} s, wiped {wipe}");
                    let mut driver = started().await;
                    driver.faults.strike(number, fault);
                    driver.when_struck = wipe.then_some(Driver::wipe_status as fn(&mut Driver));
                    driver.remove("j", &what).await;
                    driver.pass(GRACE * 2).await;
                    check(&driver, &what);
                    // a status that was wiped after the end: what was complete may be taken for that
                    assert!(driver.aws.in_buckets().is_empty(), "{what}: {:#?}", driver.aws.in_buckets());
                }
            }
        }
    }
}
