"""Redshift: clusters, and credentials for their databases (docs/aws-behaviour.md#redshift)."""

import re
import secrets
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from moto.redshift.models import Cluster, SubnetGroup, redshift_backends

from . import errors
from .access.decision import Need
from .call import Call
from .cluster_roles import ADDING, IN_SYNC, REMOVING, Association, associations
from .errors import AwsError
from .iam.principals import find_role
from .operations import forwarded, operation
from .state import now, state
from .sts import trusted_service

_ROLE = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):role/.+")
_USER = re.compile(r"[a-zA-Z][a-zA-Z0-9_+.@-]{0,63}")


def _cluster_need(call: Call) -> list[Need]:
    return [Need(call.action, call.arn(f"cluster:{call.get('ClusterIdentifier') or '*'}"))]


def cluster_of(call: Call) -> Cluster:
    """The cluster that a call names."""
    identifier = call.get("ClusterIdentifier")
    cluster = redshift_backends[call.account][call.region].clusters.get(identifier)
    if cluster is None:
        raise AwsError("ClusterNotFound", f"Cluster {identifier} not found.", 404)
    return cluster


def cluster_view(call: Call, cluster: Cluster) -> dict[str, Any]:
    """A cluster as DescribeClusters gives it."""
    group = redshift_backends[call.account][call.region].subnet_groups.get(cluster.cluster_subnet_group_name)
    available = cluster.status == "available"
    view: dict[str, Any] = {
        "ClusterIdentifier": cluster.cluster_identifier,
        "NodeType": cluster.node_type,
        "ClusterStatus": cluster.status,
        "ClusterAvailabilityStatus": "Available" if available else "Unavailable",
        "MasterUsername": cluster.master_username,
        "DBName": cluster.db_name,
        "ClusterCreateTime": cluster.create_time,
        "ClusterSubnetGroupName": cluster.cluster_subnet_group_name,
        "VpcId": group.vpc_id if group else None,
        "VpcSecurityGroups": [{"VpcSecurityGroupId": i, "Status": "active"} for i in cluster.vpc_security_group_ids],
        "AvailabilityZone": cluster.availability_zone,
        "ClusterVersion": cluster.cluster_version,
        "NumberOfNodes": cluster.number_of_nodes,
        "PubliclyAccessible": bool(cluster.publicly_accessible),
        "Encrypted": bool(cluster.encrypted),
        "EnhancedVpcRouting": bool(cluster.enhanced_vpc_routing),
        "IamRoles": [{"IamRoleArn": arn, "ApplyStatus": role.status} for arn, role in associations(cluster).items()],
        "ClusterNamespaceArn": call.arn(f"namespace:{uuid.uuid5(uuid.NAMESPACE_OID, cluster.unique_cluster_id)}"),
        "Tags": cluster.tags,
    }
    if cluster.status != "creating":
        view["Endpoint"] = {"Address": cluster.address, "Port": cluster.port}
    return {key: value for key, value in view.items() if value is not None}


@operation("redshift:DescribeClusters", needs=_cluster_need)
def describe_clusters(call: Call) -> dict[str, Any]:
    """One cluster by its exact identifier, or a page of all."""
    if call.get("ClusterIdentifier"):
        return {"Clusters": [cluster_view(call, cluster_of(call))]}
    clusters = redshift_backends[call.account][call.region].clusters.values()
    return _page(call, "Clusters", [cluster_view(call, c) for c in clusters])


def _modification_needs(call: Call) -> list[Need]:
    """The action on the cluster, and the right to pass each role that is added."""
    cluster = call.arn(f"cluster:{call.get('ClusterIdentifier')}")
    keys = {"iam:passedtoservice": "redshift.amazonaws.com", "iam:associatedresourcearn": cluster}
    passed = [Need("iam:PassRole", arn, dict(keys)) for arn in call.get("AddIamRoles", [])]
    return [Need(call.action, cluster), *passed]


def _trusting(call: Call, arn: str) -> bool:
    role = find_role(arn)
    return role is not None and trusted_service(role, "redshift.amazonaws.com", "sts:AssumeRole", call.region)


def _check_roles(call: Call, added: list[str], removed: list[str]) -> None:
    for arn in (*added, *removed):
        match = _ROLE.fullmatch(arn)
        if match is None:
            raise AwsError("InvalidParameterValue", f"Invalid IAM role ARN: {arn}")
        if arn in added and match.group(1) != call.account:
            reason = "because cross-account pass role is not allowed"
            raise errors.denied(call.service, call.principal.arn, "iam:PassRole", arn, reason)
        if arn in added and state.settings.attached_roles_must_trust_redshift and not _trusting(call, arn):
            raise AwsError("InvalidParameterValue", f"The IAM role {arn} is not valid or does not trust Amazon Redshift.")
    if both := set(added) & set(removed):
        raise AwsError("InvalidParameterCombination", f"The role {min(both)} is both added and removed.")


@operation("redshift:ModifyClusterIamRoles", needs=_modification_needs)
def modify_cluster_iam_roles(call: Call) -> dict[str, Any]:
    """Adds roles and takes roles off; the others stay."""
    cluster = cluster_of(call)
    if call.get("DefaultIamRoleArn") is not None:
        raise errors.not_implemented("the default role of a cluster")
    added, removed = call.get("AddIamRoles", []), call.get("RemoveIamRoles", [])
    _check_roles(call, added, removed)
    if not cluster.status.startswith("available"):
        raise AwsError("InvalidClusterState", f"The cluster {cluster.cluster_identifier} is not in the available state.")
    roles = associations(cluster)
    under_way = any(role.status != IN_SYNC for role in roles.values())
    if under_way and not state.settings.cluster_role_changes_may_overlap:
        raise AwsError(
            "InvalidClusterState", f"There is an IAM role modification under way on the cluster {cluster.cluster_identifier}."
        )
    quota = state.settings.roles_per_cluster
    if len(set(roles) | set(added)) - len(set(roles) & set(removed)) > quota:
        raise AwsError("InvalidParameterValue", f"The number of IAM roles of a cluster cannot exceed {quota}.")
    for arn in added:
        if arn not in roles or roles[arn].status == REMOVING:
            roles[arn] = Association(ADDING, now())
    for arn in removed:
        if arn in roles:
            roles[arn] = Association(REMOVING, now())
    return {"Cluster": cluster_view(call, cluster)}


def _group_view(group: SubnetGroup) -> dict[str, Any]:
    return {
        "ClusterSubnetGroupName": group.cluster_subnet_group_name,
        "Description": group.description,
        "VpcId": group.vpc_id,
        "SubnetGroupStatus": "Complete",
        "Subnets": [
            {
                "SubnetIdentifier": subnet.id,
                "SubnetAvailabilityZone": {"Name": subnet.availability_zone},
                "SubnetStatus": "Active",
            }
            for subnet in group.subnets
        ],
        "Tags": group.tags,
    }


@operation("redshift:DescribeClusterSubnetGroups")
def describe_cluster_subnet_groups(call: Call) -> dict[str, Any]:
    """One subnet group by name, or a page of all."""
    groups = redshift_backends[call.account][call.region].subnet_groups
    if name := call.get("ClusterSubnetGroupName"):
        if name not in groups:
            raise AwsError("ClusterSubnetGroupNotFoundFault", f"Subnet group {name} not found.")
        return {"ClusterSubnetGroups": [_group_view(groups[name])]}
    return _page(call, "ClusterSubnetGroups", [_group_view(group) for group in groups.values()])


def _page(call: Call, key: str, items: list[dict[str, Any]]) -> dict[str, Any]:
    size = call.get("MaxRecords", 100)
    if not 20 <= size <= 100:
        raise AwsError("InvalidParameterValue", f"Invalid value {size} for MaxRecords. Must be from 20 to 100.")
    start = int(call.get("Marker") or 0)
    answer: dict[str, Any] = {key: items[start : start + size]}
    if start + size < len(items):
        answer["Marker"] = str(start + size)
    return answer


def _credentials_needs(call: Call) -> list[Need]:
    """On the database user, and on each further thing that a request names: database, new user, groups.

    The keys are those that the reference gives each action: a new user knows only its name, and joining a group knows nothing.
    """
    cluster, user, database = call.get("ClusterIdentifier"), call.get("DbUser"), call.get("DbName")
    keys = {
        "redshift:dbuser": user,
        "redshift:dbname": database,
        "redshift:durationseconds": str(call.get("DurationSeconds", 900)),
    }
    on_user = call.arn(f"dbuser:{cluster}/{user}")
    needs = [Need(call.action, on_user, keys)]
    if database:
        needs.append(Need(call.action, call.arn(f"dbname:{cluster}/{database}"), keys))
    if call.get("AutoCreate"):
        needs.append(Need("redshift:CreateClusterUser", on_user, {"redshift:dbuser": user}))
    return needs + [Need("redshift:JoinGroup", call.arn(f"dbgroup:{cluster}/{group}")) for group in call.get("DbGroups", [])]


@operation("redshift:GetClusterCredentials", needs=_credentials_needs)
def get_cluster_credentials(call: Call) -> dict[str, Any]:
    """A temporary password of a database user."""
    cluster_of(call)
    user, seconds = call.get("DbUser") or "", call.get("DurationSeconds", 900)
    if not _USER.fullmatch(user) or user.upper() == "PUBLIC":
        raise AwsError("InvalidParameterValue", f"The database user name {user} is not valid.")
    if not 900 <= seconds <= 3600:
        raise AwsError("InvalidParameterValue", f"Invalid value {seconds} for DurationSeconds. Must be from 900 to 3600.")
    return {
        "DbUser": ("IAMA:" if call.get("AutoCreate") else "IAM:") + user,
        "DbPassword": secrets.token_urlsafe(40),
        "Expiration": datetime.fromtimestamp(time.time() + seconds, UTC),
    }


forwarded(
    "redshift:CreateCluster",
    "redshift:DeleteCluster",
    "redshift:ModifyCluster",
    "redshift:PauseCluster",
    "redshift:ResumeCluster",
    "redshift:CreateClusterSubnetGroup",
    "redshift:DeleteClusterSubnetGroup",
    needs=_cluster_need,
)
