//! The warehouse's side: the cluster and its network.

use super::super::parts::{Finding, Halt, Part};
use super::super::request::Request;
use super::{Side, Warehouse, network, refused_for};
use crate::aws::read::Seen;
use std::collections::BTreeSet;

pub(super) fn look(request: &Request<'_>, seen: &Seen) -> Result<(Side, Warehouse), Halt> {
    let (at, spec) = (request.producer, &request.spec().producer);
    let name = &spec.cluster.identifier;
    let for_role = |halt: Halt| refused_for(Part::ProducerRole, halt);
    let Some(cluster) = seen.cluster(at, name.clone()).map_err(|gap| for_role(gap.into()))? else {
        let message = format!("cluster {name} is not there in {at}: check its identifier, account and region");
        return Err(Finding::blocked(Part::ProducerRole, "ClusterNotFound", message).into());
    };
    let (Some(vpc), Some(subnet_group)) = (&cluster.vpc, &cluster.subnet_group) else {
        let message = format!("cluster {name} is outside any VPC: move it into one");
        return Err(Finding::blocked(Part::ProducerRole, "ClusterWithoutVpc", message).into());
    };
    let Some(port) = cluster.port else {
        let message = format!("cluster {name} has no endpoint yet: it is {}", cluster.status);
        return Err(Finding::waiting(Part::ProducerRole, "ClusterNotReady", message).into());
    };
    let group = seen.subnet_group(at, subnet_group.clone()).map_err(|gap| refused_for(Part::Routes, gap.into()))?;
    let Some(subnets) = group else {
        let message = format!("subnet group {subnet_group} of cluster {name} is not there in {at}");
        return Err(Finding::blocked(Part::Routes, "SubnetGroupNotFound", message).into());
    };
    let (mut side, tables) = network(seen, at, vpc, subnets)?;
    let serving = side.tables.clone();
    if let Some(named) = &spec.route_table_ids {
        let known: BTreeSet<_> = tables.iter().map(|table| table.id.clone()).collect();
        if let Some(stranger) = named.difference(&known).next() {
            let message = format!("producer.routeTableIds: {stranger} is not a route table of the cluster's {vpc}");
            return Err(Finding::terminal(Part::Routes, "RouteTableOfOtherVpc", message).into());
        }
        side.tables.clone_from(named);
    }
    let security_group = match &spec.security_group_id {
        Some(named) if !cluster.security_groups.contains(named) => {
            let message = format!("producer.securityGroupId: {named} is not a VPC security group of cluster {name}");
            return Err(Finding::terminal(Part::Firewall, "SecurityGroupOfOther", message).into());
        }
        Some(named) => named.clone(),
        None => match cluster.security_groups.first() {
            Some(smallest) => smallest.clone(),
            None => {
                let message = format!("cluster {name} has no VPC security group: give it one");
                return Err(Finding::blocked(Part::Firewall, "ClusterWithoutSecurityGroup", message).into());
            }
        },
    };
    let users = request.spec().access.as_ref().and_then(|access| access.database_users.as_ref());
    if users.is_some_and(|users| users.contains(&cluster.master_user)) {
        let message = format!(
            "access.databaseUsers: {} is the master user of cluster {name}, whom nobody may become: leave it out",
            cluster.master_user
        );
        return Err(Finding::terminal(Part::ProducerRole, "ProtectedDatabaseUser", message).into());
    }
    let warehouse = Warehouse {
        port,
        security_group,
        master_user: cluster.master_user.clone(),
        tables: serving,
        enhanced_vpc_routing: cluster.enhanced_vpc_routing,
        public: cluster.public,
    };
    Ok((side, warehouse))
}
