//! A settled link costs nothing but a known number of reads; a new one exactly the writes that it takes.

use crate::in_memory::driver::{Driver, GRACE, INTERVAL};
use crate::in_memory::fake::faults::Write;
use crate::in_memory::fake::world::{link, unload_link, whole_link};
use redshift_link::api::CrossAccountRedshiftLink;
use redshift_link::aws::effect::Effect;
use std::collections::BTreeMap;
use strum::IntoEnumIterator;

fn counted<T: Ord>(items: impl IntoIterator<Item = T>) -> BTreeMap<T, usize> {
    let mut counts = BTreeMap::new();
    items.into_iter().for_each(|item| *counts.entry(item).or_default() += 1);
    counts
}

async fn ready() -> Driver {
    settled(link("a", |_| {})).await
}

async fn settled(link: CrossAccountRedshiftLink) -> Driver {
    let mut driver = Driver::new();
    driver.apply(link);
    driver.settle().await;
    assert_eq!(driver.ready("a"), "True InPlace");
    driver
}

/// The reads of one look at what does not change, which writes nothing.
async fn reads_of_a_look(driver: &mut Driver) -> BTreeMap<&'static str, usize> {
    driver.pass(INTERVAL * 2).await;
    let (writes, told) = (driver.faults.tried().len(), driver.kubernetes.told("a").len());
    driver.aws.state().reads.clear();
    let before = driver.loops;
    driver.pass(INTERVAL * 3).await;
    let loops = driver.loops - before;
    assert!((2..=4).contains(&loops), "{loops}");
    assert_eq!(driver.faults.tried().len(), writes, "{:?}", driver.faults.tried().last());
    assert_eq!(driver.kubernetes.told("a").len(), told);
    let reads = counted(driver.aws.state().reads.iter().copied());
    assert!(reads.values().all(|count| count % loops == 0), "in {loops} loops: {reads:?}");
    reads.into_iter().map(|(name, count)| (name, count / loops)).collect()
}

#[tokio::test(start_paused = true)]
async fn the_writes_of_one_link_are_these() {
    let driver = ready().await;
    let executed = counted(driver.aws.state().executed.iter().map(|effect| <&str>::from(effect.kind())));
    let expected = BTreeMap::from([
        // the role and its policy, the policy on two execution roles
        ("CreateRole", 1),
        ("PutRolePolicy", 3),
        // the connection: asked for, accepted, tagged on the other side, DNS option
        ("CreateVpcPeeringConnection", 1),
        ("AcceptVpcPeeringConnection", 1),
        ("CreateTags", 1),
        ("ModifyVpcPeeringConnectionOptions", 1),
        // two tables on each side
        ("CreateRoute", 4),
        // Studio's group lets everything out already
        ("AuthorizeSecurityGroupIngress", 1),
    ]);
    assert_eq!(executed, expected);
    assert_eq!(driver.faults.tried().iter().filter(|write| matches!(write, Write::Aws(_))).count(), 13, "none failed");
    let kubernetes = driver.faults.tried().iter().filter(|write| matches!(write, Write::Kubernetes(_))).count();
    assert_eq!(kubernetes, 7, "the finalizer, the wants, and a status after each of five loops");
}

#[tokio::test(start_paused = true)]
async fn an_unload_takes_these_writes_more() {
    let driver = settled(unload_link("a")).await;
    let of_part = |effect: &&Effect| match effect {
        Effect::CreateRole { trust, .. } => !trust.contains("service-role"),
        Effect::PutRolePolicy { document, .. } => {
            !document.contains("SetSourceIdentity") && !document.contains("JoinGroup")
        }
        effect => matches!(effect, Effect::AddClusterIamRole { .. }),
    };
    let state = driver.aws.state();
    let executed = counted(state.executed.iter().filter(of_part).map(|effect| <&str>::from(effect.kind())));
    assert_eq!(executed, BTreeMap::from([("CreateRole", 3), ("PutRolePolicy", 3), ("AddClusterIamRole", 1)]));
    assert_eq!(state.executed.len(), 13 + 7);
}

#[tokio::test(start_paused = true)]
async fn a_settled_loop_writes_nothing_and_reads_this_much() {
    let expected = BTreeMap::from([
        ("DescribeClusterSubnetGroups", 1),
        ("DescribeClusters", 1),
        ("DescribeDomain", 1),
        ("ListUserProfiles", 1),
        ("GetCallerIdentity", 2), // answered by the session that is there, without a call
        ("DescribeVpcs", 2),
        ("DescribeSubnets", 2 + 2),
        ("DescribeRouteTables", 2 + 2), // those of the VPCs, and those through connections of ours
        ("DescribeVpcPeeringConnections", 2),
        ("DescribeSecurityGroups", 1),         // those of Studio
        ("DescribeSecurityGroupRules", 2 + 2), // those of the groups, and those with our mark
        ("GetRole", 1 + 2),
        ("GetRolePolicy", 1 + 2),
    ]);
    assert_eq!(reads_of_a_look(&mut ready().await).await, expected);
}

#[tokio::test(start_paused = true)]
async fn reading_a_secret_takes_this_much_more() {
    let (mut without, mut with) = (settled(unload_link("a")).await, settled(whole_link("a")).await);
    let writes = |driver: &Driver| counted(driver.aws.state().executed.iter().map(|e| <&str>::from(e.kind())));
    let more = more(&writes(&with), &writes(&without));
    assert_eq!(more, BTreeMap::from([("CreateRole", 2), ("PutRolePolicy", 2)]));
    let (with, without) = (reads_of_a_look(&mut with).await, reads_of_a_look(&mut without).await);
    let expected = BTreeMap::from([
        ("DescribeSecret", 1),
        ("DescribeKey", 1),
        // the reader's, and the pair's
        ("GetRole", 1 + 2),
        ("GetRolePolicy", 2),
    ]);
    assert_eq!(self::more(&with, &without), expected);
}

fn more<'a>(some: &BTreeMap<&'a str, usize>, others: &BTreeMap<&str, usize>) -> BTreeMap<&'a str, usize> {
    let differ = some.iter().map(|(name, count)| (*name, count - others.get(name).unwrap_or(&0)));
    differ.filter(|(_, count)| *count > 0).collect()
}

/// What a link never had is looked for once: before the finalizer goes.
#[tokio::test(start_paused = true)]
async fn taking_a_link_down_reads_this_much() {
    let mut driver = ready().await;
    driver.pass(GRACE * 2).await;
    driver.aws.state().reads.clear();
    let before = driver.loops;
    driver.kubernetes.delete("a");
    driver.settle().await;
    driver.pass(GRACE * 2).await;
    assert!(driver.kubernetes.get("a").is_none());
    let reads = counted(driver.aws.state().reads.iter().copied());
    let looks = 4;
    let expected = BTreeMap::from([
        ("DescribeClusters", 1),
        ("DescribeRouteTables", looks * 2),
        ("DescribeSecurityGroupRules", looks * 2),
        ("DescribeVpcPeeringConnections", looks * 2),
        // the ledger in each look; in the last one, the roles for unloads and for the secret
        ("GetRole", looks + 3 + 2),
        // the ledger's two roles, until it is gone
        ("GetRolePolicy", 2 * 2),
        ("ListRolePolicies", 2),
    ]);
    assert_eq!(reads, expected, "in {} loops", driver.loops - before);
}

/// Many links over the same networks share their listings.
#[tokio::test(start_paused = true)]
async fn links_that_are_looked_at_together_share_listings() {
    let mut driver = Driver::new();
    for n in 0..5 {
        driver.apply(link(&format!("link-{n}"), |_| {}));
    }
    driver.settle().await;
    driver.aws.state().reads.clear();
    driver.look_now();
    driver.settle().await;
    let reads = counted(driver.aws.state().reads.iter().copied());
    // each was asked for a fresh look, which no listing before that serves
    assert_eq!(reads["DescribeVpcs"], 10, "{reads:?}");
    driver.pass(INTERVAL).await;
    driver.aws.state().reads.clear();
    driver.restart();
    for _ in 0..5 {
        driver.step_soon().await;
    }
    let reads = counted(driver.aws.state().reads.iter().copied());
    assert_eq!(reads["DescribeVpcs"], 2, "one for each account: {reads:?}");
    assert_eq!(
        reads["DescribeVpcPeeringConnections"], 10,
        "after a start each looks after it said what it wants: {reads:?}"
    );
}

/// Each effect has a test that needs it.
#[test]
fn the_list_of_effects_is_known() {
    let names: Vec<&str> = redshift_link::aws::effect::EffectKind::iter().map(<&str>::from).collect();
    assert_eq!(
        names.len(),
        28,
        "a new effect: count it in the budgets above, and see that the crash sweep has it: {names:?}"
    );
}
