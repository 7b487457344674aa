//! What an UNLOAD leaves: statements, and objects in buckets.

use k8s_openapi::jiff::Timestamp;
use std::collections::BTreeMap;

/// An object in a bucket, in one of its versions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectVersion {
    /// Key.
    pub key: String,
    /// Id of the version; absent where the bucket never had versions.
    pub version: Option<String>,
}

/// An upload in parts that was not ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Upload {
    /// Key of the object that it would make.
    pub key: String,
    /// Its id.
    pub id: String,
}

/// What the key is called that AWS keeps for S3 in each account.
pub const AWS_MANAGED: &str = "alias/aws/s3";

/// The objects below a prefix, as they are now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The moment of the answer, by AWS's clock.
    pub as_of: Timestamp,
    /// By key.
    pub objects: BTreeMap<String, Object>,
}

/// One object of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object {
    /// Bytes.
    pub size: u64,
    /// When it was written, by AWS's clock.
    pub modified: Timestamp,
}

/// States of a statement (docs/aws-behaviour.md#statements).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum StatementStatus {
    Submitted,
    Picked,
    Started,
    Finished,
    Failed,
    Aborted,
    /// A status that AWS did not have when this was written.
    Unknown,
}

impl StatementStatus {
    /// It ended, one way or another.
    #[must_use]
    pub const fn is_ended(self) -> bool {
        match self {
            Self::Finished | Self::Failed | Self::Aborted => true,
            Self::Submitted | Self::Picked | Self::Started | Self::Unknown => false,
        }
    }
}

/// A statement of the Data API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How far it is.
    pub status: StatementStatus,
    /// What the warehouse says of a failure.
    pub error: Option<String>,
    /// When it was submitted, by AWS's clock.
    pub created: Option<Timestamp>,
    /// Rows that it returned or affected, where the API tells.
    pub rows: Option<u64>,
    /// Its number in the warehouse's own history; a listing does not tell.
    pub query_id: Option<u64>,
}
