//! A step of a job's plan, and the plan in the making.

use super::attempt::{Place, statement_name};
use super::attempts::Attempts;
use super::request::Request;
use crate::api::conditions;
use crate::api::unload::status::{Ended, JobState, UnloadJobStatus, duration_text, size_text};
use crate::aws::effect::Effect;
use crate::aws::error::{AwsError, Class};
use crate::aws::read::Gap;
use crate::link::status::Pace;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::{SignedDuration, Timestamp};

/// An UNLOAD that was stopped may write on for a while: before a job is given up its folder is looked at again.
pub(super) const SETTLING: SignedDuration = SignedDuration::from_mins(1);

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

/// What is done next, and how the job stands.
pub(super) type Step = (Next, Stands);

impl Draft<'_> {
    /// The status is about the last attempt from now on; nothing in it is of the one before.
    pub fn turn_to(&mut self, attempts: &Attempts<'_>) {
        let (job, status) = (self.request.job, &mut self.status);
        status.attempt = Some(attempts.last);
        (status.ended, status.statement_id) = (None, None);
        status.statement_name = Some(statement_name(job, attempts.last));
        let folder = attempts.place.folder(job, attempts.last);
        status.location = Some(format!("s3://{}/{folder}", attempts.place.bucket));
        (status.manifest, status.rows, status.bytes, status.size, status.files) = (None, None, None, None, None);
    }

    /// The attempt ended without a result.
    pub fn end(&mut self, ended: Ended) -> Step {
        // some of it may be texts of others, of any length
        let message = conditions::shortened(&ended.message);
        self.status.state = Some(JobState::Pending);
        self.status.ended = Some(Ended { message: message.clone(), ..ended });
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
}

/// Somebody took the annotation off.
pub(super) fn without_place() -> Step {
    let message = "the annotation redshiftlink.dev/place, which says where the job's fences are, is gone or cannot be \
                   read, and so is the link: put it back as it was";
    let trouble = Trouble { class: Class::Blocked, reason: "PlaceUnknown", message: message.into() };
    (Next::Wait(Pace::Slow), Stands::InTheWay(trouble))
}

/// A change of the link wakes the job, too.
pub(super) fn waits(reason: &'static str, message: String) -> Step {
    (Next::Wait(Pace::Slow), Stands::Working(reason, message))
}

/// What is not there may still come.
pub(super) fn uncertain() -> Step {
    let message = "waits until calls whose answers were lost can no longer be executed";
    (Next::Wait(Pace::Waiting), Stands::Working("LostAnswers", message.into()))
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
