//! Single security group rules: out of the users' groups, and into the cluster's.

use super::super::facts::Facts;
use super::super::others::Others;
use super::super::request::Request;
use super::super::want::Want;
use super::peering::Connection;
use super::{Halt, Part, PartPlan, Step, gather, removal, side_by_side};
use crate::aws::effect::{Effect, ResourceId};
use crate::aws::mark::{self, rule_key};
use crate::aws::model::{Permit, Rule, RulePeer};
use crate::aws::read::Seen;
use crate::aws::scope::Scope;
use ipnet::Ipv4Net;
use std::collections::BTreeSet;

/// Makes the rules and keeps them; a rule of others that lets the same pass is used instead.
///
/// # Errors
/// Something is unread or refused.
pub fn plan(request: &Request<'_>, facts: &Facts, seen: &Seen, connection: &Connection) -> Result<PartPlan, Halt> {
    let mut plan = PartPlan::default();
    let waits = (*connection == Connection::Coming).then_some("the peering connection to be active");
    let needed = gather(facts.permits().into_iter().map(|(at, group, permit)| {
        let rules = seen.rules_of_group(&at, group.clone())?;
        Ok::<_, Halt>((at, group, permit, rules))
    }))?;
    for (at, group, permit, rules) in needed {
        let want = Want::Rule { at: at.clone(), group: group.clone(), permit: permit.clone() };
        if rules.iter().any(|rule| rule.permit == permit && ours(request, rule).is_some()) {
            plan.ours.insert(want.to_string());
        } else if let Some(foreign) = serving(request, rules, &permit, &facts.consumer.cidrs) {
            plan.used.insert(format!("rule {at} {group} {}", foreign.id));
        } else {
            let tags = request.installation.tags(&request.owner(), &rule_key(&group, &permit));
            let authorize = Effect::authorize(at, group, permit, tags);
            plan.steps.push(Step::new(Part::Firewall, authorize).waiting_for(waits).making_shared(&want));
        }
    }
    Ok(plan)
}

/// Removes rules that are ours and wanted by nobody.
///
/// # Errors
/// Something is unread or refused.
pub fn sweep(request: &Request<'_>, seen: &Seen, wants: &BTreeSet<Want>, others: &Others) -> Result<PartPlan, Halt> {
    side_by_side(Part::Firewall, request, |at| {
        let mut plan = PartPlan::default();
        for rule in seen.marked_rules(at, ())? {
            let Some(permit) = ours(request, rule) else { continue };
            let (id, group) = (&rule.id, &rule.group);
            let want = Want::Rule { at: at.clone(), group: group.clone(), permit: permit.clone() };
            if wants.contains(&want) {
                continue;
            }
            let effect = if request.retains() {
                Effect::CreateTags { at: at.clone(), resource: ResourceId::Known(id.clone()), tags: mark::retained() }
            } else {
                Effect::revoke(at.clone(), group.clone(), id.clone(), permit.clone())
            };
            plan.remove(removal(request, Part::Firewall, others, &want, effect));
        }
        Ok(plan)
    })
}

/// What the rule was made to let pass, if it is ours. Of a group that was deleted meanwhile AWS may not tell the account.
fn ours(request: &Request<'_>, rule: &Rule) -> Option<Permit> {
    let owns = |permit: &Permit| request.installation.owns(&rule.tags, &rule_key(&rule.group, permit));
    let of_account = |at: &Scope| match &rule.permit.peer {
        RulePeer::Group { id, .. } => Some(Permit {
            peer: RulePeer::Group { account: at.account.clone(), id: id.clone() },
            ..rule.permit.clone()
        }),
        RulePeer::Cidr(_) | RulePeer::Other(_) => None,
    };
    let elsewhere = request.sides().into_iter().filter_map(of_account);
    std::iter::once(rule.permit.clone()).chain(elsewhere).find(|permit| owns(permit))
}

/// A rule of others by which `permit` passes already. Ours do not count: they go when the links that want them go.
fn serving<'a>(
    request: &Request<'_>,
    rules: &'a [Rule],
    permit: &Permit,
    consumer: &BTreeSet<Ipv4Net>,
) -> Option<&'a Rule> {
    let by_cidr = |cidr: Ipv4Net| Permit { peer: RulePeer::Cidr(cidr), ..permit.clone() };
    rules.iter().filter(|rule| ours(request, rule).is_none()).find(|rule| {
        rule.permit.covers(permit)
            // a group of the consumer's has only addresses of the consumer's VPC
            || matches!(permit.peer, RulePeer::Group { .. }) && consumer.iter().all(|cidr| rule.permit.covers(&by_cidr(*cidr)))
    })
}
