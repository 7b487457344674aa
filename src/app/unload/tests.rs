//! What is told of a job in every state.

use super::command;
use super::end::{End, remedy};
use super::facts::Facts;
use crate::api::UnloadJob;
use crate::api::unload::status::{EndReason, JobState};
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use strum::IntoEnumIterator;

fn now() -> Timestamp {
    "2026-01-02T03:05:00Z".parse().unwrap()
}

/// A job that was made two minutes ago, and is in generation 2.
fn job(status: Value) -> UnloadJob {
    changed(status, |_| {})
}

fn changed(status: Value, change: impl FnOnce(&mut Value)) -> UnloadJob {
    let mut job = json!({
        "apiVersion": "redshiftlink.dev/v1alpha1", "kind": "UnloadJob",
        "metadata": {"name": "stores", "namespace": "ml", "generation": 2, "creationTimestamp": "2026-01-02T03:03:00Z"},
        "spec": {"linkRef": {"name": "exports"}, "query": "SELECT 1", "output": {"path": "a/", "csv": {}}},
        "status": status,
    });
    change(&mut job);
    serde_json::from_value(job).unwrap()
}

/// A status of generation 2 in this state, for this reason.
fn status(state: &str, conditions: &[(&str, &str, &str, &str)], more: Value) -> Value {
    let condition = |(kind, status, reason, message): &(&str, &str, &str, &str)| {
        json!({"type": kind, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": "2026-01-02T03:03:01Z"})
    };
    let conditions: Vec<_> = conditions.iter().map(condition).collect();
    let mut status = json!({"observedGeneration": 2, "state": state, "conditions": conditions});
    status.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    status
}

fn begun(more: Value) -> Value {
    let mut begun =
        json!({"attempt": 1, "startedAt": "2026-01-02T03:04:00Z", "statementId": "s-1", "location": "s3://b/a/1/"});
    begun.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    begun
}

fn line(job: &UnloadJob) -> String {
    Facts::of(job).line(Some(now()))
}

fn lines(job: &UnloadJob) -> String {
    Facts::of(job).lines(now()).join("\n")
}

#[test]
fn one_line_tells_how_far_a_job_is() {
    let ready = |reason, message| [("Ready", "Unknown", reason, message), ("Reconciling", "True", reason, message)];
    let waits = ready("LinkNotReady", "waits for link exports, which is not Ready");
    let runs = ready("Running", "statement s-1 runs");
    let denied = "AccessDenied on s3:ListBucket; to do: see the policy";
    let blocked = [("Ready", "False", "AccessDenied", denied), ("Stalled", "True", "AccessDenied", denied)];
    let done = [("Ready", "True", "Complete", "3 rows in 2 files below s3://b/a/1/")];
    let wrong = [
        ("Ready", "False", "StatementFailed", "no such table"),
        ("Stalled", "True", "StatementFailed", "no such table"),
    ];
    let suspended = [("Suspended", "True", "Suspended", "spec.suspend is true: nothing is submitted")];
    let counted = json!({"files": 3, "bytes": 1_288_490_189, "size": "1.2 GiB"});
    let counted_in = |more: Value| {
        begun(
            more.as_object()
                .unwrap()
                .iter()
                .chain(counted.as_object().unwrap())
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect(),
        )
    };
    let rows = [
        (json!(null), "stores: Pending, 2m: waits for the controller to look at it"),
        (json!({"observedGeneration": -1}), "stores: Pending, 2m: waits for the controller to look at it"),
        (status("Pending", &waits, json!({})), "stores: Pending, 2m: waits for link exports, which is not Ready"),
        (
            status("Submitting", &ready("Submitting", "attempt 1 begins"), json!({})),
            "stores: Submitting, 2m: attempt 1 begins",
        ),
        (status("Running", &runs, begun(json!({}))), "stores: Running, attempt 1, 1m: statement s-1 runs"),
        (
            status("Running", &runs, counted_in(json!({}))),
            "stores: Running, attempt 1, 1m, 3 files, 1.2 GiB so far: statement s-1 runs",
        ),
        (
            status("Running", &runs, begun(json!({"files": 1}))),
            "stores: Running, attempt 1, 1m, 1 file: statement s-1 runs",
        ),
        (
            status("Verifying", &ready("Verifying", ""), counted_in(json!({}))),
            "stores: Verifying, attempt 1, 1m, 3 files, 1.2 GiB so far",
        ),
        (
            status("Running", &blocked, begun(json!({}))),
            "stores: Running, attempt 1, 1m: in the way: AccessDenied: AccessDenied on s3:ListBucket; to do: see the policy",
        ),
        // what an attempt without a result wrote is not told
        (
            status("Pending", &ready("AttemptEnded", "another follows"), counted_in(json!({"attempt": 2}))),
            "stores: Pending, attempt 2, 1m: another follows",
        ),
        (status("Suspended", &suspended, json!({})), "stores: Suspended: spec.suspend is true: nothing is submitted"),
        (
            status("Complete", &done, counted_in(json!({"duration": "58s"}))),
            "stores: Complete, attempt 1, 58s, 3 files, 1.2 GiB: 3 rows in 2 files below s3://b/a/1/",
        ),
        (status("Failed", &wrong, begun(json!({"duration": "9s"}))), "stores: Failed, attempt 1, 9s: no such table"),
    ];
    for (status, expected) in rows {
        let told = line(&job(status.clone()));
        assert_eq!(told, expected, "{status:#}");
    }
}

#[test]
fn a_line_without_times_differs_only_where_the_job_does() {
    let at = |file: u32| Facts::of(&job(status("Running", &[], begun(json!({"files": file, "size": "1 B"})))));
    assert_eq!(at(1).line(None), "stores: Running, attempt 1, 1 file, 1 B so far");
    assert_ne!(at(1).line(None), at(2).line(None));
}

#[test]
fn nothing_of_others_moves_the_cursor() {
    let told = job(status("Running", &[("Ready", "False", "Running", "a\nb\x1b[2Jc\u{9b}d")], begun(json!({}))));
    assert!(line(&told).ends_with("a b [2Jc d"), "{:?}", line(&told));
    assert!(lines(&told).contains("Message:   a b [2Jc d"), "{}", lines(&told));
}

#[test]
fn what_changed_since_the_controller_looked_is_waited_for() {
    let conditions = [("Ready", "Unknown", "Running", "statement s-1 runs")];
    let changed_since =
        changed(status("Running", &conditions, begun(json!({}))), |job| job["metadata"]["generation"] = 3.into());
    assert_eq!(line(&changed_since), "stores: Running, attempt 1, 1m: waits for the controller to look at it");
    let written = begun(json!({"files": 1, "size": "1 B"}));
    let deleted = changed(status("Running", &conditions, written), |job| {
        job["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:59Z".into();
    });
    assert_eq!(line(&deleted), "stores: Deleting, attempt 1, 1m: statement s-1 runs");
}

#[test]
fn the_result_has_all_that_is_asked_for() {
    let more = json!({"rows": 3, "files": 2, "bytes": 67, "size": "67 B", "manifest": "s3://b/a/1/manifest",
        "finishedAt": "2026-01-02T03:04:02Z", "duration": "2s", "failedAttempts": 1, "attempt": 2});
    let done = job(status("Complete", &[("Ready", "True", "Complete", "done")], begun(more)));
    let expected = "Job:       ml/stores\nLink:      exports\nState:     Complete\nAttempt:   2, of which 1 failed\n\
                    Statement: s-1\nRows:      3\nFiles:     2\nSize:      67 B\nLocation:  s3://b/a/1/\n\
                    Manifest:  s3://b/a/1/manifest\nDuration:  2s";
    assert_eq!(lines(&done), expected);
    let facts = serde_json::to_value(Facts::of(&done)).unwrap();
    assert_eq!(
        (&facts["rows"], &facts["bytes"], &facts["startedAt"]),
        (&json!(3), &json!(67), &json!("2026-01-02T03:04:00Z"))
    );
    let fresh = serde_json::to_value(Facts::of(&job(json!(null)))).unwrap();
    assert_eq!(fresh["rows"], json!(null));
    assert_eq!(fresh.as_object().unwrap().len(), facts.as_object().unwrap().len(), "the same fields, always");
}

#[test]
fn a_failure_says_what_to_do() {
    let failed = |reason: EndReason| {
        let name = <&str>::from(reason);
        let ended = json!({"at": "2026-01-02T03:04:02Z", "reason": name, "message": "m", "then": "Fail"});
        job(status("Failed", &[("Ready", "False", name, "m")], json!({"ended": ended})))
    };
    for (reason, remedy) in EndReason::iter().filter_map(|reason| Some((reason, remedy(reason)?))) {
        let told = lines(&failed(reason));
        let name = <&str>::from(reason);
        assert!(told.contains(&format!("Reason:    {name}\nMessage:   m\nTo do:     {}", remedy)), "{told}");
    }
    let stalled = [("Ready", "False", "AccessDenied", "m"), ("Stalled", "True", "AccessDenied", "m")];
    let told = lines(&job(status("Pending", &stalled, json!({}))));
    assert!(told.contains("Reason:    AccessDenied: nothing happens until somebody acts"), "{told}");
    let suspended = lines(&job(status("Suspended", &[("Suspended", "True", "Suspended", "m")], begun(json!({})))));
    assert!(suspended.contains("To do:     set spec.suspend to false"), "{suspended}");
    assert!(!suspended.contains("Elapsed"), "{suspended}");
}

#[test]
fn each_state_ends_or_goes_on() {
    use End::{Complete, Failed, Suspended};
    let of = |state: JobState, change: fn(&mut Value)| End::of(&changed(status(state.into(), &[], json!({})), change));
    let deleted: fn(&mut Value) = |job| job["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:59Z".into();
    for state in JobState::iter() {
        let (expected, while_deleted) = match state {
            JobState::Complete => (Some(Complete), Some(Complete)),
            JobState::Failed => (Some(Failed), Some(Failed)),
            JobState::Suspended => (Some(Suspended), None),
            _ => (None, None),
        };
        assert_eq!(of(state, |_| {}), expected, "{state:?}");
        assert_eq!(of(state, deleted), while_deleted, "{state:?}");
    }
    let resumed = of(JobState::Suspended, |job| job["metadata"]["generation"] = 3.into());
    assert_eq!(resumed, None, "resumed, which the controller has not seen yet");
    let with_its_data = of(JobState::Complete, |job| {
        job["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:59Z".into();
        job["spec"]["dataPolicy"] = "Delete".into();
    });
    assert_eq!(with_its_data, None, "its result goes with it");
    assert_eq!([Complete, Failed, Suspended, End::Gone].map(End::code), [0, 1, 3, 3]);
}

#[test]
fn a_command_can_be_copied() {
    let facts = Facts::of(&job(json!(null)));
    let follow = command("status", &facts, Some("prod"));
    assert_eq!(follow, "redshift-link unload status stores -n ml --context prod --follow");
    assert_eq!(command("cancel", &facts, None), "redshift-link unload cancel stores -n ml");
}
