//! `redshift-link unload run`: makes a job from a manifest, and follows it.

use super::facts::Facts;
use super::{Place, WRITER, command, finish, manifest, refused, said};
use crate::api::UnloadJob;
use crate::app::{AppError, read};
use crate::cli::{Format, UnloadRun as Settings};
use kube::ResourceExt;
use kube::api::PostParams;
use std::process::ExitCode;

/// Makes a job, and follows it.
///
/// # Errors
/// The manifest is not good, or the API server refuses it.
pub async fn run(settings: Settings) -> Result<ExitCode, AppError> {
    let text = read(&settings.filename).map_err(|error| AppError::Refused(error.to_string()))?;
    let bad = |problem| AppError::Refused(format!("{}: {problem}", settings.filename.display()));
    let job = manifest::job(&text).map_err(bad)?;
    let place = Place::of(&settings.cluster, job.namespace()).await?;
    let job = create(&place, job).await?;
    let facts = Facts::of(&job);
    let made = format!("{} is made", facts.full_name());
    if settings.detach {
        println!("{made}; to follow it: {}", command("status", &facts, place.context.as_deref()));
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{made}");
    finish(place, job, Format::Text).await
}

async fn create(place: &Place, mut job: UnloadJob) -> Result<UnloadJob, AppError> {
    job.metadata.namespace = Some(place.namespace.clone());
    let facts = Facts::of(&job);
    let params = PostParams { field_manager: Some(WRITER.into()), ..PostParams::default() };
    place.api.create(&params, &job).await.map_err(|error| match &error {
        kube::Error::Api(status) if status.is_already_exists() => AppError::Refused(format!(
            "{} exists already, and nothing was made: give another name, or metadata.generateName; to follow what there is: {}",
            facts.full_name(),
            command("status", &facts, place.context.as_deref())
        )),
        kube::Error::Api(status) if status.code < 500 => refused(&error, "the job was not made"),
        error => AppError::Kubernetes(format!(
            "{}; whether the job was made is not known: look with `kubectl get unload -n {}` before you try again",
            said(error),
            place.namespace
        )),
    })
}
