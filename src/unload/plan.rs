//! The plan of a job: from the object, its link and what was seen, the one thing that is done next.
//!
//! Pure. A job runs its statement once: a fence is written before each attempt, and the attempt stands in status,
//! before anything is submitted; what may have been submitted is looked up, never submitted blindly.

use super::request::{Request, is_finished};
use super::step::{Draft, Next, Stands, Step, Trouble};
use super::{run, teardown};
use crate::api::unload::status::{JobState, UnloadJobStatus};
use crate::aws::read::{Gap, Read, Seen};
use crate::link::status::Pace;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// What is done next, and what is to be said.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// What is done.
    pub next: Next,
    /// How far the job is: the status, but for its conditions.
    pub status: UnloadJobStatus,
    /// How it stands.
    pub stands: Stands,
    /// Whether the query's syntax is known, where it was looked at: why not, if not.
    pub checked: Option<Option<String>>,
    /// Look again no later than this.
    pub by: Option<Timestamp>,
}

/// The plan of a job.
///
/// # Errors
/// Something must be read first.
pub fn plan(request: &Request<'_>, seen: &Seen) -> Result<Plan, BTreeSet<Read>> {
    let before = request.job.status.clone().unwrap_or_default();
    let mut draft = Draft { request, status: before.clone(), checked: None, by: None };
    let step = if request.is_deleted() {
        teardown::step(&mut draft, seen)
    } else if is_finished(Some(&before)) {
        Ok(finished(&mut draft))
    } else {
        run::step(&mut draft, seen)
    };
    let Draft { status, checked, by, .. } = draft;
    match step {
        // a statement takes its time to stop: it is looked at, and not asked again at each look
        Ok((next, stands)) if next.cancels() && next == Next::Effects(request.executed.to_vec()) => {
            Ok(Plan { next: Next::Wait(Pace::Waiting), status, stands, checked, by })
        }
        Ok((next, stands)) => Ok(Plan { next, status, stands, checked, by }),
        Err(Gap::Unread(reads)) => Err(reads),
        Err(Gap::Refused(error)) => {
            let stands = Stands::InTheWay(Trouble::from(error.as_ref()));
            Ok(Plan { next: Next::Wait(error.class.into()), status: before, stands, checked: None, by: None })
        }
    }
}

/// A job that came to its end: nothing is looked at any more, and in the end it is deleted, if it was to be.
fn finished(draft: &mut Draft<'_>) -> Step {
    let stands = match draft.status.state {
        Some(JobState::Complete) => Stands::Complete(draft.result()),
        _ => Stands::Failed,
    };
    let spec = &draft.request.job.spec;
    let lives = spec.ttl_seconds_after_finished.filter(|_| !draft.request.is_tracked());
    if let (Some(lives), Some(finished)) = (lives, &draft.status.finished_at) {
        let ends = finished.0 + SignedDuration::from_secs(lives.into());
        if ends <= draft.request.now {
            return (Next::Delete, stands);
        }
        draft.look_by(ends);
    }
    (Next::Wait(Pace::Settled), stands)
}
