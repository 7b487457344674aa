//! From a job's plan and what came of it: the status, and when to look again. Pure.

use super::plan::Plan;
use super::request::Request;
use super::step::{Next, Stands, Trouble};
use crate::api::RECONCILE_REQUESTED_AT;
use crate::api::conditions::{self, Report, State, types};
use crate::api::unload::status::UnloadJobStatus;
use crate::aws::error::Class;
use crate::link::status::Pace;
use kube::ResourceExt;

/// The status after a plan. `failures`: what failed while it was carried out.
#[must_use]
pub fn status(request: &Request<'_>, plan: &Plan, failures: &[Trouble]) -> UnloadJobStatus {
    let before = request.job.status.clone().unwrap_or_default();
    let generation = request.job.metadata.generation;
    let mut reports = reports(request, plan, failures);
    reports.extend(checked(plan));
    let mut list = conditions::list(&reports, &before.conditions, generation, request.now);
    // looked at once, and the query never changes
    let known = conditions::find(&before.conditions, types::QUERY_CHECKED).filter(|_| plan.checked.is_none());
    list.extend(known.cloned());
    UnloadJobStatus {
        observed_generation: generation,
        conditions: list,
        last_handled_reconcile_at: requested_at(request),
        ..plan.status.clone()
    }
}

/// What the annotation that asks for a look says, as status echoes it.
#[must_use]
pub fn requested_at(request: &Request<'_>) -> Option<String> {
    request.job.annotations().get(RECONCILE_REQUESTED_AT).map(|at| at.chars().take(256).collect())
}

/// When to look again.
#[must_use]
pub fn pace(plan: &Plan, failures: &[Trouble], executed: usize) -> Pace {
    match (failures.iter().map(|trouble| trouble.class).max(), &plan.next) {
        (Some(worst), _) if executed == 0 => worst.into(),
        (_, Next::Hold(_) | Next::Effects(_) | Next::LetGo | Next::Delete) => Pace::Soon,
        (_, Next::Wait(pace)) => *pace,
    }
}

fn reports(request: &Request<'_>, plan: &Plan, failures: &[Trouble]) -> Vec<Report> {
    let deletes = request.is_deleted();
    // a view that was old is looked at anew, and is nobody's trouble
    let worst = failures.iter().filter(|trouble| trouble.class > Class::Stale).max_by_key(|trouble| trouble.class);
    let in_the_way = match &plan.stands {
        Stands::InTheWay(trouble) => Some(trouble),
        Stands::Working(..) | Stands::Suspended(_) | Stands::Complete(_) | Stands::Failed => worst,
    };
    if let Some(trouble) = in_the_way {
        return troubled(trouble, deletes);
    }
    match &plan.stands {
        Stands::Working(reason, message) => working(if deletes { "Deleting" } else { reason }, message),
        // troubled, as above
        Stands::InTheWay(_) => vec![],
        Stands::Suspended(message) => {
            vec![Report::new(types::SUSPENDED, State::True, "Suspended", message.clone())]
        }
        Stands::Complete(message) => {
            let mut reports = vec![
                Report::new(types::READY, State::True, "Complete", message.clone()),
                Report::new(types::COMPLETE, State::True, "Complete", message.clone()),
            ];
            reports.extend(time_to_live(request));
            reports
        }
        Stands::Failed => {
            let ended = plan.status.ended.as_ref();
            let reason = ended.map_or("Failed", |ended| ended.reason.into());
            let message = ended.map(|ended| ended.message.clone()).unwrap_or_default();
            let report = |kind, state| Report::new(kind, state, reason, message.clone());
            let mut reports = vec![
                report(types::READY, State::False),
                report(types::STALLED, State::True),
                report(types::FAILED, State::True),
            ];
            reports.extend(time_to_live(request));
            reports
        }
    }
}

fn working(reason: &'static str, message: &str) -> Vec<Report> {
    vec![
        Report::new(types::READY, State::Unknown, reason, message),
        Report::new(types::RECONCILING, State::True, reason, message),
    ]
}

fn troubled(trouble: &Trouble, deletes: bool) -> Vec<Report> {
    let Trouble { class, reason, message } = trouble;
    let stalls = *class >= Class::Blocked;
    let mut reports = match (stalls, deletes) {
        (true, false) => vec![Report::new(types::READY, State::False, reason, message.clone())],
        (_, true) => working("Deleting", message),
        (false, false) => working(reason, message),
    };
    if stalls {
        reports.push(Report::new(types::STALLED, State::True, reason, message.clone()));
    }
    reports
}

/// A job that a tool would make again is not deleted after its time to live: it would run again, for ever.
fn time_to_live(request: &Request<'_>) -> Option<Report> {
    request.job.spec.ttl_seconds_after_finished.filter(|_| request.is_tracked())?;
    let message = "ttlSecondsAfterFinished is not followed: Argo CD or Flux would make the job again, and it would run \
                   again; let the tool delete it";
    Some(Report::new(types::TIME_TO_LIVE, State::False, "TrackedByGitOps", message))
}

fn checked(plan: &Plan) -> Option<Report> {
    let report = |state, reason, message: &str| Report::new(types::QUERY_CHECKED, state, reason, message);
    Some(match plan.checked.as_ref()? {
        None => report(State::True, "Parsed", "the query is one SELECT"),
        Some(why) => report(State::Unknown, "NotParsed", why),
    })
}
