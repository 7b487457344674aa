//! Deletion ends, whatever became of namespace and accounts meanwhile, and names what holds it up.

use crate::bench::accounts::{make_roles, printed_policies};
use crate::bench::stage::{Stage, condition};
use serde_json::{Value, json};

async fn ready(test: &str) -> (Stage, (Value, Value), crate::bench::program::Program) {
    let stage = Stage::set(test).await;
    let before = stage.inventory();
    let program = stage.program();
    stage.apply(&stage.manifest("warehouse", |_| {}));
    stage.until_ready("warehouse", "True InPlace").await;
    (stage, before, program)
}

/// Nothing of the namespace is needed, and its end waits until nothing is left at AWS.
#[tokio::test(flavor = "multi_thread")]
async fn by_deleting_the_namespace() {
    let (stage, before, mut program) = ready("namespace").await;
    stage.plane().kubectl(&["delete", "namespace", &stage.namespace, "--wait=false"]);
    let gone = || stage.plane().get("namespace", "default", &stage.namespace).is_none();
    stage.until("the namespace to be gone", gone).await;
    assert_eq!(stage.inventory(), before);
    assert!(program.terminate(), "a clean end");
}

/// The other account is cleaned, what remains is listed, and it ends when access is back.
#[tokio::test(flavor = "multi_thread")]
async fn with_one_accounts_role_gone() {
    for side in ["producer", "consumer"] {
        let (stage, before, mut program) = ready(&format!("revoked-{side}")).await;
        let account = stage.world[side]["account"].as_str().expect("an account").to_owned();
        let iam = stage.iam(side).await;
        iam.delete_role_policy().role_name("redshift-link").policy_name("all").send().await.expect("deleted");
        iam.delete_role().role_name("redshift-link").send().await.expect("deleted");
        stage.aws.post("sessions/expire", json!({"account": account, "role": "redshift-link"}));
        stage.delete("warehouse");
        let stalled = || condition(stage.link("warehouse").as_ref(), "Stalled");
        stage.until("the deletion to be held up", || stalled() == "True RoleNotAssumable").await;
        // besides what is in the account itself, only what tells later what is ours in it: connection and role
        let other = if side == "producer" { "consumer" } else { "producer" };
        let other = stage.world[other]["account"].as_str().expect("an account");
        let remaining = || stage.link("warehouse").expect("held")["status"]["resources"].as_array().cloned();
        let cleaned = || {
            let of_other = |resource: &Value| {
                let words: Vec<_> = resource.as_str().expect("text").split([' ', '/']).collect();
                words[1] == other && ["route", "rule", "policy"].contains(&words[0])
            };
            remaining().is_some_and(|resources| !resources.is_empty() && !resources.iter().any(of_other))
        };
        stage.until("the other side to be clean", cleaned).await;
        let link = stage.link("warehouse").expect("held");
        let message = link["status"]["conditions"][0]["message"].as_str().expect("a message");
        assert!(message.contains(&account) && message.contains("still there: "), "{message}");

        let printed = printed_policies(stage.plane(), &stage.aws, &stage.world, &stage.accounts);
        make_roles(&stage.aws, &stage.world, &printed).await;
        stage.until_gone("warehouse").await;
        assert_eq!(without_controller(stage.inventory()), without_controller(before));
        assert!(program.terminate(), "a clean end");
    }
}

/// The controller's own role, made anew, has another id.
fn without_controller((producer, consumer): (Value, Value)) -> Value {
    let mut sides = json!([producer, consumer]);
    for side in sides.as_array_mut().expect("two") {
        let roles = side["roles"].as_array_mut().expect("roles");
        roles.retain(|role| !role["arn"].as_str().is_some_and(|arn| arn.ends_with("role/redshift-link")));
    }
    sides
}

/// The file is taken while the program runs: an account that is no longer in it holds deletion up, until it is abandoned.
#[tokio::test(flavor = "multi_thread")]
async fn with_the_account_gone_from_the_file() {
    let (stage, _, mut program) = ready("abandoned").await;
    let consumer = stage.world["consumer"]["account"].as_str().expect("an account").to_owned();
    stage.set_accounts(|file| drop(file["accounts"].as_array_mut().expect("a list").pop()));
    stage.until_ready("warehouse", "False AccountNotConfigured").await;
    stage.delete("warehouse");
    let stalled = || condition(stage.link("warehouse").as_ref(), "Stalled");
    let ready = || condition(stage.link("warehouse").as_ref(), "Ready");
    stage
        .until("the deletion to be held up", || {
            stalled() == "True AccountNotConfigured" && ready() == "Unknown Deleting"
        })
        .await;
    stage.set_accounts(|file| file["accounts"][1]["abandoned"] = true.into());
    stage.until_gone("warehouse").await;
    let events = stage.plane().kubectl(&["get", "events.events.k8s.io", "-n", &stage.namespace, "-o", "json"]);
    assert!(events.contains("Abandoned") && events.contains(&consumer), "{events}");
    let (producer, _) = stage.inventory();
    let regions = &producer["regions"]["eu-west-1"];
    let roles = producer["roles"].as_array().expect("roles").iter();
    assert_eq!(roles.filter(|role| role["path"] != "/").count(), 0, "the other account is clean");
    assert_eq!(regions["peerings"], json!([]));
    assert!(program.terminate(), "a clean end");
}
