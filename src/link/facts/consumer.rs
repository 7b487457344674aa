//! The users' side: a Studio domain with its profiles, or a network that the spec names.

use super::super::parts::{Finding, Halt, Part, both, gather};
use super::super::request::Request;
use super::{Side, Users, network, refused_for};
use crate::api::link::{Network, Studio};
use crate::aws::model::StudioUsers;
use crate::aws::read::Seen;
use crate::aws::scope::parse_role_arn;
use std::collections::BTreeSet;

pub(super) fn look(request: &Request<'_>, seen: &Seen) -> Result<(Side, Users), Halt> {
    match (&request.spec().consumer.studio, &request.spec().consumer.network) {
        (Some(studio), _) => studio_domain(request, seen, studio),
        (None, Some(named)) => named_network(request, seen, named),
        (None, None) => {
            let message = "consumer: exactly one of studio and network must be given";
            Err(Finding::terminal(Part::ConsumerPolicy, "InvalidSpec", message).into())
        }
    }
}

fn studio_domain(request: &Request<'_>, seen: &Seen, studio: &Studio) -> Result<(Side, Users), Halt> {
    let (at, id) = (request.consumer, &studio.domain_id);
    let for_policy = |halt: Halt| refused_for(Part::ConsumerPolicy, halt);
    let both_read = both(seen.domain(at, id.clone()), seen.user_profiles(at, id.clone())).map_err(for_policy);
    // a domain that is not there has no profiles to ask for either
    if let Ok(None) = seen.domain(at, id.clone()) {
        let message = format!("Studio domain {id} is not there in {at}: check its id, account and region");
        return Err(Finding::blocked(Part::ConsumerPolicy, "DomainNotFound", message).into());
    }
    let (domain, profiles) = both_read?;
    let Some(domain) = domain else { unreachable!("asked for above") };
    let Some(vpc) = &domain.vpc else {
        let message = format!(
            "domain {id} has no VPC of its own: it is a domain of SageMaker Unified Studio, whose projects bring their network; \
             use consumer.network with the VPC and roles of the project"
        );
        return Err(Finding::blocked(Part::ConsumerPolicy, "UnifiedStudioDomain", message).into());
    };
    if !domain.vpc_only {
        let message = format!(
            "domain {id} sends notebook traffic past its VPC (PublicInternetOnly): set AppNetworkAccessType to VpcOnly, \
             for which no app may run"
        );
        return Err(Finding::blocked(Part::ConsumerPolicy, "DomainNotVpcOnly", message).into());
    }
    let StudioUsers { execution_roles, security_groups, unfit: _ } = &domain.defaults;
    let named: BTreeSet<String> = execution_roles.union(&profiles.execution_roles).cloned().collect();
    let groups = security_groups.union(&profiles.security_groups).cloned().collect();
    let groups = studio_groups(request, seen, vpc, &groups);
    let ((roles, (security_groups, gone)), (side, _)) =
        both(both(existing(request, seen, &named), groups), network(seen, at, vpc, &domain.subnets))?;
    let mut users = Users { security_groups, unfit: profiles.unfit.clone(), ..roles };
    users.left_out.extend(gone);
    Ok((side, users))
}

/// The groups that are there, and why others are left out.
fn studio_groups(
    request: &Request<'_>,
    seen: &Seen,
    vpc: &str,
    named: &BTreeSet<String>,
) -> Result<(BTreeSet<String>, Vec<String>), Halt> {
    let looks = named.iter().map(|id| Ok::<_, Halt>((id, seen.security_group(request.consumer, id.clone())?)));
    let looks = gather(looks).map_err(|halt| refused_for(Part::Firewall, halt))?;
    let (there, gone): (Vec<_>, Vec<_>) =
        looks.into_iter().partition(|(_, group)| group.as_ref().is_some_and(|group| group.vpc == vpc));
    let gone: Vec<_> = gone.into_iter().map(|(id, _)| format!("security group {id} is not there in {vpc}")).collect();
    if there.is_empty() && !gone.is_empty() {
        let message = format!("no security group of the domain's users is left: {}", gone.join("; "));
        return Err(Finding::blocked(Part::Firewall, "SecurityGroupNotFound", message).into());
    }
    Ok((there.into_iter().map(|(id, _)| id.clone()).collect(), gone))
}

fn named_network(request: &Request<'_>, seen: &Seen, named: &Network) -> Result<(Side, Users), Halt> {
    let at = request.consumer;
    let security_groups = named.security_group_ids.clone().unwrap_or_default();
    let groups = gather(security_groups.iter().map(|id| {
        let group = seen.security_group(at, id.clone()).map_err(|gap| refused_for(Part::Firewall, gap.into()))?;
        match group {
            Some(group) if group.vpc == named.vpc_id => Ok(()),
            Some(group) => {
                let message = format!("consumer.network: {id} is in {}, not in {}", group.vpc, named.vpc_id);
                Err(Finding::terminal(Part::Firewall, "SecurityGroupOfOther", message).into())
            }
            None => {
                let message = format!("consumer.network: {id} is not there in {at}");
                Err(Halt::Found(Finding::blocked(Part::Firewall, "SecurityGroupNotFound", message)))
            }
        }
    }));
    let side = network(seen, at, &named.vpc_id, &named.subnet_ids);
    let ((roles, _), (side, _)) = both(both(existing(request, seen, &named.role_arns), groups), side)?;
    Ok((side, Users { security_groups, ..roles }))
}

/// The roles that are there and may be extended; the others are left out and named.
fn existing(request: &Request<'_>, seen: &Seen, arns: &BTreeSet<String>) -> Result<Users, Halt> {
    let at = request.consumer;
    let may_extend = |arn: &&String| request.grants.is_none_or(|grants| grants.consumer.may_extend_role(arn));
    let (allowed, refused): (Vec<_>, Vec<_>) = arns.iter().partition(may_extend);
    let looks = allowed.iter().map(|arn| {
        let name = parse_role_arn(arn).map_or(arn.as_str(), |parsed| parsed.name);
        Ok::<_, Halt>((*arn, seen.role(at, name).map_err(|gap| refused_for(Part::ConsumerPolicy, gap.into()))?))
    });
    let mut users = Users::default();
    for (arn, role) in gather(looks)? {
        match role {
            Some(role) if role.arn == *arn => drop(users.roles.insert(arn.clone())),
            _ => users.left_out.push(format!("{arn} is gone")),
        }
    }
    users.left_out.extend(refused.into_iter().map(|arn| {
        format!("{arn} is not among executionRoles of account {} in the accounts file, or reserved", at.account)
    }));
    if users.roles.is_empty() {
        let message = format!("no execution role is left that could be let in: {}", users.left_out.join("; "));
        return Err(Finding::blocked(Part::ConsumerPolicy, "NoExecutionRole", message).into());
    }
    Ok(users)
}
