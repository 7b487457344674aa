//! Our inline policy on each execution role: it lets the role take on the producer's.

use super::super::facts::Facts;
use super::super::request::Request;
use super::producer_role::{self, digest};
use super::{Finding, Halt, Part, PartPlan, Step, both, gather};
use crate::aws::effect::Effect;
use crate::aws::mark::consumer_policy;
use crate::aws::policy::{self, trusted_aws_principals};
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
    let ledger = producer_role::ours(request, seen).unwrap_or_default().map(|role| trusted_aws_principals(&role.trust));
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
    let leaving = if request.gave_up(&request.producer.account) {
        without_ledger(request, seen)?
    } else {
        match producer_role::leaving(request, seen, &BTreeSet::new()) {
            Err(Halt::Found(_)) => BTreeSet::new(),
            Err(Halt::Refused(error)) => {
                findings.push(Finding::refused(Part::ConsumerPolicy, &error));
                without_ledger(request, seen)?
            }
            other => other?,
        }
    };
    let name = |arn: &String| parse_role_arn(arn).map_or_else(|| arn.clone(), |role| role.name.to_owned());
    let policy = consumer_policy(request.uid());
    let ours =
        leaving.iter().map(|arn| format!("policy {} {}/{policy}", request.consumer.account, name(arn))).collect();
    Ok(PartPlan { ours, findings, steps: removals(request, leaving), ..PartPlan::default() })
}

/// The ledger is in an account that was given up or cannot be read: what the spec and the domain name, and what status remembers.
fn without_ledger(request: &Request<'_>, seen: &Seen) -> Result<BTreeSet<String>, Halt> {
    let at = request.consumer;
    let consumer = &request.spec().consumer;
    let mut arns: BTreeSet<String> = consumer.network.iter().flat_map(|network| network.role_arns.clone()).collect();
    if let Some(studio) = &consumer.studio {
        let (domain, profiles) =
            both(seen.domain(at, studio.domain_id.clone()), seen.user_profiles(at, studio.domain_id.clone()))?;
        arns.extend(domain.iter().flat_map(|domain| domain.defaults.execution_roles.clone()));
        arns.extend(profiles.execution_roles.iter().cloned());
    }
    let remembered = request.link.status.iter().flat_map(|status| &status.resources).filter_map(|resource| {
        let role = resource.strip_prefix(&format!("policy {} ", at.account))?.split('/').next()?;
        // only the name is used from here on
        Some(format!("arn:aws:iam::{}:role/{role}", at.account))
    });
    arns.extend(remembered);
    let looks = arns.into_iter().filter_map(|arn| {
        let name = parse_role_arn(&arn)?.name.to_owned();
        let policy = seen.role_policy(at, (name, consumer_policy(request.uid())));
        Some(policy.map(|found| found.as_ref().map(|_| arn)))
    });
    Ok(gather(looks)?.into_iter().flatten().collect())
}

fn removals(request: &Request<'_>, arns: BTreeSet<String>) -> Vec<Step> {
    let removal = |arn: String| {
        let account = request.consumer.account.clone();
        let role = parse_role_arn(&arn)?.name.to_owned();
        let delete = Effect::DeleteRolePolicy { account, role, policy: consumer_policy(request.uid()) };
        Some(Step::new(Part::ConsumerPolicy, delete))
    };
    arns.into_iter().filter_map(removal).collect()
}
