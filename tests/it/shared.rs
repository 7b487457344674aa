//! Several links over one pair of VPCs: in every order of creating, changing and deleting them no living link's path is
//! cut at any moment, and the last takes all with it.

use crate::driver::{Driver, GRACE};
use crate::fake::Role;
use crate::fake::world::{CONSUMER, SAGEMAKER_TRUST, STUDIO_GROUP, link, network_link, producer};
use redshift_link::api::CrossAccountRedshiftLink;
use redshift_link::aws::scope::AccountId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What happens to a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Create(usize),
    Change(usize),
    Delete(usize),
}

const NAMES: [&str; 3] = ["a", "b", "c"];

/// Three links that share most: two Studio domains in one VPC, and a network consumer with one subnet of it.
fn spec(index: usize, changed: bool) -> CrossAccountRedshiftLink {
    match index {
        0 => link("a", |spec| {
            if changed {
                spec["peering"] = serde_json::json!({"dnsResolution": false});
                spec["producer"]["routeTableIds"] = serde_json::json!(["rtb-0000aaa1"]);
            }
        }),
        1 => link("b", |spec| {
            spec["consumer"]["studio"]["domainId"] = "d-2".into();
            spec["producer"]["cluster"]["identifier"] = "finance".into();
            if changed {
                spec["producer"]["routeTableIds"] = serde_json::json!(["rtb-0000aaa2", "rtb-0000aaa3"]);
            }
        }),
        _ => {
            let mut link = network_link("c");
            link.spec.consumer.network.as_mut().unwrap().security_group_ids =
                changed.then(|| BTreeSet::from([STUDIO_GROUP.to_owned()]));
            link
        }
    }
}

fn world() -> Driver {
    let driver = Driver::new();
    {
        let mut state = driver.aws.state();
        state.domain("d-2");
        state.cluster("finance");
        let role = Role {
            id: "AROAAPP1".into(),
            path: "/".into(),
            trust: SAGEMAKER_TRUST.into(),
            boundary: None,
            tags: BTreeMap::new(),
            inline: BTreeMap::new(),
            attached: BTreeSet::new(),
        };
        state.roles.insert((AccountId(CONSUMER.into()), "app-1".into()), role);
    }
    driver
}

/// All orders of the events of each link that keep the order within a link.
fn interleavings(mut queues: Vec<Vec<Event>>) -> Vec<Vec<Event>> {
    queues.retain(|queue| !queue.is_empty());
    if queues.is_empty() {
        return vec![vec![]];
    }
    let mut all = vec![];
    for index in 0..queues.len() {
        let mut rest = queues.clone();
        let first = rest[index].remove(0);
        for mut tail in interleavings(rest) {
            tail.insert(0, first);
            all.push(tail);
        }
    }
    all
}

/// What lies between two events: so many loops, perhaps a restart.
#[derive(Clone, Copy, Debug)]
enum Between {
    Settled,
    Loops(usize),
    Restart(usize),
}

async fn happen(driver: &mut Driver, event: Event) {
    match event {
        Event::Create(i) => driver.apply(spec(i, false)),
        Event::Change(i) => {
            driver.unguard(NAMES[i]);
            driver.apply(spec(i, true));
        }
        Event::Delete(i) => {
            driver.unguard(NAMES[i]);
            driver.kubernetes.delete(NAMES[i]);
        }
    }
}

async fn pass(driver: &mut Driver, between: Between) {
    match between {
        Between::Settled => driver.settle().await,
        Between::Loops(loops) | Between::Restart(loops) => {
            for _ in 0..loops {
                driver.step_soon().await;
            }
            if matches!(between, Between::Restart(_)) {
                driver.restart();
            }
        }
    }
}

async fn end(driver: &mut Driver, before: &[String], what: &str) {
    driver.settle().await;
    driver.pass(GRACE * 2).await;
    for name in NAMES {
        assert!(
            driver.kubernetes.get(name).is_none(),
            "{what}: {name} is still there: {:#?}",
            driver.kubernetes.get(name).unwrap().status
        );
    }
    assert_eq!(driver.aws.inventory(), before, "{what}: left behind");
    let cuts = driver.aws.state().cuts.clone();
    assert!(cuts.is_empty(), "{what}: {cuts:#?}");
}

#[tokio::test(start_paused = true)]
async fn two_links_with_changes_in_any_order() {
    let links = [0, 1].map(|i| vec![Event::Create(i), Event::Change(i), Event::Delete(i)]);
    no_living_link_is_cut(interleavings(links.to_vec())).await;
}

#[tokio::test(start_paused = true)]
async fn three_links_in_any_order() {
    let links = [0, 1, 2].map(|i| vec![Event::Create(i), Event::Delete(i)]);
    no_living_link_is_cut(interleavings(links.to_vec())).await;
}

#[tokio::test(start_paused = true)]
async fn three_links_with_changes_in_any_order() {
    let links = [
        vec![Event::Create(0), Event::Delete(0)],
        vec![Event::Create(1), Event::Change(1), Event::Delete(1)],
        vec![Event::Create(2), Event::Change(2), Event::Delete(2)],
    ];
    no_living_link_is_cut(interleavings(links.to_vec())).await;
}

async fn no_living_link_is_cut(orders: Vec<Vec<Event>>) {
    let before = world().aws.inventory();
    let mut runs = 0;
    for (number, order) in orders.iter().enumerate() {
        let mut betweens = vec![Between::Settled, Between::Restart(usize::MAX)];
        // loops of all objects mixed, and restarts in the middle of them: other numbers of loops for each order
        betweens.extend(
            [1, 2, 3, 5, 8]
                .into_iter()
                .skip(number % 3)
                .step_by(3)
                .flat_map(|n| [Between::Loops(n), Between::Restart(n)]),
        );
        for between in betweens {
            let between = match between {
                Between::Restart(usize::MAX) => Between::Restart(40),
                other => other,
            };
            let mut driver = world();
            driver.guards = true;
            for event in order {
                happen(&mut driver, *event).await;
                pass(&mut driver, between).await;
            }
            end(&mut driver, &before, &format!("{order:?} {between:?}")).await;
            runs += 1;
        }
    }
    println!("shared: {} orders, {runs} runs", orders.len());
}

/// Loops that run into each other: one link goes while others come, and every call takes its own time.
#[tokio::test(start_paused = true)]
async fn loops_side_by_side_cut_nothing() {
    let before = world().aws.inventory();
    for seed in 0..250_u64 {
        let mut driver = world();
        driver.guards = true;
        driver.apply(spec(0, false));
        driver.settle().await;
        driver.aws.state().latency = Some(seed);
        driver.apply(spec(1, false));
        if seed % 2 == 0 {
            driver.apply(spec(2, false));
        }
        // the first goes after the others began, each time a little later
        driver.run_side_by_side(Duration::from_millis(37 * (seed % 97))).await;
        driver.unguard("a");
        driver.kubernetes.delete("a");
        driver.run_side_by_side(GRACE * 3).await;
        assert_eq!(driver.ready("b"), "True InPlace", "seed {seed}");
        for name in NAMES {
            driver.unguard(name);
            driver.kubernetes.delete(name);
        }
        driver.run_side_by_side(GRACE * 3).await;
        end(&mut driver, &before, &format!("seed {seed}")).await;
    }
}

/// A link whose cluster cannot be seen keeps what it wanted, by its status after a restart; without a status it wants all.
#[tokio::test(start_paused = true)]
async fn a_link_that_cannot_be_observed_loses_nothing() {
    for (restart, wipe) in [(false, false), (true, false), (true, true)] {
        let mut driver = world();
        let before = driver.aws.inventory();
        driver.guards = true;
        for index in [0, 1] {
            driver.apply(spec(index, false));
        }
        driver.settle().await;
        let whole = driver.aws.inventory();
        let hidden = driver.aws.state().clusters.remove(&(producer(), "finance".into())).unwrap();
        driver.look_now();
        driver.settle().await;
        assert_eq!(driver.condition("b", "ProducerRoleReady"), "False ClusterNotFound");
        if wipe {
            driver.wipe_status();
        }
        if restart {
            driver.restart();
        }
        driver.unguard("a");
        driver.kubernetes.delete("a");
        driver.settle().await;
        driver.pass(GRACE * 2).await;
        assert!(driver.kubernetes.get("a").is_none(), "{:#?}", driver.kubernetes.get("a").unwrap().status);
        let network = |lines: &[String]| {
            let shared = |line: &&String| ["route", "rule", "peering"].iter().any(|kind| line.starts_with(kind));
            lines.iter().filter(shared).cloned().collect::<Vec<_>>()
        };
        // what only `a` wanted goes, unless nobody knows what `b` wants
        assert_eq!(network(&driver.aws.inventory()), network(&whole), "restart {restart}, wipe {wipe}");
        driver.aws.state().clusters.insert((producer(), "finance".into()), hidden);
        driver.look_now();
        driver.settle().await;
        assert_eq!(driver.ready("b"), "True InPlace");
        driver.unguard("b");
        driver.kubernetes.delete("b");
        end(&mut driver, &before, &format!("restart {restart}, wipe {wipe}")).await;
    }
}

/// Deleted while its own world is broken, the last link still takes everything with it.
#[tokio::test(start_paused = true)]
async fn the_last_link_goes_although_its_cluster_and_domain_are_gone() {
    let mut driver = world();
    let before = driver.aws.inventory();
    driver.apply(spec(0, false));
    driver.settle().await;
    {
        let mut state = driver.aws.state();
        state.clusters.clear();
        state.domains.clear();
    }
    driver.wipe_status();
    driver.restart();
    driver.kubernetes.delete("a");
    end(&mut driver, &before, "all gone").await;
}
