//! `redshift-link unload cancel`: by `spec.suspend`, so that the object stays, and no tool that keeps it in a repository
//! makes it, and runs it, again; or by its deletion.

use super::end::End;
use super::facts::Facts;
use super::follow::{Followed, follow};
use super::{INTERRUPTED, Place, WRITER, command, get, print, refused};
use crate::api::UnloadJob;
use crate::app::AppError;
use crate::cli::{Format, UnloadCancel as Settings};
use kube::ResourceExt;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use serde_json::json;
use std::process::ExitCode;
use std::time::Duration;

/// So often somebody else may write the object between our look at it and our write.
const TRIES: u32 = 20;

/// What cancelling a job asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    /// Nothing: it came to its end.
    Nothing,
    /// Nothing more: this was asked for already.
    Already(&'static str),
    Suspend,
    Delete,
}

/// What cancelling asks of a job as it stands. Pure.
fn ask(job: &UnloadJob, delete: bool) -> Ask {
    match End::of(job) {
        Some(End::Complete | End::Failed) => Ask::Nothing,
        _ if job.metadata.deletion_timestamp.is_some() => Ask::Already("is being deleted already, which cancels it"),
        _ if delete => Ask::Delete,
        _ if job.spec.suspend == Some(true) => Ask::Already("is suspended already"),
        _ => Ask::Suspend,
    }
}

/// Cancels a job.
///
/// # Errors
/// It is not there, or the API server refuses.
pub async fn cancel(settings: Settings) -> Result<ExitCode, AppError> {
    let place = Place::of(&settings.cluster, None).await?;
    for _ in 0..TRIES {
        let job = get(&place, &settings.name).await?;
        let name = Facts::of(&job).full_name();
        let asked = match ask(&job, settings.delete) {
            Ask::Nothing => {
                println!("{name} came to its end before, and is left as it is:");
                print(&job, Format::Text);
                return Ok(ExitCode::SUCCESS);
            }
            Ask::Already(what) => {
                println!("{name} {what}");
                Ok(())
            }
            // not of a version that was not looked at: it may have come to its end
            Ask::Suspend => {
                let patch = json!({"metadata": {"resourceVersion": job.resource_version()}, "spec": {"suspend": true}});
                let params = PatchParams { field_manager: Some(WRITER.into()), ..PatchParams::default() };
                place.api.patch(&settings.name, &params, &Patch::Merge(patch)).await.map(|_| {
                    println!("{name} is being cancelled: spec.suspend is true, and the object stays");
                })
            }
            Ask::Delete => {
                let preconditions = Preconditions { uid: job.uid(), resource_version: job.resource_version() };
                let params = DeleteParams::default().preconditions(preconditions);
                place
                    .api
                    .delete(&settings.name, &params)
                    .await
                    .map(|_| println!("{name} is being cancelled and deleted"))
            }
        };
        match asked {
            Ok(()) if settings.wait => return wait(place, job, settings.delete).await,
            Ok(()) => return Ok(ExitCode::SUCCESS),
            Err(kube::Error::Api(status)) if status.code == 409 => tokio::time::sleep(Duration::from_millis(100)).await,
            Err(error) => return Err(refused(&error, &format!("{name} cannot be cancelled"))),
        }
    }
    Err(AppError::Kubernetes(format!("{} is changed by others all the time: try again", settings.name)))
}

/// Until nothing of it is under way any more.
async fn wait(place: Place, job: UnloadJob, delete: bool) -> Result<ExitCode, AppError> {
    let facts = Facts::of(&job);
    let (name, context) = (facts.full_name(), place.context.clone());
    let until_gone = delete || job.metadata.deletion_timestamp.is_some();
    let ends = move |job: &UnloadJob| if until_gone { None } else { End::of(job) };
    match follow(place.api, job, ends).await? {
        Followed::Ended(End::Gone, _) => println!("{name} is gone"),
        Followed::Ended(end, job) => {
            let how = if end == End::Suspended { "is cancelled" } else { "came to its end before it was cancelled" };
            println!("{name} {how}:");
            print(&job, Format::Text);
        }
        Followed::Interrupted => {
            let status = command("status", &facts, context.as_deref());
            eprintln!("{name} goes on being cancelled\n  to follow it: {status}");
            return Ok(ExitCode::from(INTERRUPTED));
        }
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(state: &str, more: &str) -> UnloadJob {
        let text = format!(
            "{{apiVersion: redshiftlink.dev/v1alpha1, kind: UnloadJob, metadata: {{name: a, generation: 1{more}}}, \
             spec: {{linkRef: {{name: l}}, query: SELECT 1, output: {{path: a/, csv: {{}}}}}}, \
             status: {{observedGeneration: 1, state: {state}}}}}"
        );
        serde_saphyr::from_str(&text).unwrap()
    }

    #[test]
    fn only_what_goes_on_is_asked_to_end() {
        let deleting = ", deletionTimestamp: '2026-01-02T03:04:59Z'";
        let mut suspended = job("Running", "");
        suspended.spec.suspend = Some(true);
        assert_eq!(ask(&job("Running", ""), false), Ask::Suspend);
        assert_eq!(ask(&job("Pending", ""), true), Ask::Delete);
        assert_eq!(ask(&suspended, true), Ask::Delete);
        assert!(matches!(ask(&suspended, false), Ask::Already(_)));
        for delete in [false, true] {
            assert_eq!(ask(&job("Complete", ""), delete), Ask::Nothing);
            assert_eq!(ask(&job("Failed", ""), delete), Ask::Nothing);
            assert!(matches!(ask(&job("Running", deleting), delete), Ask::Already(_)));
        }
    }
}
