//! Follows one object until it comes to its end.

use super::end::End;
use super::facts::Facts;
use super::line::Line;
use super::said;
use crate::api::UnloadJob;
use crate::app::AppError;
use crate::app::run::signal;
use futures::StreamExt;
use k8s_openapi::jiff::Timestamp;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, ResourceExt};
use std::pin::pin;
use std::time::Duration;

/// How often the times on the line move.
const TICK: Duration = Duration::from_secs(1);

/// What following came to, with the object as it was seen last.
pub enum Followed {
    /// It ended so.
    Ended(End, Box<UnloadJob>),
    /// The user asked to stop following.
    Interrupted,
}

/// Watches a job until `ends` says how it ended, and shows meanwhile how far it is. A watch that breaks off is begun anew.
///
/// # Errors
/// It may not be watched.
pub async fn follow(
    api: Api<UnloadJob>,
    job: UnloadJob,
    ends: impl Fn(&UnloadJob) -> Option<End>,
) -> Result<Followed, AppError> {
    let mut line = Line::new();
    let mut job = Box::new(job);
    let mut changes = pin!(watcher::watch_object(api, &job.name_any()).default_backoff());
    let mut tick = tokio::time::interval(TICK);
    let mut interrupted = pin!(signal());
    let (mut begun, mut trouble) = (false, None);
    loop {
        let facts = Facts::of(&job);
        line.show(&facts.line(None), &facts.line(Some(Timestamp::now())));
        if let Some(end) = ends(&job) {
            line.clear();
            return Ok(Followed::Ended(end, job));
        }
        tokio::select! {
            change = changes.next() => match change {
                Some(Ok(Some(seen))) if seen.uid() == job.uid() => {
                    (begun, trouble) = (true, None);
                    *job = seen;
                }
                // another may have its name by now
                Some(Ok(_)) | None => {
                    line.clear();
                    return Ok(Followed::Ended(End::Gone, job));
                }
                Some(Err(error)) => {
                    let now = Some(told(&error));
                    if !begun && is_refused(&error) {
                        line.clear();
                        let name = facts.full_name();
                        return Err(AppError::Kubernetes(format!("{name} cannot be followed, and goes on: {}", told(&error))));
                    }
                    if trouble != now {
                        line.say(&format!("the cluster: {}; tries again", told(&error)));
                        trouble = now;
                    }
                }
            },
            _ = tick.tick(), if line.is_in_place() => {}
            () = &mut interrupted => {
                line.clear();
                return Ok(Followed::Interrupted);
            }
        }
    }
}

fn source(error: &watcher::Error) -> Option<&kube::Error> {
    use watcher::Error::{InitialListFailed, WatchFailed, WatchStartFailed};
    match error {
        InitialListFailed(error) | WatchStartFailed(error) | WatchFailed(error) => Some(error),
        _ => None,
    }
}

/// Another try would be refused too.
fn is_refused(error: &watcher::Error) -> bool {
    matches!(source(error), Some(kube::Error::Api(status)) if matches!(status.code, 401 | 403 | 404))
}

fn told(error: &watcher::Error) -> String {
    source(error).map_or_else(|| error.to_string(), said)
}
