//! The port over a real API server.

use super::{Happening, Kubernetes, KubernetesError};
use crate::api::{CrossAccountRedshiftLink, FINALIZER, LinkStatus, MANAGER};
use crate::aws::error::Class;
use async_trait::async_trait;
use k8s_openapi::api::core::v1::{Namespace, ObjectReference};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, PartialObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, Resource, ResourceExt};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The API server as the loop uses it.
pub struct ApiServer {
    client: Client,
    instance: String,
    namespaces: Store<PartialObjectMeta<Namespace>>,
}

impl ApiServer {
    /// Over a client, and the namespaces as they are followed elsewhere. `instance`: name of this process in events.
    #[must_use]
    pub fn new(client: Client, namespaces: Store<PartialObjectMeta<Namespace>>, instance: String) -> Self {
        Self { client, instance, namespaces }
    }

    fn links(&self, link: &CrossAccountRedshiftLink) -> Api<CrossAccountRedshiftLink> {
        Api::namespaced(self.client.clone(), &link.namespace().unwrap_or_default())
    }

    async fn patch(
        &self,
        action: &'static str,
        link: &CrossAccountRedshiftLink,
        operations: Value,
    ) -> Result<CrossAccountRedshiftLink, KubernetesError> {
        let operations = serde_json::from_value(operations).expect("written as a JSON patch just now");
        let patch = Patch::Json::<()>(operations);
        let params = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
        self.links(link).patch(&link.name_any(), &params, &patch).await.map_err(|e| explained(action, &e))
    }
}

fn explained(action: &'static str, error: &kube::Error) -> KubernetesError {
    let class = match error {
        // a failed `test` of a JSON patch is answered as invalid
        kube::Error::Api(status) if status.is_conflict() || status.is_not_found() || status.is_invalid() => {
            Class::Stale
        }
        kube::Error::Api(status) if status.is_forbidden() => Class::Blocked,
        _ => Class::Transient,
    };
    KubernetesError { action, message: error.to_string(), class }
}

#[async_trait]
impl Kubernetes for ApiServer {
    async fn add_finalizer(
        &self,
        link: &CrossAccountRedshiftLink,
    ) -> Result<CrossAccountRedshiftLink, KubernetesError> {
        let add = if link.finalizers().is_empty() {
            json!({"op": "add", "path": "/metadata/finalizers", "value": [FINALIZER]})
        } else {
            json!({"op": "add", "path": "/metadata/finalizers/-", "value": FINALIZER})
        };
        self.patch("add finalizer", link, json!([this_version(link), add])).await
    }

    async fn remove_finalizer(&self, link: &CrossAccountRedshiftLink) -> Result<(), KubernetesError> {
        let Some(index) = link.finalizers().iter().position(|finalizer| finalizer == FINALIZER) else { return Ok(()) };
        let path = format!("/metadata/finalizers/{index}");
        let operations = json!([
            this_version(link),
            {"op": "test", "path": path, "value": FINALIZER},
            {"op": "remove", "path": path},
        ]);
        self.patch("remove finalizer", link, operations).await.map(drop)
    }

    async fn apply_status(
        &self,
        link: &CrossAccountRedshiftLink,
        status: &LinkStatus,
    ) -> Result<CrossAccountRedshiftLink, KubernetesError> {
        let patch = json!({
            "apiVersion": CrossAccountRedshiftLink::api_version(&()),
            "kind": CrossAccountRedshiftLink::kind(&()),
            "metadata": {"name": link.name_any(), "resourceVersion": link.resource_version()},
            "status": status,
        });
        let params = PatchParams::apply(MANAGER).force();
        let written = self.links(link).patch_status(&link.name_any(), &params, &Patch::Apply(patch)).await;
        written.map_err(|e| explained("apply status", &e))
    }

    async fn tell(&self, link: &CrossAccountRedshiftLink, happening: &Happening) {
        publish(&self.client, &self.instance, link.object_ref(&()), happening).await;
    }

    fn namespace_labels(&self, namespace: &str) -> BTreeMap<String, String> {
        let found = self.namespaces.get(&ObjectRef::new(namespace));
        found.map(|namespace| namespace.labels().clone()).unwrap_or_default()
    }
}

/// Publishes an Event about an object. `instance`: name of this process.
///
/// Not by kube's recorder: it counts events that differ only in their note as one, and the note tells what changed.
pub async fn publish(client: &Client, instance: &str, regarding: ObjectReference, happening: &Happening) {
    let events: Api<Event> = Api::namespaced(client.clone(), regarding.namespace.as_deref().unwrap_or("default"));
    let name = regarding.name.clone().unwrap_or_default();
    let event = Event {
        metadata: ObjectMeta { generate_name: Some(format!("{name}-")), ..ObjectMeta::default() },
        event_time: Some(MicroTime(Timestamp::now())),
        type_: Some(if happening.warning { "Warning" } else { "Normal" }.into()),
        reason: Some(happening.reason.clone()),
        note: Some(happening.note.clone()),
        action: Some("Reconcile".into()),
        regarding: Some(regarding),
        reporting_controller: Some(MANAGER.into()),
        reporting_instance: Some(instance.to_owned()),
        ..Event::default()
    };
    if let Err(error) = events.create(&PostParams::default(), &event).await {
        tracing::warn!(%error, reason = happening.reason, "event not published");
    }
}

fn this_version(link: &CrossAccountRedshiftLink) -> Value {
    json!({"op": "test", "path": "/metadata/resourceVersion", "value": link.resource_version()})
}
