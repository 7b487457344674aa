//! The watch on links: which object is looked at when.

use super::reconcile::Loop;
use crate::api::CrossAccountRedshiftLink;
use crate::api::conditions::{self, types};
use crate::aws::error::Class;
use crate::kubernetes::KubernetesError;
use crate::kubernetes::turns::Turns;
use crate::observability::metrics::Metrics;
use futures::StreamExt;
use futures::stream::Stream;
use kube::api::{Api, ListParams};
use kube::core::DeserializeGuard;
use kube::runtime::controller::{Action, Config, Controller, Error as ControllerError};
use kube::runtime::reflector::Store;
use kube::runtime::watcher;
use kube::{Client, Resource};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A loop that takes longer is dropped and begun anew: every wait in it has a limit of its own, this is the last one.
const LOOP_TIMEOUT: Duration = Duration::from_secs(300);

/// Counts are as old as this at most.
const COUNT_EVERY: Duration = Duration::from_secs(15);

/// The object as the watch sees it: one that cannot be read must not end the watch for all others.
type Guarded = DeserializeGuard<CrossAccountRedshiftLink>;

struct Context {
    around: Arc<Loop>,
    metrics: Metrics,
    turns: Turns<Guarded>,
}

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

/// Notes every live link before any is looked at.
///
/// # Errors
/// The links cannot be listed: the definition is not installed, or the permission is missing.
pub async fn expect_all(client: &Client, around: &Loop) -> Result<(), kube::Error> {
    let links: Api<Guarded> = Api::all(client.clone());
    for link in links.list(&ListParams::default()).await? {
        match link.0 {
            Ok(link) => around.expect(&link),
            Err(error) => {
                tracing::error!(error = error.error, name = error.metadata.name, "an object cannot be read");
                around.cannot_read(&error.metadata);
            }
        }
    }
    Ok(())
}

/// Runs until `stop`, then lets the loops under way end. `again`: all objects are looked at when it yields.
pub async fn run(
    client: Client,
    around: Arc<Loop>,
    metrics: Metrics,
    workers: u16,
    again: impl Stream<Item = ()> + Send + Sync + 'static,
    stop: CancellationToken,
) {
    let links: Api<Guarded> = Api::all(client);
    let controller = Controller::new(links, watcher::Config::default());
    let store = controller.store();
    let counted = count(store.clone(), metrics.clone());
    let turns = Turns::new(workers, store.clone(), stop.clone());
    let context = Arc::new(Context { around: around.clone(), metrics, turns });
    let controlled = controller
        // as many as there are: they wait for their turns
        .with_config(Config::default().concurrency(0))
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

/// Counts the links by how they stand, for as long as the controller runs.
async fn count(store: Store<Guarded>, metrics: Metrics) {
    loop {
        let mut counts = BTreeMap::from(["True", "False", "Unknown", "absent", "unreadable"].map(|ready| (ready, 0)));
        for guarded in store.state() {
            let ready = match &guarded.0 {
                Err(_) => "unreadable",
                Ok(link) => {
                    let conditions = link.status.as_ref().map_or(&[][..], |status| &status.conditions);
                    match conditions::find(conditions, types::READY).map(|ready| ready.status.as_str()) {
                        Some("True") => "True",
                        Some("False") => "False",
                        Some(_) => "Unknown",
                        None => "absent",
                    }
                }
            };
            *counts.entry(ready).or_default() += 1;
        }
        counts.into_iter().for_each(|(ready, count)| metrics.set_links(ready, count));
        tokio::time::sleep(COUNT_EVERY).await;
    }
}

/// An object is gone from the store: what it wanted is wanted no more, whoever removed its finalizer.
fn forget_absent(around: &Loop, store: &Store<Guarded>) {
    let there: BTreeSet<String> = store.state().iter().filter_map(|guarded| guarded.meta().uid.clone()).collect();
    for uid in around.register.uids() {
        if !there.contains(&uid) {
            around.forget(&uid);
        }
    }
}

async fn reconcile(guarded: Arc<Guarded>, context: Arc<Context>) -> Result<Action, Failure> {
    let Some((_turn, guarded)) = context.turns.take(&guarded).await else { return Ok(Action::await_change()) };
    let link = guarded.0.as_ref().map_err(|error| {
        context.around.cannot_read(&error.metadata);
        Failure::Unreadable(error.error.clone())
    })?;
    let began = std::time::Instant::now();
    let result = tokio::time::timeout(LOOP_TIMEOUT, context.around.reconcile(link)).await;
    let label = match &result {
        Ok(Ok(_)) => "ok",
        Ok(Err(error)) => error.label(),
        Err(_) => "timeout",
    };
    context.metrics.looped("link", began.elapsed(), label);
    match result {
        Ok(Ok(Some(rest))) => Ok(Action::requeue(rest)),
        Ok(Ok(None)) => Ok(Action::await_change()),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => {
            context.around.dropped(link);
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
