//! Our inline policy on each execution role: it lets the role take on the producer's.

use super::super::facts::Facts;
use super::super::request::Request;
use super::producer_role::{self, Leaving, digest};
use super::{Finding, Halt, Part, PartPlan, Step, both, gather};
use crate::aws::effect::Effect;
use crate::aws::mark::consumer_policy;
use crate::aws::policy::{self, named_aws_principals};
use crate::aws::read::Seen;
use crate::aws::scope::parse_role_arn;
use std::collections::BTreeSet;

/// Puts the policy on every execution role, and takes it from those that are no longer in use.
///
/// # Errors
/// Something is unread or refused.
pub fn plan(request: &Request<'_>, facts: &Facts, seen: &Seen) -> Result<PartPlan, Halt> {
    let account = &request.consumer.account;
    let policy_name = consumer_policy(request.uid());
    let target = producer_role::arn(request, facts);
    let document = policy::document(&[producer_role::enter(request).on([target])]);
    let ledger = producer_role::ours(request, seen).unwrap_or_default().map(|role| named_aws_principals(&role.trust));
    let ledger = ledger.unwrap_or_default();
    let mut plan = PartPlan { notes: facts.users.left_out.clone(), ..PartPlan::default() };
    let looks = facts.users.roles.iter().filter_map(|arn| {
        let name = parse_role_arn(arn)?.name.to_owned();
        let written = seen.role_policy(request.consumer, (name.clone(), policy_name.clone()));
        Some(written.map(|written| (arn, name, written)))
    });
    for (arn, name, written) in gather(looks)? {
        let key = format!("policy {account} {name}/{policy_name} {}", digest(&document));
        if written.as_ref().is_some_and(|written| policy::same_meaning(written, &document)) {
            plan.ours.insert(key);
            continue;
        }
        let (account, policy) = (account.clone(), policy_name.clone());
        let put = Effect::PutRolePolicy { account, role: name, policy, document: document.clone() };
        let waits = (!ledger.contains(arn)).then_some("the producer role to trust it");
        plan.steps.push(Step::new(Part::ConsumerPolicy, put).waiting_for(waits).making(key));
    }
    plan.steps.extend(removals(request, producer_role::leaving(request, seen, &facts.users.roles)?));
    Ok(plan)
}

/// Takes the policy from every role that has it, by the ledger.
///
/// # Errors
/// Something is unread or refused.
pub fn teardown(request: &Request<'_>, seen: &Seen) -> Result<PartPlan, Halt> {
    if request.gave_up(&request.consumer.account) || !request.spec().deletes() {
        return Ok(PartPlan::default());
    }
    let mut findings = vec![];
    let leaving = match producer_role::ours(request, seen) {
        Ok(Some(_)) if !request.gave_up(&request.producer.account) => {
            producer_role::leaving(request, seen, &BTreeSet::new())?
        }
        Err(Halt::Unread(unread)) if !request.gave_up(&request.producer.account) => return Err(Halt::Unread(unread)),
        Err(Halt::Refused(error)) if !request.gave_up(&request.producer.account) => {
            findings.push(Finding::refused(Part::ConsumerPolicy, &error));
            without_ledger(request, seen)?
        }
        // given up, gone, or somebody else's
        _ => without_ledger(request, seen)?,
    };
    let policy = consumer_policy(request.uid());
    let ours = leaving.keys().map(|role| format!("policy {} {role}/{policy}", request.consumer.account)).collect();
    Ok(PartPlan { ours, findings, steps: removals(request, leaving), ..PartPlan::default() })
}

/// Without a ledger that could be read: the roles that the spec and the domain name, and those that status remembers.
fn without_ledger(request: &Request<'_>, seen: &Seen) -> Result<Leaving, Halt> {
    let at = request.consumer;
    let consumer = &request.spec().consumer;
    let mut arns: BTreeSet<String> = consumer.network.iter().flat_map(|network| network.role_arns.clone()).collect();
    if let Some(studio) = &consumer.studio {
        let (domain, profiles) =
            both(seen.domain(at, studio.domain_id.clone()), seen.user_profiles(at, studio.domain_id.clone()))?;
        arns.extend(domain.iter().flat_map(|domain| domain.defaults.execution_roles.clone()));
        arns.extend(profiles.execution_roles.iter().cloned());
    }
    let named = arns.iter().filter_map(|arn| Some(parse_role_arn(arn)?.name.to_owned()));
    carriers(request, seen, named.chain(remembered(request)).map(|name| (name, None)).collect())
}

/// Names of the roles on which status says that our policy is.
pub fn remembered(request: &Request<'_>) -> impl Iterator<Item = String> {
    let start = format!("policy {} ", request.consumer.account);
    let resources = request.link.status.iter().flat_map(|status| &status.resources);
    resources.filter_map(move |resource| Some(resource.strip_prefix(&start)?.split('/').next()?.to_owned()))
}

/// Those of the roles that carry our policy.
///
/// # Errors
/// Something is unread or refused.
pub fn carriers(request: &Request<'_>, seen: &Seen, candidates: Leaving) -> Result<Leaving, Halt> {
    let looks = candidates.into_iter().map(|(name, arn)| {
        let policy = seen.role_policy(request.consumer, (name.clone(), consumer_policy(request.uid())));
        policy.map(|found| found.as_ref().map(|_| (name, arn)))
    });
    Ok(gather(looks)?.into_iter().flatten().collect())
}

fn removals(request: &Request<'_>, leaving: Leaving) -> Vec<Step> {
    let removal = |role: String| {
        let account = request.consumer.account.clone();
        let delete = Effect::DeleteRolePolicy { account, role, policy: consumer_policy(request.uid()) };
        Step::new(Part::ConsumerPolicy, delete)
    };
    leaving.into_keys().map(removal).collect()
}
