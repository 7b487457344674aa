//! The plan: from one object and what was seen, all that is to be done, and all there is to report.
//!
//! Pure. It is whole: what cannot be done yet stands in it with what it waits for.

use super::facts::{Facts, facts};
use super::others::Others;
use super::parts::peering::Connection;
use super::parts::{
    Finding, Halt, Part, PartPlan, Step, TAKING_DOWN, consumer_policy, firewall, gather, peering, producer_role,
    routes, secret_access, source_identity, unload_roles,
};
use super::request::Request;
use super::undone::contest;
use super::want::Want;
use crate::api::status::Undone;
use crate::aws::error::Class;
use crate::aws::read::{Read, Seen};
use std::collections::{BTreeMap, BTreeSet};

/// What is to be done, and what is to be said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// In order.
    pub steps: Vec<Step>,
    /// What is in the way.
    pub findings: Vec<Finding>,
    /// What is there and ours.
    pub ours: BTreeSet<String>,
    /// What is there and somebody else's, and does the job.
    pub used: BTreeSet<String>,
    /// What is good to know, by part.
    pub notes: BTreeMap<Part, Vec<String>>,
    /// What others undid.
    pub undone: Vec<Undone>,
    /// ARN of the producer role, whether it is there or not.
    pub role_arn: Option<String>,
    /// Id of the active connection.
    pub peering: Option<String>,
    /// Ids of connections of ours through which routes go, or may still go.
    pub connections: BTreeSet<String>,
    /// All that is wanted of what links share is there.
    pub in_place: bool,
    /// Where the look ended before all parts were looked at, and why.
    pub halted_at: Option<(Part, Class)>,
}

impl Plan {
    /// Nothing is left to do, and nothing is in the way.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.steps.is_empty() && self.findings.is_empty()
    }
}

/// So many things that links share may one of them want.
const WANTS: usize = 250;

/// What must be read before the rest can be computed.
pub type Unread = BTreeSet<Read>;

/// What this link needs of what links share; none where that cannot be found out, because of the finding.
///
/// # Errors
/// Something must be read first.
pub fn wants(request: &Request<'_>, seen: &Seen) -> Result<Result<BTreeSet<Want>, Finding>, Unread> {
    match facts(request, seen) {
        Ok(facts) => Ok(all_wants(request, &facts)),
        Err(Halt::Unread(unread)) => Err(unread),
        Err(other) => Ok(Err(finding(Part::ProducerRole, other))),
    }
}

fn all_wants(request: &Request<'_>, facts: &Facts) -> Result<BTreeSet<Want>, Finding> {
    let wants = facts.wants(request);
    if wants.len() <= WANTS {
        return Ok(wants);
    }
    let message = format!(
        "{} routes and rules would be needed, and a link can have {WANTS}: name fewer subnets or groups, or join VPCs with \
         fewer blocks",
        wants.len()
    );
    Err(Finding::terminal(Part::Routes, "TooMany", message))
}

/// The plan that makes and keeps a link.
///
/// # Errors
/// Something must be read first.
pub fn keep(request: &Request<'_>, seen: &Seen, others: &Others) -> Result<Plan, Unread> {
    let facts = match preflight(request, seen) {
        Ok(facts) => facts,
        Err(Halt::Unread(unread)) => return Err(unread),
        Err(halt) => {
            return Ok(halted(request, finding(Part::ProducerRole, halt)));
        }
    };
    let wants = match all_wants(request, &facts) {
        Ok(wants) => wants,
        Err(finding) => return Ok(halted(request, finding)),
    };
    let connection = peering::connection(request, &facts, seen);
    let through = connection.clone().unwrap_or(Connection::Coming);
    let parts = [
        (Part::ProducerRole, producer_role::plan(request, &facts, seen)),
        (Part::ConsumerPolicy, consumer_policy::plan(request, &facts, seen)),
        (Part::SourceIdentity, source_identity::plan(request, &facts, seen)),
        (Part::Peering, peering::plan(request, &facts, seen)),
        (Part::Routes, routes::plan(request, &facts, seen, &through, others)),
        (Part::Firewall, firewall::plan(request, &facts, seen, &through)),
        (Part::UnloadRoles, unload_roles::plan(request, &facts, seen)),
        (Part::SecretAccess, secret_access::plan(request, &facts, seen)),
    ];
    let (sweeps, connections) = sweeps(request, seen, &wants, others);
    let mut plan = collect(parts)?;
    plan.connections = connections;
    let (steps, findings, undone) = contest(
        std::mem::take(&mut plan.steps),
        &peering::turned_down(request, &facts, seen),
        request.link.status.as_ref(),
        request.generation(),
        request.now,
    );
    plan.steps = steps;
    plan.findings.extend(findings);
    plan.undone = undone;
    plan.role_arn = Some(producer_role::arn(request, &facts));
    plan.peering = match connection {
        Ok(Connection::Active { id, .. }) => Some(id),
        Ok(Connection::Coming) | Err(_) => None,
    };
    // add before remove
    let network = [Part::Peering, Part::Routes, Part::Firewall];
    let incomplete = plan
        .steps
        .iter()
        .map(|step| step.part)
        .chain(plan.findings.iter().map(|f| f.part))
        .any(|p| network.contains(&p));
    plan.in_place = !incomplete;
    let waits = incomplete.then_some("what is wanted to be in place");
    let swept = collect(sweeps)?;
    plan.steps.extend(swept.steps.into_iter().map(|step| step.waiting_for(waits)));
    plan.findings.extend(swept.findings);
    Ok(plan)
}

/// How far a removal looks for the roles that only some links have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// For those of which status remembers anything.
    Remembered,
    /// For all that a link can have: status may lack what was made just before a crash.
    All,
}

/// The plan that takes a link down. It is finished when it [is done](Plan::is_done) and reaches all.
///
/// # Errors
/// Something must be read first.
pub fn take_down(request: &Request<'_>, seen: &Seen, others: &Others, reach: Reach) -> Result<Plan, Unread> {
    let (mut parts, connections) = sweeps(request, seen, &BTreeSet::new(), others);
    if reach == Reach::All || unload_roles::may_be_there(request) {
        parts.push((Part::UnloadRoles, unload_roles::teardown(request, seen)));
    }
    if reach == Reach::All || secret_access::may_be_there(request) {
        parts.push((Part::SecretAccess, secret_access::teardown(request, seen)));
    }
    parts.push((Part::ConsumerPolicy, consumer_policy::teardown(request, seen)));
    parts.push((Part::ProducerRole, teardown_role(request, seen)));
    parts.sort_by_key(|(part, _)| TAKING_DOWN.iter().position(|other| other == part));
    Ok(Plan { connections, ..collect(parts)? })
}

fn teardown_role(request: &Request<'_>, seen: &Seen) -> Result<PartPlan, Halt> {
    if request.gave_up(&request.producer.account) {
        return Ok(PartPlan::default());
    }
    producer_role::teardown(request, seen)
}

/// All that must be known and right before anything is made.
fn preflight(request: &Request<'_>, seen: &Seen) -> Result<Facts, Halt> {
    let facts = facts(request, seen)?;
    gather([producer_role::preflight(request, &facts, seen), routes::preflight(request, &facts, seen)])?;
    Ok(facts)
}

/// A plan that does nothing because of a finding: what was there is taken to be there still.
#[must_use]
pub fn halted(request: &Request<'_>, finding: Finding) -> Plan {
    let before = request.link.status.clone().unwrap_or_default();
    Plan {
        halted_at: Some((finding.part, finding.class)),
        findings: vec![finding],
        ours: before.resources,
        used: before.used,
        undone: before.undone,
        role_arn: before.role_arn,
        peering: before.peering_connection_id,
        connections: before.connections,
        ..Plan::default()
    }
}

type Planned = (Part, Result<PartPlan, Halt>);

/// Removal of what is ours and wanted by nobody: each part needs to know what is left of those before it. Gives also
/// the connections to be remembered.
fn sweeps(
    request: &Request<'_>,
    seen: &Seen,
    wants: &BTreeSet<Want>,
    others: &Others,
) -> (Vec<Planned>, BTreeSet<String>) {
    let firewall = firewall::sweep(request, seen, wants, others);
    let routes = routes::sweep(request, seen, wants, others);
    // what could not be seen may still be there
    let left = |plan: &PartPlan| !(plan.steps.is_empty() && plan.findings.is_empty());
    let rules_left = firewall.as_ref().map_or(true, left);
    let route_left =
        |id: &str| routes.as_ref().map_or(true, |swept| !swept.plan.findings.is_empty() || swept.going.contains(id));
    let still_used = |id: &str| rules_left || route_left(id);
    let peering = peering::sweep(request, seen, wants, others, &still_used);
    let (routes, connections) = match routes {
        Ok(swept) => (Ok(swept.plan), swept.connections),
        Err(halt) => (Err(halt), routes::remembered(request).clone()),
    };
    (vec![(Part::Firewall, firewall), (Part::Routes, routes), (Part::Peering, peering)], connections)
}

/// One plan of all parts; what is unread in any of them comes first.
fn collect(parts: impl IntoIterator<Item = Planned>) -> Result<Plan, Unread> {
    let (mut plan, mut unread) = (Plan::default(), Unread::new());
    for (part, planned) in parts {
        match planned {
            Ok(PartPlan { steps, findings, ours, used, notes }) => {
                plan.steps.extend(steps);
                plan.findings.extend(findings);
                plan.ours.extend(ours);
                plan.used.extend(used);
                if !notes.is_empty() {
                    plan.notes.insert(part, notes);
                }
            }
            Err(Halt::Unread(reads)) => unread.extend(reads),
            Err(halt) => plan.findings.push(finding(part, halt)),
        }
    }
    if unread.is_empty() { Ok(plan) } else { Err(unread) }
}

fn finding(part: Part, halt: Halt) -> Finding {
    match halt {
        Halt::Found(finding) => finding,
        Halt::Refused(error) => Finding::refused(part, &error),
        Halt::Unread(reads) => Finding::waiting(part, "Unread", format!("{} reads are missing", reads.len())),
    }
}
