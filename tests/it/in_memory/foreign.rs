//! What others made stays byte for byte: used where it does the job, named where it stands in the way. Forged marks
//! delete nothing.

use crate::in_memory::driver::{Driver, GRACE};
use crate::in_memory::fake::world::{
    ALICE_ROLE, CLUSTER_GROUP, CONSUMER, CONSUMER_VPC, PRODUCER, PRODUCER_VPC, STUDIO_GROUP, consumer, link, net,
    producer,
};
use crate::in_memory::fake::{Peering, Role, Rule, State};
use redshift_link::aws::mark::{INSTALLATION, Installation, KEY, Owner, RoleKind, UID};
use redshift_link::aws::model::{Destination, Direction, PeeringStatus, Permit, Route, RulePeer, Tags, Target};
use redshift_link::aws::scope::{AccountId, Scope, VpcRef};
use std::collections::{BTreeMap, BTreeSet};

fn installation() -> Installation {
    Installation::new("test").unwrap()
}

fn forged() -> Tags {
    let owner = Owner { uid: "uid-of-a".into(), namespace: "ml".into(), name: "a".into() };
    installation().tags(&owner, "the key of another thing")
}

fn vpc(at: Scope, id: &str) -> VpcRef {
    VpcRef { at, id: id.into() }
}

fn peering(requester: VpcRef, accepter: VpcRef, status: PeeringStatus, tags: &Tags) -> Peering {
    let tags =
        BTreeMap::from([(requester.at.account.clone(), tags.clone()), (accepter.at.account.clone(), tags.clone())]);
    Peering { requester, accepter, status, active_from: None, dns: BTreeMap::new(), tags }
}

fn route(state: &mut State, at: Scope, table: &str, cidr: &str, target: Target) {
    let table = state.tables.get_mut(&(at, table.into())).unwrap();
    table.routes.push(Route { destination: Destination::Cidr(net(cidr)), target, blackhole: false });
}

fn rule(state: &mut State, at: Scope, id: &str, group: &str, permit: Permit, tags: Tags) {
    state.rules.insert((at, id.into()), Rule { group: group.into(), permit, tags });
}

fn in_from(cidr: &str) -> Permit {
    Permit::tcp(Direction::Ingress, 5439, RulePeer::Cidr(net(cidr)))
}

/// What is put there before, and how the link must read: condition and its value, and what it says it uses.
struct Case {
    name: &'static str,
    put: fn(&mut State),
    spec: fn(&mut serde_json::Value),
    condition: (&'static str, &'static str),
    used: Option<&'static str>,
}

const fn plain(_: &mut serde_json::Value) {}

fn role_with_our_name(state: &mut State, path: &str, tags: Tags) {
    let role = Role {
        id: "AROAX".into(),
        path: path.into(),
        trust: "{}".into(),
        boundary: None,
        tags,
        inline: BTreeMap::new(),
        attached: BTreeSet::new(),
    };
    state.roles.insert((AccountId(PRODUCER.into()), installation().role(RoleKind::Producer, "uid-of-a")), role);
}

const CASES: &[Case] = &[
    Case {
        name: "a role with our name on another path",
        put: |state| {
            let owner = Owner { uid: "uid-of-a".into(), namespace: "ml".into(), name: "a".into() };
            role_with_our_name(state, "/", installation().role_tags(&owner));
        },
        spec: plain,
        condition: ("ProducerRoleReady", "False NotOurs"),
        used: None,
    },
    Case {
        name: "a role on our path and with our name, but without the mark",
        put: |state| {
            role_with_our_name(state, "/redshift-link/test/", Tags::from([(UID.into(), "uid-of-a".into())]));
        },
        spec: plain,
        condition: ("ProducerRoleReady", "False NotOurs"),
        used: None,
    },
    Case {
        name: "a live connection of others",
        put: |state| {
            let found = peering(
                vpc(consumer(), CONSUMER_VPC),
                vpc(producer(), PRODUCER_VPC),
                PeeringStatus::Active,
                &Tags::new(),
            );
            state.peerings.insert("pcx-0000f0f0".into(), found);
        },
        spec: plain,
        condition: ("PeeringReady", "False NotOurs"),
        used: None,
    },
    Case {
        name: "a live connection of others the other way round, with a forged mark",
        put: |state| {
            let found =
                peering(vpc(producer(), PRODUCER_VPC), vpc(consumer(), CONSUMER_VPC), PeeringStatus::Active, &forged());
            state.peerings.insert("pcx-0000f0f0".into(), found);
        },
        spec: plain,
        condition: ("PeeringReady", "False NotOurs"),
        used: None,
    },
    Case {
        name: "an adopted connection",
        put: |state| {
            let mut found = peering(
                vpc(producer(), PRODUCER_VPC),
                vpc(consumer(), CONSUMER_VPC),
                PeeringStatus::Active,
                &Tags::new(),
            );
            found.dns.insert(AccountId(PRODUCER.into()), true);
            state.peerings.insert("pcx-0000f0f0".into(), found);
        },
        spec: |spec| spec["peering"] = serde_json::json!({"existingId": "pcx-0000f0f0"}),
        condition: ("Ready", "True InPlace"),
        used: Some("peering pcx-0000f0f0"),
    },
    Case {
        name: "an adopted connection with one of the routes",
        put: |state| {
            let found = peering(
                vpc(consumer(), CONSUMER_VPC),
                vpc(producer(), PRODUCER_VPC),
                PeeringStatus::Active,
                &Tags::new(),
            );
            state.peerings.insert("pcx-0000f0f0".into(), found);
            route(state, consumer(), "rtb-0000ccc1", "10.1.0.0/16", Target::Peering("pcx-0000f0f0".into()));
        },
        spec: |spec| spec["peering"] = serde_json::json!({"existingId": "pcx-0000f0f0", "dnsResolution": false}),
        condition: ("Ready", "True InPlace"),
        used: Some("route 444455556666/eu-west-1 rtb-0000ccc1 10.1.0.0/16"),
    },
    Case {
        name: "the very rule, made by others",
        put: |state| {
            let peer = RulePeer::Group { account: AccountId(CONSUMER.into()), id: STUDIO_GROUP.into() };
            rule(
                state,
                producer(),
                "sgr-0000f0f0",
                CLUSTER_GROUP,
                Permit::tcp(Direction::Ingress, 5439, peer),
                Tags::new(),
            );
        },
        spec: plain,
        condition: ("Ready", "True InPlace"),
        used: Some("rule 111122223333/eu-west-1 sg-0000aaaa sgr-0000f0f0"),
    },
    Case {
        name: "a wider rule with a forged mark",
        put: |state| rule(state, producer(), "sgr-0000f0f0", CLUSTER_GROUP, in_from("10.0.0.0/8"), forged()),
        spec: plain,
        condition: ("Ready", "True InPlace"),
        used: Some("rule 111122223333/eu-west-1 sg-0000aaaa sgr-0000f0f0"),
    },
    Case {
        name: "our route to another target",
        put: |state| route(state, consumer(), "rtb-0000ccc1", "10.1.0.0/16", Target::Other("tgw-1".into())),
        spec: plain,
        condition: ("RoutesReady", "False NotOurs"),
        used: None,
    },
    Case {
        name: "things of others beside ours",
        put: |state| {
            route(state, consumer(), "rtb-0000ccc1", "192.168.0.0/24", Target::Other("tgw-1".into()));
            rule(state, producer(), "sgr-0000f0f0", CLUSTER_GROUP, in_from("172.16.0.0/12"), forged());
            rule(state, consumer(), "sgr-0000f0f1", STUDIO_GROUP, in_from("172.16.0.0/12"), forged());
            let elsewhere = vpc(producer(), "vpc-0000ffff");
            let found = peering(vpc(consumer(), CONSUMER_VPC), elsewhere, PeeringStatus::Active, &forged());
            state.peerings.insert("pcx-0000f0f0".into(), found);
            route(state, consumer(), "rtb-0000ccc1", "10.99.0.0/16", Target::Peering("pcx-0000f0f0".into()));
            let alice = state.roles.get_mut(&(AccountId(CONSUMER.into()), ALICE_ROLE.into())).unwrap();
            alice.inline.insert("redshift-link-uid-of-somebody".into(), "{}".into());
            let dead = peering(
                vpc(consumer(), CONSUMER_VPC),
                vpc(producer(), PRODUCER_VPC),
                PeeringStatus::Deleted,
                &Tags::new(),
            );
            state.peerings.insert("pcx-0000dead".into(), dead);
        },
        spec: plain,
        condition: ("Ready", "True InPlace"),
        used: None,
    },
];

#[tokio::test(start_paused = true)]
async fn what_others_made_stays_byte_for_byte() {
    for case in CASES {
        let mut driver = Driver::new();
        (case.put)(&mut driver.aws.state());
        let before = driver.aws.inventory();
        driver.apply(link("a", case.spec));
        driver.settle().await;
        let (kind, wanted) = case.condition;
        assert_eq!(driver.condition("a", kind), wanted, "{}: {}", case.name, driver.message("a", kind));
        if let Some(used) = case.used {
            let status = driver.kubernetes.get("a").unwrap().status.unwrap();
            assert!(status.used.contains(used), "{}: {:?}", case.name, status.used);
        }
        let with = driver.aws.inventory();
        let adopted = case.name.starts_with("an adopted");
        // our tags on an adopted connection are the ledger of our routes; nothing else of it is touched
        let changed = |line: &&String| !(with.contains(line) || adopted && line.starts_with("peering"));
        assert_eq!(before.iter().find(changed), None, "{}: changed while the link lives", case.name);
        driver.kubernetes.delete("a");
        driver.settle().await;
        driver.pass(GRACE * 2).await;
        assert!(
            driver.kubernetes.get("a").is_none(),
            "{}: {:#?}",
            case.name,
            driver.kubernetes.get("a").unwrap().status
        );
        assert_eq!(driver.aws.inventory(), before, "{}: after deletion", case.name);
    }
}

/// Tags copied from things of ours make nothing ours: not even a sweep with no living link takes them.
#[tokio::test(start_paused = true)]
async fn a_forged_mark_survives_the_last_link() {
    let mut driver = Driver::new();
    driver.apply(link("a", |_| {}));
    driver.settle().await;
    let copied = {
        let state = driver.aws.state();
        state.rules.values().find(|rule| !rule.tags.is_empty()).unwrap().tags.clone()
    };
    assert!(copied.contains_key(KEY) && copied.contains_key(INSTALLATION));
    rule(&mut driver.aws.state(), producer(), "sgr-0000f0f0", CLUSTER_GROUP, in_from("172.16.0.0/12"), copied.clone());
    driver.kubernetes.delete("a");
    driver.settle().await;
    driver.pass(GRACE * 2).await;
    assert!(driver.kubernetes.get("a").is_none());
    assert!(driver.aws.state().rules.contains_key(&(producer(), "sgr-0000f0f0".into())));
}
