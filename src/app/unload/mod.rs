//! `redshift-link unload`: jobs from a terminal. It works with the rights of the user on UnloadJobs, and no others.

mod cancel;
pub mod end;
pub mod facts;
mod follow;
mod line;
pub mod manifest;
mod run;
#[cfg(test)]
mod tests;

use super::{AppError, limited};
use crate::api::UnloadJob;
use crate::cli::{Format, Unload, UnloadCluster, UnloadStatus};
use end::End;
use facts::Facts;
use follow::{Followed, follow};
use k8s_openapi::jiff::Timestamp;
use kube::config::KubeConfigOptions;
use kube::{Api, Client, Config};
use std::error::Error;
use std::iter::{once, successors};
use std::process::ExitCode;

/// Field manager of what these commands write.
const WRITER: &str = "redshift-link-unload";

/// Exit code of who stopped following: as shells have it for Ctrl-C.
const INTERRUPTED: u8 = 130;

/// Carries out one of the commands.
///
/// # Errors
/// The cluster is not reached, or refuses.
pub async fn unload(command: Unload) -> Result<ExitCode, AppError> {
    match command {
        Unload::Run(settings) => run::run(settings).await,
        Unload::Status(settings) => status(settings).await,
        Unload::Cancel(settings) => cancel::cancel(settings).await,
    }
}

async fn status(settings: UnloadStatus) -> Result<ExitCode, AppError> {
    let place = Place::of(&settings.cluster, None).await?;
    let job = get(&place, &settings.name).await?;
    if settings.follow {
        return finish(place, job, settings.output).await;
    }
    print(&job, settings.output);
    Ok(ExitCode::SUCCESS)
}

/// The jobs of a namespace, as the user may see them.
struct Place {
    api: Api<UnloadJob>,
    namespace: String,
    context: Option<String>,
}

impl Place {
    /// `stated`: the namespace that a manifest names.
    async fn of(cluster: &UnloadCluster, stated: Option<String>) -> Result<Self, AppError> {
        if let (Some(stated), Some(asked)) = (&stated, &cluster.namespace)
            && stated != asked
        {
            return Err(AppError::Refused(format!(
                "the manifest is for namespace {stated}, and --namespace says {asked}: leave one of them out"
            )));
        }
        let client = client(cluster.context.as_deref()).await?;
        let own = || client.default_namespace().to_owned();
        let namespace = stated.or_else(|| cluster.namespace.clone()).unwrap_or_else(own);
        Ok(Self { api: Api::namespaced(client, &namespace), namespace, context: cluster.context.clone() })
    }
}

/// With the user's own kubeconfig, or within a pod with that of its ServiceAccount.
async fn client(context: Option<&str>) -> Result<Client, AppError> {
    let config = match context {
        None => Config::infer().await.map_err(|error| error.to_string()),
        Some(context) => {
            let options = KubeConfigOptions { context: Some(context.into()), ..KubeConfigOptions::default() };
            Config::from_kubeconfig(&options).await.map_err(|error| error.to_string())
        }
    };
    let mut config = limited(config.map_err(AppError::Kubernetes)?);
    // a creation that is sent twice may make two jobs
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

async fn get(place: &Place, name: &str) -> Result<UnloadJob, AppError> {
    let found = place.api.get_opt(name).await;
    let found = found.map_err(|error| refused(&error, &format!("{}/{name} cannot be looked at", place.namespace)))?;
    found.ok_or_else(|| AppError::Refused(format!("there is no UnloadJob {}/{name}", place.namespace)))
}

/// Follows a job to its end, and prints the result.
async fn finish(place: Place, job: UnloadJob, format: Format) -> Result<ExitCode, AppError> {
    let facts = Facts::of(&job);
    let context = place.context.clone();
    match follow(place.api, job, End::of).await? {
        Followed::Ended(end, job) => {
            if end == End::Gone {
                eprintln!("{} is gone: it was deleted; what was seen of it last:", facts.full_name());
            }
            print(&job, format);
            Ok(ExitCode::from(end.code()))
        }
        Followed::Interrupted => {
            let command = |verb| command(verb, &facts, context.as_deref());
            let (status, cancel) = (command("status"), command("cancel"));
            eprintln!("{} goes on\n  to follow it: {status}\n  to cancel it: {cancel}", facts.full_name());
            Ok(ExitCode::from(INTERRUPTED))
        }
    }
}

fn print(job: &UnloadJob, format: Format) {
    let facts = Facts::of(job);
    match format {
        // at once: who reads the first lines alone breaks nothing off
        Format::Text => println!("{}", facts.lines(Timestamp::now()).join("\n")),
        Format::Json => println!("{:#}", serde_json::json!(facts)),
        Format::Yaml => print!("{}", serde_saphyr::to_string(&facts).expect("texts and numbers")),
    }
}

/// A command of this program for the same job, to be copied.
fn command(verb: &str, facts: &Facts, context: Option<&str>) -> String {
    let flag = if verb == "status" { " --follow" } else { "" };
    let context = context.map(|context| format!(" --context {context}")).unwrap_or_default();
    format!("redshift-link unload {verb} {} -n {}{context}{flag}", facts.name, facts.namespace)
}

/// What the API server said, or why nothing was heard from it.
fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        error => {
            let causes = successors(error.source(), |cause| (**cause).source()).map(ToString::to_string);
            once(error.to_string()).chain(causes).collect::<Vec<_>>().join(": ")
        }
    }
}

/// An error of a call: refused where another try would be refused too.
fn refused(error: &kube::Error, what: &str) -> AppError {
    match error {
        // no object of the API is named: there is no such API
        kube::Error::Api(status) if status.code == 404 && status.details.is_none() => AppError::Refused(format!(
            "{what}: the cluster knows no UnloadJobs; install redshift-link there, or name another --context"
        )),
        kube::Error::Api(status) if matches!(status.code, 400..=499) && status.code != 429 => {
            AppError::Refused(format!("{what}: {}", said(error)))
        }
        error => AppError::Kubernetes(format!("{what}: {}", said(error))),
    }
}
