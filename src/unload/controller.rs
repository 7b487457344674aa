//! The watch on jobs: which object is looked at when.

use super::reconcile::Loop;
use crate::api::unload::status::JobState;
use crate::api::{CrossAccountRedshiftLink, UnloadJob};
use crate::aws::error::Class;
use crate::kubernetes::KubernetesError;
use crate::kubernetes::turns::Turns;
use crate::observability::metrics::Metrics;
use futures::StreamExt;
use futures::stream::Stream;
use kube::api::{Api, ListParams, PartialObjectMeta};
use kube::core::DeserializeGuard;
use kube::runtime::controller::{Action, Config, Controller, Error as ControllerError};
use kube::runtime::reflector::{ObjectRef, Store};
use kube::runtime::watcher;
use kube::{Client, Resource, ResourceExt};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use strum::IntoEnumIterator;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A loop that takes longer is dropped and begun anew: every wait in it has a limit of its own, this is the last one.
const LOOP_TIMEOUT: Duration = Duration::from_secs(300);

/// A change of an object whose statement is waited for is heard so soon.
const CHANGE_HEARD_WITHIN: Duration = Duration::from_millis(500);

/// Counts are as old as this at most.
const COUNT_EVERY: Duration = Duration::from_secs(15);

/// The object as the watch sees it: one that cannot be read must not end the watch for all others.
type Guarded = DeserializeGuard<UnloadJob>;

/// Why a loop over an object broke off.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the object cannot be read: {0}")]
    Unreadable(String),
    #[error(transparent)]
    Kubernetes(#[from] KubernetesError),
    #[error("the loop took longer than {} seconds", LOOP_TIMEOUT.as_secs())]
    Timeout,
}

/// Notes every job that may have a statement under way, before any link is looked at.
///
/// # Errors
/// The jobs cannot be listed: the definition is not installed, or the permission is missing.
pub async fn expect_all(client: &Client, around: &Loop) -> Result<(), kube::Error> {
    let jobs: Api<Guarded> = Api::all(client.clone());
    for job in jobs.list(&ListParams::default()).await? {
        match job.0 {
            Ok(job) => around.expect(&job),
            Err(error) => {
                tracing::error!(error = error.error, name = error.metadata.name, "an object cannot be read");
                around.cannot_read(&error.metadata);
            }
        }
    }
    around.holds.all_known();
    Ok(())
}

/// Runs until `stop`, then lets the loops under way end. `again`: all objects are looked at when it yields.
pub async fn run(
    client: Client,
    around: Arc<Loop>,
    workers: u16,
    again: impl Stream<Item = ()> + Send + Sync + 'static,
    stop: CancellationToken,
) {
    let jobs: Api<Guarded> = Api::all(client.clone());
    let links: Api<PartialObjectMeta<CrossAccountRedshiftLink>> = Api::all(client);
    let controller = Controller::new(jobs, watcher::Config::default());
    let store = controller.store();
    let of_link = store.clone();
    let counted = count(store.clone(), around.metrics.clone());
    let (changed, links_changed) = watch::channel(());
    let context = Arc::new(Context {
        around: around.clone(),
        store: store.clone(),
        turns: Turns::new(workers, store.clone(), stop.clone()),
        links_changed,
        stop: stop.clone(),
    });
    let controlled = controller
        // as many as there are: most of them wait, for the end of a statement or for their turns
        .with_config(Config::default().concurrency(0))
        .watches(links, watcher::Config::default(), move |link| {
            changed.send_replace(());
            jobs_of(&of_link, &link)
        })
        .reconcile_all_on(again)
        .graceful_shutdown_on(stop.cancelled_owned())
        .run(reconcile, pause, context)
        .for_each(|result| {
            match result {
                Ok(_) => {}
                Err(ControllerError::ObjectNotFound(_)) => forget_absent(&around, &store),
                // the object changed meanwhile: it is looked at anew
                Err(ControllerError::ReconcilerFailed(Failure::Kubernetes(error), object))
                    if error.class == Class::Stale =>
                {
                    tracing::debug!(%error, %object, "loop broke off")
                }
                Err(ControllerError::ReconcilerFailed(error, object)) => {
                    tracing::warn!(%error, %object, "loop broke off")
                }
                Err(error) => tracing::warn!(%error, "watch"),
            }
            std::future::ready(())
        });
    tokio::select! {
        () = controlled => {}
        () = counted => {}
    }
}

/// Counts the jobs by how far they are, for as long as the controller runs.
async fn count(store: Store<Guarded>, metrics: Metrics) {
    let states: Vec<&str> = JobState::iter().map(Into::into).chain(["absent", "unreadable"]).collect();
    loop {
        let mut counts: BTreeMap<&'static str, usize> = states.iter().map(|state| (*state, 0)).collect();
        for guarded in store.state() {
            let state = match &guarded.0 {
                Err(_) => "unreadable",
                Ok(job) => job.status.as_ref().and_then(|status| status.state).map_or("absent", Into::into),
            };
            *counts.entry(state).or_default() += 1;
        }
        counts.into_iter().for_each(|(state, count)| metrics.set_jobs(state, count));
        tokio::time::sleep(COUNT_EVERY).await;
    }
}

/// The jobs that name a link: they wait for it, or have to let it go.
fn jobs_of(store: &Store<Guarded>, link: &PartialObjectMeta<CrossAccountRedshiftLink>) -> Vec<ObjectRef<Guarded>> {
    let (namespace, name) = (link.namespace(), link.name_any());
    let names = |guarded: &Arc<Guarded>| {
        let spec = guarded.0.as_ref().ok().map(|job| &job.spec.link_ref.name);
        spec == Some(&name) && guarded.meta().namespace == namespace
    };
    store.state().iter().filter(|guarded| names(guarded)).map(|guarded| ObjectRef::from_obj(guarded.as_ref())).collect()
}

/// An object is gone from the store: it holds no link any more, whoever removed its finalizer.
fn forget_absent(around: &Loop, store: &Store<Guarded>) {
    let there: BTreeSet<String> = store.state().iter().filter_map(|guarded| guarded.meta().uid.clone()).collect();
    for uid in around.holds.uids() {
        if !there.contains(&uid) {
            around.forget(&uid);
        }
    }
}

/// What the loops share.
struct Context {
    around: Arc<Loop>,
    store: Store<Guarded>,
    turns: Turns<Guarded>,
    links_changed: watch::Receiver<()>,
    stop: CancellationToken,
}

impl Context {
    /// Rests for so long, less where the statement of the object ends meanwhile, or the object changes. Gives what is left.
    /// `links_changed`: as it was before the loop, which read the link.
    async fn rest(&self, guarded: &Guarded, rest: Duration, mut links_changed: watch::Receiver<()>) -> Duration {
        let uid = guarded.meta().uid.as_deref().unwrap_or_default();
        if !self.around.awaits(uid) {
            return rest;
        }
        let began = Instant::now();
        tokio::select! {
            () = self.around.until_ended(uid) => Duration::ZERO,
            () = self.until_changed(guarded) => Duration::ZERO,
            // if it is the link of this one, the object is queued already
            _ = links_changed.changed() => rest.saturating_sub(began.elapsed()),
            () = self.stop.cancelled() => rest,
            () = tokio::time::sleep(rest) => Duration::ZERO,
        }
    }

    /// The watch does not wake an object whose loop has not returned.
    async fn until_changed(&self, guarded: &Guarded) {
        let of = |guarded: &Guarded| {
            let meta = guarded.meta();
            (meta.generation, meta.deletion_timestamp.clone(), meta.annotations.clone())
        };
        let (key, before) = (ObjectRef::from_obj(guarded), of(guarded));
        while self.store.get(&key).is_some_and(|now| of(&now) == before) {
            tokio::time::sleep(CHANGE_HEARD_WITHIN).await;
        }
    }
}

async fn reconcile(guarded: Arc<Guarded>, context: Arc<Context>) -> Result<Action, Failure> {
    let around = &context.around;
    let mut links_changed = context.links_changed.clone();
    // a copy has seen no more than what it was made from
    links_changed.mark_unchanged();
    let Some((turn, guarded)) = context.turns.take(&guarded).await else { return Ok(Action::await_change()) };
    let job = guarded.0.as_ref().map_err(|error| {
        around.cannot_read(&error.metadata);
        Failure::Unreadable(error.error.clone())
    })?;
    let began = Instant::now();
    let result = tokio::time::timeout(LOOP_TIMEOUT, around.reconcile(job)).await;
    let label = match &result {
        Ok(Ok(_)) => "ok",
        Ok(Err(error)) => error.label(),
        Err(_) => "timeout",
    };
    around.metrics.looped("job", began.elapsed(), label);
    drop(turn);
    match result {
        Ok(Ok(Some(rest))) => Ok(Action::requeue(context.rest(&guarded, rest, links_changed).await)),
        Ok(Ok(None)) => Ok(Action::await_change()),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => {
            around.dropped(job);
            Err(Failure::Timeout)
        }
    }
}

/// How long to wait after a loop that broke off.
fn pause(guarded: Arc<Guarded>, failure: &Failure, context: Arc<Context>) -> Action {
    match failure {
        Failure::Unreadable(_) => Action::await_change(),
        Failure::Kubernetes(error) => {
            let uid = guarded.meta().uid.clone().unwrap_or_default();
            Action::requeue(context.around.rest_after(&uid, error))
        }
        Failure::Timeout => Action::requeue(LOOP_TIMEOUT / 10),
    }
}
