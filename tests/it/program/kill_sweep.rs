//! The built program killed right before and right after each of its writes at AWS, and started again: what it makes
//! and what it leaves is the same as without.

use crate::bench::program::Program;
use crate::bench::stage::Stage;
use serde_json::{Value, json};

const NAME: &str = "warehouse";
const BUCKET: &str = "exports-of-the-kill-sweep";

/// When, relative to a write, the program is killed: the request has come but is not executed, or it is executed but
/// not answered.
#[derive(Clone, Copy, Debug)]
enum When {
    Before,
    After,
}

/// All of them, as a command of its own: `make sweeps`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: make sweeps"]
async fn every_write() {
    sweep("kill-all", |_| true).await;
}

/// A spread over creation and deletion.
#[tokio::test(flavor = "multi_thread")]
async fn some_writes() {
    sweep("kill-some", |point| point % 8 == 3).await;
}

/// A link with all its parts.
fn manifest(stage: &Stage, secret: &str, reader: &str) -> Value {
    stage.manifest(NAME, |spec| {
        spec["unload"] =
            json!({"bucket": BUCKET, "prefix": "warehouse/", "secretArn": secret, "secretReaders": [reader]});
    })
}

async fn sweep(test: &str, chosen: impl Fn(usize) -> bool) {
    let stage = Stage::set(test).await;
    stage.bucket(BUCKET).await;
    let manifest = manifest(&stage, &stage.secret(NAME, "{}").await, &stage.reader("extract").await);
    let before = stage.inventory();
    let mut program = stage.program();
    let calls = stage.aws.calls(0).1;
    stage.apply(&manifest);
    stage.until_ready(NAME, "True InPlace").await;
    let whole = shape(&stage);
    let (creation, calls) = writes(&stage, calls);
    stage.delete(NAME);
    stage.until_gone(NAME).await;
    assert_eq!(stage.inventory(), before);
    let (deletion, _) = writes(&stage, calls);
    // five roles with a policy each, two policies on execution roles, one role on the cluster, four routes, one rule, and
    // the connection: asked for, accepted, tagged, its option
    assert!(creation.len() == 24 && deletion.len() >= 21, "{creation:?} {deletion:?}");

    let (mut kills, mut looked) = (0, 0);
    for point in 0..creation.len().max(deletion.len()) * 2 {
        if !chosen(point) {
            continue;
        }
        let (write, when) = (point / 2, if point % 2 == 0 { When::Before } else { When::After });
        if write < creation.len() {
            hold(&stage, when, write);
            stage.apply(&manifest);
            kill_there(&stage, &mut program, &creation[write], when);
            kills += 1;
        } else {
            stage.apply(&manifest);
        }
        stage.until_ready(NAME, "True InPlace").await;
        assert_eq!(shape(&stage), whole, "killed {when:?} {}", creation.get(write).unwrap_or(&String::new()));
        if write < deletion.len() {
            hold(&stage, when, write);
            stage.delete(NAME);
            kill_there(&stage, &mut program, &deletion[write], when);
            kills += 1;
        } else {
            stage.delete(NAME);
        }
        stage.until_gone(NAME).await;
        assert_eq!(stage.inventory(), before, "killed {when:?} {}", deletion.get(write).unwrap_or(&String::new()));
        looked += 1;
    }
    assert!(program.terminate(), "a clean end");
    println!(
        "kill sweep: {kills} kills in {looked} lives, of {} writes of creation and {} of deletion, each before and after",
        creation.len(),
        deletion.len()
    );
}

fn hold(stage: &Stage, when: When, write: usize) {
    let kind = match when {
        When::Before => "hold_before",
        When::After => "hold_after",
    };
    stage.aws.post("faults", json!({"kind": kind, "action": "write", "nth": write + 1}));
}

/// Waits until the write is held, and kills the program then; another one begins.
fn kill_there(stage: &Stage, program: &mut Program, write: &str, when: When) {
    let held = stage.aws.get("held?wait=30");
    assert_eq!(held["action"], write, "{when:?}");
    program.kill();
    stage.aws.post("release", json!({}));
    *program = stage.program();
}

/// The writes since a call, in their order, and the number of the last call.
fn writes(stage: &Stage, after: u64) -> (Vec<String>, u64) {
    let (calls, last) = stage.aws.calls(after);
    let writes = calls.iter().filter(|call| call["write"] == true);
    (writes.map(|call| call["action"].as_str().expect("an action").to_owned()).collect(), last)
}

/// Both accounts, without what differs from one life of the link to the next: generated ids, and the link's UID.
fn shape(stage: &Stage) -> Value {
    let link = stage.link(NAME).expect("there");
    let (uid, peering) = (&link["metadata"]["uid"], &link["status"]["peeringConnectionId"]);
    let resources = link["status"]["resources"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let roles = resources.filter_map(|resource| resource.strip_prefix("role ")?.split(' ').nth(1));
    let ids = [uid.as_str().expect("a uid"), peering.as_str().expect("an id")];
    let generated: Vec<&str> = roles.chain(ids).collect();
    let (producer, consumer) = stage.inventory();
    json!([without(producer, &generated), without(consumer, &generated)])
}

fn without(value: Value, generated: &[&str]) -> Value {
    match value {
        Value::String(text) => Value::String(generated.iter().fold(text, |text, id| text.replace(id, "<generated>"))),
        Value::Array(items) => {
            let mut items: Vec<_> = items.into_iter().map(|item| without(item, generated)).collect();
            items.sort_by_key(ToString::to_string);
            Value::Array(items)
        }
        Value::Object(fields) => {
            let fields = fields.into_iter().filter(|(key, _)| key != "id" && !key.starts_with("SecurityGroupRule"));
            fields
                .map(|(key, value)| {
                    let key = generated.iter().fold(key, |key, id| key.replace(id, "<generated>"));
                    (key, without(value, generated))
                })
                .collect()
        }
        other => other,
    }
}
