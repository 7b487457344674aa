//! What is told of a job, and how it reads. Pure: from the object, and for what takes time the moment.

use super::end::{End, remedy};
use crate::api::UnloadJob;
use crate::api::conditions::{self, types};
use crate::api::unload::status::{JobState, duration_text};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use serde::Serialize;

/// What is told of a job. As JSON and YAML it always has all of these fields.
#[derive(Serialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Facts {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its link, in the same namespace.
    pub link: String,
    /// As in its status; `Deleting` while it is being deleted.
    pub state: &'static str,
    /// Nothing more happens until somebody acts.
    pub stalled: bool,
    /// Why it stands so.
    pub reason: Option<String>,
    /// The same in words: what is done, waited for, or wrong.
    pub message: Option<String>,
    /// What the reader has to do.
    pub to_do: Option<String>,
    /// Number of the attempt.
    pub attempt: Option<u32>,
    /// How many attempts failed.
    pub failed_attempts: Option<u32>,
    /// The attempt's statement.
    pub statement_id: Option<String>,
    /// Rows of the result.
    pub rows: Option<i64>,
    /// Files of the result, or so far.
    pub files: Option<i64>,
    /// Their bytes.
    pub bytes: Option<i64>,
    /// The same for people.
    pub size: Option<String>,
    /// The folder that the attempt writes to.
    pub location: Option<String>,
    /// The manifest in it.
    pub manifest: Option<String>,
    /// When the object was made.
    pub created_at: Option<Time>,
    /// When the first attempt began.
    pub started_at: Option<Time>,
    /// When it came to its end.
    pub finished_at: Option<Time>,
    /// From the one to the other.
    pub duration: Option<String>,
}

impl Facts {
    /// Of an object.
    #[must_use]
    pub fn of(job: &UnloadJob) -> Self {
        let status = job.status.clone().unwrap_or_default();
        let end = End::of(job);
        let stated = status.state.unwrap_or(JobState::Pending);
        let deleting = job.metadata.deletion_timestamp.is_some() && end.is_none();
        let is_seen = end.is_some() || status.observed_generation == job.metadata.generation;
        let said = |kind| conditions::find(&status.conditions, kind);
        // a job that is suspended has no Ready
        let condition = said(types::READY).or_else(|| said(types::SUSPENDED)).filter(|_| is_seen);
        let unseen = || (!is_seen).then(|| "waits for the controller to look at it".to_owned());
        let ended = status.ended.as_ref().map(|ended| ended.reason);
        let to_do = match end {
            Some(End::Failed) => ended.and_then(remedy),
            Some(End::Suspended) => Some("set spec.suspend to false to run it again, or delete it"),
            Some(End::Complete | End::Gone) | None => None,
        };
        // all else that was written is being removed
        let counts = !deleting && matches!(stated, JobState::Running | JobState::Verifying | JobState::Complete);
        let stalled = end.is_none() && is_seen && conditions::is_true(&status.conditions, types::STALLED);
        Self {
            namespace: job.namespace().unwrap_or_default(),
            name: job.name_any(),
            link: job.spec.link_ref.name.clone(),
            state: if deleting { "Deleting" } else { stated.into() },
            stalled,
            reason: condition.map(|condition| condition.reason.clone()),
            message: condition.map(|condition| condition.message.clone()).or_else(unseen),
            to_do: to_do.map(ToOwned::to_owned),
            attempt: status.attempt,
            failed_attempts: status.failed_attempts,
            statement_id: status.statement_id,
            rows: status.rows.filter(|_| counts),
            files: status.files.filter(|_| counts),
            bytes: status.bytes.filter(|_| counts),
            size: status.size.filter(|_| counts),
            location: status.location,
            manifest: status.manifest.filter(|_| counts),
            created_at: job.metadata.creation_timestamp.clone(),
            started_at: status.started_at,
            finished_at: status.finished_at,
            duration: status.duration,
        }
    }

    /// As a user names it.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// One line that tells how far it is. Without `now` it is without times, so that it differs only where the job does.
    #[must_use]
    pub fn line(&self, now: Option<Timestamp>) -> String {
        let attempt = self.attempt.map(|attempt| format!("attempt {attempt}"));
        let elapsed = now.and_then(|now| self.elapsed(now));
        let files = self.files.map(|files| format!("{files} {}", if files == 1 { "file" } else { "files" }));
        let so_far = self.so_far();
        let size = self.size.as_ref().map(|size| format!("{size}{so_far}"));
        let parts = [Some(self.state.to_owned()), attempt, elapsed, files, size];
        let mut line = format!("{}: {}", self.name, parts.into_iter().flatten().collect::<Vec<_>>().join(", "));
        if let Some(message) = self.message.as_ref().filter(|message| !message.is_empty()) {
            let in_the_way =
                self.reason.as_ref().filter(|_| self.stalled).map(|reason| format!(" in the way: {reason}:"));
            line = format!("{line}:{} {message}", in_the_way.unwrap_or_default());
        }
        plain(&line)
    }

    /// All that a person asks for, one thing a line.
    #[must_use]
    pub fn lines(&self, now: Timestamp) -> Vec<String> {
        let is_good = self.state == "Complete";
        let text = |value: &Option<String>| value.clone();
        let number = |value: Option<i64>| value.map(|number| number.to_string());
        let elapsed = self.elapsed(now);
        let elapsed_name = if self.duration.is_some() { "Duration" } else { "Elapsed" };
        let so_far = self.so_far();
        let failed = self.failed_attempts.filter(|failed| *failed > 0);
        let attempt = self
            .attempt
            .map(|attempt| failed.map_or(attempt.to_string(), |failed| format!("{attempt}, of which {failed} failed")));
        let reason = text(&self.reason)
            .filter(|_| !is_good)
            .map(|reason| if self.stalled { format!("{reason}: nothing happens until somebody acts") } else { reason });
        let rows = [
            ("Job", Some(self.full_name())),
            ("Link", Some(self.link.clone())),
            ("State", Some(self.state.to_owned())),
            ("Reason", reason),
            ("Message", text(&self.message).filter(|_| !is_good)),
            ("To do", text(&self.to_do)),
            ("Attempt", attempt),
            ("Statement", text(&self.statement_id)),
            ("Rows", number(self.rows)),
            ("Files", number(self.files)),
            ("Size", self.size.as_ref().map(|size| format!("{size}{so_far}"))),
            ("Location", text(&self.location)),
            ("Manifest", text(&self.manifest)),
            (elapsed_name, elapsed),
        ];
        let shown = rows.into_iter().filter_map(|(name, value)| Some((name, value.filter(|value| !value.is_empty())?)));
        shown.map(|(name, value)| plain(&format!("{:<11}{value}", format!("{name}:")))).collect()
    }

    fn so_far(&self) -> &'static str {
        if self.state == "Complete" { "" } else { " so far" }
    }

    /// How long it took, or takes: from the first attempt, or before there is one from the making of the object.
    fn elapsed(&self, now: Timestamp) -> Option<String> {
        self.duration.clone().or_else(|| {
            let goes_on = self.state != <&str>::from(JobState::Suspended);
            let began = self.started_at.as_ref().or(self.created_at.as_ref()).filter(|_| goes_on)?;
            let until = self.finished_at.as_ref().map_or(now, |finished| finished.0);
            // clocks of two machines may differ
            Some(duration_text(until.duration_since(began.0).as_secs().try_into().unwrap_or_default()))
        })
    }
}

/// Messages have words of others in them: nothing in these moves the cursor or colours the terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
