//! Our inline policy on each execution role: it lets the role take on the producer's.

use super::super::facts::Facts;
use super::super::request::Request;
use super::ledger::{self, Leaving};
use super::producer_role;
use super::role::digest;
use super::{Finding, Halt, Part, PartPlan, Step, gather};
use crate::aws::effect::Effect;
use crate::aws::mark::consumer_policy;
use crate::aws::policy;
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
    let listed: BTreeSet<String> = ledger::listed(producer_role::ours(request, seen).unwrap_or_default()).collect();
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
        let waits = (!listed.contains(arn)).then_some("the producer role to trust it");
        plan.steps.push(Step::new(Part::ConsumerPolicy, put).waiting_for(waits).making(key));
    }
    let role = producer_role::ours(request, seen)?;
    let leaving = ledger::leaving(request, seen, role, &facts.users.roles)?;
    plan.ours.extend(carried(request, &leaving));
    plan.steps.extend(removals(request, leaving));
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
        Ok(role @ Some(_)) if !request.gave_up(&request.producer.account) => {
            ledger::leaving(request, seen, role, &BTreeSet::new())?
        }
        Err(Halt::Unread(unread)) if !request.gave_up(&request.producer.account) => return Err(Halt::Unread(unread)),
        Err(Halt::Refused(error)) if !request.gave_up(&request.producer.account) => {
            findings.push(Finding::refused(Part::ConsumerPolicy, &error));
            ledger::without(request, seen)?
        }
        // given up, gone, or somebody else's
        _ => ledger::without(request, seen)?,
    };
    Ok(PartPlan {
        ours: carried(request, &leaving),
        findings,
        steps: removals(request, leaving),
        ..PartPlan::default()
    })
}

/// The policies on these roles, as status remembers them.
fn carried(request: &Request<'_>, leaving: &Leaving) -> BTreeSet<String> {
    let policy = consumer_policy(request.uid());
    leaving.keys().map(|role| format!("policy {} {role}/{policy}", request.consumer.account)).collect()
}

fn removals(request: &Request<'_>, leaving: Leaving) -> Vec<Step> {
    let removal = |role: String| {
        let account = request.consumer.account.clone();
        let delete = Effect::DeleteRolePolicy { account, role, policy: consumer_policy(request.uid()) };
        Step::new(Part::ConsumerPolicy, delete)
    };
    leaving.into_keys().map(removal).collect()
}
