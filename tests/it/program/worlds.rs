//! Worlds in which a link cannot work, as the real SDK meets them: each with its reason, and healed without a hand on
//! the object. The in-memory accounts see all of them; here are those in which the words and codes of AWS matter.

use crate::bench::stage::{Stage, condition};
use serde_json::{Value, json};

/// Name; fault or world; condition and how it reads; what its message says.
type Row = (&'static str, Value, (&'static str, &'static str), &'static [&'static str]);

/// A fault of the bench on every call of a kind, until faults are cleared.
fn always(kind: &str, action: &str) -> Value {
    json!({"kind": kind, "action": action, "times": 1_000_000})
}

async fn shows_and_heals(
    stage: &Stage,
    what: &str,
    reads: (&str, &str),
    says: &[&str],
    mend: impl AsyncFnOnce(&Stage),
) {
    let before = stage.inventory();
    stage.apply(&stage.manifest("warehouse", |_| {}));
    let (kind, wanted) = reads;
    let read = || condition(stage.link("warehouse").as_ref(), kind);
    stage.until(&format!("{what}: {kind} to be {wanted}"), || read() == wanted).await;
    let link = stage.link("warehouse").expect("there");
    let conditions = link["status"]["conditions"].as_array().expect("conditions").clone();
    let message = conditions.iter().find(|c| c["type"] == kind).expect("there")["message"].as_str().expect("text");
    for says in says {
        assert!(message.contains(says), "{what}: {says:?} is missing in: {message}");
    }
    mend(stage).await;
    stage.until_ready("warehouse", "True InPlace").await;
    stage.delete("warehouse");
    stage.until_gone("warehouse").await;
    assert_eq!(stage.inventory(), before, "{what}");
}

/// What AWS answers to a call: until it answers otherwise, the condition names the call, the account and the remedy.
#[tokio::test(flavor = "multi_thread")]
async fn refusals_of_calls() {
    let stage = Stage::set("refusals").await;
    let mut program = stage.program();
    let rows: [Row; 6] = [
        (
            "a service control policy",
            always("deny_scp", "ec2:CreateRoute"),
            ("RoutesReady", "False DeniedByOrganization"),
            &["ec2:CreateRoute", "service control policy", "(request ", "organization"],
        ),
        (
            "a missing permission",
            always("deny", "iam:CreateRole"),
            ("ProducerRoleReady", "False AccessDenied"),
            &["iam:CreateRole", "111122223333", "redshift-link iam"],
        ),
        (
            "throttled writes",
            always("throttle", "ec2:AuthorizeSecurityGroupIngress"),
            ("FirewallReady", "Unknown Throttled"),
            &["RequestLimitExceeded", "tried again"],
        ),
        (
            "throttled reads",
            always("throttle", "sagemaker:DescribeDomain"),
            ("ConsumerPolicyReady", "Unknown Throttled"),
            &["sagemaker:DescribeDomain", "ThrottlingException"],
        ),
        (
            "an outage",
            always("error500", "ec2:DescribeVpcPeeringConnections"),
            ("PeeringReady", "Unknown Retrying"),
            &["InternalError", "tried again"],
        ),
        (
            "no answers",
            always("lost_request", "redshift:DescribeClusters"),
            ("ProducerRoleReady", "Unknown Retrying"),
            &["NoAnswer"],
        ),
    ];
    for (what, fault, reads, says) in rows {
        stage.aws.post("faults", fault);
        shows_and_heals(&stage, what, reads, says, async |stage| stage.aws.clear_faults()).await;
    }
    assert!(program.terminate(), "a clean end");
}

/// Throttled for a minute in every call: no storm of calls, and it ends well.
#[tokio::test(flavor = "multi_thread")]
async fn a_minute_of_throttling() {
    let stage = Stage::set("minute").await;
    let mut program = stage.program();
    stage.aws.post("faults", json!({"kind": "throttle", "action": "*", "times": 1_000_000}));
    stage.apply(&stage.manifest("warehouse", |_| {}));
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    let calls = stage.aws.calls(0).0.len();
    assert!((3..120).contains(&calls), "{calls} calls in a minute");
    stage.aws.clear_faults();
    stage.until_ready("warehouse", "True InPlace").await;
    stage.delete("warehouse");
    stage.until_gone("warehouse").await;
    assert!(program.terminate(), "a clean end");
}

/// Roles of the controller that cannot be entered.
#[tokio::test(flavor = "multi_thread")]
async fn accounts_that_cannot_be_entered() {
    let stage = Stage::set("entrance").await;
    let mut program = stage.program();
    // a file that does not parse leaves the last good one in force, and is told
    stage.apply(&stage.manifest("before", |_| {}));
    stage.until_ready("before", "True InPlace").await;
    std::fs::write(&stage.accounts, "accounts: {").expect("written");
    let told = || {
        let events = stage.plane().kubectl(&["get", "events.events.k8s.io", "-n", "default", "-o", "json"]);
        events.contains("AccountsFileNotTaken")
    };
    stage.until("the broken file to be told", told).await;
    stage.until_ready("before", "True InPlace").await;
    stage.delete("before");
    stage.until_gone("before").await;
    stage.set_accounts(|file| file["accounts"][0]["externalId"] = "another".into());
    shows_and_heals(
        &stage,
        "another external id",
        ("ProducerRoleReady", "False RoleNotAssumable"),
        &["account 111122223333", "external id", "redshift-link iam"],
        async |stage| stage.set_accounts(|_| {}),
    )
    .await;
    stage.set_accounts(|file| {
        file["accounts"][1]["roleArn"] = "arn:aws:iam::444455556666:role/nobody".into();
    });
    shows_and_heals(
        &stage,
        "a role that is not there",
        ("ConsumerPolicyReady", "False RoleNotAssumable"),
        &["account 444455556666", "role/nobody"],
        async |stage| stage.set_accounts(|_| {}),
    )
    .await;
    assert!(program.terminate(), "a clean end");
}

/// Worlds that are built wrong: found before anything is made.
#[tokio::test(flavor = "multi_thread")]
async fn worlds_that_are_built_wrong() {
    let rows: [Row; 5] = [
        (
            "overlap",
            json!({"consumer": {"extraCidrs": ["10.1.128.0/20"]}}),
            ("PeeringReady", "False CidrOverlap"),
            &["10.1.0.0/16"],
        ),
        (
            "public",
            json!({"consumer": {"vpcOnly": false}}),
            ("ConsumerPolicyReady", "False DomainNotVpcOnly"),
            &["VpcOnly"],
        ),
        (
            "unified",
            json!({"consumer": {"unifiedStudio": true}}),
            ("ConsumerPolicyReady", "False UnifiedStudioDomain"),
            &["network"],
        ),
        (
            "owner",
            json!({"consumer": {"subnetOwner": "777788889999"}}),
            ("RoutesReady", "False SubnetOfOtherAccount"),
            &["777788889999"],
        ),
        (
            "identity",
            json!({"consumer": {"identityConfig": false}}),
            ("SourceIdentityReady", "False SourceIdentityNotSet"),
            &["aws sagemaker update-domain"],
        ),
    ];
    for (test, world, (kind, wanted), says) in rows {
        let stage = Stage::set_with(test, world).await;
        let before = stage.inventory();
        let mut program = stage.program();
        stage.apply(&stage.manifest("warehouse", |_| {}));
        let read = || condition(stage.link("warehouse").as_ref(), kind);
        stage.until(&format!("{test}: {kind} to be {wanted}"), || read() == wanted).await;
        let link = stage.link("warehouse").expect("there").to_string();
        assert!(says.iter().all(|says| link.contains(says)), "{test}: {link}");
        if test != "identity" {
            assert_eq!(stage.inventory(), before, "{test}: nothing is made");
        }
        stage.delete("warehouse");
        stage.until_gone("warehouse").await;
        assert_eq!(stage.inventory(), before, "{test}");
        assert!(program.terminate(), "a clean end");
    }
}
