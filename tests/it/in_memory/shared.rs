//! Several links over one pair of VPCs: in every order of creating, changing and deleting them no living link's path is
//! cut at any moment, and the last takes all with it.

use crate::in_memory::driver::{Driver, GRACE};
use crate::in_memory::fake::Role;
use crate::in_memory::fake::world::{
    ACCOUNTS, CONSUMER, CONSUMER_VPC, PRODUCER, PRODUCER_VPC, REGION, SAGEMAKER_TRUST, STUDIO_GROUP, consumer, link,
    network_link, producer,
};
use redshift_link::api::{CrossAccountRedshiftLink, FINALIZER};
use redshift_link::aws::model::Cluster;
use redshift_link::aws::scope::{AccountId, Scope};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What happens to a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Create(usize),
    Change(usize),
    Delete(usize),
}

use Event::{Change, Create, Delete};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// Links that share most: two Studio domains in one VPC, a network consumer with one subnet of it, and one in the other
/// direction, from the producer's VPC to a cluster in the consumer's.
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
        3 => link("d", |spec| {
            spec["producer"] = serde_json::json!({"accountId": CONSUMER, "region": REGION,
                "cluster": {"identifier": "there", "database": "analytics"}});
            spec["consumer"] = serde_json::json!({"accountId": PRODUCER, "network": {"vpcId": PRODUCER_VPC,
                "subnetIds": ["subnet-0000aaa1"], "roleArns": [format!("arn:aws:iam::{PRODUCER}:role/app-2")]}});
            spec["access"] = serde_json::json!({"databaseUsers": ["app"]});
            if changed {
                spec["peering"] = serde_json::json!({"dnsResolution": false});
                spec["consumer"]["network"]["subnetIds"] = serde_json::json!(["subnet-0000aaa2"]);
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
    let mut driver = Driver::new();
    driver.set_accounts(&both_ways());
    {
        let mut state = driver.aws.state();
        state.domain("d-2");
        state.cluster("finance");
        let there = Cluster {
            vpc: Some(CONSUMER_VPC.into()),
            subnet_group: Some("there".into()),
            security_groups: BTreeSet::from([STUDIO_GROUP.to_owned()]),
            ..state.clusters[&(producer(), "warehouse".to_owned())].clone()
        };
        state.clusters.insert((consumer(), "there".into()), there);
        let subnets = BTreeSet::from(["subnet-0000ccc1".to_owned(), "subnet-0000ccc2".to_owned()]);
        state.subnet_groups.insert((consumer(), "there".into()), subnets);
        for (account, name) in [(CONSUMER, "app-1"), (PRODUCER, "app-2")] {
            let role = Role {
                id: format!("AROA{}", name.replace('-', "").to_uppercase()),
                path: "/".into(),
                trust: SAGEMAKER_TRUST.into(),
                boundary: None,
                tags: BTreeMap::new(),
                inline: BTreeMap::new(),
                attached: BTreeSet::new(),
            };
            state.roles.insert((AccountId(account.into()), name.into()), role);
        }
    }
    driver
}

/// The accounts file, with each account allowed on the other side too.
fn both_ways() -> String {
    let producer = "  allow:\n  - {namespaces: [ml], as: consumer, vpcs: [\"*\"], roles: [\"arn:aws:iam::111122223333:role/app-2\"]}";
    let consumer = "  allow:\n  - {namespaces: [ml], as: producer, clusters: [\"*\"], databaseUsers: [app]}";
    let (before, after) = ACCOUNTS.split_once("- id: \"444").expect("two accounts");
    let (before, after) = (before.replacen("  allow:", producer, 1), after.replacen("  allow:", consumer, 1));
    format!("{before}- id: \"444{after}")
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
        Create(i) => driver.apply(spec(i, false)),
        Change(i) => {
            driver.unguard(NAMES[i]);
            driver.apply(spec(i, true));
        }
        Delete(i) => {
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

/// Every order of the events of these links.
fn orders(links: &[&[Event]]) -> Vec<Vec<Event>> {
    interleavings(links.iter().map(|events| events.to_vec()).collect())
}

#[tokio::test(start_paused = true)]
async fn two_links_with_changes_in_any_order() {
    let links = [0, 1].map(|i| [Create(i), Change(i), Delete(i)]);
    no_living_link_is_cut(orders(&links.each_ref().map(|events| &events[..])), ALL).await;
}

/// The connection is one, whoever asked for it; each side's DNS option is another link's.
#[tokio::test(start_paused = true)]
async fn links_in_both_directions_in_any_order() {
    let links = [0, 3].map(|i| [Create(i), Change(i), Delete(i)]);
    no_living_link_is_cut(orders(&links.each_ref().map(|events| &events[..])), ALL).await;
}

#[tokio::test(start_paused = true)]
async fn three_links_in_any_order() {
    let links = [0, 1, 2].map(|i| [Create(i), Delete(i)]);
    no_living_link_is_cut(orders(&links.each_ref().map(|events| &events[..])), 3).await;
}

const THREE_WITH_CHANGES: [&[Event]; 3] =
    [&[Create(0), Delete(0)], &[Create(1), Change(1), Delete(1)], &[Create(2), Change(2), Delete(2)]];

#[tokio::test(start_paused = true)]
async fn three_links_with_changes_in_any_order() {
    no_living_link_is_cut(orders(&THREE_WITH_CHANGES), 1).await;
}

/// The same with each of all that may lie between two events: `make sweeps`.
#[tokio::test(start_paused = true)]
#[ignore = "takes minutes: make sweeps"]
async fn three_links_with_changes_and_anything_in_between() {
    no_living_link_is_cut(orders(&THREE_WITH_CHANGES), ALL).await;
}

/// What may lie between two events: the loops of all objects mixed, and restarts in the middle of them.
const BETWEEN: [Between; 12] = [
    Between::Settled,
    Between::Restart(1),
    Between::Loops(2),
    Between::Restart(5),
    Between::Loops(8),
    Between::Restart(40),
    Between::Loops(1),
    Between::Restart(3),
    Between::Loops(3),
    Between::Restart(2),
    Between::Loops(5),
    Between::Restart(8),
];
const ALL: usize = BETWEEN.len();

/// Each order, with so many of what may lie between its events: others for each order.
async fn no_living_link_is_cut(orders: Vec<Vec<Event>>, betweens: usize) {
    let before = world().aws.inventory();
    for (number, order) in orders.iter().enumerate() {
        for between in BETWEEN.iter().cycle().skip(number * betweens % ALL).take(betweens) {
            let mut driver = world();
            driver.guards = true;
            for event in order {
                happen(&mut driver, *event).await;
                pass(&mut driver, *between).await;
            }
            end(&mut driver, &before, &format!("{order:?} {between:?}")).await;
        }
    }
    println!("shared: {} orders, {} runs", orders.len(), orders.len() * betweens);
}

/// Loops that run into each other: one link goes while others come, and every call takes its own time.
#[tokio::test(start_paused = true)]
async fn loops_side_by_side_cut_nothing() {
    let before = world().aws.inventory();
    for seed in 0..60_u64 {
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

/// Two links in opposite directions that are made at once ask for two connections, of which AWS lets one be accepted.
#[tokio::test(start_paused = true)]
async fn links_in_both_directions_made_at_once_end_with_one_connection() {
    let before = world().aws.inventory();
    for seed in 0..60_u64 {
        let mut driver = world();
        driver.guards = true;
        driver.aws.state().latency = Some(seed);
        driver.apply(spec(0, false));
        driver.apply(spec(3, false));
        driver.run_side_by_side(GRACE * 10).await;
        assert_eq!(
            (driver.ready("a").as_str(), driver.ready("d").as_str()),
            ("True InPlace", "True InPlace"),
            "{seed}"
        );
        let live = driver.aws.state().peerings.values().filter(|p| p.status().is_live()).count();
        assert_eq!(live, 1, "seed {seed}");
        for name in ["a", "d"] {
            driver.unguard(name);
            driver.kubernetes.delete(name);
        }
        driver.run_side_by_side(GRACE * 4).await;
        end(&mut driver, &before, &format!("seed {seed}")).await;
    }
}

/// What a link that cannot be observed could not remove itself is not left to it: it holds the deletion up, by name.
#[tokio::test(start_paused = true)]
async fn a_link_that_wants_everything_is_named_as_the_blocker() {
    let mut driver = world();
    {
        let mut state = driver.aws.state();
        let far = Scope::new(CONSUMER, "us-east-1");
        state.network(&far, "vpc-0000eeee", "10.3.0.0/16", "e");
        state.group(&far, "sg-0000eeee", "vpc-0000eeee");
        let mut domain = state.domains[&(consumer(), "d-1".to_owned())].clone();
        domain.vpc = Some("vpc-0000eeee".into());
        domain.subnets = BTreeSet::from(["subnet-0000eee1".to_owned()]);
        domain.defaults.security_groups = BTreeSet::from(["sg-0000eeee".to_owned()]);
        state.domains.insert((far, "d-1".into()), domain);
    }
    let before = driver.aws.inventory();
    driver.apply(link("b", |spec| spec["consumer"]["region"] = "us-east-1".into()));
    driver.apply(link("a", |_| {}));
    driver.settle().await;
    assert_eq!((driver.ready("a").as_str(), driver.ready("b").as_str()), ("True InPlace", "True InPlace"));
    driver.aws.state().clusters.clear();
    driver.wipe_status();
    driver.restart();
    driver.settle().await;
    driver.kubernetes.delete("b");
    driver.pass(GRACE * 4).await;
    assert!(driver.kubernetes.get("b").is_some(), "nobody else would remove its connection");
    assert!(driver.message("b", "Ready").contains("link ml/a"), "{}", driver.message("b", "Ready"));
    driver.kubernetes.delete("a");
    end(&mut driver, &before, "named").await;
}

/// A link that never had anything holds nobody up.
#[tokio::test(start_paused = true)]
async fn a_link_that_never_had_anything_holds_nothing_up() {
    let mut driver = world();
    let before = driver.aws.inventory();
    driver.apply(spec(0, false));
    driver.apply(link("b", |spec| spec["producer"]["cluster"]["identifier"] = "missing".into()));
    driver.settle().await;
    assert_eq!(driver.ready("b"), "False ClusterNotFound");
    driver.restart();
    driver.kubernetes.delete("a");
    driver.settle().await;
    driver.pass(GRACE * 2).await;
    assert!(driver.kubernetes.get("a").is_none(), "{:#?}", driver.kubernetes.get("a").unwrap().status);
    assert_eq!(driver.aws.inventory(), before);
}

/// Anybody may write a finalizer into an object of his: one that is denied holds up nobody's deletion.
#[tokio::test(start_paused = true)]
async fn a_denied_link_with_a_finalizer_of_its_own_holds_nothing_up() {
    let mut driver = world();
    let before = driver.aws.inventory();
    driver.apply(spec(0, false));
    driver.settle().await;
    let mut stranger = link("b", |_| {});
    stranger.metadata.namespace = Some("elsewhere".into());
    stranger.metadata.finalizers = Some(vec![FINALIZER.into()]);
    driver.apply(stranger);
    driver.settle().await;
    assert_eq!(driver.ready("b"), "False NotAllowed");
    driver.kubernetes.delete("a");
    driver.settle().await;
    driver.pass(GRACE * 2).await;
    assert!(driver.kubernetes.get("a").is_none(), "{:#?}", driver.kubernetes.get("a").unwrap().status);
    driver.kubernetes.delete("b");
    end(&mut driver, &before, "denied").await;
}

/// Until what a changed link wants is in place, what it had stays its own: suspended, only shown, or held up.
#[tokio::test(start_paused = true)]
async fn what_a_changed_link_had_is_not_taken_before_it_has_what_it_wants() {
    type Change = fn(&mut serde_json::Value);
    let changes: [(&str, Change); 3] = [
        ("suspended", |spec| spec["suspend"] = true.into()),
        ("shown", |spec| spec["mode"] = "Plan".into()),
        ("held up", |_| {}),
    ];
    for (what, change) in changes {
        let mut driver = world();
        driver.apply(spec(0, false));
        driver.apply(spec(1, false));
        driver.settle().await;
        let whole = driver.aws.inventory();
        if what == "held up" {
            driver.aws.state().refuse(PRODUCER, "CreateRoute", "RouteLimitExceeded", "full");
        }
        driver.apply(link("a", |spec| {
            spec["producer"]["routeTableIds"] = serde_json::json!(["rtb-0000aaa3"]);
            change(spec);
        }));
        driver.settle().await;
        driver.look_now();
        driver.settle().await;
        driver.kubernetes.delete("b");
        driver.settle().await;
        driver.pass(GRACE * 3).await;
        assert!(driver.kubernetes.get("b").is_none(), "{what}");
        let routes = |lines: Vec<String>| {
            lines.into_iter().filter(|line| line.starts_with("route") && line.contains("peering")).collect::<Vec<_>>()
        };
        assert_eq!(routes(driver.aws.inventory()), routes(whole), "{what}");
    }
}
