//! What came of jobs, as numbers. Each end counts once: when the status that tells of it is written.

use crate::api::unload::status::{JobState, UnloadJobStatus};
use crate::observability::metrics::Metrics;
use std::time::Duration;

/// Counts what a status tells that the one before it did not.
pub(super) fn count(metrics: &Metrics, before: Option<&UnloadJobStatus>, after: &UnloadJobStatus) {
    let Some(outcome) = outcome(Some(after)).filter(|_| outcome(before).is_none()) else { return };
    let reason = after.ended.as_ref().map_or("Complete", |ended| ended.reason.into());
    let took = after.started_at.as_ref().zip(after.finished_at.as_ref());
    let took = took.and_then(|(began, finished)| Duration::try_from(finished.0.duration_since(began.0)).ok());
    metrics.job_ended(outcome.into(), reason, took);
    if outcome == JobState::Complete {
        let number = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok()).unwrap_or_default();
        metrics.unloaded(number(after.rows), number(after.bytes));
    }
}

/// How a job ended; none where it did not.
fn outcome(status: Option<&UnloadJobStatus>) -> Option<JobState> {
    match status?.state? {
        ended @ (JobState::Complete | JobState::Failed | JobState::Cancelled) => Some(ended),
        JobState::Pending | JobState::Submitting | JobState::Running | JobState::Verifying | JobState::Suspended => {
            None
        }
    }
}
