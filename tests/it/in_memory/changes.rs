//! The world changes under a living link, in ways that are not drift of a single thing.

use crate::in_memory::driver::{Driver, GRACE, INTERVAL};
use crate::in_memory::fake::world::{
    ACCOUNTS, ALICE_ROLE, CONSUMER, EXECUTION_ROLE, PRODUCER, consumer, link, net, producer, role_arn,
};
use redshift_link::aws::effect::EffectKind;
use redshift_link::aws::model::{Cluster, PeeringStatus, StudioUsers};
use redshift_link::aws::scope::AccountId;
use serde_json::json;
use std::collections::BTreeSet;

async fn ready() -> Driver {
    let mut driver = Driver::new();
    driver.apply(link("a", |_| {}));
    driver.settle().await;
    assert_eq!(driver.ready("a"), "True InPlace");
    driver.pass(GRACE * 2).await;
    driver
}

async fn leaves_nothing(mut driver: Driver, before: &[String]) {
    driver.kubernetes.delete("a");
    driver.settle().await;
    driver.pass(GRACE * 2).await;
    assert!(driver.kubernetes.get("a").is_none(), "{:#?}", driver.kubernetes.get("a").unwrap().status);
    assert_eq!(driver.aws.inventory(), before);
}

/// Somebody deletes the connection, and AWS forgets it before the next look: its routes are known by its id.
#[tokio::test(start_paused = true)]
async fn a_connection_that_was_deleted_and_forgotten_is_made_anew() {
    for forgotten in [false, true] {
        let mut driver = ready().await;
        let before = Driver::new().aws.inventory();
        let whole = driver.aws.inventory();
        for peering in driver.aws.state().peerings.values_mut() {
            peering.status = PeeringStatus::Deleted;
        }
        if forgotten {
            driver.aws.state().peerings.clear();
        }
        driver.look_now();
        driver.settle().await;
        assert_eq!(driver.ready("a"), "True InPlace", "{}", driver.message("a", "Ready"));
        assert_eq!(driver.aws.inventory(), whole, "forgotten {forgotten}");
        leaves_nothing(driver, &before).await;
    }
}

/// A cluster that is restored into another VPC with the same addresses takes the routes along.
#[tokio::test(start_paused = true)]
async fn a_cluster_that_moves_to_a_vpc_with_the_same_addresses_is_followed() {
    let mut driver = ready().await;
    {
        let mut state = driver.aws.state();
        state.network(&producer(), "vpc-0000bbbb", "10.1.0.0/16", "b");
        state.group(&producer(), "sg-0000bbbb", "vpc-0000bbbb");
        let subnets = BTreeSet::from(["subnet-0000bbb1".to_owned(), "subnet-0000bbb2".to_owned()]);
        state.subnet_groups.insert((producer(), "restored".into()), subnets);
        let key = (producer(), "warehouse".to_owned());
        let moved = Cluster {
            vpc: Some("vpc-0000bbbb".into()),
            subnet_group: Some("restored".into()),
            security_groups: BTreeSet::from(["sg-0000bbbb".to_owned()]),
            ..state.clusters[&key].clone()
        };
        state.clusters.insert(key, moved);
    }
    driver.look_now();
    driver.settle().await;
    driver.pass(INTERVAL).await;
    assert_eq!(driver.ready("a"), "True InPlace", "{}", driver.message("a", "Ready"));
    let lines = driver.aws.inventory();
    let old = lines.iter().filter(|line| line.contains("vpc-0000aaaa"));
    assert_eq!(old.collect::<Vec<_>>(), Vec::<&String>::new(), "nothing of the old pair is left");
    driver.kubernetes.delete("a");
    driver.settle().await;
    driver.pass(GRACE * 2).await;
    let ours = |line: &&String| {
        line.contains("redshift-link-") || line.contains("/redshift-link/") || line.contains("peering")
    };
    assert_eq!(driver.aws.inventory().iter().filter(ours).collect::<Vec<_>>(), Vec::<&String>::new());
}

/// A connection of our own is no connection of others: naming it is refused, and cuts nothing.
#[tokio::test(start_paused = true)]
async fn a_connection_of_our_own_cannot_be_adopted() {
    let mut driver = ready().await;
    let whole = driver.aws.inventory();
    let id = driver.aws.state().peerings.keys().next().unwrap().clone();
    driver.apply(link("a", |spec| spec["peering"] = json!({"existingId": id})));
    driver.settle().await;
    assert_eq!(driver.condition("a", "PeeringReady"), "False ExistingIsOurs");
    driver.pass(INTERVAL * 2).await;
    assert_eq!(driver.aws.inventory(), whole);
    // nor by another link, under which it would go with the first
    driver.apply(link("a", |_| {}));
    driver.aws.state().domain("d-2");
    driver.apply(link("b", |spec| {
        spec["consumer"]["studio"]["domainId"] = "d-2".into();
        spec["peering"] = json!({"existingId": id});
    }));
    driver.settle().await;
    assert_eq!(driver.condition("b", "PeeringReady"), "False ExistingIsOurs");
}

/// The platform shuts a role out: it cannot enter any more, although our policy on it may not be removed.
#[tokio::test(start_paused = true)]
async fn a_role_that_is_shut_out_cannot_enter_while_its_policy_remains() {
    let mut driver = ready().await;
    let text = "no identity-based policy allows the iam:DeleteRolePolicy action";
    driver.aws.state().refuse(CONSUMER, "DeleteRolePolicy", "AccessDenied", text);
    driver.set_accounts(&ACCOUNTS.replace("AmazonSageMaker-*", EXECUTION_ROLE));
    driver.settle().await;
    assert_eq!(driver.condition("a", "ConsumerPolicyReady"), "False AccessDenied");
    let lines = driver.aws.inventory();
    let trust = lines.iter().find(|line| line.starts_with(&format!("trust {PRODUCER} redshift-link-"))).unwrap();
    let deny = trust.split(r#""Effect":"Deny""#).nth(1).expect("a denial, which is the ledger as well");
    assert!(deny.contains(ALICE_ROLE) && !deny.contains(EXECUTION_ROLE), "{trust}");
    driver.aws.state().refusals.clear();
    driver.pass(INTERVAL * 2).await;
    assert_eq!(driver.ready("a"), "True InPlace");
    assert!(!driver.aws.inventory().iter().any(|line| line.contains("Deny") && line.contains(ALICE_ROLE)));
}

/// A route that waits for its connection is not undone by anybody.
#[tokio::test(start_paused = true)]
async fn routes_that_wait_for_their_connection_are_not_contested() {
    let mut driver = ready().await;
    let whole = driver.aws.inventory();
    for peering in driver.aws.state().peerings.values_mut() {
        peering.status = PeeringStatus::Deleted;
    }
    let text = "no identity-based policy allows the ec2:CreateVpcPeeringConnection action";
    driver.aws.state().refuse(CONSUMER, "CreateVpcPeeringConnection", "UnauthorizedOperation", text);
    driver.look_now();
    driver.pass(INTERVAL * 4).await;
    assert_eq!(driver.condition("a", "PeeringReady"), "False AccessDenied");
    driver.aws.state().refusals.clear();
    driver.pass(INTERVAL).await;
    assert_eq!(driver.ready("a"), "True InPlace", "{}", driver.message("a", "Ready"));
    assert_eq!(driver.aws.inventory(), whole);
}

/// Tags that somebody takes off our connection, in one of the accounts, are put on again.
#[tokio::test(start_paused = true)]
async fn tags_taken_off_in_one_account_are_put_on_again() {
    for account in [CONSUMER, PRODUCER] {
        let mut driver = ready().await;
        let whole = driver.aws.inventory();
        for peering in driver.aws.state().peerings.values_mut() {
            peering.tags.remove(&AccountId(account.into()));
        }
        assert_ne!(driver.aws.inventory(), whole);
        driver.look_now();
        driver.settle().await;
        assert_eq!(driver.ready("a"), "True InPlace");
        assert_eq!(driver.aws.inventory(), whole, "{account}");
    }
}

/// With no room for a denial in the trust policy, a role that is shut out is in none of its statements.
#[tokio::test(start_paused = true)]
async fn a_full_trust_policy_still_shuts_a_role_out() {
    let mut driver = ready().await;
    let trust = |driver: &Driver| {
        let start = format!("trust {PRODUCER} redshift-link-");
        driver.aws.inventory().into_iter().find(|line| line.starts_with(&start)).unwrap()
    };
    let add = |driver: &mut Driver, name: &str| {
        let mut state = driver.aws.state();
        state.execution_role(name);
        let users = StudioUsers { execution_roles: BTreeSet::from([role_arn(name)]), ..StudioUsers::default() };
        state.profiles.get_mut(&(consumer(), "d-1".into())).unwrap().insert(name.to_owned(), users);
    };
    for n in 0..10 {
        add(&mut driver, &format!("AmazonSageMaker-ExecutionRole-with-a-name-of-fifty-characters-{n}"));
    }
    let document = |driver: &Driver| trust(driver).split_once('{').unwrap().1.len() + 1;
    for n in 0..40 {
        driver.look_now();
        driver.settle().await;
        if document(&driver) + 90 > 2048 {
            break;
        }
        add(&mut driver, &format!("AmazonSageMaker-Role-{n}"));
    }
    assert_eq!(driver.ready("a"), "True InPlace", "{}", driver.message("a", "Ready"));
    let text = "no identity-based policy allows the iam:DeleteRolePolicy action";
    driver.aws.state().refuse(CONSUMER, "DeleteRolePolicy", "AccessDenied", text);
    driver.aws.state().profiles.get_mut(&(consumer(), "d-1".into())).unwrap().remove("alice");
    driver.look_now();
    driver.settle().await;
    assert!(!trust(&driver).contains(ALICE_ROLE), "{}", trust(&driver));
    assert_eq!(driver.condition("a", "ProducerRoleReady"), "True InPlace");
    // and is not forgotten
    driver.aws.state().refusals.clear();
    driver.pass(INTERVAL * 2).await;
    let left = |line: &String| line.contains(&format!("{ALICE_ROLE} redshift-link-"));
    assert!(!driver.aws.inventory().iter().any(left));
    assert_eq!(driver.ready("a"), "True InPlace");
}

/// An effect that succeeds and is never seen to have any is not repeated for ever at the first pace.
#[tokio::test(start_paused = true)]
async fn what_succeeds_and_is_not_seen_is_repeated_less_and_less() {
    let mut driver = Driver::new();
    driver.aws.state().deaf = true;
    driver.apply(link("a", |_| {}));
    driver.pass(INTERVAL * 3).await;
    let tries = |driver: &Driver| {
        let state = driver.aws.state();
        state.executed.iter().filter(|e| e.kind() == EffectKind::ModifyVpcPeeringConnectionOptions).count()
    };
    let before = tries(&driver);
    driver.pass(INTERVAL * 3).await;
    assert!(tries(&driver) - before < 12, "{} in three intervals", tries(&driver) - before);
    driver.aws.state().deaf = false;
    driver.pass(INTERVAL).await;
    assert_eq!(driver.ready("a"), "True InPlace");
}

/// More than status can hold is refused before anything is made.
#[tokio::test(start_paused = true)]
async fn more_routes_than_can_be_kept_are_refused() {
    let mut driver = Driver::new();
    let vpc = (consumer(), "vpc-0000cccc".to_owned());
    let blocks = (0..130).map(|n| net(&format!("10.200.{n}.0/24")));
    driver.aws.state().vpcs.get_mut(&vpc).unwrap().cidrs.extend(blocks);
    driver.apply(link("a", |_| {}));
    driver.settle().await;
    assert_eq!(driver.ready("a"), "False TooMany");
    assert_eq!(driver.aws.state().executed, []);
    let routed = |d: &Driver| d.aws.inventory().iter().filter(|l| l.contains("via peering")).count();
    driver.aws.state().vpcs.get_mut(&vpc).unwrap().cidrs.retain(|cidr| *cidr == net("10.2.0.0/16"));
    driver.pass(INTERVAL).await;
    assert_eq!((driver.ready("a").as_str(), routed(&driver)), ("True InPlace", 4));
}
