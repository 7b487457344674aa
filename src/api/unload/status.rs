//! What the controller reports of a job.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What was found and done.
///
/// A convenience: the statement and the fences in the bucket tell the same.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct UnloadJobStatus {
    /// The generation of the spec that the rest of the status is about; -1 before the controller saw the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling and Stalled as kstatus reads them; Complete, Failed and Suspended as a Job has them; QueryChecked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[schemars(length(max = 32))]
    pub conditions: Vec<Condition>,
    /// The value of the annotation redshiftlink.dev/reconcile-requested-at that was acted on last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub last_handled_reconcile_at: Option<String>,
    /// How far the job is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<JobState>,
    /// Number of the current or last attempt, from 1. Absent before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// How many attempts failed; those that a suspension ended do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_attempts: Option<u32>,
    /// Why the attempt, or the job, ended without success, and what follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// Id of the attempt's statement at the Redshift Data API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub statement_id: Option<String>,
    /// Name of the attempt's statement, by which it is found again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub statement_name: Option<String>,
    /// The folder that the attempt writes to, as an s3:// URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1100))]
    pub location: Option<String>,
    /// The manifest, as an s3:// URL. Absent where the result has no rows: then none is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1100))]
    pub manifest: Option<String>,
    /// Rows of the result, without header lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<i64>,
    /// Bytes of all files together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<i64>,
    /// The same for people, as in `1.2 GiB`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub size: Option<String>,
    /// Number of files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<i64>,
    /// When the first attempt began; anew when a suspended job is resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When the job was complete or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// From the one to the other, as in `3m12s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub duration: Option<String>,
}

/// The end of an attempt that brought no result.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Ended {
    /// When it was seen.
    pub at: Time,
    /// Why.
    pub reason: EndReason,
    /// The same in words; of the warehouse, where it was a statement that failed.
    #[schemars(length(max = 4096))]
    pub message: String,
    /// What follows once nothing of the attempt is left.
    pub then: Then,
}

/// What follows an attempt.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// Another attempt, after a while.
    Retry,
    /// Another attempt, once the job is not suspended and the link is Ready.
    Resume,
    /// Nothing: the job failed.
    Fail,
}

/// Why an attempt, or a job, ended without success. Each stands in docs/reasons.md.
#[derive(
    Serialize, Deserialize, JsonSchema, strum::EnumIter, strum::IntoStaticStr, Clone, Copy, Debug, PartialEq, Eq,
)]
pub enum EndReason {
    /// The query may not stand in an UNLOAD.
    InvalidQuery,
    /// The options, or what the link says, give no UNLOAD.
    InvalidStatement,
    /// The writing role may not use the key that the files are to be encrypted with.
    KeyNotOfLink,
    /// The warehouse refused it.
    StatementFailed,
    /// A limit of the warehouse, or somebody, stopped it.
    StatementStopped,
    /// The warehouse was not able to go on with it.
    WarehouseFailed,
    /// So many attempts failed.
    BackoffLimitExceeded,
    /// The job took too long.
    DeadlineExceeded,
    /// The job was suspended, or is being deleted.
    Cancelled,
    /// The link is gone, or goes.
    LinkGone,
    /// The link changed: it now unloads elsewhere, or it did before the attempt was submitted.
    LinkChanged,
    /// Nobody knows whether the statement ever ran.
    SubmissionUnknown,
    /// The warehouse wrote files, or rows, and no manifest.
    ManifestMissing,
    /// What lies in the bucket is not what the manifest lists.
    ManifestMismatch,
}

/// How far a job is.
#[derive(
    Serialize, Deserialize, JsonSchema, strum::EnumIter, strum::IntoStaticStr, Clone, Copy, Debug, PartialEq, Eq,
)]
pub enum JobState {
    /// Waits for its link, or for its next attempt.
    Pending,
    /// Is suspended.
    Suspended,
    /// An attempt is on its way to the warehouse.
    Submitting,
    /// The warehouse works at it.
    Running,
    /// The warehouse is done, and what it wrote is compared with the manifest.
    Verifying,
    /// Done: everything was written.
    Complete,
    /// Given up.
    Failed,
    /// Ended on the user's behalf.
    Cancelled,
}

/// Bytes for people: three digits at most, then the unit.
#[must_use]
#[allow(clippy::cast_precision_loss)] // what is rounded to one digit has no use for the last of 53 bits
pub fn size_text(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut amount = bytes as f64 / 1024.0;
    let mut unit = 0;
    // 1023.95 would be printed as 1024.0
    while amount >= 1023.95 && unit + 1 < UNITS.len() {
        amount /= 1024.0;
        unit += 1;
    }
    format!("{amount:.1} {}", UNITS[unit])
}

/// Seconds for people, as kubectl prints durations: two units at most.
#[must_use]
pub fn duration_text(seconds: u64) -> String {
    let (days, hours, minutes, rest) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes, rest) {
        (0, 0, 0, s) => format!("{s}s"),
        (0, 0, m, 0) => format!("{m}m"),
        (0, 0, m, s) => format!("{m}m{s}s"),
        (0, h, 0, _) => format!("{h}h"),
        (0, h, m, _) => format!("{h}h{m}m"),
        (d, 0, ..) => format!("{d}d"),
        (d, h, ..) => format!("{d}d{h}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_are_for_people() {
        let sizes = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1_048_575, "1.0 MiB"),
            (1_288_490_189, "1.2 GiB"),
            (u64::MAX, "16.0 EiB"),
        ];
        for (bytes, text) in sizes {
            assert_eq!(size_text(bytes), text, "{bytes}");
        }
        let durations = [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (192, "3m12s"),
            (3_600, "1h"),
            (7_260, "2h1m"),
            (90_000, "1d1h"),
            (86_400, "1d"),
        ];
        for (seconds, text) in durations {
            assert_eq!(duration_text(seconds), text, "{seconds}");
        }
    }
}
