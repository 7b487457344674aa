//! The end of connections of ours: removed where nobody wants them, or given up.

use super::{is_ours, names};
use crate::aws::effect::{Effect, PeeringSide, ResourceId};
use crate::aws::mark;
use crate::aws::model::{Peering, PeeringStatus};
use crate::aws::read::Seen;
use crate::aws::scope::Scope;
use crate::link::others::Others;
use crate::link::parts::{Halt, Part, PartPlan, removal};
use crate::link::request::Request;
use crate::link::want::{VpcPair, Want};
use std::collections::BTreeSet;

/// Removes what is ours, in these two accounts and regions, and wanted by nobody.
///
/// `still_used`: whether routes or rules of a connection have to go first.
///
/// # Errors
/// Something is unread or refused.
pub fn sweep(
    request: &Request<'_>,
    seen: &Seen,
    wants: &BTreeSet<Want>,
    others: &Others,
    still_used: &impl Fn(&str) -> bool,
) -> Result<PartPlan, Halt> {
    let mut plan = PartPlan::default();
    if request.retains() {
        return retain(request, seen, others);
    }
    // one account's view is enough
    let Some(at) = request.sides().into_iter().find(|at| !request.gave_up(&at.account)) else { return Ok(plan) };
    for own in of_ours(request, seen, at)? {
        let want = Want::Peering(VpcPair::of(&own.requester, &own.accepter));
        if !wants.contains(&want) {
            let waits = still_used(&own.id).then_some("its routes and rules to be gone in both accounts");
            let at = who_deletes(request, seen, own, at);
            let delete = Effect::DeleteVpcPeeringConnection { at: at.clone(), peering: own.id.clone() };
            plan.remove(removal(request, Part::Peering, others, &want, delete).map(|step| step.waiting_for(waits)));
            continue;
        }
        let there = seen.peerings(request.producer, ()).map(Vec::as_slice).unwrap_or_default();
        let (side, names_resolve) = names::producer_side(request, own, there);
        let dns = match side {
            PeeringSide::Accepter => Want::DnsResolution { of: own.accepter.clone(), to: own.requester.clone() },
            PeeringSide::Requester => Want::DnsResolution { of: own.requester.clone(), to: own.accepter.clone() },
        };
        if names_resolve && own.status == PeeringStatus::Active && !wants.contains(&dns) {
            let off = names::resolve(request, ResourceId::Known(own.id.clone()), side, false);
            plan.remove(removal(request, Part::Peering, others, &dns, off));
        }
    }
    Ok(plan)
}

/// Gives up the mark of what nobody else wants, in each account that is still ours to change.
fn retain(request: &Request<'_>, seen: &Seen, others: &Others) -> Result<PartPlan, Halt> {
    let mut plan = PartPlan::default();
    for at in request.sides().into_iter().filter(|at| !request.gave_up(&at.account)) {
        for own in of_ours(request, seen, at)?.into_iter().filter(|own| is_ours(request, own)) {
            let want = Want::Peering(VpcPair::of(&own.requester, &own.accepter));
            let resource = ResourceId::Known(own.id.clone());
            let give_up = Effect::CreateTags { at: at.clone(), resource, tags: mark::retained() };
            plan.remove(removal(request, Part::Peering, others, &want, give_up));
        }
    }
    Ok(plan)
}

/// The account that deletes a connection. AWS lets only who asked for it delete a request that is still pending, and
/// our permissions only one that carries our mark there.
fn who_deletes<'a>(request: &Request<'_>, seen: &Seen, own: &'a Peering, seen_by: &'a Scope) -> &'a Scope {
    let marked =
        |at: &Scope| seen.peerings(at, ()).is_ok_and(|view| view.iter().any(|p| p.id == own.id && is_ours(request, p)));
    let (asked, accepted) = (&own.requester.at, &own.accepter.at);
    match (request.gave_up(&asked.account), own.status == PeeringStatus::Active) {
        (true, _) => seen_by,
        (false, true) if !marked(asked) && marked(accepted) && !request.gave_up(&accepted.account) => accepted,
        (false, _) => asked,
    }
}

/// Live connections between the two accounts and regions that carry our mark in either, as one of them sees them.
///
/// Both ends must be in sight: what hangs on a far end elsewhere cannot be seen by this link.
fn of_ours<'a>(request: &Request<'_>, seen: &'a Seen, at: &Scope) -> Result<Vec<&'a Peering>, Halt> {
    let ends = |p: &Peering| {
        let ends = [&p.requester.at, &p.accepter.at];
        ends.contains(&request.consumer) && ends.contains(&request.producer)
    };
    let looks = request.sides().into_iter().filter(|side| !request.gave_up(&side.account));
    let looks: Vec<_> = looks.map(|side| seen.peerings(side, ()).map_err(Halt::from)).collect();
    // a side that is refused marks nothing, and one that is unread comes first
    if let Some(Err(unread @ Halt::Unread(_))) = looks.iter().find(|look| matches!(look, Err(Halt::Unread(_)))) {
        return Err(unread.clone());
    }
    let views = looks.into_iter().flatten().flatten();
    let marked: BTreeSet<&str> = views.filter(|p| is_ours(request, p)).map(|p| p.id.as_str()).collect();
    let live = seen.peerings(at, ())?.iter().filter(|p| p.status.is_live() && ends(p));
    Ok(live.filter(|p| marked.contains(p.id.as_str())).collect())
}
