//! What users write and read: the kinds of the group `redshiftlink.dev`, their rules and their conditions.

pub mod conditions;
mod crd;
pub mod link;
pub mod status;
pub mod unload;

pub use crd::{CrdFile, crds};
pub use link::{CrossAccountRedshiftLink, CrossAccountRedshiftLinkSpec};
pub use status::LinkStatus;
pub use unload::{UnloadJob, UnloadJobSpec};

/// The finalizer that keeps a link until nothing of it is left at AWS.
pub const FINALIZER: &str = "redshiftlink.dev/link";

/// The finalizer that keeps a job until its statement has ended and what it must not leave behind is gone.
pub const JOB_FINALIZER: &str = "redshiftlink.dev/unload";

/// On a job, written with its finalizer: where its fences stand and its statements run, so that both are found without
/// status and link. JSON, for the controller alone.
pub const PLACE: &str = "redshiftlink.dev/place";

/// Setting this annotation to another value makes the controller look at once; it is echoed in status.
pub const RECONCILE_REQUESTED_AT: &str = "redshiftlink.dev/reconcile-requested-at";

/// Field manager and reporter of everything that this program writes to Kubernetes.
pub const MANAGER: &str = "redshift-link";
