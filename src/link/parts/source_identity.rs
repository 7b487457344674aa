//! Whether sessions of the domain carry the user's name: looked at, not changed.

use super::super::facts::Facts;
use super::super::request::Request;
use super::{Finding, Halt, Part, PartPlan, gather};
use crate::aws::policy::trusts_service;
use crate::aws::read::Seen;
use crate::aws::scope::parse_role_arn;

const SAGEMAKER: &str = "sagemaker.amazonaws.com";

/// Checks the domain's setting, and that SageMaker may set an identity on each execution role.
///
/// # Errors
/// Something is unread or refused.
pub fn plan(request: &Request<'_>, facts: &Facts, seen: &Seen) -> Result<PartPlan, Halt> {
    let mut plan = PartPlan::default();
    let Some(studio) = request.spec().consumer.studio.as_ref().filter(|_| request.spec().ties_source_identity()) else {
        plan.notes.push("not used: whom a session may become stands in access.databaseUsers".into());
        return Ok(plan);
    };
    let (at, id) = (request.consumer, &studio.domain_id);
    let domain = seen.domain(at, id.clone())?;
    if domain.as_ref().is_some_and(|domain| !domain.passes_source_identity) {
        let apps = seen.live_apps(at, id.clone())?;
        let running: Vec<_> =
            apps.iter().map(|app| format!("{} {} of {} ({})", app.kind, app.name, app.owner, app.status)).collect();
        let first = if running.is_empty() {
            String::new()
        } else {
            format!(" after these apps were deleted, which block it: {}", running.join(", "))
        };
        let message = format!(
            "domain {id} does not pass the user's name on, so nobody gets in: run `aws sagemaker update-domain --domain-id {id} \
             --region {} --domain-settings-for-update ExecutionRoleIdentityConfig=USER_PROFILE_NAME` in account {}{first}",
            at.region, at.account
        );
        plan.findings.push(Finding::blocked(Part::SourceIdentity, "SourceIdentityNotSet", message));
    }
    if !facts.users.unfit.is_empty() {
        let unfit = facts.users.unfit.iter().take(10).cloned().collect::<Vec<_>>().join(", ");
        plan.notes.push(format!(
            "no database user can be named as these {} user profiles are, who therefore get no credentials: {unfit}",
            facts.users.unfit.len()
        ));
    }
    let looks = facts.users.roles.iter().filter_map(|arn| {
        let name = parse_role_arn(arn)?.name;
        Some(seen.role(at, name).map(|role| (arn, role)))
    });
    let blocked: Vec<_> = gather(looks)?
        .into_iter()
        .filter(|(_, role)| {
            role.as_ref().is_some_and(|role| !trusts_service(&role.trust, SAGEMAKER, "sts:SetSourceIdentity"))
        })
        .map(|(arn, _)| arn.as_str())
        .collect();
    if !blocked.is_empty() {
        let message = format!(
            "the trust policy of {} does not let {SAGEMAKER} do sts:SetSourceIdentity: add that action beside sts:AssumeRole",
            blocked.join(", ")
        );
        plan.findings.push(Finding::blocked(Part::SourceIdentity, "ExecutionRoleTrust", message));
    }
    Ok(plan)
}
