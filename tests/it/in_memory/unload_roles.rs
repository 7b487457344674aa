//! The roles of an UNLOAD: who may take them on, what is in their way, and that they go without a trace.

use crate::in_memory::driver::{Driver, GRACE, INTERVAL};
use crate::in_memory::fake::State;
use crate::in_memory::fake::world::{CONSUMER, PRODUCER, consumer, link, producer, unload_link};
use redshift_link::aws::mark::{Installation, RoleKind};
use redshift_link::aws::scope::AccountId;
use serde_json::{Value, json};
use std::time::Duration;

const KEY: &str = "arn:aws:kms:eu-west-1:444455556666:key/k-1";
const CONDITION: &str = "UnloadRolesReady";

fn name(kind: RoleKind) -> String {
    Installation::new("test").unwrap().role(kind, "uid-of-a")
}

fn arn(account: &str, kind: RoleKind) -> String {
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

/// Something that is in the way of a part, and how it is put right.
pub struct World {
    pub name: &'static str,
    pub spec: fn(&mut Value),
    pub break_it: fn(&mut State),
    pub mend: fn(&mut State),
    pub reads: &'static str,
    pub says: &'static [&'static str],
}

fn plain(spec: &mut Value) {
    spec["unload"] = json!({"bucket": "exports", "prefix": "warehouse/", "kmsKeyArn": KEY});
}

fn key(state: &mut State) -> &mut redshift_link::aws::model::Key {
    state.keys.get_mut(&(consumer(), KEY.into())).unwrap()
}

fn status(state: &mut State, status: &str) {
    state.clusters.get_mut(&(producer(), "warehouse".into())).unwrap().status = status.into();
}

const WORLDS: [World; 7] = [
    World {
        name: "no bucket",
        spec: plain,
        break_it: |state| state.buckets.clear(),
        mend: |state| drop(state.buckets.insert("exports".into(), consumer())),
        reads: "False BucketNotFound",
        says: &["exports", "444455556666"],
    },
    World {
        name: "a bucket of another account",
        spec: plain,
        break_it: |state| drop(state.buckets.insert("exports".into(), producer())),
        mend: |state| drop(state.buckets.insert("exports".into(), consumer())),
        reads: "False AccessDenied",
        says: &["exports", "name a bucket of account 444455556666", "s3:GetBucketLocation"],
    },
    World {
        name: "no key",
        spec: plain,
        break_it: |state| state.keys.clear(),
        mend: |state| {
            let key = redshift_link::aws::model::Key { arn: KEY.into(), state: "Enabled".into(), symmetric: true };
            state.keys.insert((consumer(), KEY.into()), key);
        },
        reads: "False KeyNotFound",
        says: &[KEY],
    },
    World {
        name: "a key that goes",
        spec: plain,
        break_it: |state| key(state).state = "PendingDeletion".into(),
        mend: |state| key(state).state = "Enabled".into(),
        reads: "False KeyNotUsable",
        says: &[KEY, "PendingDeletion"],
    },
    World {
        name: "a key that S3 cannot use",
        spec: plain,
        break_it: |state| key(state).symmetric = false,
        mend: |state| key(state).symmetric = true,
        reads: "False KeyNotUsable",
        says: &[KEY, "symmetric"],
    },
    World {
        name: "a key of another region",
        spec: plain,
        break_it: |state| state.buckets.get_mut("exports").unwrap().region.0 = "eu-west-2".into(),
        mend: |state| state.buckets.get_mut("exports").unwrap().region.0 = "eu-west-1".into(),
        reads: "False KeyOfOtherRegion",
        says: &["exports", "eu-west-1", "eu-west-2"],
    },
    World {
        name: "a paused cluster",
        spec: plain,
        break_it: |state| status(state, "paused"),
        mend: |state| status(state, "available"),
        reads: "False ClusterNotAvailable",
        says: &["warehouse", "paused", "resume it"],
    },
];

#[tokio::test(start_paused = true)]
async fn what_is_in_the_way_has_its_reason_and_heals_by_itself() {
    each_shows_and_heals(&WORLDS, CONDITION).await;
}

pub async fn each_shows_and_heals(worlds: &[World], condition: &str) {
    for world in worlds {
        let mut driver = Driver::new();
        (world.break_it)(&mut driver.aws.state());
        driver.apply(link("a", world.spec));
        driver.settle().await;
        assert_eq!(driver.condition("a", condition), world.reads, "{}", world.name);
        assert_eq!(
            driver.condition("a", "RoutesReady"),
            "True InPlace",
            "{}: the path does not wait for it",
            world.name
        );
        let message = driver.message("a", condition);
        for said in world.says {
            assert!(message.contains(said), "{}: {message}", world.name);
        }
        (world.mend)(&mut driver.aws.state());
        driver.pass(Duration::from_secs(3600)).await;
        assert_eq!(driver.ready("a"), "True InPlace", "{}", world.name);
    }
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
