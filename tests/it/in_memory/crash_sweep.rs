//! Every fault at every write of a link's creation, change, repair and removal, learned from a run without faults;
//! and again with the status wiped at that moment. Each run must end with the same things in both accounts, none of
//! them made twice, and leave nothing after deletion.

use crate::in_memory::driver::{Driver, GRACE};
use crate::in_memory::fake::faults::Fault;
use crate::in_memory::fake::world::{ALICE_ROLE, PRODUCER, consumer, link, net, producer, role_arn, whole_link};
use redshift_link::aws::effect::{Effect, EffectKind};
use redshift_link::aws::model::{Destination, StudioUsers};
use redshift_link::aws::scope::AccountId;
use std::collections::{BTreeMap, BTreeSet};

const FAULTS: [Fault; 6] = [
    Fault::StopBefore,
    Fault::StopAfter,
    Fault::FailsBefore,
    Fault::FailsAfter,
    Fault::LostAnswer,
    Fault::Late(GRACE.checked_div(2).unwrap()),
];

/// What is there before, and what then happens.
struct Scenario {
    name: &'static str,
    before: fn(&Driver),
    then: fn(&Driver),
    deleted: bool,
}

fn apply(driver: &Driver) {
    driver.apply(whole_link("a"));
}

/// The spec names other tables and groups and no unload, a profile goes and another comes.
fn change(driver: &Driver) {
    driver.apply(link("a", |spec| {
        spec["producer"]["routeTableIds"] = serde_json::json!(["rtb-0000aaa3"]);
        spec["access"] = serde_json::json!({"createUsers": false});
        spec["tags"] = serde_json::json!({"team": "ml"});
        spec["peering"] = serde_json::json!({"dnsResolution": false});
    }));
    let mut state = driver.aws.state();
    state.execution_role("AmazonSageMaker-ExecutionRole-carol");
    let carol = StudioUsers {
        execution_roles: BTreeSet::from([role_arn("AmazonSageMaker-ExecutionRole-carol")]),
        ..StudioUsers::default()
    };
    let profiles = state.profiles.get_mut(&(consumer(), "d-1".into())).unwrap();
    profiles.remove("alice");
    profiles.insert("carol".into(), carol);
}

/// Somebody undoes a thing of each kind.
fn undo(driver: &Driver) {
    let mut state = driver.aws.state();
    let ours = |path: &str| path.starts_with("/redshift-link/");
    for ((_, name), role) in &mut state.roles {
        if ours(&role.path) {
            role.inline.clear();
            role.trust = role.trust.replace("sts:SetSourceIdentity", "sts:TagSession");
            role.tags.remove("redshiftlink.dev/namespace");
        }
        if name == ALICE_ROLE {
            role.inline.retain(|policy, _| policy == "mine");
        }
    }
    let taken_on = state.cluster_now(&producer(), "warehouse").unwrap().iam_roles;
    for arn in taken_on.keys() {
        state.change_cluster_role(&producer(), "warehouse", arn, false).unwrap();
    }
    let ccc1 = state.tables.get_mut(&(consumer(), "rtb-0000ccc1".into())).unwrap();
    ccc1.routes.retain(|route| route.destination != Destination::Cidr(net("10.1.0.0/16")));
    state.rules.retain(|_, rule| rule.tags.is_empty());
    for peering in state.peerings.values_mut() {
        peering.dns.clear();
        peering.tags.remove(&AccountId(PRODUCER.into()));
    }
}

const SCENARIOS: [Scenario; 4] = [
    Scenario { name: "create", before: |_| {}, then: apply, deleted: false },
    Scenario { name: "change", before: apply, then: change, deleted: false },
    Scenario { name: "drift", before: apply, then: undo, deleted: false },
    Scenario { name: "delete", before: apply, then: |driver| driver.kubernetes.delete("a"), deleted: true },
];

/// The things made, by kind and key, with how often each was made.
fn made(driver: &Driver) -> BTreeMap<(EffectKind, String), usize> {
    let mut made = BTreeMap::new();
    for effect in &driver.aws.state().executed {
        let key = match effect {
            Effect::CreateRole { .. } | Effect::CreateVpcPeeringConnection { .. } => effect.target(),
            Effect::CreateRoute { .. } => effect.target(),
            Effect::AuthorizeSecurityGroupIngress { group, permit, .. }
            | Effect::AuthorizeSecurityGroupEgress { group, permit, .. } => format!("{group} {permit}"),
            _ => continue,
        };
        *made.entry((effect.kind(), key)).or_default() += 1;
    }
    made
}

async fn prepared(scenario: &Scenario) -> Driver {
    let mut driver = Driver::new();
    (scenario.before)(&driver);
    driver.settle().await;
    // past the time in which calls of an earlier process might still arrive
    driver.pass(GRACE * 2).await;
    driver
}

async fn finish(driver: &mut Driver, scenario: &Scenario) {
    driver.look_now();
    driver.settle().await;
    driver.pass(GRACE * 2).await;
    driver.look_now();
    driver.settle().await;
    if scenario.deleted {
        assert!(driver.kubernetes.get("a").is_none(), "not gone: {:#?}", driver.kubernetes.get("a").unwrap().status);
    } else {
        assert_eq!(driver.ready("a"), "True InPlace");
    }
}

#[tokio::test(start_paused = true)]
async fn any_crash_anywhere_ends_as_if_nothing_had_happened() {
    let (mut runs, mut plans) = (0, 0);
    for scenario in &SCENARIOS {
        let mut clean = prepared(scenario).await;
        let empty = Driver::new().aws.inventory();
        let before = clean.faults.tried().len();
        (scenario.then)(&clean);
        finish(&mut clean, scenario).await;
        let writes = clean.faults.tried()[before..].to_vec();
        let (expected, expected_made) = (clean.aws.inventory(), made(&clean));
        println!("{}: {} writes", scenario.name, writes.len());
        for (number, write) in writes.iter().enumerate() {
            for fault in FAULTS {
                for wipe in [false, true] {
                    let what = format!("{}, {fault:?} at write {number} {write:?}, wiped {wipe}", scenario.name);
                    let mut driver = prepared(scenario).await;
                    driver.faults.strike(number, fault);
                    driver.when_struck = wipe.then_some(Driver::wipe_status as fn(&mut Driver));
                    (scenario.then)(&driver);
                    finish(&mut driver, scenario).await;
                    assert_eq!(driver.aws.inventory(), expected, "{what}");
                    assert_eq!(made(&driver), expected_made, "{what}");
                    runs += 1;
                    if !scenario.deleted {
                        driver.kubernetes.delete("a");
                        driver.settle().await;
                        driver.pass(GRACE * 2).await;
                        assert!(
                            driver.kubernetes.get("a").is_none(),
                            "{what}: {:#?}",
                            driver.kubernetes.get("a").unwrap().status
                        );
                        let mut left = driver.aws.inventory();
                        left.retain(|line| !line.contains("carol"));
                        assert_eq!(left, empty, "{what}: left behind");
                    }
                    plans += driver.loops;
                }
            }
        }
    }
    println!("crash sweep: {runs} runs, {plans} plans");
}

/// Two faults in one life, the second before the first is mended: seeded, so that a failure can be had again.
#[tokio::test(start_paused = true)]
async fn pairs_of_faults_end_as_if_nothing_had_happened() {
    const RUNS: u64 = 300;
    let mut expected = vec![];
    for scenario in &SCENARIOS {
        let mut clean = prepared(scenario).await;
        let before = clean.faults.tried().len();
        (scenario.then)(&clean);
        finish(&mut clean, scenario).await;
        expected.push((clean.aws.inventory(), made(&clean), clean.faults.tried().len() - before));
    }
    let mut seed: u64 = 1;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % below
    };
    let mut plans = 0;
    for run in 0..RUNS {
        let which = random(SCENARIOS.len());
        let (scenario, (inventory, things, writes)) = (&SCENARIOS[which], &expected[which]);
        let first = (random(*writes), FAULTS[random(FAULTS.len())]);
        let second = (first.0 + 1 + random(4), FAULTS[random(FAULTS.len())]);
        let wipe = random(2) == 0;
        let what = format!("run {run}: {}, {first:?}, {second:?}, wiped {wipe}", scenario.name);
        let mut driver = prepared(scenario).await;
        driver.faults.strike(first.0, first.1);
        driver.faults.strike(second.0, second.1);
        driver.when_struck = wipe.then_some(Driver::wipe_status as fn(&mut Driver));
        (scenario.then)(&driver);
        finish(&mut driver, scenario).await;
        assert_eq!(driver.aws.inventory(), *inventory, "{what}");
        assert_eq!(made(&driver), *things, "{what}");
        plans += driver.loops;
    }
    println!("pairs of faults: {RUNS} runs, {plans} plans");
}

/// The object is deleted at the moment of the fault: whatever was half made goes, also what arrives late.
#[tokio::test(start_paused = true)]
async fn a_link_deleted_while_half_created_leaves_nothing() {
    let empty = Driver::new().aws.inventory();
    let mut clean = Driver::new();
    apply(&clean);
    clean.settle().await;
    let writes = clean.faults.tried();
    let (mut runs, mut plans) = (0, 0);
    for (number, write) in writes.iter().enumerate() {
        for fault in FAULTS {
            for wipe in [false, true] {
                let mut driver = Driver::new();
                driver.faults.strike(number, fault);
                driver.when_struck = Some(if wipe {
                    |driver| {
                        driver.wipe_status();
                        driver.kubernetes.delete("a");
                    }
                } else {
                    |driver| driver.kubernetes.delete("a")
                });
                apply(&driver);
                driver.settle().await;
                driver.pass(GRACE * 2).await;
                let what = format!("{fault:?} at write {number} {write:?}, wiped {wipe}");
                assert!(
                    driver.kubernetes.get("a").is_none(),
                    "{what}: {:#?}",
                    driver.kubernetes.get("a").unwrap().status
                );
                assert_eq!(driver.aws.inventory(), empty, "{what}");
                runs += 1;
                plans += driver.loops;
            }
        }
    }
    println!("deleted while half created: {runs} runs, {plans} plans");
}
