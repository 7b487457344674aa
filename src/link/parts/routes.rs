//! Single routes, both ways, in exactly the tables that serve the cluster and its users.
//!
//! A route carries no mark. One through a connection of ours is ours; one through an adopted connection is ours only
//! where a tag of ours on that connection says so, written before the route and removed after it.

use super::super::facts::Facts;
use super::super::others::{Others, Verdict};
use super::super::request::Request;
use super::super::want::{VpcPair, Want};
use super::peering::{Connection, is_ours};
use super::{Finding, Halt, Part, PartPlan, Step, both, certainty, gather, removal, side_by_side};
use crate::aws::effect::{Effect, ResourceId};
use crate::aws::model::{Destination, Peering, Route, RouteTable, Tags, Target};
use crate::aws::read::Seen;
use crate::aws::scope::Scope;
use ipnet::Ipv4Net;
use std::collections::{BTreeMap, BTreeSet};

const WAITS_FOR_CONNECTION: &str = "the peering connection to be active";

/// Checks before anything is made that no broader route carries the traffic today.
///
/// # Errors
/// One does, a route of others stands in the way, or something is unread or refused.
pub fn preflight(request: &Request<'_>, facts: &Facts, seen: &Seen) -> Result<(), Halt> {
    let checks = facts.routes().into_iter().map(|(at, table, cidr)| {
        let tables = tables_of(facts, seen, &at)?;
        let Some(found) = tables.iter().find(|t| t.id == table) else { return Ok(()) };
        if request.takes_over_routes() || exact(found, cidr).is_some() {
            return Ok(());
        }
        match broader(seen, &at, found, cidr)? {
            None => Ok(()),
            Some((destination, target)) => {
                let message = format!(
                    "in {at}, route {destination} via {target} of {table} carries {cidr} today, and the narrower route of this \
                     link would move that traffic: set peering.takeOverRoutes to true, for which the accounts file must allow it on both \
                     sides, or take {cidr} out of that route"
                );
                Err(Halt::Found(Finding::blocked(Part::Routes, "PathTakenOver", message)))
            }
        }
    });
    gather(checks).map(drop)
}

/// Makes the routes and keeps them.
///
/// # Errors
/// Something is unread or refused.
pub fn plan(
    request: &Request<'_>,
    facts: &Facts,
    seen: &Seen,
    connection: &Connection,
    others: &Others,
) -> Result<PartPlan, Halt> {
    let mut plan = PartPlan::default();
    let wanted = facts.wants(request);
    let needed = gather(facts.routes().into_iter().map(|(at, table, cidr)| {
        let (tables, peerings) = both(tables_of(facts, seen, &at), seen.peerings(&at, ()))?;
        let found = tables.iter().find(|t| t.id == table).and_then(|t| exact(t, cidr)).cloned();
        Ok::<_, Halt>((at, table, cidr, found, peerings))
    }))?;
    for (at, table, cidr, found, peerings) in needed {
        let want = Want::Route { at: at.clone(), table: table.clone(), cidr };
        let (peering, waits) = match connection {
            Connection::Active { id, .. } => (ResourceId::Known(id.clone()), None),
            Connection::Coming => (ResourceId::Pending, Some(WAITS_FOR_CONNECTION)),
        };
        let tag = adopted(connection).map(|id| (id, request.installation.adopted_route_tag(&table, cidr)));
        let tagged = tag.as_ref().is_none_or(|(id, key)| has_tag(peerings, id, key));
        let in_place = matches!((&found, connection), (Some(route), Connection::Active { id, .. }) if route.target == Target::Peering(id.clone()));
        if in_place {
            let list = if tagged { &mut plan.ours } else { &mut plan.used };
            list.insert(want.to_string());
            continue;
        }
        let effect = match &found {
            None => Effect::CreateRoute { at: at.clone(), table, cidr, peering },
            Some(route) if may_be_replaced(request, route, (&table, cidr), peerings, &wanted, others) => {
                Effect::ReplaceRoute { at: at.clone(), table, cidr, peering }
            }
            Some(route) => {
                let message = format!(
                    "in {at}, {table} already has a route to {cidr} via {}, which is not ours: it is not touched; \
                     remove it, or use another table",
                    route.target
                );
                plan.findings.push(Finding::blocked(Part::Routes, "NotOurs", message));
                continue;
            }
        };
        let step = |effect| Step::new(Part::Routes, effect).waiting_for(waits);
        if let Some((id, key)) = tag.filter(|_| !tagged) {
            let tags = Tags::from([(key, "route".to_owned())]);
            plan.steps.push(
                step(Effect::CreateTags { at, resource: ResourceId::Known(id.into()), tags }).making_shared(&want),
            );
            plan.steps.push(step(effect).chained().making_shared(&want));
        } else {
            plan.steps.push(step(effect).making_shared(&want));
        }
    }
    Ok(plan)
}

/// What a sweep found of routes.
pub struct Swept {
    /// Their removal.
    pub plan: PartPlan,
    /// Connections that carry routes which are to go.
    pub going: BTreeSet<String>,
    /// Connections of ours that carry routes of this link, to be remembered.
    pub connections: BTreeSet<String>,
}

/// Connections that routes of this link went through, by what status remembers.
#[must_use]
pub fn remembered<'a>(request: &Request<'a>) -> &'a BTreeSet<String> {
    static NONE: BTreeSet<String> = BTreeSet::new();
    request.link.status.as_ref().map_or(&NONE, |status| &status.connections)
}

/// Removes routes that are ours and wanted by nobody.
///
/// # Errors
/// Something is unread or refused.
pub fn sweep(request: &Request<'_>, seen: &Seen, wants: &BTreeSet<Want>, others: &Others) -> Result<Swept, Halt> {
    let (mut going, mut connections) = (BTreeSet::new(), BTreeSet::new());
    let held = |want: &Want| {
        wants.contains(want) || request.link.status.as_ref().is_some_and(|s| s.wants.contains(&want.to_string()))
    };
    let views: Vec<&Peering> =
        request.sides().map(|at| seen.peerings(at, ())).into_iter().flatten().flatten().collect();
    // marked on one side is ours on both: a crash may have left the other mark unwritten
    let marked = views.iter().filter(|p| is_ours(request, p)).map(|p| p.id.as_str());
    // what AWS no longer lists was ours if it is remembered
    let forgotten = remembered(request).iter().map(String::as_str).filter(|id| !views.iter().any(|p| p.id == **id));
    let own: BTreeSet<&str> = marked.chain(forgotten).collect();
    let plan = side_by_side(Part::Routes, request, |at| {
        let mut plan = PartPlan::default();
        let adopted = seen.peerings(at, ())?.iter().filter(|p| !own.contains(p.id.as_str()));
        let adopted = adopted.map(|p| Carrier::adopted(request, p)).filter(|carrier| !carrier.tags.is_empty());
        let carriers: Vec<_> = own.iter().map(|id| Carrier::own(id)).chain(adopted).collect();
        let reads = carriers.iter().map(|c| seen.tables_through(at, c.id).map(|tables| (c, tables)));
        for (carrier, tables) in gather(reads)? {
            let there: BTreeSet<_> = tables.iter().flat_map(|table| through(table, carrier.id)).collect();
            for (table, cidr) in there.iter().filter(|(table, cidr)| carrier.owns(table, *cidr)) {
                let want = Want::Route { at: at.clone(), table: (*table).to_owned(), cidr: *cidr };
                // of a connection of others not every route is ours: once it is forgotten none can be told
                if carrier.own && held(&want) {
                    connections.insert(carrier.id.to_owned());
                }
                if wants.contains(&want) || request.retains() {
                    continue;
                }
                let delete = Effect::DeleteRoute { at: at.clone(), table: (*table).to_owned(), cidr: *cidr };
                let step = removal(request, Part::Routes, others, &want, delete);
                if step.is_some() {
                    going.insert(carrier.id.to_owned());
                    connections.extend(carrier.own.then(|| carrier.id.to_owned()));
                }
                plan.remove(step);
            }
            // on a connection of others, tags of routes that are gone, or given up
            for ((table, cidr), key) in &carrier.tags {
                let want = Want::Route { at: at.clone(), table: (*table).to_owned(), cidr: *cidr };
                if request.retains() || !(there.contains(&(*table, *cidr)) || wants.contains(&want)) {
                    let keys = vec![(*key).to_owned()];
                    let untag = Effect::DeleteTags { at: at.clone(), resource: carrier.id.to_owned(), keys };
                    let untag = removal(request, Part::Routes, others, &want, untag);
                    plan.remove(untag.map(|step| step.waiting_for(certainty(request))));
                }
            }
        }
        Ok(plan)
    })?;
    // a side that cannot be seen may have routes
    if !plan.findings.is_empty() {
        connections.extend(remembered(request).iter().cloned());
    }
    Ok(Swept { plan, going, connections })
}

/// A connection through which routes of ours may go.
struct Carrier<'a> {
    id: &'a str,
    /// It carries, or carried, our mark.
    own: bool,
    /// On a connection of others: the routes that our tags on it name, with the keys of those tags.
    tags: BTreeMap<(&'a str, Ipv4Net), &'a str>,
}

impl<'a> Carrier<'a> {
    fn own(id: &'a str) -> Self {
        Self { id, own: true, tags: BTreeMap::new() }
    }

    fn adopted(request: &Request<'_>, peering: &'a Peering) -> Self {
        let named = |key: &'a String| Some((request.installation.parse_adopted_route_tag(key)?, key.as_str()));
        Self { id: &peering.id, own: false, tags: peering.tags.keys().filter_map(named).collect() }
    }

    fn owns(&self, table: &str, cidr: Ipv4Net) -> bool {
        self.own || self.tags.contains_key(&(table, cidr))
    }
}

/// The routes of a table that go through a connection: table and destination.
pub fn through<'t>(table: &'t RouteTable, peering: &str) -> impl Iterator<Item = (&'t str, Ipv4Net)> {
    table.routes.iter().filter_map(move |route| match (&route.destination, &route.target) {
        (Destination::Cidr(cidr), Target::Peering(target)) if target == peering => Some((table.id.as_str(), *cidr)),
        _ => None,
    })
}

fn adopted(connection: &Connection) -> Option<&str> {
    match connection {
        Connection::Active { id, ours: false } => Some(id),
        Connection::Active { ours: true, .. } | Connection::Coming => None,
    }
}

fn has_tag(peerings: &[Peering], id: &str, key: &str) -> bool {
    peerings.iter().any(|p| p.id == id && p.tags.contains_key(key))
}

fn tables_of<'a>(facts: &Facts, seen: &'a Seen, at: &Scope) -> Result<&'a Vec<RouteTable>, Halt> {
    let side = if *at == facts.consumer.vpc.at { &facts.consumer } else { &facts.producer };
    Ok(seen.tables_of_vpc(at, side.vpc.id.clone())?)
}

fn exact(table: &RouteTable, cidr: Ipv4Net) -> Option<&Route> {
    table.routes.iter().find(|route| route.destination == Destination::Cidr(cidr))
}

/// A route to our destination may be pointed to another connection where it is ours and of no use to anybody: its
/// connection is dead, or joins VPCs that nobody wants joined any more.
fn may_be_replaced(
    request: &Request<'_>,
    route: &Route,
    (table, cidr): (&str, Ipv4Net),
    peerings: &[Peering],
    wanted: &BTreeSet<Want>,
    others: &Others,
) -> bool {
    let Target::Peering(id) = &route.target else { return false };
    // AWS has forgotten the connection: status has not
    let Some(found) = peerings.iter().find(|p| p.id == *id) else {
        return route.blackhole && remembered(request).contains(id);
    };
    let tag = request.installation.adopted_route_tag(table, cidr);
    let pair = Want::Peering(VpcPair::of(&found.requester, &found.accepter));
    let unwanted = || !wanted.contains(&pair) && others.verdict(&pair) == Verdict::Free;
    match is_ours(request, found) {
        true => !found.status.is_live() || unwanted(),
        false => !found.status.is_live() && found.tags.contains_key(&tag),
    }
}

/// A route, other than the default and the VPC's own, whose destination holds the whole block.
fn broader(seen: &Seen, at: &Scope, table: &RouteTable, cidr: Ipv4Net) -> Result<Option<(String, Target)>, Halt> {
    let found = gather(table.routes.iter().filter(|route| route.target != Target::Local).map(|route| {
        let carries = match &route.destination {
            Destination::Cidr(wide) => wide.prefix_len() > 0 && wide.contains(&cidr),
            // the lists of AWS itself stand for its services and are reached through endpoints
            Destination::PrefixList(id) if !matches!(&route.target, Target::Other(t) if t.starts_with("vpce-")) => {
                seen.prefix_list(at, id.clone())?.iter().any(|wide| wide.contains(&cidr))
            }
            Destination::PrefixList(_) | Destination::Ipv6(_) => false,
        };
        Ok::<_, Halt>(carries.then(|| (route.destination.to_string(), route.target.clone())))
    }))?;
    Ok(found.into_iter().flatten().next())
}
