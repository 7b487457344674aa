//! The annotation that says where a job lives is its owner's to edit: it must lead nowhere but to what is the job's.

use crate::in_memory::driver::{Driver, GRACE};
use crate::in_memory::fake::faults::Write;
use crate::in_memory::fake::world::{ACCOUNTS, CONSUMER, PRODUCER, consumer, job};
use crate::in_memory::unload_once::{check, ready};
use kube::ResourceExt;
use redshift_link::api::unload::status::JobState;
use redshift_link::api::{PLACE, UnloadJob};
use redshift_link::aws::mark::{Installation, NAMESPACE, RoleKind};
use redshift_link::aws::scope::AccountId;
use serde_json::{Value, json};
use std::time::Duration;

fn place(driver: &Driver) -> Value {
    serde_json::from_str(&driver.kubernetes.job("j").unwrap().annotations()[PLACE]).unwrap()
}

fn write(driver: &Driver, place: &Value) {
    driver.kubernetes.edit_job("j", |old| {
        let mut job: UnloadJob = old.unwrap();
        job.annotations_mut().insert(PLACE.into(), place.to_string());
        job
    });
}

fn role(uid: &str) -> String {
    Installation::new("test").unwrap().role(RoleKind::Submit, uid)
}

/// A bucket of others, and the role of a link in another namespace.
async fn running_beside_others(seconds: u64) -> Driver {
    let mut driver = ready().await;
    {
        let mut state = driver.aws.state();
        state.buckets.insert("others".into(), consumer());
        let account = AccountId(PRODUCER.into());
        let mut theirs = state.roles[&(account.clone(), role("uid-of-a"))].clone();
        theirs.tags.insert(NAMESPACE.into(), "other".into());
        state.roles.insert((account, role("uid-of-theirs")), theirs);
    }
    driver.submit("j", job("a", |_| {}));
    driver.pass(Duration::from_secs(seconds)).await;
    driver
}

const EDITS: [fn(&mut Value); 6] = [
    // it may be written by this namespace, and was not by this job
    |place| place["prefix"] = json!("warehouse/other/"),
    |place| place["bucket"] = json!("others"),
    |place| place["prefix"] = json!("other/"),
    |place| {
        place["roleArn"] = json!(format!("arn:aws:iam::{PRODUCER}:role/redshift-link/test/{}", role("uid-of-theirs")))
    },
    |place| place["roleArn"] = json!(format!("arn:aws:iam::{PRODUCER}:role/admin")),
    |place| place["account"] = json!(CONSUMER),
];

#[tokio::test(start_paused = true)]
async fn an_edited_place_leads_nowhere() {
    for (number, edit) in EDITS.into_iter().enumerate() {
        for (seconds, gone, deleted) in
            [(30, false, false), (30, false, true), (30, true, false), (30, true, true), (200, true, true)]
        {
            let what = format!("edit {number} after {seconds} s, link gone {gone}, job deleted {deleted}");
            let mut driver = running_beside_others(seconds).await;
            if gone {
                // whoever took its finalizer off
                driver.kubernetes.take("a");
            }
            let good = place(&driver);
            let mut bad = good.clone();
            edit(&mut bad);
            write(&driver, &bad);
            if deleted {
                driver.kubernetes.delete_job("j");
            }
            driver.aws.state().reads.clear();
            let tried = driver.faults.tried().len();
            driver.pass(Duration::from_secs(600)).await;
            assert_eq!(driver.job_condition("j", "Stalled"), "True PlaceNotAllowed", "{what}");
            let reads = driver.aws.state().reads.clone();
            let leads = |read: &&str| read.contains("Object") || read.contains("Statement") || read.contains("Upload");
            assert!(!reads.iter().any(leads), "{what}: {reads:?}");
            let tried = driver.faults.tried().split_off(tried);
            assert!(!tried.iter().any(|write| matches!(write, Write::Aws(_))), "{what}: {tried:?}");
            write(&driver, &good);
            assert!(driver.finish("j", 2).await, "{what}");
            check(&driver, &what);
            if !gone && !deleted {
                assert_eq!(driver.state("j"), Some(JobState::Complete), "{what}");
            }
            driver.remove("j", &what).await;
        }
    }
}

/// A permission that is withdrawn ends no cleaning: that the job wrote there stands in its status.
#[tokio::test(start_paused = true)]
async fn what_was_allowed_once_is_cleaned() {
    for seconds in [5, 30, 200] {
        let what = format!("withdrawn after {seconds} s");
        let mut driver = ready().await;
        driver.submit("j", job("a", |spec| spec["dataPolicy"] = json!("Delete")));
        driver.pass(Duration::from_secs(seconds)).await;
        driver.set_accounts(&ACCOUNTS.replace("exports/warehouse/, ", ""));
        driver.kubernetes.delete("a");
        driver.pass(GRACE * 4).await;
        assert!(driver.kubernetes.get("a").is_none(), "{what}: {}", driver.message("a", "Ready"));
        driver.remove("j", &what).await;
        assert!(driver.aws.in_buckets().is_empty(), "{what}: {:?}", driver.aws.in_buckets());
        check(&driver, &what);
    }
}

/// Without status the accounts file says whose the bucket is, and the role whose it is.
#[tokio::test(start_paused = true)]
async fn without_status_and_link_a_job_is_cleaned_all_the_same() {
    let mut driver = ready().await;
    driver.submit("j", job("a", |spec| spec["dataPolicy"] = json!("Delete")));
    driver.pass(Duration::from_secs(30)).await;
    driver.kubernetes.take("a");
    driver.wipe_status();
    driver.remove("j", "wiped").await;
    assert!(driver.aws.in_buckets().is_empty(), "{:?}", driver.aws.in_buckets());
    check(&driver, "wiped");
}
