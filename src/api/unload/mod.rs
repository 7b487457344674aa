//! The kind `UnloadJob`: one UNLOAD over a link, run once.
// clippy takes the columns of the printed table for attributes of one thing
#![allow(clippy::duplicated_attributes)]

pub mod output;
pub mod rules;
pub mod shape;
pub mod status;

use kube::{CustomResource, KubeSchema};
use output::Output;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use status::UnloadJobStatus;

/// The longest that a job may take, in seconds: the Data API ends a statement after a day (docs/aws-behaviour.md, Statements).
pub const LONGEST: u32 = 86_400;

/// So many new attempts follow a failed one where the spec does not say: as for a Job of batch/v1.
pub const BACKOFF_LIMIT: u32 = 6;

/// One UNLOAD of a query's result from the warehouse of a link into the link's bucket, run once.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[kube(
    group = "redshiftlink.dev",
    version = "v1alpha1",
    kind = "UnloadJob",
    doc = "One UNLOAD of a query's result from the warehouse of a link into the link's bucket, run once.",
    namespaced,
    shortname = "unload",
    category = "redshiftlink",
    status = "UnloadJobStatus",
    derive = "PartialEq",
    selectable = ".spec.linkRef.name",
    printcolumn(name = "Status", type_ = "string", json_path = ".status.state", description = "How far the job is."),
    printcolumn(name = "Link", type_ = "string", json_path = ".spec.linkRef.name"),
    printcolumn(name = "Rows", type_ = "integer", json_path = ".status.rows", description = "Rows of the result."),
    printcolumn(name = "Size", type_ = "string", json_path = ".status.size", description = "All files together."),
    printcolumn(
        name = "Duration",
        type_ = "string",
        json_path = ".status.duration",
        description = "From the first attempt to the end."
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Location", type_ = "string", json_path = ".status.location", priority = 1),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].message"#,
        priority = 1
    )
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(
    validation = Rule::new("has(self.backoffLimit) == has(oldSelf.backoffLimit) && (!has(self.backoffLimit) || self.backoffLimit == oldSelf.backoffLimit)")
        .message("backoffLimit is immutable: make another job"),
    validation = Rule::new("has(self.dataPolicy) == has(oldSelf.dataPolicy) && (!has(self.dataPolicy) || self.dataPolicy == oldSelf.dataPolicy)")
        .message("dataPolicy is immutable: make another job")
)]
pub struct UnloadJobSpec {
    /// The link whose warehouse is read and whose bucket is written. Immutable.
    #[x_kube(validation = Rule::new("self == oldSelf").message("linkRef is immutable: make another job"))]
    pub link_ref: LinkRef,
    /// Exactly one SELECT, which may begin with WITH. An outer LIMIT is not taken by UNLOAD: put it into a subquery, as in
    /// `SELECT * FROM (SELECT ... LIMIT 10) AS t`. Quotes are written as in any SQL; they are doubled for UNLOAD by the
    /// controller. Comments are taken out. A backslash is refused: write `CHR(92)`. Immutable.
    #[schemars(length(min = 1, max = shape::STATEMENT_MAX))]
    #[x_kube(
        validation = Rule::new("self == oldSelf").message("query is immutable: make another job"),
        validation = Rule::new(r"!self.contains('\\')").message("a backslash in the query is refused: write CHR(92)")
    )]
    pub query: String,
    /// Where the result goes, and in which form. Immutable.
    #[x_kube(
        validation = rules::cel(&rules::ONE_FORMAT),
        validation = rules::cel(&rules::FILE_SIZE),
        validation = rules::cel(&rules::PARQUET_FILE_SIZE),
        validation = rules::cel(&rules::ROW_GROUP_SIZE),
        validation = rules::cel(&rules::ROW_GROUP_FITS),
        validation = rules::cel(&rules::FIXED_WIDTH_DELIMITER),
        validation = rules::cel(&rules::FIXED_WIDTH_HEADER),
        validation = rules::cel(&rules::FIXED_WIDTH_QUOTES),
        validation = rules::cel(&rules::FIXED_WIDTH_ESCAPE),
        validation = rules::cel(&rules::ONE_ENCRYPTION),
        validation = rules::cel(&rules::PARTITION_COLUMNS),
        validation = rules::cel(&rules::INCLUDE_PARTITIONS),
        validation = Rule::new("self == oldSelf").message("output is immutable: make another job")
    )]
    pub output: Output,
    /// Seconds after its first attempt began at which the job fails, however far it is; counted anew when a suspended job
    /// is resumed. At most a day. Absent: a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = LONGEST))]
    pub active_deadline_seconds: Option<u32>,
    /// How often to try again after an attempt that failed for a reason that another attempt may mend. Absent: 6.
    /// Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub backoff_limit: Option<u32>,
    /// While true nothing is submitted, and a statement that runs is cancelled; resuming is a new attempt. Absent: false.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspend: Option<bool>,
    /// Seconds after its end at which the job itself is deleted. Absent: it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 31_536_000))]
    pub ttl_seconds_after_finished: Option<u32>,
    /// What happens to the files of a job that is complete when the job is deleted, also by ttlSecondsAfterFinished:
    /// `Retain` leaves them, `Delete` deletes them. Files of attempts that failed are always deleted. Absent: `Retain`.
    /// Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_policy: Option<DataPolicy>,
}

impl UnloadJobSpec {
    /// Seconds that the job may take.
    #[must_use]
    pub fn deadline_seconds(&self) -> u32 {
        self.active_deadline_seconds.unwrap_or(LONGEST)
    }

    /// How many attempts may follow failed ones.
    #[must_use]
    pub fn retries(&self) -> u32 {
        self.backoff_limit.unwrap_or(BACKOFF_LIMIT)
    }

    /// True where the data goes with the job.
    #[must_use]
    pub fn deletes_data(&self) -> bool {
        self.data_policy == Some(DataPolicy::Delete)
    }
}

/// The link, in the namespace of the job.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LinkRef {
    /// Name of a CrossAccountRedshiftLink in the same namespace.
    #[schemars(schema_with = "shape::object_name")]
    pub name: String,
}

/// What deleting the job does to the files that it wrote.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum DataPolicy {
    Delete,
    Retain,
}
