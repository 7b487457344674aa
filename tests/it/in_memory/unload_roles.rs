//! The roles of an UNLOAD: who may take them on, what is in their way, and that they go without a trace.

use crate::in_memory::driver::{Driver, GRACE, INTERVAL};
use crate::in_memory::fake::State;
use crate::in_memory::fake::world::{CONSUMER, PRODUCER, link, producer, unload_link};
use redshift_link::aws::mark::{Installation, RoleKind};
use redshift_link::aws::scope::AccountId;
use serde_json::{Value, json};
use std::time::Duration;

pub const KEY: &str = "arn:aws:kms:eu-west-1:444455556666:key/k-1";
pub const CONDITION: &str = "UnloadRolesReady";

fn name(kind: RoleKind) -> String {
    Installation::new("test").unwrap().role(kind, "uid-of-a")
}

pub fn arn(account: &str, kind: RoleKind) -> String {
    format!("arn:aws:iam::{account}:role/redshift-link/test/{}", name(kind))
}

fn document(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

async fn ready() -> Driver {
    let mut driver = Driver::new();
    driver.apply(unload_link("a"));
    driver.settle().await;
    assert_eq!(driver.ready("a"), "True InPlace");
    driver
}

fn cluster_roles(state: &State) -> Vec<String> {
    let roles = state.cluster_now(&producer(), "warehouse").unwrap().iam_roles;
    roles.into_iter().map(|(arn, status)| format!("{status} {arn}")).collect()
}

#[tokio::test(start_paused = true)]
async fn each_role_trusts_exactly_one_and_allows_what_it_takes() {
    let mut driver = Driver::new();
    driver.apply(link("a", |spec| {
        spec["unload"] = json!({"bucket": "exports", "prefix": "warehouse/", "kmsKeyArn": KEY});
    }));
    driver.settle().await;
    let state = driver.aws.state();
    let role = |account: &str, kind| {
        let role = &state.roles[&(AccountId(account.into()), name(kind))];
        (document(&role.trust), document(&role.inline["redshift-link-access"]))
    };
    let (trust, access) = role(PRODUCER, RoleKind::Submit);
    assert_eq!(trust["Statement"][0]["Principal"]["AWS"], "arn:aws:iam::111122223333:role/redshift-link");
    let on = "arn:aws:redshift:eu-west-1:111122223333";
    assert_eq!(access["Statement"][0]["Resource"], format!("{on}:cluster:warehouse"));
    assert_eq!(access["Statement"][2]["Action"], "redshift:GetClusterCredentialsWithIAM");
    assert_eq!(access["Statement"][2]["Resource"], format!("{on}:dbname:warehouse/analytics"));
    let (trust, access) = role(PRODUCER, RoleKind::Unload);
    assert_eq!(trust["Statement"][0]["Principal"]["Service"], "redshift.amazonaws.com");
    let user = format!("{on}:dbuser:warehouse/IAMR:{}", name(RoleKind::Submit));
    assert_eq!(trust["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"][0], user);
    assert_eq!(access["Statement"][0]["Action"], "sts:AssumeRole");
    assert_eq!(access["Statement"][0]["Resource"], arn(CONSUMER, RoleKind::Write));
    let (trust, access) = role(CONSUMER, RoleKind::Write);
    assert_eq!(trust["Statement"][0]["Principal"]["AWS"], arn(PRODUCER, RoleKind::Unload));
    let said = access.to_string();
    assert!(said.contains("arn:aws:s3:::exports/warehouse/*") && said.contains(KEY), "{said}");
    for statement in access["Statement"].as_array().unwrap().iter().filter(|s| s.to_string().contains("s3:")) {
        assert_eq!(statement["Condition"]["StringEquals"]["aws:ResourceAccount"], CONSUMER, "{statement}");
    }
    assert_eq!(cluster_roles(&state), [format!("in-sync {}", arn(PRODUCER, RoleKind::Unload))]);
}

#[tokio::test(start_paused = true)]
async fn as_a_named_database_user() {
    let mut driver = Driver::new();
    let as_user = |user: &'static str| {
        link("a", move |spec| {
            spec["unload"] = json!({"bucket": "exports", "prefix": "warehouse/", "databaseUser": user});
        })
    };
    driver.apply(as_user("app"));
    driver.settle().await;
    {
        let state = driver.aws.state();
        let role = |kind| state.roles[&(AccountId(PRODUCER.into()), name(kind))].clone();
        let user = "arn:aws:redshift:eu-west-1:111122223333:dbuser:warehouse/app";
        let trust = document(&role(RoleKind::Unload).trust);
        assert_eq!(trust["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"], user);
        let access = &role(RoleKind::Submit).inline["redshift-link-access"];
        assert!(access.contains("redshift:GetClusterCredentials\"") && access.contains(user), "{access}");
    }
    for (user, reads) in [("rdsdb", "False NotAllowed"), ("stranger", "False NotAllowed")] {
        driver.apply(as_user(user));
        driver.settle().await;
        assert_eq!(driver.ready("a"), reads, "{user}");
    }
    driver.aws.state().clusters.get_mut(&(producer(), "warehouse".into())).unwrap().master_user = "app".into();
    driver.apply(as_user("app"));
    driver.pass(INTERVAL * 2).await;
    assert_eq!(driver.condition("a", CONDITION), "False ProtectedDatabaseUser");
}

#[tokio::test(start_paused = true)]
async fn a_link_that_no_longer_unloads_keeps_its_path_and_loses_the_roles() {
    let mut driver = Driver::new();
    driver.apply(link("a", |_| {}));
    driver.settle().await;
    let without = driver.aws.inventory();
    assert_eq!(driver.condition("a", CONDITION), "", "not asked for, not spoken of");
    for wiped in [false, true] {
        driver.apply(unload_link("a"));
        driver.settle().await;
        assert_eq!(driver.condition("a", CONDITION), "True InPlace");
        if wiped {
            driver.wipe_status();
        }
        driver.apply(link("a", |_| {}));
        driver.settle().await;
        assert_eq!(driver.ready("a"), "True InPlace");
        assert_eq!(driver.aws.inventory(), without, "wiped {wiped}");
        assert_eq!(driver.condition("a", CONDITION), "");
    }
}

#[tokio::test(start_paused = true)]
async fn a_role_of_others_on_the_cluster_stays() {
    let others = "arn:aws:iam::111122223333:role/copy-from-s3";
    let mut driver = Driver::new();
    driver.aws.state().change_cluster_role(&producer(), "warehouse", others, true).unwrap();
    let before = driver.aws.inventory();
    driver.apply(unload_link("a"));
    driver.settle().await;
    // while it is being added, no other role can be
    driver.pass(GRACE).await;
    assert_eq!(driver.ready("a"), "True InPlace");
    assert_eq!(cluster_roles(&driver.aws.state()).len(), 2);
    driver.kubernetes.delete("a");
    driver.settle().await;
    driver.pass(GRACE * 2).await;
    assert!(driver.kubernetes.get("a").is_none());
    let after = driver.aws.inventory().iter().map(|line| line.replace("in-sync", "adding")).collect::<Vec<_>>();
    assert_eq!(after, before);
}

pub fn status(state: &mut State, status: &str) {
    state.clusters.get_mut(&(producer(), "warehouse".into())).unwrap().status = status.into();
}

/// The role on the cluster would stay there: so the link waits, without any power, until the cluster takes changes.
#[tokio::test(start_paused = true)]
async fn a_link_on_a_paused_cluster_goes_when_it_is_resumed() {
    let empty = Driver::new().aws.inventory();
    let mut driver = ready().await;
    status(&mut driver.aws.state(), "paused");
    driver.kubernetes.delete("a");
    driver.settle().await;
    driver.pass(GRACE * 2).await;
    let message = driver.message("a", "Ready");
    assert!(message.contains("paused") && message.contains("resume it"), "{message}");
    for role in driver.aws.state().roles.values().filter(|role| role.path.starts_with("/redshift-link/")) {
        assert!(role.inline.is_empty(), "{role:?}");
    }
    status(&mut driver.aws.state(), "available");
    driver.pass(Duration::from_secs(3600)).await;
    assert!(driver.kubernetes.get("a").is_none());
    assert_eq!(driver.aws.inventory(), empty);
}

/// The cluster still names a role that somebody deleted.
#[tokio::test(start_paused = true)]
async fn a_role_that_is_gone_is_taken_from_the_cluster_all_the_same() {
    let empty = Driver::new().aws.inventory();
    for wiped in [false, true] {
        let mut driver = ready().await;
        driver.aws.state().delete_role(&AccountId(PRODUCER.into()), &name(RoleKind::Unload));
        driver.kubernetes.delete("a");
        if wiped {
            driver.wipe_status();
        }
        driver.settle().await;
        driver.pass(GRACE * 2).await;
        assert!(driver.kubernetes.get("a").is_none(), "wiped {wiped}: {}", driver.message("a", "Ready"));
        assert_eq!(driver.aws.inventory(), empty, "wiped {wiped}");
    }
}
