//! The VPC peering connection: asked for by the consumer, accepted by the producer, marked on both sides. A link in
//! the other direction shares it.

mod names;
mod sweep;

pub use sweep::sweep;

use super::super::facts::Facts;
use super::super::request::Request;
use super::super::want::{VpcPair, Want};
use super::{Finding, Halt, Part, PartPlan, Step, both};
use crate::aws::effect::{Effect, PeeringSide, ResourceId};
use crate::aws::mark::peering_key;
use crate::aws::model::{Peering, PeeringStatus, Tags};
use crate::aws::read::Seen;
use crate::aws::scope::{Scope, VpcRef};
use k8s_openapi::jiff::{SignedDuration, Timestamp};
use std::collections::BTreeSet;

/// The connection that routes and rules of this link rely on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    /// It carries traffic.
    Active {
        /// `pcx-...`.
        id: String,
        /// It carries our mark: routes through it are ours.
        ours: bool,
    },
    /// It is still to be made, accepted or provisioned.
    Coming,
}

/// The connection between the two VPCs, as far as it goes today.
///
/// # Errors
/// Something is unread, refused or in the way.
pub fn connection(request: &Request<'_>, facts: &Facts, seen: &Seen) -> Result<Connection, Halt> {
    let (here, there) = views(request, seen)?;
    if let Some(id) = request.existing_peering() {
        let found = adopted(request, facts, here, there, id)?;
        return Ok(Connection::Active { id: found.id.clone(), ours: false });
    }
    Ok(match own(request, facts, (here, there))?.first() {
        Some(own) if own.status == PeeringStatus::Active => Connection::Active { id: own.id.clone(), ours: true },
        _ => Connection::Coming,
    })
}

/// Makes the connection and keeps it as it should be.
///
/// # Errors
/// Something is unread, refused or in the way.
pub fn plan(request: &Request<'_>, facts: &Facts, seen: &Seen) -> Result<PartPlan, Halt> {
    let (here, there) = views(request, seen)?;
    let mut plan = PartPlan::default();
    if let Some(id) = request.existing_peering() {
        let found = adopted(request, facts, here, there, id)?;
        plan.used.insert(format!("peering {id}"));
        let (side, names_resolve) = names::producer_side(request, found, there);
        let needed = request.dns_resolution().unwrap_or(facts.warehouse.public);
        if needed && !names_resolve {
            let side = match side {
                PeeringSide::Accepter => "accepter",
                PeeringSide::Requester => "requester",
            };
            let message = format!(
                "connection {id} was made by others and does not resolve the producer's names: run `aws ec2 \
                 modify-vpc-peering-connection-options --vpc-peering-connection-id {id} --{side}-peering-connection-options \
                 AllowDnsResolutionFromRemoteVpc=true --region {}` in account {}, or set peering.dnsResolution to false",
                request.producer.region, request.producer.account
            );
            plan.findings.push(Finding::blocked(Part::Peering, "DnsResolutionOff", message));
        }
        return Ok(plan);
    }
    let want = Want::Peering(VpcPair::of(&facts.producer.vpc, &facts.consumer.vpc));
    match own(request, facts, (here, there))?.as_slice() {
        [] => create(request, facts, here, &want, &mut plan),
        [own, redundant @ ..] => {
            keep(request, facts, seen, own, (here, there), &want, &mut plan)?;
            // once one is active, AWS lets no other be accepted: nobody can be about to use one of these
            let active = own.status == PeeringStatus::Active;
            let pending = redundant.iter().filter(|p| active && p.status == PeeringStatus::PendingAcceptance);
            plan.steps.extend(pending.map(|p| {
                let (at, peering) = (p.requester.at.clone(), p.id.clone());
                Step::new(Part::Peering, Effect::DeleteVpcPeeringConnection { at, peering })
            }));
        }
    }
    Ok(plan)
}

fn create(request: &Request<'_>, facts: &Facts, here: &[Peering], want: &Want, plan: &mut PartPlan) {
    let dead = here.iter().find(|p| is_ours(request, p) && is_between(p, facts) && was_turned_down(p.status));
    if let Some(dead) = dead {
        let (reason, what) = match dead.status {
            PeeringStatus::Rejected => ("PeeringRejected", "was rejected in the producer's account"),
            _ => ("PeeringFailed", "failed"),
        };
        let message = format!(
            "the last connection between {} and {} {what}{}: it is asked for again after a while",
            facts.consumer.vpc,
            facts.producer.vpc,
            if dead.status_message.is_empty() { String::new() } else { format!(" ({})", dead.status_message) },
        );
        plan.findings.push(Finding::blocked(Part::Peering, reason, message));
    }
    let wait = dead.filter(|dead| !rested(request, &dead.id)).map(|_| "a while since the last one was turned down");
    let (from, to) = (facts.consumer.vpc.clone(), facts.producer.vpc.clone());
    let tags = tags(request, &from, &to);
    let step = |effect| Step::new(Part::Peering, effect);
    let ask = Effect::CreateVpcPeeringConnection { from, to, tags: tags.clone() };
    plan.steps.push(step(ask).making_shared(want).waiting_for(wait));
    // the rest is shown, and done once the connection is seen
    let shown = |effect| step(effect).waiting_for(Some("the connection to be there"));
    let at = request.producer.clone();
    plan.steps.push(shown(Effect::AcceptVpcPeeringConnection { at: at.clone(), peering: ResourceId::Pending }));
    plan.steps.push(shown(Effect::CreateTags { at, resource: ResourceId::Pending, tags }));
    if request.dns_resolution() != Some(false) {
        plan.steps.push(shown(names::resolve(request, ResourceId::Pending, PeeringSide::Accepter, true)));
    }
}

fn keep(
    request: &Request<'_>,
    facts: &Facts,
    seen: &Seen,
    own: &Peering,
    views: (&[Peering], &[Peering]),
    want: &Want,
    plan: &mut PartPlan,
) -> Result<(), Halt> {
    plan.ours.insert(want.to_string());
    let id = || ResourceId::Known(own.id.clone());
    let step = |effect| Step::new(Part::Peering, effect);
    let accepter = own.accepter.at.clone();
    // a link in the other direction may have asked for it
    let there = if accepter == *request.producer { views.1 } else { views.0 };
    // the accepter's own view: id, requester's account and requester's VPC must be exactly the expected ones
    let request_seen =
        there.iter().find(|p| p.id == own.id && p.requester == own.requester && p.accepter == own.accepter);
    let active = own.status == PeeringStatus::Active;
    if !active {
        let pending = own.status == PeeringStatus::PendingAcceptance
            && request_seen.is_some_and(|p| p.status == PeeringStatus::PendingAcceptance);
        if pending || own.status == PeeringStatus::InitiatingRequest || request_seen.is_none() {
            let waits = (!pending).then_some("the request to reach the accepter's account");
            let accept = Effect::AcceptVpcPeeringConnection { at: accepter.clone(), peering: id() };
            plan.steps.push(step(accept).waiting_for(waits));
        } else {
            plan.findings.push(Finding::waiting(
                Part::Peering,
                "Provisioning",
                format!("{} is about to be active", own.id),
            ));
        }
    }
    let mark = |at: &Scope| {
        let tags = tags(request, &own.requester, &own.accepter);
        step(Effect::CreateTags { at: at.clone(), resource: id(), tags })
    };
    if request_seen.is_none_or(|p| !is_ours(request, p)) {
        let waits = request_seen.is_none().then_some("the request to reach the accepter's account");
        plan.steps.push(mark(&accepter).waiting_for(waits));
    }
    // it was made with its mark there: somebody took it off
    let asked = if accepter == *request.producer { views.0 } else { views.1 };
    if asked.iter().any(|p| p.id == own.id && !is_ours(request, p)) {
        plan.steps.push(mark(&own.requester.at));
    }
    let dns = facts.dns_resolution();
    let (side, names_resolve) = names::producer_side(request, own, views.1);
    if request.dns_resolution() == Some(false) {
        return Ok(());
    }
    if names_resolve {
        plan.ours.insert(dns.to_string());
        return Ok(());
    }
    let needed = request.dns_resolution() == Some(true) || facts.warehouse.public;
    match if active { names::lacking_attribute(facts, seen) } else { Ok(None) } {
        Err(Halt::Refused(error)) => plan.findings.push(Finding::refused(Part::Peering, &error)),
        Err(halt) => return Err(halt),
        Ok(Some(lacking)) if needed => plan.findings.push(lacking),
        Ok(Some(_)) => {
            let note = "public names of the producer's VPC are not resolved to private addresses, for which one of the VPCs \
                        lacks DNS host names: the private cluster does not need it";
            plan.notes.push(note.into());
        }
        Ok(None) => {
            let waits = (!active).then_some("the connection to be active");
            plan.steps.push(step(names::resolve(request, id(), side, true)).waiting_for(waits).making_shared(&dns));
        }
    }
    Ok(())
}

/// The connections as the consumer and as the producer see them.
fn views<'a>(request: &Request<'_>, seen: &'a Seen) -> Result<(&'a [Peering], &'a [Peering]), Halt> {
    let (here, there) = both(seen.peerings(request.consumer, ()), seen.peerings(request.producer, ()))?;
    Ok((here, there))
}

/// True where the connection carries our mark in the account that was asked.
#[must_use]
pub fn is_ours(request: &Request<'_>, peering: &Peering) -> bool {
    request.installation.owns(&peering.tags, &peering_key(&peering.requester, &peering.accepter))
}

fn is_between(peering: &Peering, facts: &Facts) -> bool {
    VpcPair::of(&peering.requester, &peering.accepter) == VpcPair::of(&facts.consumer.vpc, &facts.producer.vpc)
}

/// Ids of connections that carry our mark in either account: a crash may have left one of the marks unwritten.
fn marked<'a>(request: &Request<'_>, here: &'a [Peering], there: &'a [Peering]) -> BTreeSet<&'a str> {
    here.iter().chain(there).filter(|p| is_ours(request, p)).map(|p| p.id.as_str()).collect()
}

/// Our live connections between the two VPCs, the one to be used first. Two links in opposite directions may have asked
/// for one each, of which AWS lets only one be accepted.
fn own<'a>(
    request: &Request<'_>,
    facts: &Facts,
    (here, there): (&'a [Peering], &'a [Peering]),
) -> Result<Vec<&'a Peering>, Finding> {
    let marked = marked(request, here, there);
    let live = here.iter().filter(|p| p.status.is_live() && is_between(p, facts));
    let (mut ours, foreign): (Vec<_>, Vec<_>) = live.partition(|p| marked.contains(p.id.as_str()));
    ours.sort_by_key(|p| (p.status != PeeringStatus::Active, &p.id));
    let active = |p: &&&Peering| p.status == PeeringStatus::Active;
    // where one of others is active, ours can no longer be accepted
    let in_the_way = match (ours.iter().any(|p| active(&p)), foreign.iter().find(active)) {
        (true, _) => None,
        (false, Some(foreign)) => Some(foreign),
        (false, None) => foreign.first().filter(|_| ours.is_empty()),
    };
    match in_the_way {
        Some(foreign) => {
            let message = format!(
                "{} already joins {} and {} ({}) and was made by others: AWS allows one such connection; \
                 set peering.existingId to use it, or have it removed",
                foreign.id,
                foreign.requester,
                foreign.accepter,
                status_word(foreign.status)
            );
            Err(Finding::blocked(Part::Peering, "NotOurs", message))
        }
        None => Ok(ours),
    }
}

/// The connection of others that the spec names, if it is what the link needs.
fn adopted<'a>(
    request: &Request<'_>,
    facts: &Facts,
    here: &'a [Peering],
    there: &'a [Peering],
    id: &str,
) -> Result<&'a Peering, Finding> {
    let Some(found) = here.iter().chain(there).find(|p| p.id == id) else {
        let message = format!("peering.existingId: {id} is not there in {} or {}", request.consumer, request.producer);
        return Err(Finding::blocked(Part::Peering, "PeeringNotFound", message));
    };
    if !is_between(found, facts) {
        let message = format!(
            "peering.existingId: {id} joins {} and {}, not {} and {}",
            found.requester, found.accepter, facts.consumer.vpc, facts.producer.vpc
        );
        return Err(Finding::terminal(Part::Peering, "PeeringOfOtherVpcs", message));
    }
    if marked(request, here, there).contains(id) {
        let message = format!(
            "peering.existingId: {id} was not made by others: leave existingId out, and links share the connection"
        );
        return Err(Finding::terminal(Part::Peering, "ExistingIsOurs", message));
    }
    if found.status != PeeringStatus::Active {
        let message = format!(
            "peering.existingId: {id} is {}: it is used once it is active; have it accepted, or leave existingId out",
            status_word(found.status)
        );
        return Err(Finding::blocked(Part::Peering, "PeeringNotActive", message));
    }
    Ok(found)
}

fn tags(request: &Request<'_>, from: &VpcRef, to: &VpcRef) -> Tags {
    request.installation.tags(&request.owner(), &peering_key(from, to))
}

const fn was_turned_down(status: PeeringStatus) -> bool {
    matches!(status, PeeringStatus::Failed | PeeringStatus::Rejected)
}

/// Well within the hour for which status remembers it.
const REST_AT_MOST: SignedDuration = SignedDuration::from_mins(30);

/// Begins what status records of a connection that was turned down, so that the next is not asked for at once.
const TURNED_DOWN: &str = "turned-down ";

fn turned_down_key(id: &str) -> String {
    format!("{TURNED_DOWN}{id}")
}

/// Connections of ours between the two VPCs that were turned down and are still to be seen.
#[must_use]
pub fn turned_down(request: &Request<'_>, facts: &Facts, seen: &Seen) -> BTreeSet<String> {
    let Ok((here, _)) = views(request, seen) else { return BTreeSet::new() };
    if here.iter().any(|p| p.status.is_live() && is_between(p, facts)) {
        return BTreeSet::new();
    }
    here.iter()
        .filter(|p| is_ours(request, p) && is_between(p, facts) && was_turned_down(p.status))
        .map(|p| turned_down_key(&p.id))
        .collect()
}

/// True once an interval, or half an hour, has passed since this connection, and any other, was first seen to be turned down.
fn rested(request: &Request<'_>, id: &str) -> bool {
    let undone = request.link.status.iter().flat_map(|status| &status.undone);
    let records: Vec<_> = undone.filter(|record| record.resource.starts_with(TURNED_DOWN)).collect();
    let rest = request.interval.min(REST_AT_MOST);
    let past = |at: Timestamp| request.now.duration_since(at) >= rest;
    records.iter().any(|record| record.resource == turned_down_key(id))
        && records.iter().flat_map(|record| &record.times).all(|at| past(at.0))
}

const fn status_word(status: PeeringStatus) -> &'static str {
    match status {
        PeeringStatus::InitiatingRequest => "initiating-request",
        PeeringStatus::PendingAcceptance => "pending-acceptance",
        PeeringStatus::Provisioning => "provisioning",
        PeeringStatus::Active => "active",
        PeeringStatus::Failed => "failed",
        PeeringStatus::Rejected => "rejected",
        PeeringStatus::Expired => "expired",
        PeeringStatus::Deleting => "deleting",
        PeeringStatus::Deleted => "deleted",
        PeeringStatus::Unknown => "in a state unknown to this version",
    }
}
