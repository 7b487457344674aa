//! An API server in memory: resource versions, finalizers, deletion; and what was told.

use super::faults::{Fault, Faults, Write};
use async_trait::async_trait;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use kube::ResourceExt;
use redshift_link::api::unload::status::UnloadJobStatus;
use redshift_link::api::{CrossAccountRedshiftLink, FINALIZER, JOB_FINALIZER, LinkStatus, PLACE, UnloadJob};
use redshift_link::aws::error::Class;
use redshift_link::kubernetes::{Happening, Jobs, Kubernetes, KubernetesError};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

#[derive(Clone)]
pub struct FakeKubernetes {
    state: Arc<Mutex<State>>,
    faults: Faults,
    changes: watch::Sender<()>,
}

#[derive(Default)]
struct State {
    version: u64,
    links: BTreeMap<String, CrossAccountRedshiftLink>,
    jobs: BTreeMap<String, UnloadJob>,
    told: Vec<(String, Happening)>,
}

impl FakeKubernetes {
    pub fn new(faults: Faults) -> Self {
        Self { state: Arc::default(), faults, changes: watch::Sender::default() }
    }

    /// Creates or changes an object as a user would: `change` gets what is there.
    pub fn edit(&self, name: &str, change: impl FnOnce(Option<CrossAccountRedshiftLink>) -> CrossAccountRedshiftLink) {
        let mut state = self.state.lock().unwrap();
        let old = state.links.get(name).cloned();
        let mut new = change(old.clone());
        state.version += 1;
        let generation = old.as_ref().and_then(|o| o.metadata.generation).unwrap_or(0);
        let changed = old.as_ref().is_none_or(|o| o.spec != new.spec);
        new.metadata.generation = Some(generation + i64::from(changed));
        new.metadata.resource_version = Some(state.version.to_string());
        state.links.insert(name.into(), new);
        self.changes.send_replace(());
    }

    /// Wakes whenever any object changes.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Deletes an object: at once where no finalizer holds it.
    pub fn delete(&self, name: &str) {
        let mut state = self.state.lock().unwrap();
        state.version += 1;
        let version = state.version.to_string();
        self.changes.send_replace(());
        let Some(link) = state.links.get_mut(name) else { return };
        if link.finalizers().is_empty() {
            state.links.remove(name);
        } else if link.metadata.deletion_timestamp.is_none() {
            link.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
            link.metadata.generation = link.metadata.generation.map(|g| g + 1);
            link.metadata.resource_version = Some(version);
        }
    }

    /// Somebody takes the finalizer off an object, and it is gone.
    pub fn take(&self, name: &str) {
        self.state.lock().unwrap().links.remove(name);
        self.changes.send_replace(());
    }

    /// Creates or changes a job as a user would. One that is made gets a UID of its own.
    pub fn edit_job(&self, name: &str, change: impl FnOnce(Option<UnloadJob>) -> UnloadJob) {
        let mut state = self.state.lock().unwrap();
        let old = state.jobs.get(name).cloned();
        let mut new = change(old.clone());
        state.version += 1;
        let generation = old.as_ref().and_then(|o| o.metadata.generation).unwrap_or(0);
        let changed = old.as_ref().is_none_or(|o| o.spec != new.spec);
        new.metadata.generation = Some(generation + i64::from(changed));
        new.metadata.resource_version = Some(state.version.to_string());
        if old.is_none() {
            new.metadata.uid = Some(format!("00000000-0000-4000-8000-{:012}", state.version));
        }
        state.jobs.insert(name.into(), new);
        self.changes.send_replace(());
    }

    /// Deletes a job: at once where no finalizer holds it.
    pub fn delete_job(&self, name: &str) {
        let mut state = self.state.lock().unwrap();
        state.version += 1;
        let version = state.version.to_string();
        self.changes.send_replace(());
        let Some(job) = state.jobs.get_mut(name) else { return };
        if job.finalizers().is_empty() {
            state.jobs.remove(name);
        } else if job.metadata.deletion_timestamp.is_none() {
            job.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
            job.metadata.generation = job.metadata.generation.map(|g| g + 1);
            job.metadata.resource_version = Some(version);
        }
    }

    pub fn job(&self, name: &str) -> Option<UnloadJob> {
        self.state.lock().unwrap().jobs.get(name).cloned()
    }

    pub fn jobs(&self) -> Vec<UnloadJob> {
        self.state.lock().unwrap().jobs.values().cloned().collect()
    }

    pub fn get(&self, name: &str) -> Option<CrossAccountRedshiftLink> {
        self.state.lock().unwrap().links.get(name).cloned()
    }

    pub fn all(&self) -> Vec<CrossAccountRedshiftLink> {
        self.state.lock().unwrap().links.values().cloned().collect()
    }

    /// What was told of an object: reasons and notes.
    pub fn told(&self, name: &str) -> Vec<Happening> {
        self.state.lock().unwrap().told.iter().filter(|(n, _)| n == name).map(|(_, h)| h.clone()).collect()
    }

    async fn write<T>(
        &self,
        action: &'static str,
        run: impl Fn(&mut State) -> Result<T, KubernetesError>,
    ) -> Result<T, KubernetesError> {
        let run = || {
            let result = run(&mut self.state.lock().unwrap());
            self.changes.send_replace(());
            result
        };
        let lost = |class| KubernetesError { action, message: "no answer".into(), class };
        match self.faults.next(&Write::Kubernetes(action)) {
            None => run(),
            Some(Fault::StopBefore) => self.faults.stop().await,
            Some(Fault::StopAfter) => {
                let _ = run();
                self.faults.stop().await
            }
            Some(Fault::FailsBefore) => Err(lost(Class::Transient)),
            // the API server does not execute late: a request carries the version it was made for
            Some(Fault::LostAnswer | Fault::FailsAfter | Fault::Late(_)) => {
                let _ = run();
                Err(lost(Class::Transient))
            }
        }
    }
}

impl State {
    fn change(
        &mut self,
        link: &CrossAccountRedshiftLink,
        action: &'static str,
        change: impl FnOnce(&mut CrossAccountRedshiftLink),
    ) -> Result<CrossAccountRedshiftLink, KubernetesError> {
        let version = self.version + 1;
        let found = self.links.get_mut(&link.name_any()).filter(|found| found.uid() == link.uid());
        let stale = || KubernetesError { action, message: "the object has been modified".into(), class: Class::Stale };
        let found =
            found.filter(|f| f.metadata.resource_version == link.metadata.resource_version).ok_or_else(stale)?;
        let before = found.clone();
        change(found);
        if *found != before {
            found.metadata.resource_version = Some(version.to_string());
            self.version = version;
        }
        let after = self.links[&link.name_any()].clone();
        if after.metadata.deletion_timestamp.is_some() && after.finalizers().is_empty() {
            self.links.remove(&link.name_any());
        }
        Ok(after)
    }
}

impl State {
    fn change_job(
        &mut self,
        job: &UnloadJob,
        action: &'static str,
        change: impl FnOnce(&mut UnloadJob),
    ) -> Result<UnloadJob, KubernetesError> {
        let version = self.version + 1;
        let stale = || KubernetesError { action, message: "the object has been modified".into(), class: Class::Stale };
        let found = self.jobs.get_mut(&job.name_any()).filter(|found| found.uid() == job.uid());
        let found = found.filter(|f| f.metadata.resource_version == job.metadata.resource_version).ok_or_else(stale)?;
        let before = found.clone();
        change(found);
        if *found != before {
            found.metadata.resource_version = Some(version.to_string());
            self.version = version;
        }
        let after = self.jobs[&job.name_any()].clone();
        if after.metadata.deletion_timestamp.is_some() && after.finalizers().is_empty() {
            self.jobs.remove(&job.name_any());
        }
        Ok(after)
    }
}

#[async_trait]
impl Jobs for FakeKubernetes {
    async fn link(&self, _: &str, name: &str) -> Result<Option<CrossAccountRedshiftLink>, KubernetesError> {
        Ok(self.get(name))
    }

    async fn hold(&self, job: &UnloadJob, place: &str) -> Result<(), KubernetesError> {
        let action = "hold job";
        let change = |job: &mut UnloadJob| {
            job.annotations_mut().insert(PLACE.into(), place.into());
            if !job.finalizers().iter().any(|finalizer| finalizer == JOB_FINALIZER) {
                job.finalizers_mut().push(JOB_FINALIZER.into());
            }
        };
        self.write(action, |state| state.change_job(job, action, change)).await.map(drop)
    }

    async fn let_go(&self, job: &UnloadJob) -> Result<(), KubernetesError> {
        let action = "let go of job";
        let change = |job: &mut UnloadJob| job.finalizers_mut().retain(|finalizer| finalizer != JOB_FINALIZER);
        self.write(action, |state| state.change_job(job, action, change)).await.map(drop)
    }

    async fn apply_status(&self, job: &UnloadJob, status: &UnloadJobStatus) -> Result<UnloadJob, KubernetesError> {
        let action = "apply job status";
        self.write(action, |state| state.change_job(job, action, |job| job.status = Some(status.clone()))).await
    }

    async fn delete(&self, job: &UnloadJob) -> Result<(), KubernetesError> {
        let action = "delete job";
        let gone = |job: &mut UnloadJob| job.metadata.deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
        self.write(action, |state| state.change_job(job, action, gone)).await.map(drop)
    }

    async fn tell(&self, job: &UnloadJob, happening: &Happening) {
        self.state.lock().unwrap().told.push((format!("job {}", job.name_any()), happening.clone()));
    }

    fn namespace_labels(&self, _: &str) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
}

#[async_trait]
impl Kubernetes for FakeKubernetes {
    async fn add_finalizer(
        &self,
        link: &CrossAccountRedshiftLink,
    ) -> Result<CrossAccountRedshiftLink, KubernetesError> {
        let action = "add finalizer";
        self.write(action, |state| state.change(link, action, |l| l.finalizers_mut().push(FINALIZER.into()))).await
    }

    async fn remove_finalizer(&self, link: &CrossAccountRedshiftLink) -> Result<(), KubernetesError> {
        let action = "remove finalizer";
        self.write(action, |state| state.change(link, action, |l| l.finalizers_mut().retain(|f| f != FINALIZER)))
            .await
            .map(drop)
    }

    async fn apply_status(
        &self,
        link: &CrossAccountRedshiftLink,
        status: &LinkStatus,
    ) -> Result<CrossAccountRedshiftLink, KubernetesError> {
        let action = "apply status";
        self.write(action, |state| state.change(link, action, |l| l.status = Some(status.clone()))).await
    }

    async fn tell(&self, link: &CrossAccountRedshiftLink, happening: &Happening) {
        self.state.lock().unwrap().told.push((link.name_any(), happening.clone()));
    }

    fn namespace_labels(&self, _: &str) -> BTreeMap<String, String> {
        BTreeMap::new()
    }
}
