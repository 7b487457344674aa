//! What must be known of both sides before anything is planned: found, checked, and refused with a remedy where a
//! link cannot work. Nothing is made before this is complete.

mod consumer;
mod producer;

use super::parts::{Finding, Halt, Part, both};
use super::request::Request;
use super::want::{VpcPair, Want};
use crate::aws::model::{Direction, Permit, RouteTable, RulePeer, Subnet, Vpc};
use crate::aws::read::Seen;
use crate::aws::scope::{AccountId, Partition, Scope, VpcRef};
use ipnet::Ipv4Net;
use std::collections::BTreeSet;

/// Both sides of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Partition of both accounts.
    pub partition: Partition,
    /// The warehouse's network.
    pub producer: Side,
    /// Of the cluster.
    pub warehouse: Warehouse,
    /// The users' network.
    pub consumer: Side,
    /// Who the users are.
    pub users: Users,
}

/// The network of one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Side {
    /// The VPC.
    pub vpc: VpcRef,
    /// All its IPv4 blocks.
    pub cidrs: BTreeSet<Ipv4Net>,
    /// Route tables in which routes to the other side are needed.
    pub tables: BTreeSet<String>,
}

/// What a plan needs of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warehouse {
    /// Port of the endpoint.
    pub port: u16,
    /// The security group in which the consumer is let in.
    pub security_group: String,
    /// Nobody may become this user.
    pub master_user: String,
    /// The tables that serve its subnets.
    pub tables: BTreeSet<String>,
    /// What it writes to S3 goes through its VPC.
    pub enhanced_vpc_routing: bool,
    /// Its name resolves to a public address, unless the connection resolves names.
    pub public: bool,
}

/// What a plan needs of the users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users {
    /// ARNs of execution roles that exist and may be extended.
    pub roles: BTreeSet<String>,
    /// Execution roles left out, with why.
    pub left_out: Vec<String>,
    /// Names of user profiles that no database user can have.
    pub unfit: BTreeSet<String>,
    /// Security groups of the users; empty where all addresses of the VPC are let in.
    pub security_groups: BTreeSet<String>,
}

/// Finds out all of it.
///
/// # Errors
/// Something is unread, refused, or in the way.
pub fn facts(request: &Request<'_>, seen: &Seen) -> Result<Facts, Halt> {
    let partition = |at: &Scope, part| match seen.identity(at, ()) {
        Ok(Some(partition)) => Ok(partition.clone()),
        Ok(None) => {
            Err(Finding::waiting(part, "NoIdentity", format!("account {} gave no identity", at.account)).into())
        }
        Err(gap) => Err(refused_for(part, gap.into())),
    };
    let (here, there) =
        both(partition(request.producer, Part::ProducerRole), partition(request.consumer, Part::ConsumerPolicy))?;
    if here != there {
        let message = format!("producer is in partition {here}, consumer in {there}: no link can join partitions");
        return Err(Finding::terminal(Part::ProducerRole, "OtherPartition", message).into());
    }
    let ((producer, warehouse), (consumer, users)) =
        both(producer::look(request, seen), consumer::look(request, seen))?;
    if let Some((a, b)) = overlap(&producer.cidrs, &consumer.cidrs) {
        let message = format!(
            "block {a} of {} overlaps {b} of {}, so AWS cannot peer them: remove one of the blocks, or move one side to another VPC",
            producer.vpc, consumer.vpc
        );
        return Err(Finding::terminal(Part::Peering, "CidrOverlap", message).into());
    }
    Ok(Facts { partition: here, producer, warehouse, consumer, users })
}

impl Facts {
    /// Everything that this link needs of what links share.
    #[must_use]
    pub fn wants(&self, request: &Request<'_>) -> BTreeSet<Want> {
        let mut wants = BTreeSet::from([Want::Peering(VpcPair::of(&self.producer.vpc, &self.consumer.vpc))]);
        if request.existing_peering().is_none() && request.dns_resolution() != Some(false) {
            wants.insert(self.dns_resolution());
        }
        wants.extend(self.routes().into_iter().map(|(at, table, cidr)| Want::Route { at, table, cidr }));
        wants.extend(self.permits().into_iter().map(|(at, group, permit)| Want::Rule { at, group, permit }));
        wants
    }

    /// The want for the DNS option: on the producer's side.
    #[must_use]
    pub fn dns_resolution(&self) -> Want {
        Want::DnsResolution { of: self.producer.vpc.clone(), to: self.consumer.vpc.clone() }
    }

    /// Each route that is needed: account and region, table, destination.
    #[must_use]
    pub fn routes(&self) -> Vec<(Scope, String, Ipv4Net)> {
        let towards = |from: &Side, to: &Side| -> Vec<_> {
            let pairs = from.tables.iter().flat_map(|table| to.cidrs.iter().map(move |cidr| (table, cidr)));
            pairs.map(|(table, cidr)| (from.vpc.at.clone(), table.clone(), *cidr)).collect()
        };
        [towards(&self.consumer, &self.producer), towards(&self.producer, &self.consumer)].concat()
    }

    /// Each rule that is needed: account and region, group, what passes.
    #[must_use]
    pub fn permits(&self) -> Vec<(Scope, String, Permit)> {
        let port = self.warehouse.port;
        let (producer, consumer) = (&self.producer.vpc.at, &self.consumer.vpc.at);
        let group = |id: &String| RulePeer::Group { account: consumer.account.clone(), id: id.clone() };
        // a group of a peered VPC can be named only within one region (docs/aws-behaviour.md#security-group-rules)
        let by_group = producer.region == consumer.region && !self.users.security_groups.is_empty();
        let sources: Vec<RulePeer> = if by_group {
            self.users.security_groups.iter().map(group).collect()
        } else {
            self.consumer.cidrs.iter().map(|cidr| RulePeer::Cidr(*cidr)).collect()
        };
        let inbound = sources.into_iter().map(|source| {
            let permit = Permit::tcp(Direction::Ingress, port, source);
            (producer.clone(), self.warehouse.security_group.clone(), permit)
        });
        let outbound = self.users.security_groups.iter().flat_map(|group| {
            self.producer.cidrs.iter().map(move |cidr| {
                (consumer.clone(), group.clone(), Permit::tcp(Direction::Egress, port, RulePeer::Cidr(*cidr)))
            })
        });
        outbound.chain(inbound).collect()
    }
}

fn overlap(a: &BTreeSet<Ipv4Net>, b: &BTreeSet<Ipv4Net>) -> Option<(Ipv4Net, Ipv4Net)> {
    let pairs = a.iter().flat_map(|x| b.iter().map(move |y| (*x, *y)));
    pairs.into_iter().find(|(x, y)| x.contains(y) || y.contains(x))
}

/// Turns a refused read into a finding of a part.
fn refused_for(part: Part, halt: Halt) -> Halt {
    match halt {
        Halt::Refused(error) => Halt::Found(Finding::refused(part, &error)),
        Halt::Unread(_) | Halt::Found(_) => halt,
    }
}

/// The VPC and, of its tables, those that serve the given subnets.
fn network(seen: &Seen, at: &Scope, vpc: &str, subnets: &BTreeSet<String>) -> Result<(Side, Vec<RouteTable>), Halt> {
    let read = || {
        let subnets = super::parts::gather(subnets.iter().map(|id| Ok::<_, Halt>((id, seen.subnet(at, id.clone())?))));
        let (vpc, (tables, subnets)) = both(seen.vpc(at, vpc), both(seen.tables_of_vpc(at, vpc), subnets))?;
        Ok((vpc, tables, subnets))
    };
    let (found, tables, subnets) = read().map_err(|halt| refused_for(Part::Routes, halt))?;
    let Some(found) = found else {
        let message = format!("{vpc} is not there in {at}: it may just have been deleted");
        return Err(Finding::blocked(Part::Routes, "VpcNotFound", message).into());
    };
    let mut serving = BTreeSet::new();
    for (id, subnet) in subnets {
        let subnet = owned_subnet(at, found, id, subnet.as_ref())?;
        let table = tables
            .iter()
            .find(|table| table.subnets.contains(&subnet.id))
            .or_else(|| tables.iter().find(|table| table.main));
        let Some(table) = table else {
            let message = format!("no route table serves {id} in {at}");
            return Err(Finding::blocked(Part::Routes, "RouteTableNotFound", message).into());
        };
        serving.insert(table.id.clone());
    }
    let vpc = VpcRef { at: at.clone(), id: found.id.clone() };
    Ok((Side { vpc, cidrs: found.cidrs.clone(), tables: serving }, tables.clone()))
}

fn owned_subnet<'a>(at: &Scope, vpc: &Vpc, id: &str, subnet: Option<&'a Subnet>) -> Result<&'a Subnet, Finding> {
    let Some(subnet) = subnet else {
        return Err(Finding::blocked(Part::Routes, "SubnetNotFound", format!("{id} is not there in {at}")));
    };
    if subnet.vpc != vpc.id {
        let message = format!("{id} is in {}, not in {}: name subnets of one VPC", subnet.vpc, vpc.id);
        return Err(Finding::terminal(Part::Routes, "SubnetOfOtherVpc", message));
    }
    for (what, owner) in [(id, &subnet.owner), (vpc.id.as_str(), &vpc.owner)] {
        if AccountId(owner.clone()) != at.account {
            let message = format!(
                "{what} belongs to account {owner} and is shared with {}: its routes and peerings are that account's to make; \
                 use subnets that {} owns",
                at.account, at.account
            );
            return Err(Finding::blocked(Part::Routes, "SubnetOfOtherAccount", message));
        }
    }
    Ok(subnet)
}
