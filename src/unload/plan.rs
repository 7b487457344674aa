//! The plan of a job: from the object, its link and what was seen, the one thing that is done next.
//!
//! Pure. A job runs its statement once: a fence is written before each attempt, and the attempt stands in status,
//! before anything is submitted; what may have been submitted is looked up, never submitted blindly.

use super::attempt::Place;
use super::attempts::Attempts;
use super::request::{Request, is_finished};
use super::{run, teardown};
use crate::api::unload::status::{Ended, JobState, UnloadJobStatus, duration_text, size_text};
use crate::aws::effect::Effect;
use crate::aws::error::{AwsError, Class};
use crate::aws::read::{Gap, Read, Seen};
use crate::link::status::Pace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
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

/// What is done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// The finalizer is set, with where the job lives: nothing is at AWS before.
    Hold(Place),
    /// These are executed.
    Effects(Vec<Effect>),
    /// Nothing, at this pace.
    Wait(Pace),
    /// The finalizer is taken off: nothing is left at AWS.
    LetGo,
    /// The object is deleted: its time to live is over.
    Delete,
}

impl Next {
    /// A statement is asked to end, and nothing else is done.
    #[must_use]
    pub fn cancels(&self) -> bool {
        matches!(self, Self::Effects(effects) if matches!(effects[..], [Effect::CancelStatement { .. }]))
    }
}

/// How a job stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stands {
    /// It goes on by itself.
    Working(&'static str, String),
    /// Something is in the way.
    InTheWay(Trouble),
    /// Nothing is done until the user says so.
    Suspended(String),
    /// All was written.
    Complete(String),
    /// Given up, for what the status says.
    Failed,
}

/// Something in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Who has to act.
    pub class: Class,
    /// Reason of the condition.
    pub reason: &'static str,
    /// What is wrong, where, and what to do.
    pub message: String,
}

impl From<&AwsError> for Trouble {
    fn from(error: &AwsError) -> Self {
        let message = format!("{error}; to do: {}", error.remedy());
        Self { class: error.class, reason: error.reason(), message }
    }
}

/// A plan in the making: the status is changed as it goes.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub request: &'a Request<'a>,
    pub status: UnloadJobStatus,
    pub checked: Option<Option<String>>,
    pub by: Option<Timestamp>,
}

pub(super) type Step = (Next, Stands);

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
        Ok(draft.finished())
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

impl Draft<'_> {
    /// The attempt ended without a result.
    pub fn end(&mut self, ended: Ended) -> Step {
        let message = ended.message.clone();
        self.status.state = Some(JobState::Pending);
        self.status.ended = Some(ended);
        (Next::Wait(Pace::Soon), Stands::Working("AttemptEnded", message))
    }

    /// The job is given up.
    pub fn fail(&mut self) -> Step {
        self.finish(JobState::Failed);
        (Next::Wait(Pace::Soon), Stands::Failed)
    }

    /// The job is done.
    pub fn complete(&mut self) -> Step {
        self.finish(JobState::Complete);
        self.status.ended = None;
        (Next::Wait(Pace::Soon), Stands::Complete(self.result()))
    }

    fn finish(&mut self, state: JobState) {
        self.status.state = Some(state);
        let now = self.request.now;
        self.status.finished_at = Some(Time(now));
        let began = self.status.started_at.as_ref().map(|began| now.duration_since(began.0));
        self.status.duration = began.map(|time| duration_text(time.as_secs().try_into().unwrap_or_default()));
    }

    /// What was written, in words.
    pub fn result(&self) -> String {
        let UnloadJobStatus { rows, files, location, .. } = &self.status;
        let (rows, files) = (rows.unwrap_or_default(), files.unwrap_or_default());
        format!("{rows} rows in {files} files below {}", location.as_deref().unwrap_or_default())
    }

    /// Bytes and files that were written so far.
    pub fn count(&mut self, bytes: u64, files: u64) {
        self.status.bytes = Some(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.status.size = Some(size_text(bytes));
        self.status.files = Some(i64::try_from(files).unwrap_or(i64::MAX));
    }

    /// Look again no later than at this moment.
    pub fn look_by(&mut self, moment: Timestamp) {
        self.by = Some(self.by.map_or(moment, |by| by.min(moment)));
    }

    /// A job that came to its end: nothing is looked at any more, and in the end it is deleted, if it was to be.
    fn finished(&mut self) -> Step {
        let stands = match self.status.state {
            Some(JobState::Complete) => Stands::Complete(self.result()),
            _ => Stands::Failed,
        };
        let spec = &self.request.job.spec;
        let lives = spec.ttl_seconds_after_finished.filter(|_| !is_tracked(self.request));
        if let (Some(lives), Some(finished)) = (lives, &self.status.finished_at) {
            let ends = finished.0 + SignedDuration::from_secs(lives.into());
            if ends <= self.request.now {
                return (Next::Delete, stands);
            }
            self.look_by(ends);
        }
        (Next::Wait(Pace::Settled), stands)
    }
}

/// A tool keeps the object as it stands in a repository: deleted, it would be made again, and run again.
#[must_use]
pub fn is_tracked(request: &Request<'_>) -> bool {
    let labels = ["kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name", "argocd.argoproj.io/instance"];
    request.job.annotations().contains_key("argocd.argoproj.io/tracking-id")
        || labels.iter().any(|label| request.job.labels().contains_key(*label))
}

/// What is removed of these attempts, as a step; none where nothing is left.
pub(super) fn cleaning(
    attempts: &Attempts<'_>,
    which: impl IntoIterator<Item = u32>,
    why: &str,
) -> Result<Option<Step>, Gap> {
    let left = attempts.leftovers(which)?;
    let message = format!("removes what the attempt left in the bucket: {why}");
    Ok((!left.is_empty()).then_some((Next::Effects(left), Stands::Working("CleaningUp", message))))
}
