//! The writing half of the port, refusing what AWS refuses.

use super::faults::{Fault, Write};
use super::roles::{check_boundary, check_trust, the_role};
use super::{Fake, PROVISIONING, Peering, Role, Rule, State, refused};
use async_trait::async_trait;
use ipnet::Ipv4Net;
use redshift_link::aws::effect::{Done, Effect, Execute, PeeringSide, ResourceId};
use redshift_link::aws::error::{AwsError, Look, code};
use redshift_link::aws::model::{Destination, Direction, PeeringStatus, Permit, Route, RulePeer, Tags, Target};
use redshift_link::aws::scope::{Scope, VpcRef};
use redshift_link::link::want::VpcPair;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Code and message.
pub(super) type No = (&'static str, String);

/// Not an error: nothing was made, the connection with this id is given back.
const EXISTING: &str = "existing";

#[async_trait]
impl Execute for Fake {
    async fn execute(&self, effect: &Effect) -> Look<Done> {
        self.pause().await;
        let write = Write::Aws(effect.clone());
        match self.faults.next(&write) {
            None => self.run(effect),
            Some(Fault::StopBefore) => self.faults.stop().await,
            Some(Fault::StopAfter) => {
                let _ = self.run(effect);
                self.faults.stop().await
            }
            Some(Fault::FailsBefore) => Err(self.error(effect, "RequestLimitExceeded", "Request limit exceeded.")),
            Some(Fault::LostAnswer) => {
                let _ = self.run(effect);
                Err(self.error(effect, code::NO_ANSWER, "the connection was closed"))
            }
            Some(Fault::FailsAfter) => {
                let _ = self.run(effect);
                Err(self.error(effect, "InternalFailure", "an internal error"))
            }
            Some(Fault::Late(by)) => {
                let (fake, effect) = (self.clone(), effect.clone());
                let error = self.error(&effect, code::NO_ANSWER, "timed out");
                tokio::spawn(async move {
                    tokio::time::sleep(by).await;
                    let _ = fake.run(&effect);
                });
                Err(error)
            }
        }
    }
}

impl Fake {
    /// How long a call takes: nothing, or a random time, so that loops run into each other.
    pub(super) async fn pause(&self) {
        let time = self.state().latency.as_mut().map(|seed| {
            *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            Duration::from_millis(*seed >> 33 & 0xff)
        });
        if let Some(time) = time {
            tokio::time::sleep(time).await;
        }
    }

    fn error(&self, effect: &Effect, code: &str, message: &str) -> AwsError {
        refused(effect.place(), effect.kind().operation(), effect.target(), code, message)
    }

    fn run(&self, effect: &Effect) -> Look<Done> {
        let mut state = self.state();
        let (account, _) = effect.place();
        if let Some(refusal) = state.refusal(account, effect.kind().operation().name) {
            return Err(self.error(effect, refusal.code, refusal.message));
        }
        match apply(&mut state, effect) {
            Ok(done) => {
                state.executed.push(effect.clone());
                state.check_guards(effect);
                state.check_statements(effect);
                Ok(done)
            }
            // the same pair again: AWS gives the connection that is there
            Err((EXISTING, id)) => Ok(Done::Peering(id)),
            Err((code, message)) => Err(self.error(effect, code, &message)),
        }
    }
}

fn apply(state: &mut State, effect: &Effect) -> Result<Done, No> {
    match effect {
        Effect::CreateRole { account, path, role, trust, boundary, tags } => {
            if state.role_named(account, role).is_some() {
                return Err(("EntityAlreadyExists", format!("Role with name {role} already exists.")));
            }
            check_boundary(state, boundary.as_ref())?;
            check_trust(state, trust)?;
            let id = state.next_id("AROA").replace('-', "").to_uppercase();
            let made = Role {
                id,
                path: path.clone(),
                trust: trust.clone(),
                boundary: boundary.clone(),
                tags: tags.clone(),
                inline: BTreeMap::new(),
                attached: [].into(),
            };
            state.roles.insert((account.clone(), role.clone()), made);
        }
        Effect::UpdateAssumeRolePolicy { account, role, trust } => {
            the_role(state, account, role)?;
            check_trust(state, trust)?;
            the_role(state, account, role)?.trust.clone_from(trust);
        }
        Effect::PutRolePermissionsBoundary { account, role, boundary } => {
            the_role(state, account, role)?;
            check_boundary(state, Some(boundary))?;
            the_role(state, account, role)?.boundary = Some(boundary.clone());
        }
        Effect::PutRolePolicy { account, role, policy, document } => {
            let found = the_role(state, account, role)?;
            let rest: usize = found.inline.iter().filter(|(name, _)| *name != policy).map(|(_, d)| d.len()).sum();
            if rest + document.len() > 10_240 {
                return Err(("LimitExceeded", format!("Maximum policy size of 10240 bytes exceeded for role {role}")));
            }
            found.inline.insert(policy.clone(), document.clone());
            state.appears(format!("{account} {role}/{policy}"));
        }
        Effect::DeleteRolePolicy { account, role, policy } => {
            let gone = the_role(state, account, role)?.inline.remove(policy);
            state.seen_from.remove(&format!("{account} {role}/{policy}"));
            gone.ok_or_else(|| ("NoSuchEntity", format!("The role policy with name {policy} cannot be found.")))?;
        }
        Effect::TagRole { account, role, tags } => the_role(state, account, role)?.tags.extend(tags.clone()),
        Effect::UntagRole { account, role, keys } => {
            the_role(state, account, role)?.tags.retain(|k, _| !keys.contains(k))
        }
        Effect::DeleteRole { account, role } => {
            let found = the_role(state, account, role)?;
            if !found.inline.is_empty() || !found.attached.is_empty() {
                return Err(("DeleteConflict", "Cannot delete entity, must delete policies first.".into()));
            }
            state.delete_role(account, role);
        }
        Effect::AddClusterIamRole { at, cluster, role_arn } => {
            state.change_cluster_role(at, cluster, role_arn, true)?;
        }
        Effect::RemoveClusterIamRole { at, cluster, role_arn } => {
            state.change_cluster_role(at, cluster, role_arn, false)?;
        }
        Effect::ExecuteStatement { at, submission } => return state.submit(at, submission),
        Effect::CancelStatement { role_arn, statement, .. } => state.cancel(role_arn, statement)?,
        Effect::PutObject { bucket, key, body, .. } => state.put_new(bucket, key, body)?,
        Effect::DeleteObjects { bucket, objects, .. } => state.delete_versions(bucket, objects),
        Effect::AbortMultipartUpload { bucket, upload, .. } => state.abort_upload(bucket, upload)?,
        Effect::CreateVpcPeeringConnection { from, to, tags } => return request_peering(state, from, to, tags),
        Effect::AcceptVpcPeeringConnection { at, peering } => accept(state, at, known(peering))?,
        Effect::ModifyVpcPeeringConnectionOptions { at, peering, side, resolve_remote_dns } => {
            let id = known(peering);
            let found = visible(state, at, id)?.clone();
            if found.status() != PeeringStatus::Active {
                let message =
                    format!("Peering {id} is not active. Peering options can be added only to active peerings.");
                return Err(("OperationNotPermitted", message));
            }
            let own = if *side == PeeringSide::Accepter { &found.accepter.at } else { &found.requester.at };
            if own != at {
                let message = format!("User ({}) cannot modify the options of the other side of {id}", at.account);
                return Err(("OperationNotPermitted", message));
            }
            let dns = |vpc: &VpcRef| state.vpc_dns.get(&(vpc.at.clone(), vpc.id.clone())).copied();
            let ends = [found.requester.clone(), found.accepter.clone()];
            if *resolve_remote_dns && ends.iter().any(|vpc| dns(vpc).is_some_and(|d| !d.support || !d.hostnames)) {
                return Err((
                    "InvalidVpcPeeringConnectionState.DnsHostnamesDisabled",
                    "DNS hostnames are disabled.".into(),
                ));
            }
            if !state.deaf {
                visible(state, at, id)?.dns.insert(at.account.clone(), *resolve_remote_dns);
            }
        }
        Effect::DeleteVpcPeeringConnection { at, peering } => {
            let found = visible(state, at, peering)?;
            if found.status() == PeeringStatus::PendingAcceptance && found.requester.at.account != at.account {
                return Err((
                    "OperationNotPermitted",
                    format!("User ({}) cannot delete peering {peering}", at.account),
                ));
            }
            if !found.status().is_live() {
                return Err(("InvalidStateTransition", format!("Invalid state transition for {peering}")));
            }
            found.status = PeeringStatus::Deleted;
        }
        Effect::CreateTags { at, resource, tags } => tags_of(state, at, known(resource))?.extend(tags.clone()),
        Effect::DeleteTags { at, resource, keys } => tags_of(state, at, resource)?.retain(|key, _| !keys.contains(key)),
        Effect::CreateRoute { at, table, cidr, peering } => {
            let most = state.routes_per_table;
            let routes = the_routes(state, at, table)?.clone();
            refuse_own_block(state, at, table, *cidr)?;
            if routes.iter().any(|route| route.destination == Destination::Cidr(*cidr)) {
                return Err(("RouteAlreadyExists", format!("The route identified by {cidr} already exists.")));
            }
            if routes.len() >= most {
                return Err(("RouteLimitExceeded", "The maximum number of routes has been reached.".into()));
            }
            let target = route_target(state, at, table, known(peering))?;
            let route = Route { destination: Destination::Cidr(*cidr), target, blackhole: false };
            the_routes(state, at, table)?.push(route);
        }
        Effect::ReplaceRoute { at, table, cidr, peering } => {
            let here = |r: &Route| r.destination == Destination::Cidr(*cidr) && r.target != Target::Local;
            if !the_routes(state, at, table)?.iter().any(here) {
                return Err(("InvalidParameterValue", format!("There is no route defined for '{cidr}'")));
            }
            let target = route_target(state, at, table, known(peering))?;
            the_routes(state, at, table)?.iter_mut().filter(|r| here(r)).for_each(|r| r.target = target.clone());
        }
        Effect::DeleteRoute { at, table, cidr } => {
            let missing = || ("InvalidRoute.NotFound", format!("no route with destination-cidr-block {cidr}"));
            // a table that is not there has no routes
            let routes = the_routes(state, at, table).map_err(|_| missing())?;
            let number = routes.iter().position(|route| route.destination == Destination::Cidr(*cidr));
            let number = number.ok_or_else(missing)?;
            if routes[number].target == Target::Local {
                return Err(("InvalidParameterValue", format!("cannot remove local route {cidr} in {table}")));
            }
            routes.remove(number);
        }
        Effect::AuthorizeSecurityGroupIngress { at, group, permit, tags }
        | Effect::AuthorizeSecurityGroupEgress { at, group, permit, tags } => {
            authorize(state, at, group, permit, tags)?
        }
        Effect::RevokeSecurityGroupIngress { at, group, rule, .. } => {
            revoke(state, at, group, rule, Direction::Ingress)?
        }
        Effect::RevokeSecurityGroupEgress { at, group, rule, .. } => revoke(state, at, group, rule, Direction::Egress)?,
    }
    Ok(Done::Executed)
}

fn known(id: &ResourceId) -> &str {
    match id {
        ResourceId::Known(id) => id,
        ResourceId::Pending => panic!("an effect without the id it needs"),
    }
}

fn request_peering(state: &mut State, from: &VpcRef, to: &VpcRef, tags: &Tags) -> Result<Done, No> {
    if !state.vpcs.contains_key(&(from.at.clone(), from.id.clone())) {
        return Err(("InvalidVpcID.NotFound", format!("The vpc ID '{}' does not exist", from.id)));
    }
    if from == to {
        return Err(("InvalidParameterValue", "The requester VPC and the accepter VPC must be different.".into()));
    }
    // another account is not looked into
    if from.at.account == to.at.account && !state.vpcs.contains_key(&(to.at.clone(), to.id.clone())) {
        return Err(("InvalidVpcID.NotFound", format!("The vpc ID '{}' does not exist", to.id)));
    }
    let same = |p: &Peering| p.requester == *from && p.accepter == *to && p.status().is_live();
    if let Some((id, _)) = state.peerings.iter().find(|(_, p)| same(p)) {
        return Err((EXISTING, id.clone()));
    }
    let cidrs =
        |vpc: &VpcRef| state.vpcs.get(&(vpc.at.clone(), vpc.id.clone())).map(|v| v.cidrs.clone()).unwrap_or_default();
    let (a, b) = (cidrs(from), cidrs(to));
    let overlap = a.iter().any(|x| b.iter().any(|y| x.contains(y) || y.contains(x)));
    let failed = overlap || b.is_empty();
    let peering = Peering {
        requester: from.clone(),
        accepter: to.clone(),
        status: if failed { PeeringStatus::Failed } else { PeeringStatus::PendingAcceptance },
        active_from: None,
        dns: BTreeMap::new(),
        tags: BTreeMap::from([(from.at.account.clone(), tags.clone())]),
    };
    let id = state.next_id("pcx");
    state.appears(id.clone());
    state.peerings.insert(id.clone(), peering);
    Ok(Done::Peering(id))
}

fn accept(state: &mut State, at: &Scope, id: &str) -> Result<(), No> {
    let found = visible(state, at, id)?.clone();
    if found.accepter.at != *at {
        return Err(("OperationNotPermitted", format!("User ({}) cannot accept peering {id}", at.account)));
    }
    if found.status() != PeeringStatus::PendingAcceptance {
        return Err(("InvalidStateTransition", format!("Invalid state transition for {id}")));
    }
    let joined = |p: &Peering| {
        let same = VpcPair::of(&p.requester, &p.accepter) == VpcPair::of(&found.requester, &found.accepter);
        same && matches!(p.status(), PeeringStatus::Provisioning | PeeringStatus::Active)
    };
    if state.peerings.values().any(joined) {
        let message = format!("The vpc peering connection identified by {id} already exists");
        return Err(("VpcPeeringConnectionAlreadyExists", message));
    }
    let found = visible(state, at, id)?;
    found.status = PeeringStatus::Provisioning;
    found.active_from = Some(Instant::now() + PROVISIONING);
    Ok(())
}

fn visible<'a>(state: &'a mut State, at: &Scope, id: &str) -> Result<&'a mut Peering, No> {
    let here = |p: &&mut Peering| p.requester.at == *at || p.accepter.at == *at;
    let missing =
        || ("InvalidVpcPeeringConnectionID.NotFound", format!("The vpcPeeringConnection ID '{id}' does not exist"));
    state.peerings.get_mut(id).filter(here).ok_or_else(missing)
}

fn tags_of<'a>(state: &'a mut State, at: &Scope, id: &str) -> Result<&'a mut Tags, No> {
    if id.starts_with("sgr-") {
        let missing =
            || ("InvalidSecurityGroupRuleId.NotFound", format!("The security group rule ID '{id}' does not exist"));
        return state.rules.get_mut(&(at.clone(), id.to_owned())).map(|rule| &mut rule.tags).ok_or_else(missing);
    }
    Ok(visible(state, at, id)?.tags.entry(at.account.clone()).or_default())
}

fn the_routes<'a>(state: &'a mut State, at: &Scope, table: &str) -> Result<&'a mut Vec<Route>, No> {
    let missing = || ("InvalidRouteTableID.NotFound", format!("The routeTable ID '{table}' does not exist"));
    state.tables.get_mut(&(at.clone(), table.to_owned())).map(|t| &mut t.routes).ok_or_else(missing)
}

fn vpc_of_table(state: &State, at: &Scope, table: &str) -> VpcRef {
    let vpc = state.tables.get(&(at.clone(), table.to_owned())).map(|t| t.vpc.clone()).unwrap_or_default();
    VpcRef { at: at.clone(), id: vpc }
}

/// The connection as the target of a route: a live one that ends in the table's VPC.
fn route_target(state: &mut State, at: &Scope, table: &str, id: &str) -> Result<Target, No> {
    let (here, found) = (vpc_of_table(state, at, table), visible(state, at, id)?);
    if !found.status().is_live() {
        return Err((
            "InvalidVpcPeeringConnectionID.NotFound",
            format!("The vpcPeeringConnection ID '{id}' does not exist"),
        ));
    }
    if ![&found.requester, &found.accepter].contains(&&here) {
        return Err(("InvalidParameterValue", format!("{table} and peering {id} belong to different networks")));
    }
    Ok(Target::Peering(id.to_owned()))
}

fn refuse_own_block(state: &State, at: &Scope, table: &str, cidr: Ipv4Net) -> Result<(), No> {
    let VpcRef { id, .. } = vpc_of_table(state, at, table);
    let own = state.vpcs.get(&(at.clone(), id)).map(|v| v.cidrs.clone()).unwrap_or_default();
    if own.iter().any(|own| own.contains(&cidr)) {
        let message = format!(
            "The destination CIDR block {cidr} is equal to or more specific than one of this VPC's CIDR blocks."
        );
        return Err(("InvalidParameterValue", message));
    }
    Ok(())
}

fn revoke(state: &mut State, at: &Scope, group: &str, id: &str, direction: Direction) -> Result<(), No> {
    if !state.groups.contains_key(&(at.clone(), group.to_owned())) {
        return Err(("InvalidGroup.NotFound", format!("The security group '{group}' does not exist")));
    }
    let key = (at.clone(), id.to_owned());
    let here = state.rules.get(&key).is_some_and(|r| r.group == group && r.permit.direction == direction);
    if !here {
        let message = format!("The security group rule ID '{id}' does not exist");
        return Err(("InvalidSecurityGroupRuleId.NotFound", message));
    }
    state.rules.remove(&key);
    Ok(())
}

fn authorize(state: &mut State, at: &Scope, group: &str, permit: &Permit, tags: &Tags) -> Result<(), No> {
    let Some(vpc) = state.groups.get(&(at.clone(), group.to_owned())).cloned() else {
        return Err(("InvalidGroup.NotFound", format!("The security group '{group}' does not exist")));
    };
    if let RulePeer::Group { account, id } = &permit.peer {
        let peer = Scope { account: account.clone(), region: at.region.clone() };
        let other = state.groups.get(&(peer.clone(), id.clone())).cloned();
        let here = VpcRef { at: at.clone(), id: vpc };
        let joined = other.is_some_and(|other| {
            let there = VpcRef { at: peer, id: other };
            if there == here {
                return true;
            }
            let joins = |p: &Peering| {
                [&p.requester, &p.accepter].contains(&&here) && [&p.requester, &p.accepter].contains(&&there)
            };
            state.peerings.values().any(|p| joins(p) && p.status() == PeeringStatus::Active)
        });
        if !joined {
            return Err((
                "InvalidGroup.NotFound",
                format!("You have specified two resources that belong to different networks: {id}"),
            ));
        }
    }
    let here = |((s, _), r): &(&(Scope, String), &Rule)| s == at && r.group == group;
    if state.rules.iter().filter(here).any(|(_, r)| r.permit == *permit) {
        return Err(("InvalidPermission.Duplicate", "the specified rule already exists".into()));
    }
    let same_way = |direction: Direction| {
        state.rules.iter().filter(here).filter(move |(_, r)| r.permit.direction == direction).count()
    };
    if same_way(permit.direction) >= 60 {
        return Err(("RulesPerSecurityGroupLimitExceeded", "The maximum number of rules has been reached.".into()));
    }
    let id = state.next_id("sgr");
    state.rules.insert((at.clone(), id), Rule { group: group.into(), permit: permit.clone(), tags: tags.clone() });
    Ok(())
}
