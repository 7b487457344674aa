"""Everything in an account that a controller could touch, in one fixed form, to compare before and after.

Default VPCs are left out: moto makes them when somebody first looks into a region.
"""

import json
from typing import Any

from moto.ec2.models import ec2_backends
from moto.iam.models import Role, iam_backends
from moto.redshift.models import Cluster, redshift_backends

from .call import Call
from .cluster_roles import associations
from .ec2 import things
from .ec2.peering import DELETED, DELETING, EXPIRED, FAILED, REJECTED
from .ec2.routes import table_view
from .ec2.security_groups import rule_view
from .ec2.vpcs import vpc_view
from .s3.store import Bucket
from .sessions import Principal
from .state import state

_GONE = (FAILED, REJECTED, EXPIRED, DELETING, DELETED)


def of(account: str) -> dict[str, Any]:
    """The inventory of an account. Its lists are ordered, so that equal accounts give equal text."""
    regions = {r: _region(account, r) for r in sorted({*ec2_backends[account], *redshift_backends[account]})}
    return {
        "roles": sorted((_role(r) for b in iam_backends[account].values() for r in b.roles.values()), key=lambda r: r["arn"]),
        "regions": {region: content for region, content in regions.items() if any(content.values())},
        "buckets": {name: _bucket(b) for name, b in sorted(state.buckets.items()) if b.account == account},
        "keys": _keys(account),
        "domains": {
            identifier: {
                "settings": domain.description.get("DomainSettings", {}),
                "apps": domain.apps,
                "profiles": domain.profiles,
            }
            for (owner, _), studio in sorted(state.studios.items())
            if owner == account
            for identifier, domain in sorted(studio.domains.items())
        },
    }


def _role(role: Role) -> dict[str, Any]:
    return {
        "arn": role.arn,
        "id": role.id,
        "path": role.path,
        "trust": json.loads(role.assume_role_policy_document),
        "inline_policies": {name: json.loads(text) for name, text in role.policies.items()},
        "attached_policies": sorted(role.managed_policies),
        "boundary": role.permissions_boundary_arn,
        "description": role.description,
        "max_session_duration": role.max_session_duration,
        "tags": {tag["Key"]: tag["Value"] for tag in role.tags},
    }


def _cluster_roles(cluster: Cluster) -> dict[str, str]:
    return {arn: role.status for arn, role in sorted(associations(cluster).items())}


def _bucket(bucket: Bucket) -> dict[str, Any]:
    return {
        "region": bucket.region,
        "policy": bucket.policy and json.loads(bucket.policy),
        "versioning": bucket.versioning,
        "object_lock": bucket.object_lock,
        "lock_rule": bucket.lock_rule,
        "encryption": bucket.encryption,
        "objects": len(bucket.objects()),
        "versions": sum(map(len, bucket.versions.values())),
        "uploads": sorted(upload.key for upload in bucket.uploads.values()),
    }


def _keys(account: str) -> dict[str, Any]:
    """Those of customers: AWS makes its own when somebody first needs them."""
    found = [key for keys in state.keys.values() for key in keys.by_id.values() if key.account == account]
    return {
        key.arn: {"state": key.state, "policy": json.loads(key.policy), "description": key.description, "tags": key.tags}
        for key in sorted(found, key=lambda key: key.arn)
        if key.manager == "CUSTOMER"
    }


def _region(account: str, region: str) -> dict[str, Any]:
    call = Call(Principal(account), "ec2", "", region, {})
    store = ec2_backends[account][region]
    default = {vpc.id for vpc in store.vpcs.values() if vpc.is_default}
    tables = [table_view(call, table) for table in store.route_tables.values() if table.vpc_id not in default]
    for table in tables:
        table["Routes"].sort(key=lambda route: json.dumps(route, sort_keys=True))
    peerings = [
        p.as_api(account, region, things.tag_list(things.tags(account, region, p.id)))
        for p in things.visible("pcx", account, region).values()
        if p.status not in _GONE
    ]
    groups = {group.id: group for group in things.security_groups(store).values() if group.vpc_id not in default}
    rules = [rule_view(account, region, r) for r in things.security_group_rules(store).values() if r.group_id in groups]
    vpcs = [
        {**vpc_view(call, vpc), "EnableDnsSupport": vpc.enable_dns_support, "EnableDnsHostnames": vpc.enable_dns_hostnames}
        for vpc in store.vpcs.values()
        if vpc.id not in default
    ]
    clusters = redshift_backends[account][region].clusters
    return {
        "cluster_roles": {name: _cluster_roles(cluster) for name, cluster in sorted(clusters.items())},
        "peerings": sorted(peerings, key=lambda p: p["VpcPeeringConnectionId"]),
        "route_tables": sorted(tables, key=lambda t: t["RouteTableId"]),
        "security_group_rules": sorted(rules, key=lambda r: r["SecurityGroupRuleId"]),
        "vpcs": sorted(vpcs, key=lambda v: v["VpcId"]),
    }
