//! From a plan and what came of it: the status, what to tell, and when to look again. Pure.

use super::parts::{Finding, Part, Step};
use super::plan::Plan;
use super::request::Request;
use super::want::Want;
use crate::api::conditions::{self, Report, State, types};
use crate::api::status::{ENTRIES, LinkStatus, PlannedEffect};
use crate::api::{CrossAccountRedshiftLink, RECONCILE_REQUESTED_AT};
use crate::aws::error::Class;
use crate::aws::scope::AccountId;
use crate::kubernetes::Happening;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::SignedDuration;
use kube::ResourceExt;
use std::collections::BTreeSet;
use strum::IntoEnumIterator;

/// At most this many entries stand in one message or list.
const LISTED: usize = 20;
/// Reads may fail for so many intervals before a Ready link is no longer called Ready.
const PATIENCE: i32 = 3;

/// How far a loop got.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The object may not do what it asks for: nothing was looked at.
    Denied {
        /// `NotAllowed` or `AccountNotConfigured`.
        reason: &'static str,
        /// Why.
        message: String,
    },
    /// A plan was made, and carried out unless it was only to be shown.
    Kept(Plan, Failures),
    /// A plan to take everything down was carried out as far as it goes.
    TakenDown(Plan, Failures),
}

/// What failed while the plan was carried out.
pub type Failures = Vec<Finding>;

/// The pace of the next look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Something was changed: see what came of it.
    Soon,
    /// Our view was old: look again at once, but not for ever.
    Stale,
    /// Something comes right by itself: sooner at first, then less often.
    Waiting,
    /// A statement runs: a few times a minute; its end is heard besides.
    Running,
    /// A call is to be tried again.
    Retry,
    /// A human has to act.
    Slow,
    /// All is well.
    Settled,
}

impl From<Class> for Pace {
    /// How soon another try may help.
    fn from(class: Class) -> Self {
        match class {
            Class::Stale => Self::Stale,
            Class::Transient => Self::Retry,
            Class::Blocked | Class::Terminal => Self::Slow,
        }
    }
}

/// The status for an outcome.
#[must_use]
pub fn status(request: &Request<'_>, wants: &BTreeSet<Want>, outcome: &Outcome) -> LinkStatus {
    let before = request.link.status.clone().unwrap_or_default();
    let generation = request.link.metadata.generation;
    let remaining = match outcome {
        Outcome::TakenDown(plan, failures) => remaining(plan, failures, &before),
        Outcome::Kept(plan, _) => {
            let mut there = remaining(plan, &vec![], &before);
            // found missing, not unseen
            for makes in plan.steps.iter().filter_map(|step| step.makes.as_ref()) {
                there.remove(makes);
            }
            there
        }
        Outcome::Denied { .. } => before.resources.clone(),
    };
    let reports = reports(request, &before, outcome, &remaining);
    let mut status = LinkStatus {
        observed_generation: generation,
        conditions: conditions::list(&reports, &before.conditions, generation, request.now),
        last_handled_reconcile_at: reconcile_requested_at(request.link),
        resources: remaining.into_iter().take(ENTRIES).collect(),
        wants: if wants.is_empty() { before.wants } else { wants.iter().map(ToString::to_string).collect() },
        ..LinkStatus::default()
    };
    match outcome {
        Outcome::Denied { .. } => {
            status.used = before.used;
            status.undone = before.undone;
            status.role_arn = before.role_arn;
            status.peering_connection_id = before.peering_connection_id;
            status.connections = before.connections;
        }
        Outcome::Kept(plan, _) | Outcome::TakenDown(plan, _) => {
            status.used = plan.used.iter().take(ENTRIES).cloned().collect();
            status.undone.clone_from(&plan.undone);
            status.role_arn.clone_from(&plan.role_arn);
            status.peering_connection_id.clone_from(&plan.peering);
            status.connections = plan.connections.iter().take(50).cloned().collect();
            status.plan = plan.steps.iter().take(ENTRIES).map(planned).collect();
        }
    }
    status
}

/// What the annotation that asks for a look says, as status echoes it.
#[must_use]
pub fn reconcile_requested_at(link: &CrossAccountRedshiftLink) -> Option<String> {
    link.annotations().get(RECONCILE_REQUESTED_AT).map(|at| clipped(at, 256))
}

/// A step as it stands in status and as the command line prints it.
#[must_use]
pub fn planned(step: &Step) -> PlannedEffect {
    let (account, region) = step.effect.place();
    let waits = step.waits.as_ref().map(|what| format!(" (waits for {what})")).unwrap_or_default();
    PlannedEffect {
        account: account.0.clone(),
        region: region.map(|region| region.0.clone()),
        part: step.part.name().into(),
        effect: clipped(&format!("{}{waits}", step.effect), 1024),
    }
}

/// When to look again.
#[must_use]
pub fn pace(request: &Request<'_>, outcome: &Outcome, executed: usize) -> Pace {
    let (plan, failures) = match outcome {
        Outcome::Denied { .. } => return Pace::Slow,
        Outcome::Kept(plan, _) if request.only_looks() && plan.findings.is_empty() => return Pace::Settled,
        Outcome::Kept(plan, failures) | Outcome::TakenDown(plan, failures) => (plan, failures),
    };
    let worst = plan.findings.iter().chain(failures).map(|finding| finding.class).max();
    let runnable = plan.steps.iter().any(|step| step.waits.is_none());
    match worst {
        _ if executed > 0 => Pace::Soon,
        Some(Class::Blocked | Class::Terminal) => Pace::Slow,
        Some(Class::Transient) => Pace::Retry,
        Some(Class::Stale) => Pace::Stale,
        None if runnable => Pace::Waiting,
        None if !plan.steps.is_empty() => Pace::Waiting,
        None => Pace::Settled,
    }
}

fn reports(request: &Request<'_>, before: &LinkStatus, outcome: &Outcome, remaining: &BTreeSet<String>) -> Vec<Report> {
    let mut reports = match outcome {
        Outcome::Denied { reason, message } => stalled(reason, message, State::False),
        Outcome::TakenDown(plan, failures) => deleting(plan, failures, remaining),
        Outcome::Kept(plan, failures) => {
            let parts = part_reports(request, plan, failures, before);
            let mut reports = summary(request, before, plan, failures, &parts);
            reports.extend(parts);
            reports
        }
    };
    if request.suspended() && !matches!(outcome, Outcome::TakenDown(..)) {
        reports.push(Report::new(
            types::SUSPENDED,
            State::True,
            "Suspended",
            "spec.suspend is true: AWS is left as it is",
        ));
    }
    reports
}

fn stalled(reason: &'static str, message: &str, ready: State) -> Vec<Report> {
    vec![Report::new(types::READY, ready, reason, message), Report::new(types::STALLED, State::True, reason, message)]
}

fn summary(
    request: &Request<'_>,
    before: &LinkStatus,
    plan: &Plan,
    failures: &Failures,
    parts: &[Report],
) -> Vec<Report> {
    let problems: Vec<&Finding> = plan.findings.iter().chain(failures).collect();
    let worst = problems.iter().rev().max_by_key(|finding| finding.class);
    let todo = plan.steps.len();
    if request.only_plans() {
        let planned = |state, reason, message| vec![Report::new(types::PLANNED, state, reason, message)];
        return match worst {
            Some(finding) if plan.halted_at.is_some() => planned(State::False, finding.reason, finding.message.clone()),
            Some(finding) => {
                let message = format!("{todo} effects would be executed; in the way: {}", finding.message);
                planned(State::True, "PlanShown", message)
            }
            None => {
                planned(State::True, "PlanShown", format!("{todo} effects would be executed, as listed in status.plan"))
            }
        };
    }
    if request.suspended() {
        // as it was when it was suspended
        let ready = conditions::find(&before.conditions, types::READY).filter(|c| c.status == "True");
        return ready.map(|_| Report::new(types::READY, State::True, "InPlace", IN_PLACE)).into_iter().collect();
    }
    match worst {
        Some(finding) if finding.class >= Class::Blocked => stalled(finding.reason, &finding.message, State::False),
        Some(finding) if todo == 0 && still_ready(request, before, parts) => vec![
            Report::new(types::READY, State::True, "InPlace", IN_PLACE),
            Report::new(types::RECONCILING, State::True, finding.reason, finding.message.clone()),
        ],
        Some(finding) => working(finding.reason, &finding.message),
        None if todo > 0 => working("InProgress", "what is missing is being made; status.plan lists it"),
        None => vec![Report::new(types::READY, State::True, "InPlace", IN_PLACE)],
    }
}

const IN_PLACE: &str = "everything is in place in both accounts";

fn working(reason: &'static str, message: &str) -> Vec<Report> {
    vec![
        Report::new(types::READY, State::Unknown, reason, message),
        Report::new(types::RECONCILING, State::True, reason, message),
    ]
}

/// A link that was Ready stays so while reads fail, but not for long.
fn still_ready(request: &Request<'_>, before: &LinkStatus, parts: &[Report]) -> bool {
    let patience = request.interval.checked_mul(PATIENCE).unwrap_or(SignedDuration::MAX);
    let fails_for = |part: &Report| {
        let old = conditions::find(&before.conditions, part.kind).filter(|c| c.status == "Unknown");
        old.map_or(SignedDuration::ZERO, |c| request.now.duration_since(c.last_transition_time.0))
    };
    conditions::is_true(&before.conditions, types::READY)
        && before.observed_generation == request.link.metadata.generation
        && parts.iter().filter(|part| part.state == State::Unknown).all(|part| fails_for(part) < patience)
}

fn part_reports(request: &Request<'_>, plan: &Plan, failures: &Failures, before: &LinkStatus) -> Vec<Report> {
    let concerned = |part: &Part| {
        let found = |finding: &Finding| finding.part == *part;
        let unload = request.spec().unload.as_ref();
        let asked_for = match part {
            Part::UnloadRoles => unload.is_some(),
            Part::SecretAccess => unload.is_some_and(|unload| unload.secret_arn.is_some()),
            _ => true,
        };
        // what was not asked for is spoken of only while there is something left of it
        asked_for || plan.steps.iter().any(|step| step.part == *part) || plan.findings.iter().chain(failures).any(found)
    };
    Part::iter().filter(concerned).map(|part| part_report(part, plan, failures, before)).collect()
}

fn part_report(part: Part, plan: &Plan, failures: &Failures, before: &LinkStatus) -> Report {
    let kind = part.condition();
    let mut problems: Vec<&Finding> = plan.findings.iter().chain(failures).filter(|f| f.part == part).collect();
    problems.sort_by_key(|finding| std::cmp::Reverse(finding.class));
    let steps: Vec<&Step> = plan.steps.iter().filter(|step| step.part == part).collect();
    if let Some(worst) = problems.first() {
        let state = if worst.class >= Class::Blocked { State::False } else { State::Unknown };
        let message = listed(problems.iter().map(|finding| finding.message.as_str()), "; ");
        return Report::new(kind, state, worst.reason, message);
    }
    if let Some(halt) = plan.halted_at {
        let was = conditions::find(&before.conditions, kind).filter(|c| c.status == "True");
        return match was {
            Some(was) if halt.1 < Class::Blocked => Report::new(kind, State::True, "InPlace", was.message.clone()),
            _ => Report::new(kind, State::Unknown, "NotLookedAt", format!("waits for {}", halt.0.condition())),
        };
    }
    if !steps.is_empty() {
        let lines = steps.iter().map(|step| planned(step).effect).collect::<Vec<_>>();
        return Report::new(kind, State::Unknown, "InProgress", listed(lines.iter().map(String::as_str), "; "));
    }
    let notes = plan.notes.get(&part).map(|notes| listed(notes.iter().map(String::as_str), "; ")).unwrap_or_default();
    Report::new(kind, State::True, "InPlace", notes)
}

/// What is still there: what was seen, and what was there before in an account that cannot be seen.
fn remaining(plan: &Plan, failures: &Failures, before: &LinkStatus) -> BTreeSet<String> {
    let unseen: Vec<_> = plan.findings.iter().chain(failures).filter_map(|finding| finding.account.as_ref()).collect();
    let may_be_there = |resource: &&String| unseen.iter().any(|account| is_in(resource, account));
    let all: BTreeSet<&String> = before.resources.iter().filter(may_be_there).chain(&plan.ours).collect();
    // what was known with its content may be listed without it now
    let listed_shorter =
        |one: &str| all.iter().any(|other| one.strip_prefix(*other).is_some_and(|r| r.starts_with(' ')));
    all.iter().filter(|one| !listed_shorter(one)).map(|one| (*one).clone()).collect()
}

/// Whether something is in an account, by its words in [`LinkStatus::resources`].
fn is_in(resource: &str, account: &AccountId) -> bool {
    match resource.parse::<Want>() {
        Ok(shared) => shared.scopes().iter().any(|scope| scope.account == *account),
        Err(_) => resource.split(' ').nth(1) == Some(&account.0),
    }
}

fn deleting(plan: &Plan, failures: &Failures, remaining: &BTreeSet<String>) -> Vec<Report> {
    let problems: Vec<&Finding> = plan.findings.iter().chain(failures).collect();
    let remains = if remaining.is_empty() {
        String::new()
    } else {
        format!("; still there: {}", listed(remaining.iter().map(String::as_str), ", "))
    };
    let worst = problems.iter().rev().max_by_key(|finding| finding.class);
    let message = match worst {
        Some(finding) => format!("{}{remains}", finding.message),
        None => {
            let waits = plan.steps.iter().map(|step| step.waits.as_deref()).collect::<Option<BTreeSet<_>>>();
            let waits = waits.filter(|waits| !waits.is_empty());
            let waits = waits.map(|waits| format!(", and waits for {}", listed(waits.into_iter(), ", ")));
            format!("what this link made is being removed{}{remains}", waits.unwrap_or_default())
        }
    };
    let mut reports = vec![
        Report::new(types::READY, State::Unknown, "Deleting", message.clone()),
        Report::new(types::RECONCILING, State::True, "Deleting", message.clone()),
    ];
    if let Some(blocker) = worst.filter(|finding| finding.class >= Class::Blocked) {
        reports.push(Report::new(types::STALLED, State::True, blocker.reason, message));
    }
    reports
}

/// What changed between two lists of conditions, to be told once.
#[must_use]
pub fn happenings(old: &[Condition], after: &[Condition]) -> Vec<Happening> {
    let ready = conditions::find(after, types::READY);
    let told = |c: &&Condition| {
        let was = conditions::find(old, &c.type_);
        let unknown_at_first = was.is_none() && c.status == "Unknown";
        let same = was.is_some_and(|was| was.status == c.status && was.reason == c.reason);
        // Ready tells the same, but while the object is being deleted
        let told_by_ready = c.type_ == types::STALLED && ready.is_some_and(|ready| ready.reason == c.reason);
        !(unknown_at_first || same || told_by_ready || c.type_ == types::RECONCILING)
    };
    let happening = |c: &Condition| {
        let message = if c.message.is_empty() { "in place" } else { &c.message };
        Happening {
            warning: (c.status == "False") != (c.type_ == types::STALLED),
            reason: c.reason.clone(),
            note: clipped(&format!("{}: {message}", c.type_), 1000),
        }
    };
    after.iter().filter(told).map(happening).collect()
}

fn listed<'a>(items: impl Iterator<Item = &'a str>, separator: &str) -> String {
    let items: Vec<&str> = items.collect();
    let more = items.len().saturating_sub(LISTED);
    let shown = items[..items.len() - more].join(separator);
    if more == 0 { shown } else { format!("{shown}{separator}and {more} more") }
}

fn clipped(text: &str, max: usize) -> String {
    text.chars().take(max).collect()
}
