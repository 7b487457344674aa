//! The reading half of the port.

use super::{Fake, State, refused};
use async_trait::async_trait;
use ipnet::Ipv4Net;
use redshift_link::aws::error::{AwsError, Look, Operation, Service};
use redshift_link::aws::manifest::{self, Manifest};
use redshift_link::aws::mark::INSTALLATION;
use redshift_link::aws::model::{
    App, BucketGuards, Cluster, Domain, Key, Listing, ObjectVersion, Peering, PeeringStatus, Role, RolePolicies,
    RouteTable, Rule, Secret, SecurityGroup, Statement, StudioUsers, Subnet, Target, Upload, Vpc, VpcDns, VpcEndpoint,
    names_a_database_user,
};
use redshift_link::aws::read::{Found, Reads};
use redshift_link::aws::scope::{AccountId, Partition, Region, Scope};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::MutexGuard;
use std::time::Duration;
use tokio::time::Instant;

pub const INSTALLATION_ID: &str = "test";

/// How long the API waits for the end of a statement.
const LONG_POLL: Duration = Duration::from_secs(10);

/// A bucket and a prefix, or a key.
type Below = (String, String);

impl Fake {
    async fn read(&self, at: &Scope, service: Service, operation: &'static str) -> Look<MutexGuard<'_, State>> {
        self.pause().await;
        let mut state = self.state();
        state.reads.push(operation);
        match state.refusal(&at.account, operation) {
            Some(r) => {
                let operation = Operation::new(service, operation);
                Err(refused((&at.account, Some(&at.region)), operation, "something".into(), r.code, r.message))
            }
            None => Ok(state),
        }
    }
}

fn pick<V: Clone>(map: &BTreeMap<(Scope, String), V>, at: &Scope, ids: &BTreeSet<String>) -> Found<String, Option<V>> {
    let one = |id: &String| Some((id.clone(), Some(map.get(&(at.clone(), id.clone()))?.clone())));
    ids.iter().filter_map(one).collect()
}

fn role(state: &State, at: &Scope, name: &str) -> Option<Role> {
    let (name, role) = state.role_named(&at.account, name)?;
    Some(Role {
        name: name.clone(),
        path: role.path.clone(),
        arn: format!("arn:aws:iam::{}:role{}{name}", at.account, role.path),
        id: role.id.clone(),
        trust: role.trust.clone(),
        boundary: role.boundary.clone(),
        tags: role.tags.clone(),
    })
}

impl State {
    /// Those that are there, with their regions; one of another account is refused.
    fn own_buckets<'a>(
        &'a self,
        at: &Scope,
        operation: &'static str,
        ids: &'a BTreeSet<String>,
    ) -> Look<Vec<(&'a String, &'a Region)>> {
        let there = ids.iter().filter_map(|id| Some((id, self.buckets.get(id)?)));
        let own = |(id, owner): (&'a String, &'a Scope)| {
            let (place, operation) = ((&at.account, Some(&at.region)), Operation::new(Service::S3, operation));
            let refusal = || refused(place, operation, id.clone(), "AccessDenied", "Access Denied");
            if owner.account == at.account { Ok((id, &owner.region)) } else { Err(refusal()) }
        };
        there.map(own).collect()
    }
}

/// A name that no role can have is not looked for.
fn check_names<'a>(
    at: &Scope,
    operation: &'static str,
    names: impl IntoIterator<Item = &'a String>,
) -> Result<(), AwsError> {
    let valid = |name: &str| {
        (1..=64).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c))
    };
    let Some(bad) = names.into_iter().find(|name| !valid(name)) else { return Ok(()) };
    let operation = Operation::new(Service::Iam, operation);
    let says = "The specified value for roleName is invalid.";
    Err(refused((&at.account, None), operation, bad.clone(), "ValidationError", says))
}

fn route_table(state: &State, table: &RouteTable) -> RouteTable {
    let mut table = table.clone();
    for route in &mut table.routes {
        if let Target::Peering(id) = &route.target {
            let active = state.peerings.get(id).is_some_and(|p| p.status() == PeeringStatus::Active);
            route.blackhole = !active;
        }
    }
    table
}

fn rule(id: &str, rule: &super::Rule) -> Rule {
    Rule { id: id.into(), group: rule.group.clone(), permit: rule.permit.clone(), tags: rule.tags.clone() }
}

#[async_trait]
impl Reads for Fake {
    async fn identity(&self, at: &Scope, _: &BTreeSet<()>) -> Look<Found<(), Option<Partition>>> {
        drop(self.read(at, Service::Sts, "GetCallerIdentity").await?);
        Ok(Found::from([((), Some(Partition("aws".into())))]))
    }
    async fn cluster(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Option<Cluster>>> {
        let state = self.read(at, Service::Redshift, "DescribeClusters").await?;
        Ok(ids.iter().filter_map(|id| Some((id.clone(), Some(state.cluster_now(at, id)?)))).collect())
    }
    async fn subnet_group(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Option<BTreeSet<String>>>> {
        Ok(pick(&self.read(at, Service::Redshift, "DescribeClusterSubnetGroups").await?.subnet_groups, at, ids))
    }
    async fn domain(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Option<Domain>>> {
        Ok(pick(&self.read(at, Service::SageMaker, "DescribeDomain").await?.domains, at, ids))
    }
    async fn user_profiles(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, StudioUsers>> {
        let state = self.read(at, Service::SageMaker, "ListUserProfiles").await?;
        let of = |id: &String| {
            let mut all = StudioUsers::default();
            for (name, profile) in state.profiles.get(&(at.clone(), id.clone())).into_iter().flatten() {
                all.unfit.extend((!names_a_database_user(name)).then(|| name.clone()));
                all.execution_roles.extend(profile.execution_roles.iter().cloned());
                all.security_groups.extend(profile.security_groups.iter().cloned());
            }
            (id.clone(), all)
        };
        Ok(ids.iter().map(of).collect())
    }
    async fn live_apps(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Vec<App>>> {
        let state = self.read(at, Service::SageMaker, "ListApps").await?;
        let of = |id: &String| (id.clone(), state.apps.get(&(at.clone(), id.clone())).cloned().unwrap_or_default());
        Ok(ids.iter().map(of).collect())
    }
    async fn vpc(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Option<Vpc>>> {
        Ok(pick(&self.read(at, Service::Ec2, "DescribeVpcs").await?.vpcs, at, ids))
    }
    async fn vpc_dns(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Option<VpcDns>>> {
        Ok(pick(&self.read(at, Service::Ec2, "DescribeVpcAttribute").await?.vpc_dns, at, ids))
    }
    async fn subnet(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Option<Subnet>>> {
        Ok(pick(&self.read(at, Service::Ec2, "DescribeSubnets").await?.subnets, at, ids))
    }
    async fn tables_of_vpc(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Vec<RouteTable>>> {
        let state = self.read(at, Service::Ec2, "DescribeRouteTables").await?;
        let here = || state.tables.iter().filter(|((scope, _), _)| scope == at).map(|(_, t)| t);
        let of =
            |vpc: &String| (vpc.clone(), here().filter(|t| t.vpc == *vpc).map(|t| route_table(&state, t)).collect());
        Ok(ids.iter().map(of).collect())
    }
    async fn tables_through(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Vec<RouteTable>>> {
        let state = self.read(at, Service::Ec2, "DescribeRouteTables").await?;
        let here = || state.tables.iter().filter(|((scope, _), _)| scope == at).map(|(_, t)| t);
        let has = |t: &&RouteTable, id: &String| t.routes.iter().any(|r| r.target == Target::Peering(id.clone()));
        let of = |id: &String| (id.clone(), here().filter(|t| has(t, id)).map(|t| route_table(&state, t)).collect());
        Ok(ids.iter().map(of).collect())
    }
    async fn prefix_list(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, BTreeSet<Ipv4Net>>> {
        let operation = "GetManagedPrefixListEntries";
        let state = self.read(at, Service::Ec2, operation).await?;
        let of = |id: &String| state.prefix_lists.get(&(at.clone(), id.clone())).cloned();
        if let Some(id) = ids.iter().find(|id| of(id).is_none()) {
            let (place, operation) = ((&at.account, Some(&at.region)), Operation::new(Service::Ec2, operation));
            let message = format!("The prefix list ID '{id}' does not exist");
            return Err(refused(place, operation, id.clone(), "InvalidPrefixListID.NotFound", &message));
        }
        Ok(ids.iter().filter_map(|id| Some((id.clone(), of(id)?))).collect())
    }
    async fn security_group(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Option<SecurityGroup>>> {
        let state = self.read(at, Service::Ec2, "DescribeSecurityGroups").await?;
        let of = |id: &String| {
            let vpc = state.groups.get(&(at.clone(), id.clone()))?.clone();
            Some((id.clone(), Some(SecurityGroup { id: id.clone(), vpc })))
        };
        Ok(ids.iter().filter_map(of).collect())
    }
    async fn rules_of_group(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Vec<Rule>>> {
        let state = self.read(at, Service::Ec2, "DescribeSecurityGroupRules").await?;
        let here = || state.rules.iter().filter(|((scope, _), _)| scope == at);
        let of = |group: &String| {
            (group.clone(), here().filter(|(_, r)| r.group == *group).map(|((_, id), r)| rule(id, r)).collect())
        };
        Ok(ids.iter().map(of).collect())
    }
    async fn marked_rules(&self, at: &Scope, _: &BTreeSet<()>) -> Look<Found<(), Vec<Rule>>> {
        let state = self.read(at, Service::Ec2, "DescribeSecurityGroupRules").await?;
        let marked = |r: &super::Rule| r.tags.get(INSTALLATION).is_some_and(|id| id == INSTALLATION_ID);
        let rules = state.rules.iter().filter(|((scope, _), r)| scope == at && marked(r));
        Ok(Found::from([((), rules.map(|((_, id), r)| rule(id, r)).collect())]))
    }
    async fn peerings(&self, at: &Scope, _: &BTreeSet<()>) -> Look<Found<(), Vec<Peering>>> {
        let state = self.read(at, Service::Ec2, "DescribeVpcPeeringConnections").await?;
        let here = state.peerings.iter().filter(|(_, p)| p.requester.at == *at || p.accepter.at == *at);
        let here = here.filter(|(id, _)| state.is_seen(id));
        let see = |(id, p): (&String, &super::Peering)| Peering {
            id: id.clone(),
            requester: p.requester.clone(),
            accepter: p.accepter.clone(),
            status: p.status(),
            status_message: String::new(),
            accepter_dns: p.dns.get(&p.accepter.at.account).copied().unwrap_or(false),
            requester_dns: p.dns.get(&p.requester.at.account).copied().unwrap_or(false),
            tags: p.tags.get(&at.account).cloned().unwrap_or_default(),
        };
        Ok(Found::from([((), here.map(see).collect())]))
    }
    async fn role(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Option<Role>>> {
        let state = self.read(at, Service::Iam, "GetRole").await?;
        check_names(at, "GetRole", ids)?;
        Ok(ids.iter().filter_map(|id| Some((id.clone(), Some(role(&state, at, id)?)))).collect())
    }
    async fn role_policy(
        &self,
        at: &Scope,
        ids: &BTreeSet<(String, String)>,
    ) -> Look<Found<(String, String), Option<String>>> {
        let state = self.read(at, Service::Iam, "GetRolePolicy").await?;
        check_names(at, "GetRolePolicy", ids.iter().map(|(role, _)| role))?;
        let of = |(name, policy): &(String, String)| {
            if !state.is_seen(&format!("{} {name}/{policy}", at.account)) {
                return None;
            }
            let document = state.role_named(&at.account, name)?.1.inline.get(policy)?.clone();
            Some(((name.clone(), policy.clone()), Some(document)))
        };
        Ok(ids.iter().filter_map(of).collect())
    }
    async fn role_policies(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Option<RolePolicies>>> {
        let state = self.read(at, Service::Iam, "ListRolePolicies").await?;
        let of = |name: &String| {
            let (_, role) = state.role_named(&at.account, name)?;
            let policies =
                RolePolicies { inline: role.inline.keys().cloned().collect(), attached: role.attached.clone() };
            Some((name.clone(), Some(policies)))
        };
        Ok(ids.iter().filter_map(of).collect())
    }
    async fn marked_roles(&self, at: &Scope, _: &BTreeSet<()>) -> Look<Found<(), Vec<Role>>> {
        let state = self.read(at, Service::Iam, "ListRoles").await?;
        let path = format!("/redshift-link/{INSTALLATION_ID}/");
        let ours = |(account, _): &(AccountId, String), role: &super::Role| {
            *account == at.account && role.path.starts_with(&path)
        };
        let names = state.roles.iter().filter(|(key, r)| ours(key, r)).map(|((_, name), _)| name);
        // a listing has neither tags nor boundaries
        let listed = |role: Role| Role { tags: BTreeMap::new(), boundary: None, ..role };
        Ok(Found::from([((), names.filter_map(|name| role(&state, at, name)).map(listed).collect())]))
    }
    async fn bucket(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Option<Region>>> {
        let state = self.read(at, Service::S3, "GetBucketLocation").await?;
        let found = state.own_buckets(at, "GetBucketLocation", ids)?.into_iter();
        Ok(found.map(|(id, region)| (id.clone(), Some(region.clone()))).collect())
    }
    async fn bucket_policy(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Option<String>>> {
        let state = self.read(at, Service::S3, "GetBucketPolicy").await?;
        let found = state.own_buckets(at, "GetBucketPolicy", ids)?.into_iter();
        Ok(found.map(|(id, _)| (id.clone(), state.bucket_policies.get(id).cloned())).collect())
    }
    async fn bucket_guards(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, BucketGuards>> {
        let state = self.read(at, Service::S3, "GetBucketVersioning").await?;
        let found = state.own_buckets(at, "GetBucketVersioning", ids)?.into_iter();
        Ok(found.map(|(id, _)| (id.clone(), state.bucket_guards.get(id).cloned().unwrap_or_default())).collect())
    }
    async fn key_policy(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Option<String>>> {
        let state = self.read(at, Service::Kms, "GetKeyPolicy").await?;
        let of = |arn: &String| Some((arn.clone(), Some(state.key_policies.get(arn)?.clone())));
        Ok(ids.iter().filter_map(of).collect())
    }
    async fn endpoints_of_vpc(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Vec<VpcEndpoint>>> {
        let state = self.read(at, Service::Ec2, "DescribeVpcEndpoints").await?;
        let of = |vpc: &String| Some((vpc.clone(), state.endpoints.get(&(at.clone(), vpc.clone()))?.clone()));
        Ok(ids.iter().filter_map(of).collect())
    }
    async fn bucket_key(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Option<String>>> {
        let state = self.read(at, Service::S3, "GetBucketEncryption").await?;
        Ok(ids.iter().map(|id| (id.clone(), state.bucket_keys.get(id).cloned())).collect())
    }
    async fn key(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Option<Key>>> {
        Ok(pick(&self.read(at, Service::Kms, "DescribeKey").await?.keys, at, ids))
    }
    async fn secret(&self, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Option<Secret>>> {
        Ok(pick(&self.read(at, Service::SecretsManager, "DescribeSecret").await?.secrets, at, ids))
    }
    async fn objects(&self, at: &Scope, ids: &BTreeSet<Below>) -> Look<Found<Below, Listing>> {
        let state = self.read(at, Service::S3, "ListObjectsV2").await?;
        Ok(ids.iter().map(|id| (id.clone(), state.listing(&id.0, &id.1))).collect())
    }
    async fn object_versions(&self, at: &Scope, ids: &BTreeSet<Below>) -> Look<Found<Below, BTreeSet<ObjectVersion>>> {
        let state = self.read(at, Service::S3, "ListObjectVersions").await?;
        let of = |(bucket, prefix): &Below| {
            let below = state.objects.iter().filter(|((b, key), _)| b == bucket && key.starts_with(prefix));
            let versions = below.flat_map(|((_, key), versions)| {
                versions.iter().map(|version| ObjectVersion { key: key.clone(), version: version.id.clone() })
            });
            versions.collect()
        };
        Ok(ids.iter().map(|id| (id.clone(), of(id))).collect())
    }
    async fn uploads(&self, at: &Scope, ids: &BTreeSet<Below>) -> Look<Found<Below, BTreeSet<Upload>>> {
        let state = self.read(at, Service::S3, "ListMultipartUploads").await?;
        let of = |(bucket, prefix): &Below| {
            let below = state.uploads.iter().filter(|(b, upload)| b == bucket && upload.key.starts_with(prefix));
            below.map(|(_, upload)| upload.clone()).collect()
        };
        Ok(ids.iter().map(|id| (id.clone(), of(id))).collect())
    }
    async fn object_text(&self, at: &Scope, ids: &BTreeSet<Below>) -> Look<Found<Below, Option<String>>> {
        let state = self.read(at, Service::S3, "GetObject").await?;
        let of = |id: &Below| Some((id.clone(), Some(state.content(&id.0, &id.1)?.body.clone())));
        Ok(ids.iter().filter_map(of).collect())
    }
    async fn manifest(
        &self,
        at: &Scope,
        ids: &BTreeSet<Below>,
    ) -> Look<Found<Below, Option<Result<Manifest, String>>>> {
        let state = self.read(at, Service::S3, "GetObject").await?;
        let of = |id: &Below| Some((id.clone(), Some(manifest::read(state.content(&id.0, &id.1)?.body.as_bytes()))));
        Ok(ids.iter().filter_map(of).collect())
    }
    async fn statement(
        &self,
        at: &Scope,
        ids: &BTreeSet<(String, String)>,
    ) -> Look<Found<(String, String), Option<Statement>>> {
        let state = self.read(at, Service::RedshiftData, "DescribeStatement").await?;
        let of = |id: &(String, String)| {
            let seen = state.see_statement(&id.0, &id.1);
            Ok((id.clone(), seen.ok_or_else(|| Self::not_assumable(at, "DescribeStatement", &id.0))?))
        };
        ids.iter().map(of).collect()
    }
    async fn statement_end(&self, at: &Scope, ids: &BTreeSet<(String, String)>) -> Look<Found<(String, String), bool>> {
        let asked = Instant::now();
        loop {
            let seen = self.statement(at, ids).await?;
            let ended = |statement: &Option<Statement>| statement.as_ref().is_none_or(|s| s.status.is_ended());
            if seen.values().all(ended) || asked.elapsed() >= LONG_POLL {
                return Ok(ids.iter().map(|id| (id.clone(), seen.get(id).is_none_or(ended))).collect());
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
    async fn statements_named(
        &self,
        at: &Scope,
        ids: &BTreeSet<(String, String, String)>,
    ) -> Look<Found<(String, String, String), Vec<Statement>>> {
        let state = self.read(at, Service::RedshiftData, "ListStatements").await?;
        let of = |id: &(String, String, String)| {
            let seen = state.see_named(&id.0, &id.1, &id.2);
            Ok((id.clone(), seen.ok_or_else(|| Self::not_assumable(at, "ListStatements", &id.0))?))
        };
        ids.iter().map(of).collect()
    }
    async fn trust_policy_quota(&self, at: &Scope, _: &BTreeSet<()>) -> Look<Found<(), Option<usize>>> {
        let quota = self.read(at, Service::Iam, "GetAccountSummary").await?.trust_quota;
        Ok(Found::from([((), Some(quota))]))
    }
}
