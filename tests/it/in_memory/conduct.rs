//! How a link behaves while it lives: modes, events, contests, requests, and who may have one.

use crate::in_memory::driver::{Driver, INTERVAL};
use crate::in_memory::fake::world::{ACCOUNTS, CONSUMER, consumer, link, net, network_link, role_arn};
use crate::in_memory::fake::{Role, State};
use redshift_link::api::RECONCILE_REQUESTED_AT;
use redshift_link::aws::model::{Destination, StudioUsers};
use redshift_link::aws::scope::AccountId;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

#[tokio::test(start_paused = true)]
async fn mode_plan_shows_everything_and_does_nothing() {
    let mut driver = Driver::new();
    let before = driver.aws.inventory();
    driver.apply(link("a", |spec| spec["mode"] = "Plan".into()));
    driver.settle().await;
    let planned = driver.kubernetes.get("a").unwrap();
    let status = planned.status.unwrap();
    assert_eq!(driver.aws.inventory(), before);
    assert_eq!((driver.condition("a", "Planned").as_str(), driver.ready("a").as_str()), ("True PlanShown", ""));
    assert_eq!(planned.metadata.finalizers, None, "nothing to hold it for");
    let lines: Vec<_> = status.plan.iter().map(|step| step.effect.clone()).collect();
    let effects: Vec<_> = lines.iter().map(|line| line.split(' ').next().unwrap()).collect();
    driver.apply(link("a", |_| {}));
    driver.settle().await;
    let executed = driver.aws.state().executed.iter().map(|e| <&str>::from(e.kind()).to_owned()).collect::<Vec<_>>();
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    assert_eq!(
        sorted(effects.into_iter().map(ToOwned::to_owned).collect()),
        sorted(executed),
        "the plan was the truth: {lines:#?}"
    );
    assert!(driver.kubernetes.get("a").unwrap().status.unwrap().plan.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_suspended_link_is_left_as_it_is_and_goes_on_when_resumed() {
    let mut driver = Driver::new();
    driver.apply(link("a", |spec| spec["suspend"] = true.into()));
    driver.settle().await;
    assert_eq!((driver.condition("a", "Suspended").as_str(), driver.ready("a").as_str()), ("True Suspended", ""));
    assert_eq!(driver.aws.state().executed, []);
    driver.apply(link("a", |_| {}));
    driver.settle().await;
    assert_eq!((driver.condition("a", "Suspended").as_str(), driver.ready("a").as_str()), ("", "True InPlace"));
}

fn cut(state: &mut State) {
    let table = state.tables.get_mut(&(consumer(), "rtb-0000ccc1".into())).unwrap();
    table.routes.retain(|route| route.destination != Destination::Cidr(net("10.1.0.0/16")));
}

#[tokio::test(start_paused = true)]
async fn drift_is_found_within_an_interval_repaired_and_told_once() {
    let mut driver = Driver::new();
    driver.apply(link("a", |_| {}));
    driver.settle().await;
    let whole = driver.aws.inventory();
    let told = driver.kubernetes.told("a").len();
    cut(&mut driver.aws.state());
    driver.pass(INTERVAL.mul_f64(1.2)).await;
    assert_eq!(driver.aws.inventory(), whole);
    let news: Vec<_> = driver.kubernetes.told("a")[told..].iter().map(|h| h.note.clone()).collect();
    assert!(news.iter().any(|note| note.starts_with("RoutesReady: CreateRoute rtb-0000ccc1 10.1.0.0/16")), "{news:#?}");
    assert_eq!(news.iter().filter(|note| note.starts_with("Ready:")).count(), 2, "no longer, and again: {news:#?}");
    driver.pass(INTERVAL * 3).await;
    assert_eq!(driver.kubernetes.told("a").len(), told + news.len(), "nothing more is told");
}

#[tokio::test(start_paused = true)]
async fn what_is_undone_three_times_in_an_hour_is_contested() {
    let mut driver = Driver::new();
    driver.apply(link("a", |_| {}));
    driver.settle().await;
    for _ in 0..3 {
        cut(&mut driver.aws.state());
        driver.pass(INTERVAL.mul_f64(1.2)).await;
    }
    let undone = driver.aws.inventory();
    assert_eq!(driver.condition("a", "RoutesReady"), "False Contested");
    assert!(driver.message("a", "RoutesReady").contains("rtb-0000ccc1 10.1.0.0/16"));
    driver.pass(INTERVAL * 30).await;
    assert_eq!(driver.aws.inventory(), undone, "it stays as they left it");
    driver.apply(link("a", |spec| spec["access"]["createUsers"] = false.into()));
    driver.settle().await;
    assert_eq!(driver.ready("a"), "True InPlace", "a changed spec starts anew");
}

#[tokio::test(start_paused = true)]
async fn after_a_day_a_contest_is_over() {
    let mut driver = Driver::new();
    driver.apply(link("a", |_| {}));
    driver.settle().await;
    for _ in 0..3 {
        cut(&mut driver.aws.state());
        driver.pass(INTERVAL.mul_f64(1.2)).await;
    }
    driver.pass(INTERVAL).await;
    assert_eq!(driver.condition("a", "RoutesReady"), "False Contested");
    // hundreds of looks that find the same are left out
    tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
    driver.pass(INTERVAL).await;
    assert_eq!(driver.ready("a"), "True InPlace");
}

#[tokio::test(start_paused = true)]
async fn a_requested_look_is_taken_at_once_and_echoed() {
    let mut driver = Driver::new();
    driver.apply(link("a", |_| {}));
    driver.settle().await;
    cut(&mut driver.aws.state());
    driver.kubernetes.edit("a", |old| {
        let mut link = old.unwrap();
        link.metadata.annotations = Some(BTreeMap::from([(RECONCILE_REQUESTED_AT.to_owned(), "now".to_owned())]));
        link
    });
    driver.pass(Duration::from_secs(5)).await;
    assert_eq!(driver.ready("a"), "True InPlace");
    assert_eq!(driver.kubernetes.get("a").unwrap().status.unwrap().last_handled_reconcile_at.as_deref(), Some("now"));
}

#[tokio::test(start_paused = true)]
async fn a_profile_that_comes_later_is_let_in_and_one_that_goes_is_shut_out() {
    let mut driver = Driver::new();
    driver.apply(link("a", |_| {}));
    driver.settle().await;
    let carol = "AmazonSageMaker-ExecutionRole-carol";
    {
        let mut state = driver.aws.state();
        state.execution_role(carol);
        let users = StudioUsers { execution_roles: BTreeSet::from([role_arn(carol)]), ..StudioUsers::default() };
        let profiles = state.profiles.get_mut(&(consumer(), "d-1".into())).unwrap();
        profiles.insert("carol".into(), users);
        profiles.remove("alice");
    }
    driver.pass(INTERVAL.mul_f64(1.2)).await;
    let lines = driver.aws.inventory();
    let has = |start: &str, part: &str| lines.iter().any(|line| line.starts_with(start) && line.contains(part));
    assert!(
        has("trust 111122223333 redshift-link-", carol)
            && has("policy 444455556666", &format!("{carol} redshift-link-"))
    );
    assert!(!has("policy 444455556666", "-alice redshift-link-"));
    assert_eq!(driver.ready("a"), "True InPlace");
    // shut out by name at first, as a policy may still arrive on its role
    driver.pass(INTERVAL.mul_f64(1.2)).await;
    let trust = driver.aws.inventory().into_iter().find(|line| line.starts_with("trust 111122223333 redshift-link-"));
    assert!(!trust.unwrap().contains("-alice"));
}

#[tokio::test(start_paused = true)]
async fn blocks_that_a_vpc_gains_or_loses_are_followed() {
    let mut driver = Driver::new();
    driver.apply(link("a", |_| {}));
    driver.settle().await;
    let vpc = (consumer(), "vpc-0000cccc".to_owned());
    driver.aws.state().vpcs.get_mut(&vpc).unwrap().cidrs.insert(net("100.64.0.0/16"));
    driver.pass(INTERVAL.mul_f64(1.2)).await;
    let routed = |driver: &Driver| {
        driver.aws.inventory().iter().filter(|line| line.contains(" 100.64.0.0/16 via peering")).count()
    };
    assert_eq!(routed(&driver), 2);
    driver.aws.state().vpcs.get_mut(&vpc).unwrap().cidrs.remove(&net("100.64.0.0/16"));
    driver.pass(INTERVAL.mul_f64(1.2)).await;
    assert_eq!((routed(&driver), driver.ready("a").as_str()), (0, "True InPlace"));
}

/// A consumer in another region: rules by block, for a group of another region cannot be named.
#[tokio::test(start_paused = true)]
async fn across_regions_rules_are_by_block() {
    let mut driver = Driver::new();
    {
        let mut state = driver.aws.state();
        let far = redshift_link::aws::scope::Scope::new(CONSUMER, "us-east-1");
        state.network(&far, "vpc-0000eeee", "10.3.0.0/16", "e");
        state.group(&far, "sg-0000eeee", "vpc-0000eeee");
        let mut domain = state.domains[&(consumer(), "d-1".to_owned())].clone();
        domain.vpc = Some("vpc-0000eeee".into());
        domain.subnets = BTreeSet::from(["subnet-0000eee1".to_owned()]);
        domain.defaults.security_groups = BTreeSet::from(["sg-0000eeee".to_owned()]);
        state.domains.insert((far, "d-1".into()), domain);
    }
    let before = driver.aws.inventory();
    driver.apply(link("a", |spec| spec["consumer"]["region"] = "us-east-1".into()));
    driver.settle().await;
    assert_eq!(driver.ready("a"), "True InPlace");
    let lines = driver.aws.inventory();
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("rule 111122223333/eu-west-1 sg-0000aaaa ingress tcp/5439 from 10.3.0.0/16")),
        "{lines:#?}"
    );
    assert!(lines.iter().any(|line| line.starts_with("route 444455556666/us-east-1 rtb-0000eee1 10.1.0.0/16")));
    driver.kubernetes.delete("a");
    driver.settle().await;
    driver.pass(INTERVAL).await;
    assert_eq!(driver.aws.inventory(), before);
}

/// A network consumer: roles and groups as the spec names them.
#[tokio::test(start_paused = true)]
async fn a_network_consumer_gets_in_by_the_named_roles() {
    let mut driver = Driver::new();
    let app = Role {
        id: "AROAAPP".into(),
        path: "/".into(),
        trust: crate::in_memory::fake::world::SAGEMAKER_TRUST.into(),
        boundary: None,
        tags: BTreeMap::new(),
        inline: BTreeMap::new(),
        attached: BTreeSet::new(),
    };
    driver.aws.state().roles.insert((AccountId(CONSUMER.into()), "app-1".into()), app);
    driver.apply(network_link("a"));
    driver.settle().await;
    assert_eq!(driver.ready("a"), "True InPlace", "{}", driver.message("a", "Ready"));
    let lines = driver.aws.inventory();
    let policy = lines.iter().find(|line| line.contains("redshift-link-access")).unwrap();
    assert!(policy.contains(r#""StringEquals":{"redshift:DbUser":"app"}"#), "{policy}");
    let trust = lines.iter().find(|line| line.starts_with("trust 111122223333 redshift-link-")).unwrap();
    assert!(!trust.contains("aws:SourceIdentity"), "an app has none: {trust}");
    assert!(
        lines.iter().any(|line| line.contains("ingress tcp/5439 from 10.2.0.0/16")),
        "no groups are named: by block"
    );
}

/// What a spec names must belong to what it may use: nothing of another is reached, and nothing is written.
#[tokio::test(start_paused = true)]
async fn a_tenant_reaches_nothing_that_is_not_his() {
    let stranger = |state: &mut State| {
        let other = redshift_link::aws::scope::Scope::new("111122223333", "eu-west-1");
        state.network(&other, "vpc-0000dddd", "10.9.0.0/16", "d");
        state.group(&other, "sg-0000dddd", "vpc-0000dddd");
        let there = redshift_link::aws::scope::Scope::new(CONSUMER, "eu-west-1");
        state.network(&there, "vpc-0000eeee", "10.8.0.0/16", "e");
        state.group(&there, "sg-0000eeee", "vpc-0000eeee");
        let vpc = |at: &redshift_link::aws::scope::Scope, id: &str| redshift_link::aws::scope::VpcRef {
            at: at.clone(),
            id: id.into(),
        };
        let peering = crate::in_memory::fake::Peering {
            requester: vpc(&there, "vpc-0000eeee"),
            accepter: vpc(&other, "vpc-0000dddd"),
            status: redshift_link::aws::model::PeeringStatus::Active,
            active_from: None,
            dns: BTreeMap::new(),
            tags: BTreeMap::new(),
        };
        state.peerings.insert("pcx-0000f0f0".into(), peering);
    };
    let network = |change: fn(&mut Value)| {
        move |spec: &mut Value| {
            spec["consumer"] = json!({"accountId": CONSUMER, "network": {"vpcId": "vpc-0000cccc", "subnetIds": ["subnet-0000ccc1"],
                "roleArns": [format!("arn:aws:iam::{CONSUMER}:role/app-1")]}});
            spec["access"] = json!({"databaseUsers": ["app"]});
            change(spec);
        }
    };
    type Change = Box<dyn Fn(&mut Value)>;
    // (change of the spec, reason, whether AWS may be asked at all)
    let tries: Vec<(Change, &str, bool)> = vec![
        (Box::new(|s| s["producer"]["cluster"]["identifier"] = "payroll".into()), "NotAllowed", false),
        (Box::new(|s| s["producer"]["accountId"] = "999900001111".into()), "AccountNotConfigured", false),
        (Box::new(|s| s["consumer"]["accountId"] = "999900001111".into()), "AccountNotConfigured", false),
        (Box::new(|s| s["consumer"]["studio"]["domainId"] = "d-9".into()), "NotAllowed", false),
        (Box::new(|s| s["access"]["databaseGroups"] = json!(["admins"])), "NotAllowed", false),
        (
            Box::new(|s| s["access"] = json!({"sourceIdentity": "Ignore", "databaseUsers": ["etl"]})),
            "NotAllowed",
            false,
        ),
        (Box::new(network(|s| s["consumer"]["network"]["vpcId"] = "vpc-0000eeee".into())), "NotAllowed", false),
        (
            Box::new(network(|s| {
                s["consumer"]["network"]["roleArns"] = json!([format!("arn:aws:iam::{CONSUMER}:role/admin")])
            })),
            "NotAllowed",
            false,
        ),
        (Box::new(|s| s["producer"]["routeTableIds"] = json!(["rtb-0000ddd1"])), "RouteTableOfOtherVpc", true),
        (Box::new(|s| s["producer"]["securityGroupId"] = "sg-0000dddd".into()), "SecurityGroupOfOther", true),
        (
            Box::new(|s| s["access"] = json!({"sourceIdentity": "Ignore", "databaseUsers": ["admin"]})),
            "ProtectedDatabaseUser",
            true,
        ),
        (Box::new(|s| s["peering"] = json!({"existingId": "pcx-0000f0f0"})), "PeeringOfOtherVpcs", true),
        (Box::new(|s| s["peering"] = json!({"existingId": "pcx-0000abcd"})), "PeeringNotFound", true),
        (
            Box::new(network(|s| s["consumer"]["network"]["subnetIds"] = json!(["subnet-0000eee1"]))),
            "SubnetOfOtherVpc",
            true,
        ),
        (
            Box::new(network(|s| s["consumer"]["network"]["securityGroupIds"] = json!(["sg-0000eeee"]))),
            "SecurityGroupOfOther",
            true,
        ),
    ];
    let accounts = ACCOUNTS
        .replace("clusters: [\"*\"]", "clusters: [warehouse]")
        .replace("domains: [\"*\"], vpcs: [\"*\"]", "domains: [d-1], vpcs: [vpc-0000cccc]")
        .replace("databaseUsers: [app]", "databaseUsers: [app, admin]");
    for (number, (change, reason, asks)) in tries.into_iter().enumerate() {
        let mut driver = Driver::new();
        driver.set_accounts(&accounts);
        {
            let mut state = driver.aws.state();
            stranger(&mut state);
            let app = Role {
                id: "AROAAPP".into(),
                path: "/".into(),
                trust: crate::in_memory::fake::world::SAGEMAKER_TRUST.into(),
                boundary: None,
                tags: BTreeMap::new(),
                inline: BTreeMap::new(),
                attached: BTreeSet::new(),
            };
            state.roles.insert((AccountId(CONSUMER.into()), "app-1".into()), app);
        }
        let network_before: Vec<_> =
            driver.aws.inventory().into_iter().filter(|line| !line.contains("redshift-link")).collect();
        driver.apply(link("a", |spec| change(spec)));
        driver.settle().await;
        let ready = driver.ready("a");
        assert_eq!(ready, format!("False {reason}"), "try {number}: {}", driver.message("a", "Ready"));
        assert_eq!(!driver.aws.state().reads.is_empty(), asks, "try {number}: calls were made");
        let network_after: Vec<_> =
            driver.aws.inventory().into_iter().filter(|line| !line.contains("redshift-link")).collect();
        assert_eq!(network_after, network_before, "try {number}");
        if !asks {
            assert_eq!(
                driver.kubernetes.get("a").unwrap().metadata.finalizers,
                None,
                "try {number}: it can be deleted at once"
            );
        }
    }
}
