//! `redshift-link run`: the controller.

use super::{AppError, client, installation, sdk};
use crate::api::CrossAccountRedshiftLink;
use crate::app::orphans;
use crate::aws::accounts::{AccountsWatch, watch_file};
use crate::aws::shared::SharedReads;
use crate::cli::Run;
use crate::kubernetes::Happening;
use crate::kubernetes::client::{ApiServer, publish};
use crate::kubernetes::lease::{self, Elector};
use crate::link::controller;
use crate::link::holds::Holds;
use crate::link::memory::Memories;
use crate::link::reconcile::Loop;
use crate::link::register::Register;
use crate::observability::admin::{self, Health};
use crate::observability::metrics::Metrics;
use crate::unload;
use futures::stream::{Stream, unfold};
use futures::{FutureExt, StreamExt};
use k8s_openapi::api::core::v1::{Namespace, ObjectReference};
use k8s_openapi::jiff::Timestamp;
use kube::api::{ListParams, PartialObjectMeta};
use kube::runtime::reflector::Store;
use kube::runtime::{WatchStreamExt, reflector, watcher};
use kube::{Api, Client, Config};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Loops under way may take so long to end when the process is asked to.
const DRAIN: Duration = Duration::from_secs(25);

/// Runs until a signal, or until something ends that must not: then the process ends too, and is started again.
///
/// # Errors
/// The configuration is not good, the cluster is not reached, or a task ended.
pub async fn run(settings: Run) -> Result<ExitCode, AppError> {
    let stop = CancellationToken::new();
    let metrics = Metrics::default();
    let health = Health::default();
    let mut tasks = Tasks::default();

    let listener = TcpListener::bind(settings.admin_address).await;
    let listener = listener.map_err(|error| AppError::Io { what: settings.admin_address.to_string(), error })?;
    tracing::info!(address = %settings.admin_address, "admin server");
    let served = admin::serve(listener, health.clone(), metrics.clone(), stop.clone());
    tasks.spawn("admin server", async move { drop(served.await) });

    let (accounts, follow) = watch_file(&settings.place.accounts).await?;
    tasks.spawn("accounts file", follow);
    let client = client().await?;
    let identity = settings.identity.clone().unwrap_or_else(host_name);
    let lease_namespace = lease_namespace(&settings).await?;
    let told = tell(accounts.clone(), metrics.clone(), client.clone(), identity.clone(), lease_namespace.clone());
    tasks.spawn("accounts told", told);
    let installation = installation(&settings.place, Some(&client)).await?;
    tracing::info!(installation = installation.id(), accounts = accounts.borrow().accounts.accounts.len(), "starting");
    let links: Api<CrossAccountRedshiftLink> = Api::all(client.clone());
    links.list_metadata(&ListParams::default().limit(1)).await?;
    let (namespaces, followed) = namespaces(&client);
    tasks.spawn("namespaces", followed);
    namespaces.wait_until_ready().await.map_err(|error| AppError::Kubernetes(error.to_string()))?;
    health.set_ready();

    let mut elector = Elector::new(lease_client().await?, &lease_namespace, identity.clone());
    let leadership = elector.leadership();
    let signalled = signal();
    tokio::pin!(signalled);
    tokio::select! {
        led = elector.acquire(&stop) => debug_assert!(led, "nobody stops it"),
        () = &mut signalled => return Ok(ExitCode::SUCCESS),
        ended = tasks.ended() => return Err(ended),
    }
    tracing::info!(identity, "leading");
    metrics.set_leader(true);

    let sdk = Arc::new(sdk(accounts.clone(), &installation, metrics.clone()).await);
    let kubernetes = Arc::new(ApiServer::new(client.clone(), namespaces, identity));
    let (holds, started, of_jobs) = (Holds::default(), Instant::now(), leadership.clone());
    let jobs = Arc::new(unload::reconcile::Loop {
        reads: SharedReads::new(sdk.clone()),
        effects: sdk.clone(),
        kubernetes: kubernetes.clone(),
        accounts: accounts.clone(),
        holds: holds.clone(),
        installation: installation.clone(),
        interval: settings.interval,
        grace: settings.lost_answer_grace,
        started,
        now: Timestamp::now,
        leads: Box::new(move |duration| of_jobs.covers(duration)),
        memories: Memories::default(),
        metrics: metrics.clone(),
    });
    let around = Arc::new(Loop {
        reads: SharedReads::new(sdk.clone()),
        effects: sdk,
        kubernetes,
        accounts: accounts.clone(),
        register: Register::new(settings.lost_answer_grace),
        holds,
        installation,
        interval: settings.interval,
        grace: settings.lost_answer_grace,
        started,
        now: Timestamp::now,
        leads: Box::new(move |duration| leadership.covers(duration)),
        memories: Memories::default(),
    });
    unload::controller::expect_all(&client, &jobs).await?;
    controller::expect_all(&client, &around).await?;
    let held = {
        let stop = stop.clone();
        async move { elector.hold(&stop).await }
    };
    let held = tokio::spawn(held);
    let counted = orphans::measure(client.clone(), around.clone(), metrics.clone(), settings.interval);
    tasks.spawn("orphans", counted);
    let links = controller::run(
        client.clone(),
        around,
        metrics.clone(),
        settings.workers,
        changes(accounts.clone()),
        stop.clone(),
    );
    let jobs = unload::controller::run(client, jobs, settings.workers, changes(accounts), stop.clone());
    let stopped = stop.clone();
    let mut controlled = tokio::spawn(async move {
        // one that ends before it is asked to ends the other
        let both = stopped.clone();
        let ends = |_| both.cancel();
        tokio::join!(links.map(ends), jobs.map(ends));
    });

    tokio::pin!(held);
    let outcome = tokio::select! {
        () = &mut signalled => Ok(ExitCode::SUCCESS),
        ended = tasks.ended() => Err(ended),
        lost = &mut held => Err(AppError::Stopped(format!("no longer leading: {lost:?}"))),
        ended = &mut controlled => Err(AppError::Stopped(format!("the controller ended: {ended:?}"))),
    };
    tracing::info!("stopping");
    metrics.set_leader(false);
    stop.cancel();
    if !controlled.is_finished() && tokio::time::timeout(DRAIN, controlled).await.is_err() {
        tracing::warn!("loops under way did not end in time");
    }
    if !held.is_finished() {
        drop(tokio::time::timeout(Duration::from_secs(5), held).await);
    }
    outcome
}

/// Tasks that live as long as the process: one that ends, or panics, ends it.
#[derive(Default)]
struct Tasks(JoinSet<&'static str>);

impl Tasks {
    fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(async move {
            task.await;
            name
        });
    }

    async fn ended(&mut self) -> AppError {
        match self.0.join_next().await {
            Some(Ok(name)) => AppError::Stopped(format!("{name} ended")),
            Some(Err(error)) => AppError::Stopped(error.to_string()),
            None => std::future::pending().await,
        }
    }
}

/// Follows the labels of all namespaces.
fn namespaces(client: &Client) -> (Store<PartialObjectMeta<Namespace>>, impl Future<Output = ()> + use<>) {
    let (store, writer) = reflector::store();
    let api: Api<PartialObjectMeta<Namespace>> = Api::all(client.clone());
    let events = watcher(api, watcher::Config::default()).default_backoff();
    let followed = reflector(writer, events).for_each(|event| {
        if let Err(error) = event {
            tracing::warn!(%error, "namespaces");
        }
        std::future::ready(())
    });
    (store, followed)
}

/// Yields whenever other accounts are in force: every link is looked at then.
fn changes(accounts: watch::Receiver<AccountsWatch>) -> impl Stream<Item = ()> + Send + Sync {
    let in_force = accounts.borrow().accounts.clone();
    unfold((accounts, in_force), |(mut accounts, mut in_force)| async move {
        loop {
            // the sender lives as long as the process: without it nothing changes any more
            if accounts.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            let now = accounts.borrow_and_update().accounts.clone();
            if !Arc::ptr_eq(&now, &in_force) {
                in_force = now;
                return Some(((), (accounts, in_force)));
            }
        }
    })
}

/// Tells by metric and Event when the accounts file is not taken, and when it is again. The Event is about the lease:
/// the one object that is the controller's own.
async fn tell(
    mut accounts: watch::Receiver<AccountsWatch>,
    metrics: Metrics,
    client: Client,
    instance: String,
    lease_namespace: String,
) {
    let lease = ObjectReference {
        api_version: Some("coordination.k8s.io/v1".into()),
        kind: Some("Lease".into()),
        name: Some(lease::NAME.into()),
        namespace: Some(lease_namespace),
        ..ObjectReference::default()
    };
    while accounts.changed().await.is_ok() {
        let problem = accounts.borrow_and_update().problem.clone();
        metrics.set_accounts_file_good(problem.is_none());
        let (warning, reason, note) = match problem {
            Some(problem) => (true, "AccountsFileNotTaken", format!("{problem}; the last good one stays in force")),
            None => (false, "AccountsFileTaken", "the accounts file is in force as it stands now".to_owned()),
        };
        publish(&client, &instance, lease.clone(), &Happening { warning, reason: reason.into(), note }).await;
    }
}

/// The lease has a client of its own: no retry, and no answer that is waited for past the lease.
async fn lease_client() -> Result<Client, AppError> {
    let mut config = Config::infer().await.map_err(|error| AppError::Kubernetes(error.to_string()))?;
    config.read_timeout = Some(Duration::from_secs(5));
    config.connect_timeout = Some(Duration::from_secs(5));
    config.reset_reader_on_write = true;
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

async fn lease_namespace(settings: &Run) -> Result<String, AppError> {
    if let Some(namespace) = &settings.lease_namespace {
        return Ok(namespace.clone());
    }
    let config = Config::infer().await.map_err(|error| AppError::Kubernetes(error.to_string()))?;
    Ok(config.default_namespace)
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}-{}", name.trim(), std::process::id())
}

/// Until the process is asked to end.
pub(super) async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}
