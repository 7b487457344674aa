//! The port over a real API server.

use super::{Happening, Jobs, Kubernetes, KubernetesError};
use crate::api::unload::status::UnloadJobStatus;
use crate::api::{CrossAccountRedshiftLink, FINALIZER, JOB_FINALIZER, LinkStatus, MANAGER, PLACE, UnloadJob};
use crate::aws::error::Class;
use async_trait::async_trait;
use k8s_openapi::api::core::v1::{Namespace, ObjectReference};
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use k8s_openapi::jiff::Timestamp;
use kube::api::{Api, DeleteParams, PartialObjectMeta, Patch, PatchParams, PostParams, Preconditions};
use kube::core::NamespaceResourceScope;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Debug;

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

    fn labels(&self, namespace: &str) -> BTreeMap<String, String> {
        let found = self.namespaces.get(&ObjectRef::new(namespace));
        found.map(|namespace| namespace.labels().clone()).unwrap_or_default()
    }

    fn api<K>(&self, object: &K) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &object.namespace().unwrap_or_default())
    }

    async fn patch<K>(&self, action: &'static str, object: &K, operations: Value) -> Result<K, KubernetesError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        let operations = serde_json::from_value(operations).expect("written as a JSON patch just now");
        let patch = Patch::Json::<()>(operations);
        let params = PatchParams { field_manager: Some(MANAGER.into()), ..PatchParams::default() };
        self.api(object).patch(&object.name_any(), &params, &patch).await.map_err(|e| explained(action, &e))
    }

    async fn write_status<K>(&self, object: &K, status: Value) -> Result<K, KubernetesError>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()> + Clone + DeserializeOwned + Debug,
    {
        let patch = json!({
            "apiVersion": K::api_version(&()),
            "kind": K::kind(&()),
            "metadata": {"name": object.name_any(), "resourceVersion": object.resource_version()},
            "status": status,
        });
        let params = PatchParams::apply(MANAGER).force();
        let written = self.api(object).patch_status(&object.name_any(), &params, &Patch::Apply(patch)).await;
        written.map_err(|e| explained("apply status", &e))
    }
}

/// Adds a finalizer.
fn added(object: &impl ResourceExt, finalizer: &str) -> Value {
    if object.finalizers().is_empty() {
        json!({"op": "add", "path": "/metadata/finalizers", "value": [finalizer]})
    } else {
        json!({"op": "add", "path": "/metadata/finalizers/-", "value": finalizer})
    }
}

/// Removes a finalizer from exactly this version; none where it is not there.
fn removed(object: &impl ResourceExt, finalizer: &str) -> Option<Value> {
    let index = object.finalizers().iter().position(|one| one == finalizer)?;
    let path = format!("/metadata/finalizers/{index}");
    Some(json!([
        this_version(object),
        {"op": "test", "path": path, "value": finalizer},
        {"op": "remove", "path": path},
    ]))
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
        self.patch("add finalizer", link, json!([this_version(link), added(link, FINALIZER)])).await
    }

    async fn remove_finalizer(&self, link: &CrossAccountRedshiftLink) -> Result<(), KubernetesError> {
        let Some(operations) = removed(link, FINALIZER) else { return Ok(()) };
        self.patch("remove finalizer", link, operations).await.map(drop)
    }

    async fn apply_status(
        &self,
        link: &CrossAccountRedshiftLink,
        status: &LinkStatus,
    ) -> Result<CrossAccountRedshiftLink, KubernetesError> {
        self.write_status(link, json!(status)).await
    }

    async fn tell(&self, link: &CrossAccountRedshiftLink, happening: &Happening) {
        publish(&self.client, &self.instance, link.object_ref(&()), happening).await;
    }

    fn namespace_labels(&self, namespace: &str) -> BTreeMap<String, String> {
        self.labels(namespace)
    }
}

#[async_trait]
impl Jobs for ApiServer {
    async fn link(&self, namespace: &str, name: &str) -> Result<Option<CrossAccountRedshiftLink>, KubernetesError> {
        let links: Api<CrossAccountRedshiftLink> = Api::namespaced(self.client.clone(), namespace);
        links.get_opt(name).await.map_err(|e| explained("get link", &e))
    }

    async fn hold(&self, job: &UnloadJob, place: &str) -> Result<(), KubernetesError> {
        let annotation = if job.annotations().is_empty() {
            json!({"op": "add", "path": "/metadata/annotations", "value": {PLACE: place}})
        } else {
            let path = format!("/metadata/annotations/{}", PLACE.replace('~', "~0").replace('/', "~1"));
            json!({"op": "add", "path": path, "value": place})
        };
        let mut operations = vec![this_version(job), annotation];
        if !job.finalizers().iter().any(|finalizer| finalizer == JOB_FINALIZER) {
            operations.push(added(job, JOB_FINALIZER));
        }
        self.patch("add finalizer", job, operations.into()).await.map(drop)
    }

    async fn let_go(&self, job: &UnloadJob) -> Result<(), KubernetesError> {
        let Some(operations) = removed(job, JOB_FINALIZER) else { return Ok(()) };
        self.patch("remove finalizer", job, operations).await.map(drop)
    }

    async fn apply_status(&self, job: &UnloadJob, status: &UnloadJobStatus) -> Result<UnloadJob, KubernetesError> {
        self.write_status(job, json!(status)).await
    }

    async fn delete(&self, job: &UnloadJob) -> Result<(), KubernetesError> {
        let preconditions = Preconditions { uid: job.uid(), resource_version: job.resource_version() };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::background() };
        match self.api(job).delete(&job.name_any(), &params).await {
            Ok(_) => Ok(()),
            Err(error) => Err(explained("delete", &error)),
        }
    }

    async fn tell(&self, job: &UnloadJob, happening: &Happening) {
        publish(&self.client, &self.instance, job.object_ref(&()), happening).await;
    }

    fn namespace_labels(&self, namespace: &str) -> BTreeMap<String, String> {
        self.labels(namespace)
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

fn this_version(object: &impl ResourceExt) -> Value {
    json!({"op": "test", "path": "/metadata/resourceVersion", "value": object.resource_version()})
}
