//! EC2: networks, peering connections, routes and security group rules, as they are read.

use super::{Call, Sdk, absent, portions};
use crate::aws::error::{Look, Operation, Service};
use crate::aws::mark::INSTALLATION;
use crate::aws::model::{
    Destination, Direction, Peering, PeeringStatus, Permit, Route, RouteTable, Rule, RulePeer, SecurityGroup, Subnet,
    Tags, Target, Vpc, VpcDns, VpcEndpoint,
};
use crate::aws::read::Found;
use crate::aws::scope::{AccountId, Scope, VpcRef};
use aws_sdk_ec2::types::{
    Filter, RouteState, SecurityGroupRule, VpcAttributeName, VpcCidrBlockStateCode, VpcPeeringConnection,
    VpcPeeringConnectionStateReasonCode, VpcPeeringConnectionVpcInfo,
};
use ipnet::Ipv4Net;
use std::collections::BTreeSet;

const fn op(name: &'static str) -> Operation {
    Operation::new(Service::Ec2, name)
}

fn filter(name: &str, values: Vec<String>) -> Filter {
    Filter::builder().name(name).set_values(Some(values)).build()
}

/// All pages of a listing: the client's method, the size of a page, the filters, and the field of the answer.
macro_rules! pages {
    ($sdk:expr, $at:expr, $operation:literal, $resource:expr, $method:ident, $size:literal, $filters:expr, $field:ident) => {{
        let session = $sdk.sessions.enter($at).await?;
        let (mut items, mut next) = (vec![], None);
        loop {
            let request = session.clients.ec2.$method().max_results($size).set_filters($filters).set_next_token(next);
            let page = $sdk.call(Call::read($at, op($operation), $resource), request.send()).await?;
            items.extend(page.$field.unwrap_or_default());
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                break items;
            }
        }
    }};
}

pub(super) async fn vpcs(sdk: &Sdk, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Option<Vpc>>> {
    let mut found = Found::new();
    for portion in portions(ids) {
        let filters = Some(vec![filter("vpc-id", portion.clone())]);
        let vpcs = pages!(sdk, at, "DescribeVpcs", &portion.join(","), describe_vpcs, 1000, filters.clone(), vpcs);
        found.extend(vpcs.into_iter().filter_map(|vpc| {
            let id = vpc.vpc_id?;
            let blocks = vpc.cidr_block_association_set.unwrap_or_default().into_iter();
            let associated = |state: Option<VpcCidrBlockStateCode>| {
                matches!(state, None | Some(VpcCidrBlockStateCode::Associated | VpcCidrBlockStateCode::Associating))
            };
            let cidrs = blocks.filter(|b| associated(b.cidr_block_state.as_ref().and_then(|s| s.state.clone())));
            let cidrs = cidrs.filter_map(|block| block.cidr_block?.parse().ok()).collect();
            Some((id.clone(), Some(Vpc { id, owner: vpc.owner_id.unwrap_or_default(), cidrs })))
        }));
    }
    Ok(found)
}

pub(super) async fn vpc_dns(sdk: &Sdk, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Option<VpcDns>>> {
    let session = sdk.sessions.enter(at).await?;
    let ask = async |id: &str, attribute: VpcAttributeName| {
        let request = session.clients.ec2.describe_vpc_attribute().vpc_id(id).attribute(attribute).send();
        absent(sdk.call(Call::read(at, op("DescribeVpcAttribute"), id), request).await)
    };
    let mut found = Found::new();
    for id in ids {
        let support = ask(id, VpcAttributeName::EnableDnsSupport).await?;
        let hostnames = ask(id, VpcAttributeName::EnableDnsHostnames).await?;
        let dns = support.zip(hostnames).map(|(support, hostnames)| VpcDns {
            support: support.enable_dns_support.and_then(|a| a.value).unwrap_or(false),
            hostnames: hostnames.enable_dns_hostnames.and_then(|a| a.value).unwrap_or(false),
        });
        found.insert(id.clone(), dns);
    }
    Ok(found)
}

pub(super) async fn subnets(sdk: &Sdk, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Option<Subnet>>> {
    let mut found = Found::new();
    for portion in portions(ids) {
        let filters = Some(vec![filter("subnet-id", portion.clone())]);
        let resource = portion.join(",");
        let subnets = pages!(sdk, at, "DescribeSubnets", &resource, describe_subnets, 1000, filters.clone(), subnets);
        found.extend(subnets.into_iter().filter_map(|subnet| {
            let id = subnet.subnet_id?;
            let (vpc, owner) = (subnet.vpc_id.unwrap_or_default(), subnet.owner_id.unwrap_or_default());
            Some((id.clone(), Some(Subnet { id, vpc, owner })))
        }));
    }
    Ok(found)
}

pub(super) async fn tables_of_vpcs(
    sdk: &Sdk,
    at: &Scope,
    ids: &BTreeSet<String>,
) -> Look<Found<String, Vec<RouteTable>>> {
    let mut found: Found<String, Vec<RouteTable>> = Found::new();
    for table in tables(sdk, at, "vpc-id", ids).await? {
        found.entry(table.vpc.clone()).or_default().push(table);
    }
    Ok(found)
}

pub(super) async fn tables_through(
    sdk: &Sdk,
    at: &Scope,
    ids: &BTreeSet<String>,
) -> Look<Found<String, Vec<RouteTable>>> {
    let mut found: Found<String, Vec<RouteTable>> = Found::new();
    for table in tables(sdk, at, "route.vpc-peering-connection-id", ids).await? {
        for id in ids.iter().filter(|id| table.routes.iter().any(|r| r.target == Target::Peering((*id).clone()))) {
            found.entry(id.clone()).or_default().push(table.clone());
        }
    }
    Ok(found)
}

async fn tables(sdk: &Sdk, at: &Scope, by: &str, ids: &BTreeSet<String>) -> Look<Vec<RouteTable>> {
    let mut all = vec![];
    for portion in portions(ids) {
        let filters = Some(vec![filter(by, portion.clone())]);
        let resource = portion.join(",");
        let tables = pages!(
            sdk,
            at,
            "DescribeRouteTables",
            &resource,
            describe_route_tables,
            100,
            filters.clone(),
            route_tables
        );
        all.extend(tables.into_iter().map(|table| {
            let associations = table.associations.unwrap_or_default();
            RouteTable {
                id: table.route_table_id.unwrap_or_default(),
                vpc: table.vpc_id.unwrap_or_default(),
                owner: table.owner_id.unwrap_or_default(),
                main: associations.iter().any(|association| association.main == Some(true)),
                subnets: associations.into_iter().filter_map(|association| association.subnet_id).collect(),
                routes: table.routes.unwrap_or_default().into_iter().filter_map(route).collect(),
            }
        }));
    }
    Ok(all)
}

fn route(route: aws_sdk_ec2::types::Route) -> Option<Route> {
    let blackhole = route.state == Some(RouteState::Blackhole);
    let destination = match (route.destination_cidr_block, route.destination_prefix_list_id) {
        (Some(cidr), _) => Destination::Cidr(cidr.parse().ok()?),
        (None, Some(list)) => Destination::PrefixList(list),
        (None, None) => Destination::Ipv6(route.destination_ipv6_cidr_block?),
    };
    let target = match (route.vpc_peering_connection_id, route.gateway_id) {
        (Some(peering), _) => Target::Peering(peering),
        (None, Some(gateway)) if gateway == "local" => Target::Local,
        (None, Some(gateway)) => Target::Other(gateway),
        (None, None) => {
            let others = [
                route.nat_gateway_id,
                route.transit_gateway_id,
                route.network_interface_id,
                route.instance_id,
                route.egress_only_internet_gateway_id,
                route.local_gateway_id,
                route.carrier_gateway_id,
                route.core_network_arn,
            ];
            Target::Other(others.into_iter().flatten().next().unwrap_or_else(|| "an unknown target".into()))
        }
    };
    Some(Route { destination, target, blackhole })
}

pub(super) async fn endpoints_of_vpcs(
    sdk: &Sdk,
    at: &Scope,
    ids: &BTreeSet<String>,
) -> Look<Found<String, Vec<VpcEndpoint>>> {
    let mut found: Found<String, Vec<VpcEndpoint>> = Found::new();
    for portion in portions(ids) {
        let filters = Some(vec![filter("vpc-id", portion.clone())]);
        let resource = portion.join(",");
        let endpoints = pages!(
            sdk,
            at,
            "DescribeVpcEndpoints",
            &resource,
            describe_vpc_endpoints,
            1000,
            filters.clone(),
            vpc_endpoints
        );
        for endpoint in endpoints {
            let state = endpoint.state.map(|state| state.as_str().to_ascii_lowercase());
            let plain = VpcEndpoint {
                id: endpoint.vpc_endpoint_id.unwrap_or_default(),
                service: endpoint.service_name.unwrap_or_default(),
                available: state.is_some_and(|state| state == "available"),
                tables: endpoint.route_table_ids.unwrap_or_default().into_iter().collect(),
                private_dns: endpoint.private_dns_enabled == Some(true),
                policy: endpoint.policy_document,
            };
            found.entry(endpoint.vpc_id.unwrap_or_default()).or_default().push(plain);
        }
    }
    Ok(found)
}

pub(super) async fn prefix_lists(
    sdk: &Sdk,
    at: &Scope,
    ids: &BTreeSet<String>,
) -> Look<Found<String, BTreeSet<Ipv4Net>>> {
    let session = sdk.sessions.enter(at).await?;
    let mut found = Found::new();
    for id in ids {
        let (mut blocks, mut next) = (BTreeSet::new(), None);
        loop {
            let request = session.clients.ec2.get_managed_prefix_list_entries().prefix_list_id(id).max_results(100);
            let request = request.set_next_token(next).send();
            let page = sdk.call(Call::read(at, op("GetManagedPrefixListEntries"), id), request).await?;
            blocks.extend(page.entries.unwrap_or_default().into_iter().filter_map(|e| e.cidr?.parse::<Ipv4Net>().ok()));
            next = page.next_token.filter(|token| !token.is_empty());
            if next.is_none() {
                break;
            }
        }
        found.insert(id.clone(), blocks);
    }
    Ok(found)
}

pub(super) async fn security_groups(
    sdk: &Sdk,
    at: &Scope,
    ids: &BTreeSet<String>,
) -> Look<Found<String, Option<SecurityGroup>>> {
    let mut found = Found::new();
    for portion in portions(ids) {
        let filters = Some(vec![filter("group-id", portion.clone())]);
        let resource = portion.join(",");
        let groups = pages!(
            sdk,
            at,
            "DescribeSecurityGroups",
            &resource,
            describe_security_groups,
            1000,
            filters.clone(),
            security_groups
        );
        found.extend(groups.into_iter().filter_map(|group| {
            let id = group.group_id?;
            Some((id.clone(), Some(SecurityGroup { id, vpc: group.vpc_id.unwrap_or_default() })))
        }));
    }
    Ok(found)
}

pub(super) async fn rules_of_groups(sdk: &Sdk, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Vec<Rule>>> {
    let mut found: Found<String, Vec<Rule>> = Found::new();
    for portion in portions(ids) {
        for rule in rules(sdk, at, &portion.join(","), filter("group-id", portion.clone())).await? {
            found.entry(rule.group.clone()).or_default().push(rule);
        }
    }
    Ok(found)
}

pub(super) async fn marked_rules(sdk: &Sdk, at: &Scope) -> Look<Found<(), Vec<Rule>>> {
    let mark = filter(&format!("tag:{INSTALLATION}"), vec![sdk.installation.id().to_owned()]);
    Ok(Found::from([((), rules(sdk, at, "marked rules", mark).await?)]))
}

async fn rules(sdk: &Sdk, at: &Scope, resource: &str, by: Filter) -> Look<Vec<Rule>> {
    let filters = Some(vec![by]);
    let rules = pages!(
        sdk,
        at,
        "DescribeSecurityGroupRules",
        resource,
        describe_security_group_rules,
        1000,
        filters.clone(),
        security_group_rules
    );
    Ok(rules.into_iter().filter_map(|found| rule(at, found)).collect())
}

fn rule(at: &Scope, rule: SecurityGroupRule) -> Option<Rule> {
    let port = |port: Option<i32>| port.and_then(|port| u16::try_from(port).ok());
    let peer = match (rule.cidr_ipv4, rule.referenced_group_info) {
        (Some(cidr), _) => RulePeer::Cidr(cidr.parse().ok()?),
        (None, Some(group)) => RulePeer::Group {
            account: group.user_id.map_or_else(|| at.account.clone(), AccountId),
            id: group.group_id?,
        },
        (None, None) => RulePeer::Other(rule.cidr_ipv6.or(rule.prefix_list_id)?),
    };
    let permit = Permit {
        direction: if rule.is_egress == Some(true) { Direction::Egress } else { Direction::Ingress },
        protocol: rule.ip_protocol?,
        ports: port(rule.from_port).zip(port(rule.to_port)),
        peer,
    };
    Some(Rule { id: rule.security_group_rule_id?, group: rule.group_id?, permit, tags: tags(rule.tags) })
}

pub(super) async fn peerings(sdk: &Sdk, at: &Scope) -> Look<Found<(), Vec<Peering>>> {
    let none = None::<Vec<Filter>>;
    let all = pages!(
        sdk,
        at,
        "DescribeVpcPeeringConnections",
        "all connections",
        describe_vpc_peering_connections,
        1000,
        none.clone(),
        vpc_peering_connections
    );
    Ok(Found::from([((), all.into_iter().filter_map(peering).collect())]))
}

fn peering(found: VpcPeeringConnection) -> Option<Peering> {
    let (requester, accepter) = (found.requester_vpc_info?, found.accepter_vpc_info?);
    let dns = |side: &VpcPeeringConnectionVpcInfo| {
        side.peering_options()
            .and_then(aws_sdk_ec2::types::VpcPeeringConnectionOptionsDescription::allow_dns_resolution_from_remote_vpc)
    };
    let (requester_dns, accepter_dns) = (dns(&requester).unwrap_or(false), dns(&accepter).unwrap_or(false));
    let (code, message) = found.status.map(|status| (status.code, status.message)).unwrap_or_default();
    Some(Peering {
        id: found.vpc_peering_connection_id?,
        requester: vpc_ref(requester)?,
        accepter: vpc_ref(accepter)?,
        status: peering_status(code),
        status_message: message.unwrap_or_default(),
        accepter_dns,
        requester_dns,
        tags: tags(found.tags),
    })
}

fn vpc_ref(side: VpcPeeringConnectionVpcInfo) -> Option<VpcRef> {
    Some(VpcRef { at: Scope::new(side.owner_id?, side.region?), id: side.vpc_id? })
}

fn peering_status(code: Option<VpcPeeringConnectionStateReasonCode>) -> PeeringStatus {
    use VpcPeeringConnectionStateReasonCode as Code;
    match code {
        Some(Code::InitiatingRequest) => PeeringStatus::InitiatingRequest,
        Some(Code::PendingAcceptance) => PeeringStatus::PendingAcceptance,
        Some(Code::Provisioning) => PeeringStatus::Provisioning,
        Some(Code::Active) => PeeringStatus::Active,
        Some(Code::Failed) => PeeringStatus::Failed,
        Some(Code::Rejected) => PeeringStatus::Rejected,
        Some(Code::Expired) => PeeringStatus::Expired,
        Some(Code::Deleting) => PeeringStatus::Deleting,
        Some(Code::Deleted) => PeeringStatus::Deleted,
        _ => PeeringStatus::Unknown,
    }
}

fn tags(tags: Option<Vec<aws_sdk_ec2::types::Tag>>) -> Tags {
    tags.unwrap_or_default().into_iter().filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect()
}
