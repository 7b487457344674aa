//! The ledger: which execution roles carry our inline policy, which itself can carry no tags.
//!
//! It is the trust policy of the producer role: an execution role enters before it gets the policy, and leaves after a
//! read shows policy or role gone.

use super::super::request::Request;
use super::{Halt, both, gather};
use crate::api::status::LinkStatus;
use crate::aws::mark::consumer_policy;
use crate::aws::model::Role;
use crate::aws::policy::named_aws_principals;
use crate::aws::read::Seen;
use crate::aws::scope::parse_role_arn;
use std::collections::{BTreeMap, BTreeSet};

/// Execution roles that carry our policy beside those that are wanted: by name, with the ARN where the ledger has it.
pub type Leaving = BTreeMap<String, Option<String>>;

/// ARNs of the execution roles in the ledger of the producer role.
pub fn listed(role: Option<&Role>) -> impl Iterator<Item = String> {
    let principals = role.map(|role| named_aws_principals(&role.trust)).unwrap_or_default();
    // an id (AROA...) stands for a role that is gone, and so is the policy that was on it
    principals.into_iter().filter(|arn| parse_role_arn(arn).is_some())
}

/// The roles that carry our policy and should not, by the ledger of the producer role and, should that be gone, by what
/// status remembers.
///
/// # Errors
/// Something is unread or refused.
pub fn leaving(
    request: &Request<'_>,
    seen: &Seen,
    role: Option<&Role>,
    wanted: &BTreeSet<String>,
) -> Result<Leaving, Halt> {
    let mut candidates: Leaving = remembered(request).map(|name| (name, None)).collect();
    candidates.extend(listed(role).filter_map(|arn| Some((name_of(&arn)?, Some(arn)))));
    for name in wanted.iter().filter_map(|arn| name_of(arn)) {
        candidates.remove(&name);
    }
    carriers(request, seen, candidates)
}

/// Without a ledger that could be read: the roles that status remembers, or, should that be gone too, those that the
/// spec and the domain name.
///
/// # Errors
/// Something is unread or refused.
pub fn without(request: &Request<'_>, seen: &Seen) -> Result<Leaving, Halt> {
    let knows = |status: &LinkStatus| !(status.wants.is_empty() && status.resources.is_empty());
    if request.link.status.as_ref().is_some_and(knows) {
        return carriers(request, seen, remembered(request).map(|name| (name, None)).collect());
    }
    let at = request.consumer;
    let consumer = &request.spec().consumer;
    let mut arns: BTreeSet<String> = consumer.network.iter().flat_map(|network| network.role_arns.clone()).collect();
    if let Some(studio) = &consumer.studio {
        let (domain, profiles) =
            both(seen.domain(at, studio.domain_id.clone()), seen.user_profiles(at, studio.domain_id.clone()))?;
        arns.extend(domain.iter().flat_map(|domain| domain.defaults.execution_roles.clone()));
        arns.extend(profiles.execution_roles.iter().cloned());
    }
    carriers(request, seen, arns.iter().filter_map(|arn| Some((name_of(arn)?, None))).collect())
}

/// Names of the roles on which status says that our policy is.
fn remembered(request: &Request<'_>) -> impl Iterator<Item = String> {
    let (start, policy) = (format!("policy {} ", request.consumer.account), consumer_policy(request.uid()));
    let resources = request.link.status.iter().flat_map(|status| &status.resources);
    resources.filter_map(move |resource| {
        // policies of roles of our own are told without a slash
        let (role, rest) = resource.strip_prefix(&start)?.split_once('/')?;
        (rest.split(' ').next() == Some(&policy)).then(|| role.to_owned())
    })
}

/// Those of the roles that carry our policy.
fn carriers(request: &Request<'_>, seen: &Seen, candidates: Leaving) -> Result<Leaving, Halt> {
    let looks = candidates.into_iter().map(|(name, arn)| {
        let policy = seen.role_policy(request.consumer, (name.clone(), consumer_policy(request.uid())));
        policy.map(|found| found.as_ref().map(|_| (name, arn)))
    });
    Ok(gather(looks)?.into_iter().flatten().collect())
}

fn name_of(arn: &str) -> Option<String> {
    Some(parse_role_arn(arn)?.name.to_owned())
}
