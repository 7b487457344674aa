"""EC2's things as an account and region sees them: found by id, with tags, and as resources of policies."""

import re
from dataclasses import dataclass
from typing import Any

from moto.ec2.models import EC2Backend, ec2_backends

from ..access.decision import Need
from ..call import Call
from ..errors import AwsError
from ..state import state


@dataclass(frozen=True)
class Kind:
    """A kind of thing: the prefix of its ids, its name in ARNs, and what an unknown id is called."""

    prefix: str
    resource: str
    not_found: str
    label: str


KINDS = {
    kind.prefix: kind
    for kind in (
        Kind("vpc", "vpc", "InvalidVpcID.NotFound", "vpc ID"),
        Kind("subnet", "subnet", "InvalidSubnetID.NotFound", "subnet ID"),
        Kind("rtb", "route-table", "InvalidRouteTableID.NotFound", "routeTable ID"),
        Kind("sg", "security-group", "InvalidGroup.NotFound", "security group"),
        Kind("sgr", "security-group-rule", "InvalidSecurityGroupRuleId.NotFound", "security group rule ID"),
        Kind("pcx", "vpc-peering-connection", "InvalidVpcPeeringConnectionID.NotFound", "vpcPeeringConnection ID"),
    )
}
_MALFORMED = {
    "pcx": "InvalidVpcPeeringConnectionId.Malformed",
    "rtb": "InvalidRouteTableId.Malformed",
    "sg": "InvalidGroupId.Malformed",
    "sgr": "InvalidSecurityGroupRuleId.Malformed",
    "subnet": "InvalidSubnetID.Malformed",
    "vpc": "InvalidVpcID.Malformed",
}


def backend(call: Call) -> EC2Backend:
    """moto's store of the caller's account and the call's region."""
    return ec2_backends[call.account][call.region]


def not_found(prefix: str, identifier: str) -> AwsError:
    """The refusal of an unknown id, or of one that is none."""
    kind = KINDS[prefix]
    if not re.fullmatch(rf"{prefix}-[0-9a-f]{{8,17}}", identifier or ""):
        return AwsError(_MALFORMED[prefix], f'Invalid id: "{identifier}" (expecting "{prefix}-...")')
    return AwsError(kind.not_found, f"The {kind.label} '{identifier}' does not exist")


def security_groups(store: EC2Backend) -> dict[str, Any]:
    """All security groups by id."""
    return {group.id: group for groups in store.groups.values() for group in groups.values()}


def security_group_rules(store: EC2Backend) -> dict[str, Any]:
    """All security group rules by id."""
    groups = security_groups(store).values()
    return {rule.id: rule for group in groups for rule in (*group.ingress_rules, *group.egress_rules)}


def visible(prefix: str, account: str, region: str) -> dict[str, Any]:
    """All things of a kind that an account sees in a region, by id: its own, and what lies in subnets shared with it."""
    store = ec2_backends[account][region]
    if prefix == "sg":
        return security_groups(store)
    if prefix == "sgr":
        return security_group_rules(store)
    if prefix == "pcx":
        return {p.id: p for p in state.peerings.values() if p.seen_by(account, region)}
    own = {"vpc": store.vpcs, "rtb": store.route_tables, "subnet": _subnets(store)}[prefix]
    return {**own, **_shared(prefix, account, region)}


def _subnets(store: EC2Backend) -> dict[str, Any]:
    return {subnet.id: subnet for zone in store.subnets.values() for subnet in zone.values()}


def _shared(prefix: str, account: str, region: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for subnet_id, owner in state.shared_subnets.get((account, region), {}).items():
        store = ec2_backends[owner][region]
        subnet = _subnets(store)[subnet_id]
        if prefix == "subnet":
            found[subnet_id] = subnet
        elif prefix == "vpc":
            found[subnet.vpc_id] = store.vpcs[subnet.vpc_id]
        else:
            tables = (t for t in store.route_tables.values() if t.vpc_id == subnet.vpc_id)
            found.update({t.id: t for t in tables if t.main_association_id or subnet_id in t._associations.values()})
    return found


def _look(call: Call, prefix: str, identifier: str) -> Any:
    if prefix == "pcx":
        peering = state.peerings.get(identifier)
        return peering if peering and peering.seen_by(call.account, call.region) else None
    return visible(prefix, call.account, call.region).get(identifier)


def find(call: Call, prefix: str, identifier: str) -> Any:
    """A thing that the caller sees, or AWS's refusal."""
    found = _look(call, prefix, identifier)
    if found is None:
        raise not_found(prefix, identifier)
    return found


def own(call: Call, prefix: str, identifier: str) -> Any:
    """A thing of the caller's account, or AWS's refusal: a participant may look at shared things, not change them."""
    found = find(call, prefix, identifier)
    if getattr(found, "owner_id", call.account) != call.account:
        raise AwsError("UnauthorizedOperation", "You are not authorized to perform this operation.", 403)
    return found


# Tags: each account and region keeps its own, also on things that both sides see.


def tags(account: str, region: str, identifier: str) -> dict[str, str]:
    """The tags that an account has set on a thing."""
    return ec2_backends[account][region].tags.get(identifier, {})


def tag_list(values: dict[str, str]) -> list[dict[str, str]]:
    """Tags as the API gives them."""
    return [{"Key": key, "Value": value} for key, value in sorted(values.items())]


def check_tags(values: dict[str, str], present: dict[str, str]) -> None:
    """Refuses reserved keys, lengths and too many."""
    for key, value in values.items():
        if key.lower().startswith("aws:"):
            raise AwsError("InvalidParameterValue", f"Tag keys starting with 'aws:' are reserved for internal use: {key}")
        if not 0 < len(key) <= 128 or len(value) > 256:
            raise AwsError("InvalidParameterValue", f"Tag key or value is too long: {key}")
    if len({**present, **values}) > 50:
        raise AwsError("TagLimitExceeded", "The maximum number of tags has been reached.")


def tag_specification(call: Call, resource: str) -> dict[str, str]:
    """The tags that a creating call brings along for a type of resource."""
    found: dict[str, str] = {}
    for specification in call.get("TagSpecifications", []):
        if specification.get("ResourceType") != resource:
            wrong = specification.get("ResourceType")
            raise AwsError("InvalidParameterValue", f"'{wrong}' is not a valid taggable resource type for this operation.")
        for tag in specification.get("Tags", []):
            if tag["Key"] in found:
                raise AwsError("InvalidParameterValue", f"Duplicate tag key '{tag['Key']}' specified.")
            found[tag["Key"]] = tag.get("Value", "")
    check_tags(found, {})
    return found


# Resources of policies


def request_tag_keys(values: dict[str, str]) -> dict[str, Any]:
    """The condition keys of tags in a request."""
    keys: dict[str, Any] = {f"aws:requesttag/{key}".lower(): value for key, value in values.items()}
    return {**keys, "aws:tagkeys": list(values) or None}


def _vpc_arn(call: Call, vpc_id: str) -> str:
    return call.arn(f"vpc/{vpc_id}", "ec2")


def resource_keys(call: Call, prefix: str, identifier: str) -> dict[str, Any]:
    """The condition keys of a thing that is there; of one that is not, only what its id says."""
    resource_tags = tags(call.account, call.region, identifier)
    keys: dict[str, Any] = {"ec2:region": call.region}
    for namespace in ("aws", "ec2"):
        keys.update({f"{namespace}:resourcetag/{key}".lower(): value for key, value in resource_tags.items()})
    thing = _look(call, prefix, identifier)
    if prefix == "vpc":
        keys["ec2:vpcid"] = identifier
    elif prefix == "rtb":
        keys["ec2:routetableid"] = identifier
    elif prefix == "sg":
        keys["ec2:securitygroupid"] = identifier
    elif prefix == "pcx":
        keys["ec2:vpcpeeringconnectionid"] = identifier
        if thing is not None:
            keys |= {"ec2:requestervpc": thing.requester.vpc_arn, "ec2:acceptervpc": thing.accepter.vpc_arn}
    if prefix in ("rtb", "sg", "subnet") and thing is not None:
        keys["ec2:vpc"] = _vpc_arn(call, thing.vpc_id)
    return keys


def need(call: Call, prefix: str, identifier: str, action: str | None = None, **keys: Any) -> Need:
    """The permission for an action on a thing."""
    kind = KINDS[prefix]
    arn = call.arn(f"{kind.resource}/{identifier}", "ec2")
    return Need(action or call.action, arn, {**resource_keys(call, prefix, identifier), **keys})


def on(prefix: str, parameter: str) -> Any:
    """The needs of an operation on the one thing that a parameter names."""
    return lambda call: [need(call, prefix, call.get(parameter))]


def creation(call: Call, resource: str, keys: dict[str, Any]) -> list[Need]:
    """The needs of creating a resource whose id is not known yet: the action, and with tags also ec2:CreateTags."""
    values = {tag["Key"]: tag.get("Value", "") for spec in call.get("TagSpecifications", []) for tag in spec.get("Tags", [])}
    arn = call.arn(f"{resource}/*", "ec2")
    keys = {**keys, **request_tag_keys(values), "ec2:region": call.region}
    needs = [Need(call.action, arn, keys)]
    if values:
        needs.append(Need("ec2:CreateTags", arn, {**keys, "ec2:createaction": call.operation}))
    return needs
