//! How the files get from the cluster to S3 (docs/aws-behaviour.md#unload).

use super::super::super::facts::Facts;
use super::super::super::request::Request;
use super::super::{Finding, Halt, both};
use super::PART;
use crate::aws::model::{Destination, RouteTable, Target, VpcEndpoint};
use crate::aws::read::Seen;
use crate::aws::resource_policy::{Call, Fact, denies, leaves_out};
use crate::aws::scope::Region;
use std::collections::BTreeMap;

/// One way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// Past the VPC, in the network of AWS.
    PastVpc,
    /// Through this endpoint in the VPC.
    Endpoint(String),
    /// Out of the VPC: by a NAT gateway, another network, ...
    OutOfVpc,
}

impl Way {
    /// What a policy can tell of calls that come this way.
    pub fn keys(&self, facts: &Facts) -> BTreeMap<&'static str, Fact> {
        let vpc = &facts.producer.vpc.id;
        match self {
            Self::PastVpc => BTreeMap::from([
                ("aws:sourcevpc", Fact::Absent),
                ("aws:sourcevpce", Fact::Absent),
                ("aws:vpcsourceip", Fact::Absent),
                ("aws:sourceip", Fact::AddressOfAws),
            ]),
            Self::Endpoint(id) => {
                let mut keys = BTreeMap::from([
                    ("aws:sourcevpc", Fact::Is(vpc.clone())),
                    ("aws:sourcevpce", Fact::Is(id.clone())),
                    ("aws:sourceip", Fact::Absent),
                ]);
                if let Some(only) = facts.producer.cidrs.first().filter(|_| facts.producer.cidrs.len() == 1) {
                    keys.insert("aws:vpcsourceip", Fact::Is(only.to_string()));
                }
                keys
            }
            // with which address is a matter of the VPC
            Self::OutOfVpc => BTreeMap::from([
                ("aws:sourcevpc", Fact::Absent),
                ("aws:sourcevpce", Fact::Absent),
                ("aws:vpcsourceip", Fact::Absent),
            ]),
        }
    }

    /// As part of a sentence about the role that writes.
    pub fn describe(&self, request: &Request<'_>, facts: &Facts) -> String {
        let cluster = &request.spec().producer.cluster.identifier;
        let vpc = &facts.producer.vpc.id;
        match self {
            Self::PastVpc => format!(
                "whose files come from an address of AWS and through no VPC, since enhanced VPC routing of cluster {cluster} is off"
            ),
            Self::Endpoint(id) => format!("whose files come through endpoint {id} of the cluster's {vpc}"),
            Self::OutOfVpc => format!("whose files leave the cluster's {vpc} through no endpoint"),
        }
    }
}

/// All ways that files can take: each subnet of the cluster has one. `calls`: what is called along a way.
///
/// # Errors
/// Something is unread or refused, or a subnet has no way.
pub fn ways(
    request: &Request<'_>,
    facts: &Facts,
    bucket_region: &Region,
    seen: &Seen,
    calls: impl Fn(&Way) -> Vec<Call>,
) -> Result<Vec<Way>, Halt> {
    if !facts.warehouse.enhanced_vpc_routing {
        return Ok(vec![Way::PastVpc]);
    }
    let (at, vpc) = (request.producer, &facts.producer.vpc.id);
    let (tables, endpoints) = both(seen.tables_of_vpc(at, vpc.clone()), seen.endpoints_of_vpc(at, vpc.clone()))?;
    let cluster = &request.spec().producer.cluster.identifier;
    let mut found = vec![];
    for table in tables.iter().filter(|table| facts.warehouse.tables.contains(&table.id)) {
        // an endpoint leads to S3 of its own region alone
        let of_s3 =
            endpoints.iter().filter(|e| at.region == *bucket_region && e.available && e.service.ends_with(".s3"));
        let (gateways, interfaces): (Vec<_>, Vec<_>) = of_s3.partition(|endpoint| !endpoint.tables.is_empty());
        let gateway = gateways.into_iter().find(|gateway| gateway.tables.contains(&table.id));
        let endpoint = gateway.or_else(|| interfaces.into_iter().find(|interface| interface.private_dns));
        let way = match endpoint {
            Some(endpoint) => through(request, endpoint, &calls)?,
            None if leads_out(table) => Way::OutOfVpc,
            None => {
                let message = format!(
                    "cluster {cluster} sends its files through its {vpc} (enhanced VPC routing), and route table {} of its subnets \
                     in {at} has no way to S3 in {bucket_region}: add a gateway endpoint for S3 to the table (same region), or a \
                     default route to a NAT gateway",
                    table.id
                );
                return Err(Finding::blocked(PART, "NoPathToS3", message).into());
            }
        };
        if !found.contains(&way) {
            found.push(way);
        }
    }
    Ok(found)
}

/// Through an endpoint, if its policy lets the calls pass.
fn through(request: &Request<'_>, endpoint: &VpcEndpoint, calls: impl Fn(&Way) -> Vec<Call>) -> Result<Way, Finding> {
    let way = Way::Endpoint(endpoint.id.clone());
    let Some(policy) = &endpoint.policy else { return Ok(way) };
    match calls(&way).into_iter().find(|call| denies(policy, call).is_some() || leaves_out(policy, call)) {
        None => Ok(way),
        Some(call) => {
            let message = format!(
                "the policy of endpoint {} in {}, through which the cluster reaches S3, does not let {} do {} on {}: allow it there",
                endpoint.id, request.producer, call.role, call.action, call.resource
            );
            Err(Finding::blocked(PART, "NoPathToS3", message))
        }
    }
}

/// Whereto S3's addresses go is not known of all routes: a list of prefixes may hold them.
fn leads_out(table: &RouteTable) -> bool {
    table.routes.iter().any(|route| {
        let far = match &route.destination {
            Destination::Cidr(cidr) => cidr.prefix_len() == 0,
            Destination::PrefixList(_) => true,
            Destination::Ipv6(_) => false,
        };
        let out = match &route.target {
            // a connection leads to the other VPC and no further
            Target::Peering(_) | Target::Local => false,
            // that of an endpoint leads to one service alone
            Target::Other(target) => !target.starts_with("vpce-"),
        };
        far && out && !route.blackhole
    })
}
