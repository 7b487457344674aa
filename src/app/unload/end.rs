//! How a job ends for who follows it, with which exit code, and what to do then. Pure.

use crate::api::UnloadJob;
use crate::api::unload::status::{EndReason, JobState};

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All was written.
    Complete,
    /// Given up.
    Failed,
    /// Suspended, and nothing of it is under way.
    Suspended,
    /// The object is gone.
    Gone,
}

impl End {
    /// Of an object that is there; none while it goes on.
    #[must_use]
    pub fn of(job: &UnloadJob) -> Option<Self> {
        let status = job.status.as_ref()?;
        let deleting = job.metadata.deletion_timestamp.is_some();
        let is_current = status.observed_generation == job.metadata.generation;
        match status.state? {
            // its result goes with it
            JobState::Complete if deleting && job.spec.deletes_data() => None,
            JobState::Complete => Some(Self::Complete),
            JobState::Failed => Some(Self::Failed),
            JobState::Suspended if is_current && !deleting => Some(Self::Suspended),
            JobState::Suspended
            | JobState::Pending
            | JobState::Submitting
            | JobState::Running
            | JobState::Verifying
            | JobState::Cancelled => None,
        }
    }

    /// The exit code for who waits for the result.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Complete => 0,
            Self::Failed => 1,
            Self::Suspended | Self::Gone => 3,
        }
    }
}

/// What to do about a job that failed for this reason, as docs/reasons.md has it; none of a reason for which none does.
#[must_use]
pub const fn remedy(reason: EndReason) -> Option<&'static str> {
    Some(match reason {
        EndReason::InvalidQuery => "correct the query, and make another job",
        EndReason::InvalidStatement => "correct what the message names, and make another job",
        EndReason::KeyNotOfLink => {
            "set it as unload.kmsKeyArn of the link, or leave encryption out, and make another job"
        }
        EndReason::StatementFailed => "see the warehouse's message; once that is mended, make another job",
        EndReason::StatementStopped => {
            "find out who or what stopped it; make the query smaller, or have the limit raised, and make another job"
        }
        EndReason::BackoffLimitExceeded => "see whether the warehouse is well, and make another job",
        EndReason::DeadlineExceeded => "make another job with a longer activeDeadlineSeconds, or a smaller query",
        EndReason::LinkGone => "make the link again, and another job",
        EndReason::LinkChanged => "make another job",
        EndReason::ManifestMissing => "look at the files, which are left until the job is deleted",
        EndReason::ManifestMismatch => "find out who else writes there; the files are left until the job is deleted",
        EndReason::SubmissionUnknown => "look at the cluster's history, and make another job if it did not run",
        // of an attempt, which another follows
        EndReason::WarehouseFailed | EndReason::Cancelled => return None,
    })
}
