//! Redshift: clusters and their subnet groups.

use super::{Call, Sdk, absent};
use crate::aws::error::{Look, Operation, Service};
use crate::aws::model::Cluster;
use crate::aws::read::Found;
use crate::aws::scope::Scope;
use std::collections::BTreeSet;

const DESCRIBE_CLUSTERS: Operation = Operation::new(Service::Redshift, "DescribeClusters");
const DESCRIBE_SUBNET_GROUPS: Operation = Operation::new(Service::Redshift, "DescribeClusterSubnetGroups");

pub(super) async fn clusters(sdk: &Sdk, at: &Scope, ids: &BTreeSet<String>) -> Look<Found<String, Option<Cluster>>> {
    let session = sdk.sessions.enter(at).await?;
    let mut found = Found::new();
    for id in ids {
        let request = session.clients.redshift.describe_clusters().cluster_identifier(id).send();
        let answer = absent(sdk.call(Call::read(at, DESCRIBE_CLUSTERS, id), request).await)?;
        let cluster = answer.and_then(|answer| answer.clusters.unwrap_or_default().into_iter().next());
        found.insert(id.clone(), cluster.map(|cluster| plain(id, cluster)));
    }
    Ok(found)
}

fn plain(id: &str, cluster: aws_sdk_redshift::types::Cluster) -> Cluster {
    let endpoint = cluster.endpoint;
    let active = |status: Option<&str>| status.is_none_or(|status| status == "active");
    let role = |role: aws_sdk_redshift::types::ClusterIamRole| {
        Some((role.iam_role_arn?, role.apply_status.unwrap_or_default()))
    };
    let groups = cluster.vpc_security_groups.unwrap_or_default().into_iter();
    Cluster {
        identifier: id.to_owned(),
        status: cluster.cluster_status.unwrap_or_default(),
        vpc: cluster.vpc_id.filter(|vpc| !vpc.is_empty()),
        subnet_group: cluster.cluster_subnet_group_name.filter(|name| !name.is_empty()),
        security_groups: groups.filter(|g| active(g.status())).filter_map(|g| g.vpc_security_group_id).collect(),
        port: endpoint.as_ref().and_then(|e| e.port).and_then(|port| u16::try_from(port).ok()),
        address: endpoint.and_then(|endpoint| endpoint.address),
        master_user: cluster.master_username.unwrap_or_default(),
        public: cluster.publicly_accessible == Some(true),
        enhanced_vpc_routing: cluster.enhanced_vpc_routing == Some(true),
        iam_roles: cluster.iam_roles.unwrap_or_default().into_iter().filter_map(role).collect(),
    }
}

pub(super) async fn subnet_groups(
    sdk: &Sdk,
    at: &Scope,
    names: &BTreeSet<String>,
) -> Look<Found<String, Option<BTreeSet<String>>>> {
    let session = sdk.sessions.enter(at).await?;
    let mut found = Found::new();
    for name in names {
        let request = session.clients.redshift.describe_cluster_subnet_groups().cluster_subnet_group_name(name).send();
        let answer = absent(sdk.call(Call::read(at, DESCRIBE_SUBNET_GROUPS, name), request).await)?;
        let group = answer.and_then(|answer| answer.cluster_subnet_groups.unwrap_or_default().into_iter().next());
        let subnets = group.map(|group| {
            group.subnets.unwrap_or_default().into_iter().filter_map(|subnet| subnet.subnet_identifier).collect()
        });
        found.insert(name.clone(), subnets);
    }
    Ok(found)
}
