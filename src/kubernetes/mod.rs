//! Kubernetes as the loop knows it: one small port, so that the loop runs without an API server too.

pub mod client;
pub mod lease;
pub mod turns;

use crate::api::unload::status::UnloadJobStatus;
use crate::api::{CrossAccountRedshiftLink, LinkStatus, UnloadJob};
use crate::aws::error::Class;
use async_trait::async_trait;
use std::collections::BTreeMap;

/// Something to be told in an Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening {
    /// Warning rather than Normal.
    pub warning: bool,
    /// Machine readable reason.
    pub reason: String,
    /// What happened.
    pub note: String,
}

/// A refusal or failure of the API server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{action}: {message}")]
pub struct KubernetesError {
    /// What was tried.
    pub action: &'static str,
    /// What the API server said.
    pub message: String,
    /// What it asks for.
    pub class: Class,
}

impl KubernetesError {
    /// How a loop that it broke off is counted.
    #[must_use]
    pub fn label(&self) -> &'static str {
        if self.class == Class::Stale { "stale" } else { "kubernetes_error" }
    }
}

/// What the loop does to Kubernetes.
#[async_trait]
pub trait Kubernetes: Send + Sync {
    /// Adds our finalizer to exactly this version of the object; gives the new version.
    async fn add_finalizer(&self, link: &CrossAccountRedshiftLink)
    -> Result<CrossAccountRedshiftLink, KubernetesError>;

    /// Removes our finalizer from exactly this version of the object.
    async fn remove_finalizer(&self, link: &CrossAccountRedshiftLink) -> Result<(), KubernetesError>;

    /// Writes the status of exactly this version of the object; gives the new version.
    async fn apply_status(
        &self,
        link: &CrossAccountRedshiftLink,
        status: &LinkStatus,
    ) -> Result<CrossAccountRedshiftLink, KubernetesError>;

    /// Tells something, as well as it goes: a failure is logged, never reported.
    async fn tell(&self, link: &CrossAccountRedshiftLink, happening: &Happening);

    /// The labels of a namespace; none where it is not known.
    fn namespace_labels(&self, namespace: &str) -> BTreeMap<String, String>;
}

/// What the loop for jobs does to Kubernetes.
#[async_trait]
pub trait Jobs: Send + Sync {
    /// The link of this name as it is now; none where there is none.
    async fn link(&self, namespace: &str, name: &str) -> Result<Option<CrossAccountRedshiftLink>, KubernetesError>;

    /// Adds our finalizer to exactly this version of the job, and the annotation that says where it lives.
    async fn hold(&self, job: &UnloadJob, place: &str) -> Result<(), KubernetesError>;

    /// Removes our finalizer from exactly this version of the job.
    async fn let_go(&self, job: &UnloadJob) -> Result<(), KubernetesError>;

    /// Writes the status of exactly this version of the job; gives the new version.
    async fn apply_status(&self, job: &UnloadJob, status: &UnloadJobStatus) -> Result<UnloadJob, KubernetesError>;

    /// Deletes exactly this version of the job.
    async fn delete(&self, job: &UnloadJob) -> Result<(), KubernetesError>;

    /// Tells something, as well as it goes: a failure is logged, never reported.
    async fn tell(&self, job: &UnloadJob, happening: &Happening);

    /// The labels of a namespace; none where it is not known.
    fn namespace_labels(&self, namespace: &str) -> BTreeMap<String, String>;
}
