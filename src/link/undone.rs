//! No tug of war: what somebody else undoes three times in an hour stays as they left it.

use super::parts::{Finding, Step};
use crate::api::status::{LinkStatus, Undone};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

const WINDOW: SignedDuration = SignedDuration::from_hours(1);
const REST: SignedDuration = SignedDuration::from_hours(24);
const LIMIT: usize = 3;
const SETTLING: SignedDuration = SignedDuration::from_mins(2);
/// So many records are kept, the latest of them.
const RECORDS: usize = 100;

/// Records what is missing although the last status says that it was there, and takes out the steps that would make
/// again what is contested.
///
/// `events`: other things to be remembered once, such as connections that were turned down.
#[must_use]
pub fn contest(
    steps: Vec<Step>,
    events: &BTreeSet<String>,
    before: Option<&LinkStatus>,
    generation: i64,
    now: Timestamp,
) -> (Vec<Step>, Vec<Finding>, Vec<Undone>) {
    let empty = LinkStatus::default();
    let before = before.unwrap_or(&empty);
    let mut records: Vec<Undone> =
        before.undone.iter().filter(|r| r.generation == generation && !is_over(r, now)).cloned().collect();
    let made = steps.iter().filter_map(|step| step.makes.as_ref());
    let missing: BTreeSet<&String> = made.filter(|key| before.resources.contains(*key)).collect();
    for key in missing {
        note(&mut records, key, generation, now);
    }
    for key in events {
        if !records.iter().any(|record| record.resource == *key) {
            note(&mut records, key, generation, now);
        }
    }
    let surplus = records.len().saturating_sub(RECORDS);
    records.drain(..surplus);
    let (mut kept, mut findings, mut dropped) = (vec![], vec![], false);
    for step in steps {
        let contested =
            step.makes.as_ref().and_then(|key| records.iter().find(|r| r.resource == *key && is_contested(r)));
        if let Some(record) = contested {
            findings.push(finding(&step, record));
        }
        dropped = contested.is_some() || (dropped && step.chained);
        if !dropped {
            kept.push(step);
        }
    }
    (kept, findings, records)
}

fn note(records: &mut Vec<Undone>, key: &str, generation: i64, now: Timestamp) {
    match records.iter_mut().find(|record| record.resource == key) {
        // AWS may show a thing just made, and then not: within minutes that is nobody's doing
        Some(record) if record.times.last().is_some_and(|last| now.duration_since(last.0) < SETTLING) => {}
        // it is not made again now: there is nothing more to count
        Some(record) if is_contested(record) => {}
        Some(record) => {
            record.times.retain(|at| now.duration_since(at.0) < WINDOW);
            record.times.push(Time(now));
        }
        None => records.push(Undone { resource: key.to_owned(), times: vec![Time(now)], generation }),
    }
}

fn is_contested(record: &Undone) -> bool {
    record.times.len() >= LIMIT
}

fn is_over(record: &Undone, now: Timestamp) -> bool {
    let rest = if is_contested(record) { REST } else { WINDOW };
    record.times.last().is_none_or(|last| now.duration_since(last.0) >= rest)
}

fn finding(step: &Step, record: &Undone) -> Finding {
    let last = record.times.last().map(|at| at.0.to_string()).unwrap_or_default();
    let message = format!(
        "{} was undone {LIMIT} times within an hour, last found so at {last}: it stays so for a day, or until the spec changes; \
         find out who or what undoes it (CloudTrail names them)",
        record.resource
    );
    Finding::blocked(step.part, "Contested", message)
}

#[cfg(test)]
mod tests {
    use super::super::parts::Part;
    use super::*;
    use crate::aws::effect::Effect;
    use crate::aws::scope::AccountId;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes)
    }

    fn step() -> Step {
        let effect = Effect::DeleteRole { account: AccountId("1".into()), role: "r".into() };
        Step::new(Part::Routes, effect).making("route x")
    }

    /// The thing is seen, undone, and made again, as often as there are minutes; gives what happens at the last.
    fn undo_at(minutes: &[i64]) -> (Vec<Step>, Vec<Finding>, LinkStatus) {
        let mut status = LinkStatus::default();
        let mut last = (vec![], vec![]);
        for minute in minutes {
            status.resources.insert("route x".into());
            let (steps, findings, undone) =
                contest(vec![step(), step().chained()], &BTreeSet::new(), Some(&status), 1, at(*minute));
            status.undone = undone;
            last = (steps, findings);
        }
        (last.0, last.1, status)
    }

    #[test]
    fn three_times_in_an_hour_is_contested() {
        assert_eq!(undo_at(&[0, 10]).0.len(), 2);
        assert_eq!(undo_at(&[0, 1, 2]).0.len(), 2, "within minutes it may be AWS that shows it late");
        let (steps, findings, _) = undo_at(&[0, 10, 20]);
        assert_eq!((steps.len(), findings[0].reason), (0, "Contested"), "what is chained to it goes with it");
        assert_eq!(undo_at(&[0, 50, 100]).0.len(), 2, "spread over more than an hour it is repaired");
    }

    #[test]
    fn it_rests_for_a_day_or_until_the_spec_changes() {
        let (_, _, mut status) = undo_at(&[0, 10, 20]);
        status.resources.clear();
        let later = |minutes, generation| {
            contest(vec![step()], &BTreeSet::new(), Some(&status), generation, at(minutes)).0.len()
        };
        assert_eq!(later(20 + 23 * 60, 1), 0);
        assert_eq!(later(20 + 24 * 60, 1), 1);
        assert_eq!(later(21, 2), 1);
    }

    #[test]
    fn what_was_never_there_is_not_undone() {
        let mut status = LinkStatus::default();
        for minute in 0..9 {
            let (steps, findings, undone) = contest(vec![step()], &BTreeSet::new(), Some(&status), 1, at(minute));
            assert_eq!((steps.len(), findings.len(), undone.len()), (1, 0, 0));
            status.undone = undone;
        }
    }
}
