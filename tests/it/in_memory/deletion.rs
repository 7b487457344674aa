//! Deletion always ends, names what holds it up, and leaves nothing.

use crate::in_memory::driver::{Driver, GRACE, INTERVAL};
use crate::in_memory::fake::world::{ACCOUNTS, ALICE_ROLE, CONSUMER, PRODUCER, consumer, link};
use redshift_link::aws::mark::INSTALLATION;
use redshift_link::aws::model::RulePeer;
use redshift_link::aws::scope::AccountId;

async fn ready() -> (Driver, Vec<String>) {
    let mut driver = Driver::new();
    let before = driver.aws.inventory();
    driver.apply(link("a", |_| {}));
    driver.settle().await;
    assert_eq!(driver.ready("a"), "True InPlace");
    driver.pass(GRACE).await;
    (driver, before)
}

async fn until_gone(driver: &mut Driver) {
    driver.settle().await;
    driver.pass(GRACE * 2).await;
    assert!(driver.kubernetes.get("a").is_none(), "{:#?}", driver.kubernetes.get("a").unwrap().status);
}

fn without_account(id: &str) -> String {
    let mut entries = ACCOUNTS.split("- id:").map(str::to_owned).collect::<Vec<_>>();
    entries.retain(|entry| !entry.contains(&format!("\"{id}\"")));
    entries.join("- id:")
}

fn abandoned(id: &str) -> String {
    ACCOUNTS.replace(&format!("- id: \"{id}\"\n"), &format!("- id: \"{id}\"\n  abandoned: true\n"))
}

#[tokio::test(start_paused = true)]
async fn while_suspended() {
    let (mut driver, before) = ready().await;
    driver.apply(link("a", |spec| spec["suspend"] = true.into()));
    driver.settle().await;
    assert_eq!(driver.condition("a", "Suspended"), "True Suspended");
    assert_eq!(driver.ready("a"), "True InPlace", "as it was when it was suspended");
    driver.kubernetes.delete("a");
    until_gone(&mut driver).await;
    assert_eq!(driver.aws.inventory(), before);
}

#[tokio::test(start_paused = true)]
async fn in_mode_plan() {
    let (mut driver, before) = ready().await;
    driver.apply(link("a", |spec| spec["mode"] = "Plan".into()));
    driver.settle().await;
    driver.kubernetes.delete("a");
    until_gone(&mut driver).await;
    assert_eq!(driver.aws.inventory(), before);
}

/// The side that can be entered is cleaned, what remains is listed, and it ends when access is back.
#[tokio::test(start_paused = true)]
async fn with_one_accounts_role_revoked() {
    for (revoked, gone, stays) in [
        (
            CONSUMER,
            [
                "route 111122223333/eu-west-1 rtb-0000aaa1 10.2.0.0/16",
                "rule 111122223333/eu-west-1 sg-0000aaaa ingress",
            ],
            "peering",
        ),
        (
            PRODUCER,
            [
                "route 444455556666/eu-west-1 rtb-0000ccc1 10.1.0.0/16",
                "route 444455556666/eu-west-1 rtb-0000ccc2 10.1.0.0/16",
            ],
            "peering",
        ),
    ] {
        let (mut driver, before) = ready().await;
        driver.aws.state().refuse(revoked, "*", "RoleNotAssumable", "not authorized to perform: sts:AssumeRole");
        driver.kubernetes.delete("a");
        driver.settle().await;
        driver.pass(GRACE * 2).await;
        let left = driver.aws.inventory();
        let policies = left.iter().filter(|line| line.starts_with("policy 4444") && line.contains("redshift-link-uid"));
        assert_eq!(policies.count(), if revoked == CONSUMER { 2 } else { 0 }, "{revoked}: {left:#?}");
        for thing in gone {
            assert!(!left.iter().any(|line| line.starts_with(thing)), "{revoked}: {thing} in {left:#?}");
        }
        assert!(
            left.iter().any(|line| line.starts_with(stays)),
            "the connection is the ledger of the other side's routes"
        );
        assert_eq!(driver.condition("a", "Stalled"), "True RoleNotAssumable");
        assert_eq!(driver.ready("a"), "Unknown Deleting");
        assert!(driver.message("a", "Ready").contains(revoked), "{}", driver.message("a", "Ready"));
        driver.aws.state().refusals.clear();
        driver.pass(INTERVAL).await;
        until_gone(&mut driver).await;
        assert_eq!(driver.aws.inventory(), before, "{revoked}");
    }
}

/// An account that the file no longer has holds the deletion up, and says so; abandoned, it lets go with a warning.
#[tokio::test(start_paused = true)]
async fn with_the_account_gone_from_the_file() {
    for gone in [CONSUMER, PRODUCER] {
        let (mut driver, _) = ready().await;
        driver.set_accounts(&without_account(gone));
        driver.settle().await;
        assert_eq!(driver.ready("a"), "False AccountNotConfigured");
        driver.aws.state().refuse(gone, "*", "AccountNotConfigured", "the accounts file has no such account");
        driver.kubernetes.delete("a");
        driver.settle().await;
        driver.pass(GRACE * 2).await;
        assert_eq!(driver.condition("a", "Stalled"), "True AccountNotConfigured");
        driver.set_accounts(&abandoned(gone));
        driver.restart();
        until_gone(&mut driver).await;
        let told = driver.kubernetes.told("a");
        assert!(told.iter().any(|h| h.warning && h.reason == "Abandoned" && h.note.contains(gone)), "{told:#?}");
        let other = if gone == CONSUMER { PRODUCER } else { CONSUMER };
        let left = driver.aws.inventory();
        let marked = left.iter().filter(|line| line.contains(other) && line.contains(INSTALLATION)).collect::<Vec<_>>();
        assert!(marked.iter().all(|line| line.contains(gone)), "the other account is clean: {marked:#?}");
    }
}

/// A permission withdrawn stops making and changing, never taking down.
#[tokio::test(start_paused = true)]
async fn with_the_permission_withdrawn() {
    let (mut driver, before) = ready().await;
    driver.set_accounts(&ACCOUNTS.replace("namespaces: [ml], as: consumer", "namespaces: [other], as: consumer"));
    driver.settle().await;
    assert_eq!(driver.ready("a"), "False NotAllowed");
    let whole = driver.aws.inventory();
    assert_ne!(whole, before, "nothing was taken down");
    driver.kubernetes.delete("a");
    until_gone(&mut driver).await;
    assert_eq!(driver.aws.inventory(), before);
}

#[tokio::test(start_paused = true)]
async fn when_everything_is_already_gone() {
    let (mut driver, before) = ready().await;
    {
        let mut state = driver.aws.state();
        let ours: Vec<_> =
            state.roles.iter().filter(|(_, r)| r.path.starts_with("/redshift-link/")).map(|(k, _)| k.clone()).collect();
        for (account, name) in ours {
            state.delete_role(&account, &name);
        }
        for role in state.roles.values_mut() {
            role.inline.retain(|name, _| name == "mine");
        }
        for table in state.tables.values_mut() {
            table.routes.retain(|r| !matches!(r.target, redshift_link::aws::model::Target::Peering(_)));
        }
        state.rules.retain(|_, rule| rule.tags.is_empty());
        state.peerings.clear();
    }
    driver.kubernetes.delete("a");
    until_gone(&mut driver).await;
    assert_eq!(driver.aws.inventory(), before);
}

/// Deleted, or made anew under the same name: the ledger shows the dead id, and nothing of ours is on the new role.
#[tokio::test(start_paused = true)]
async fn after_an_execution_role_was_deleted_or_made_anew() {
    for anew in [false, true] {
        let (mut driver, mut before) = ready().await;
        {
            let mut state = driver.aws.state();
            state.delete_role(&AccountId(CONSUMER.into()), ALICE_ROLE);
            if anew {
                state.execution_role(ALICE_ROLE);
            } else {
                before.retain(|line| !line.contains(ALICE_ROLE));
            }
        }
        driver.look_now();
        driver.settle().await;
        assert_eq!(driver.ready("a"), "True InPlace", "anew {anew}: {}", driver.message("a", "Ready"));
        let trusted =
            driver.aws.inventory().iter().any(|line| line.starts_with("trust 1111") && line.contains(ALICE_ROLE));
        assert_eq!(trusted, anew);
        driver.kubernetes.delete("a");
        until_gone(&mut driver).await;
        assert_eq!(driver.aws.inventory(), before, "anew {anew}");
    }
}

/// Policies that others put on our role are reported, not deleted.
#[tokio::test(start_paused = true)]
async fn with_a_foreign_policy_on_our_role() {
    let (mut driver, before) = ready().await;
    let put = |driver: &Driver, there: bool| {
        let mut state = driver.aws.state();
        let ours = state.roles.values_mut().find(|r| r.path.starts_with("/redshift-link/")).unwrap();
        if there {
            ours.attached.insert("arn:aws:iam::aws:policy/ReadOnlyAccess".into());
        } else {
            ours.attached.clear();
        }
    };
    put(&driver, true);
    driver.kubernetes.delete("a");
    driver.settle().await;
    assert_eq!(driver.condition("a", "Stalled"), "True ForeignPolicies");
    assert!(driver.message("a", "Stalled").contains("ReadOnlyAccess"));
    put(&driver, false);
    driver.pass(INTERVAL).await;
    until_gone(&mut driver).await;
    assert_eq!(driver.aws.inventory(), before);
}

/// Retained, everything stays, and is foreign from then on.
#[tokio::test(start_paused = true)]
async fn with_the_policy_to_retain() {
    for wipe in [false, true] {
        let mut driver = Driver::new();
        driver.apply(link("a", |spec| spec["deletionPolicy"] = "Retain".into()));
        driver.settle().await;
        let shape = |lines: Vec<String>| {
            lines.iter().map(|line| line.split(" tags ").next().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let whole = shape(driver.aws.inventory());
        if wipe {
            driver.wipe_status();
        }
        driver.kubernetes.delete("a");
        until_gone(&mut driver).await;
        assert_eq!(shape(driver.aws.inventory()), whole, "wiped {wipe}");
        assert!(
            !driver.aws.inventory().iter().any(|line| line.contains("\"redshiftlink.dev/installation\": \"test\""))
        );
        // another link comes upon a connection of others, and may adopt it
        driver.apply(link("b", |_| {}));
        driver.settle().await;
        assert_eq!(driver.condition("b", "PeeringReady"), "False NotOurs");
        let id = driver.aws.state().peerings.keys().next().unwrap().clone();
        driver.apply(link("b", |spec| spec["peering"] = serde_json::json!({"existingId": id})));
        driver.settle().await;
        assert_eq!(driver.ready("b"), "True InPlace");
    }
}

/// What is retained is not taken by the loop of another link in the meantime.
#[tokio::test(start_paused = true)]
async fn what_is_retained_is_not_taken_by_another_links_loop() {
    let mut driver = Driver::new();
    driver.aws.state().domain("d-2");
    driver.apply(link("a", |spec| {
        spec["deletionPolicy"] = "Retain".into();
        spec["producer"]["routeTableIds"] = serde_json::json!(["rtb-0000aaa3"]);
    }));
    driver.apply(link("b", |spec| spec["consumer"]["studio"]["domainId"] = "d-2".into()));
    driver.settle().await;
    driver.kubernetes.delete("a");
    driver.settle().await;
    driver.pass(GRACE * 2 + INTERVAL).await;
    assert!(driver.kubernetes.get("a").is_none());
    assert_eq!(driver.ready("b"), "True InPlace");
}

/// Without the ledger our policies are found by what the spec and the domain name, and by what status remembers.
#[tokio::test(start_paused = true)]
async fn after_somebody_deleted_the_ledger() {
    for (wipe, domain_gone) in [(true, false), (false, true)] {
        let (mut driver, before) = ready().await;
        driver.apply(link("a", |spec| spec["suspend"] = true.into()));
        driver.settle().await;
        {
            let mut state = driver.aws.state();
            let ours = state.roles.iter().find(|(_, r)| r.path.starts_with("/redshift-link/"));
            let (account, name) = ours.expect("there").0.clone();
            state.delete_role(&account, &name);
            if domain_gone {
                state.domains.clear();
            }
        }
        if wipe {
            driver.wipe_status();
        }
        driver.kubernetes.delete("a");
        until_gone(&mut driver).await;
        assert_eq!(driver.aws.inventory(), before, "wiped {wipe}, domain gone {domain_gone}");
    }
}

/// A policy that could not be removed when its role left, and whose ledger is gone as well, is still remembered.
#[tokio::test(start_paused = true)]
async fn after_somebody_deleted_the_ledger_while_a_role_was_leaving() {
    let (mut driver, before) = ready().await;
    let text = "no identity-based policy allows the iam:DeleteRolePolicy action";
    driver.aws.state().refuse(CONSUMER, "DeleteRolePolicy", "AccessDenied", text);
    {
        let mut state = driver.aws.state();
        let ours = state.roles.iter().find(|(_, r)| r.path.starts_with("/redshift-link/"));
        let (account, name) = ours.expect("there").0.clone();
        state.delete_role(&account, &name);
        state.profiles.get_mut(&(consumer(), "d-1".into())).unwrap().remove("alice");
    }
    driver.look_now();
    driver.settle().await;
    driver.pass(GRACE * 2).await;
    assert_eq!(driver.condition("a", "ConsumerPolicyReady"), "False AccessDenied");
    driver.aws.state().refusals.clear();
    driver.kubernetes.delete("a");
    until_gone(&mut driver).await;
    assert_eq!(driver.aws.inventory(), before);
}

/// What the domain says is not needed to clean up what status and ledger know.
#[tokio::test(start_paused = true)]
async fn although_the_domain_can_no_longer_be_read() {
    let text = "with an explicit deny in a service control policy";
    let deny = |driver: &Driver| {
        for operation in ["DescribeDomain", "ListUserProfiles", "ListApps"] {
            driver.aws.state().refuse(CONSUMER, operation, "AccessDeniedException", text);
        }
    };
    let (mut driver, before) = ready().await;
    deny(&driver);
    driver.look_now();
    driver.settle().await;
    driver.kubernetes.delete("a");
    until_gone(&mut driver).await;
    assert_eq!(driver.aws.inventory(), before);
    // nor is it for a link that never had anything
    driver.apply(link("a", |_| {}));
    driver.settle().await;
    assert_eq!(driver.kubernetes.get("a").unwrap().metadata.finalizers, None);
    driver.kubernetes.delete("a");
    until_gone(&mut driver).await;
}

/// Tags that somebody took off in one account do not make our connection somebody else's.
#[tokio::test(start_paused = true)]
async fn after_somebody_took_our_tags_off_in_one_account() {
    for account in [CONSUMER, PRODUCER] {
        let (mut driver, before) = ready().await;
        for peering in driver.aws.state().peerings.values_mut() {
            peering.tags.remove(&AccountId(account.into()));
        }
        driver.kubernetes.delete("a");
        until_gone(&mut driver).await;
        assert_eq!(driver.aws.inventory(), before, "{account}");
    }
}

/// AWS forgets a deleted connection after hours, and with it whose its routes were: status has not.
#[tokio::test(start_paused = true)]
async fn after_aws_forgot_the_connection() {
    let (mut driver, before) = ready().await;
    driver.apply(link("a", |spec| spec["suspend"] = true.into()));
    driver.settle().await;
    driver.aws.state().peerings.clear();
    driver.look_now();
    driver.settle().await;
    driver.kubernetes.delete("a");
    until_gone(&mut driver).await;
    assert_eq!(driver.aws.inventory(), before);
}

/// AWS may show own writes late: what was just made is still there although no look shows it.
#[tokio::test(start_paused = true)]
async fn right_after_creation_before_aws_shows_it() {
    for steps in 1..12 {
        let mut driver = Driver::new();
        let before = driver.aws.inventory();
        driver.pass(GRACE * 2).await;
        driver.aws.state().lag = GRACE / 2;
        driver.apply(link("a", |_| {}));
        for _ in 0..steps {
            driver.step_soon().await;
        }
        driver.kubernetes.delete("a");
        driver.settle().await;
        driver.pass(GRACE * 3).await;
        assert!(driver.kubernetes.get("a").is_none(), "{:#?}", driver.kubernetes.get("a").unwrap().status);
        assert_eq!(driver.aws.inventory(), before, "after {steps} loops");
    }
}

/// A link that leaves everything in place, held up when the process starts anew: no other link's loop takes its things.
#[tokio::test(start_paused = true)]
async fn what_is_to_be_retained_is_not_taken_after_a_restart() {
    let mut driver = Driver::new();
    driver.aws.state().domain("d-2");
    driver.apply(link("a", |spec| {
        spec["deletionPolicy"] = "Retain".into();
        spec["producer"]["routeTableIds"] = serde_json::json!(["rtb-0000aaa3"]);
    }));
    driver.apply(link("b", |spec| spec["consumer"]["studio"]["domainId"] = "d-2".into()));
    driver.settle().await;
    driver.aws.state().refuse(PRODUCER, "TagRole", "UnauthorizedOperation", "no");
    driver.kubernetes.delete("a");
    let routes =
        |driver: &Driver| driver.aws.inventory().into_iter().filter(|line| line.contains(" rtb-0000aaa3 10.2")).count();
    driver.restart();
    driver.look_now();
    driver.settle().await;
    driver.pass(INTERVAL * 2).await;
    assert!(driver.kubernetes.get("a").is_some());
    assert_eq!(routes(&driver), 1);
}

/// Of a rule that names a deleted group AWS may not tell whose group it was.
#[tokio::test(start_paused = true)]
async fn after_a_referenced_group_was_deleted() {
    let (mut driver, before) = ready().await;
    for rule in driver.aws.state().rules.values_mut().filter(|rule| !rule.tags.is_empty()) {
        if let RulePeer::Group { account, .. } = &mut rule.permit.peer {
            *account = AccountId(PRODUCER.into());
        }
    }
    driver.kubernetes.delete("a");
    until_gone(&mut driver).await;
    assert_eq!(driver.aws.inventory(), before);
}
