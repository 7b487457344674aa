//! Conditions: their types, their reasons, and how a list of them is kept.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;

/// Condition types. Part conditions stand with their parts, in `link::parts`.
pub mod types {
    /// Everything is in place (summary).
    pub const READY: &str = "Ready";
    /// The controller is at work, or about to try again.
    pub const RECONCILING: &str = "Reconciling";
    /// Nothing more happens until a human acts.
    pub const STALLED: &str = "Stalled";
    /// In mode Plan: the plan in status is whole.
    pub const PLANNED: &str = "Planned";
    /// The object is suspended.
    pub const SUSPENDED: &str = "Suspended";
    /// A job is done.
    pub const COMPLETE: &str = "Complete";
    /// A job is given up.
    pub const FAILED: &str = "Failed";
    /// Whether a job is deleted after its time to live: False where a tool would make it again.
    pub const TIME_TO_LIVE: &str = "TimeToLive";
    /// Whether a job's query is SQL that this program knows; Unknown lets it through, and the warehouse decides.
    pub const QUERY_CHECKED: &str = "QueryChecked";
}

/// The message of a condition has at most this many bytes (the API server's limit is 32768).
const MESSAGE_MAX: usize = 4096;

/// Status of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum State {
    True,
    False,
    Unknown,
}

impl State {
    const fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// A condition to be reported, still without its transition time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Type.
    pub kind: &'static str,
    /// Status.
    pub state: State,
    /// Machine readable reason.
    pub reason: &'static str,
    /// What, where, and what to do. Without times that move by themselves.
    pub message: String,
}

impl Report {
    /// A report.
    #[must_use]
    pub fn new(kind: &'static str, state: State, reason: &'static str, message: impl Into<String>) -> Self {
        Self { kind, state, reason, message: message.into() }
    }
}

/// The list for status: exactly the reports, each with the transition time it had if its status is what it was.
#[must_use]
pub fn list(reports: &[Report], before: &[Condition], generation: Option<i64>, now: Timestamp) -> Vec<Condition> {
    let condition = |report: &Report| {
        let old = find(before, report.kind).filter(|old| old.status == report.state.as_str());
        let message = shortened(&report.message);
        // a failure that repeats is the same failure: only AWS's request id moves
        let repeated = old
            .filter(|old| old.reason == report.reason && without_requests(&old.message) == without_requests(&message));
        Condition {
            type_: report.kind.into(),
            status: report.state.as_str().into(),
            reason: report.reason.into(),
            message: repeated.map_or(message, |old| old.message.clone()),
            observed_generation: generation,
            last_transition_time: old.map_or(Time(now), |old| old.last_transition_time.clone()),
        }
    };
    reports.iter().map(condition).collect()
}

/// The condition of a type.
#[must_use]
pub fn find<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|c| c.type_ == kind)
}

/// True where the condition of this type has status True.
#[must_use]
pub fn is_true(conditions: &[Condition], kind: &str) -> bool {
    find(conditions, kind).is_some_and(|c| c.status == State::True.as_str())
}

/// The message without AWS's request ids, `(request ...)`.
fn without_requests(message: &str) -> String {
    let mut parts = message.split(" (request ");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |kept, part| kept + part.split_once(')').map_or("", |(_, rest)| rest))
}

/// The message, of at most as many bytes as a condition's has.
#[must_use]
pub fn shortened(message: &str) -> String {
    if message.len() <= MESSAGE_MAX {
        return message.into();
    }
    const MORE: &str = "...";
    let end = (0..=MESSAGE_MAX - MORE.len()).rev().find(|i| message.is_char_boundary(*i)).unwrap_or(0);
    format!("{}{MORE}", &message[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transition_time_moves_only_with_the_status() {
        let t = |s: &str| s.parse::<Timestamp>().unwrap();
        let (first, later) = (t("2026-01-01T00:00:00Z"), t("2026-01-02T00:00:00Z"));
        let report = |state, reason| [Report::new(types::READY, state, reason, "m")];
        let a = list(&report(State::Unknown, "A"), &[], Some(1), first);
        let b = list(&report(State::Unknown, "B"), &a, Some(2), later);
        assert_eq!(
            (b[0].last_transition_time.0, b[0].reason.as_str(), b[0].observed_generation),
            (first, "B", Some(2))
        );
        let c = list(&report(State::True, "B"), &b, Some(2), later);
        assert_eq!(c[0].last_transition_time.0, later);
        assert!(is_true(&c, types::READY) && !is_true(&b, types::READY));
    }

    #[test]
    fn a_failure_that_repeats_changes_nothing() {
        let now = Timestamp::UNIX_EPOCH;
        let report = |id: &str, what: &str| {
            [Report::new(types::READY, State::False, "Denied", format!("{what}: no (request {id}); to do: x"))]
        };
        let first = list(&report("1", "a"), &[], None, now);
        assert_eq!(list(&report("2", "a"), &first, None, now), first);
        assert_ne!(list(&report("2", "b"), &first, None, now), first);
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let report = [Report::new(types::READY, State::False, "Long", "é".repeat(3000))];
        let message = &list(&report, &[], None, Timestamp::UNIX_EPOCH)[0].message;
        assert!(message.ends_with("...") && message.len() <= MESSAGE_MAX + 3);
    }
}
