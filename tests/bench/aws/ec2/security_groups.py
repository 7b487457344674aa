"""Security groups and their single rules (docs/aws-behaviour.md#security-group-rules)."""

from typing import Any

from moto.ec2.models import ec2_backends
from moto.ec2.models.security_groups import SecurityGroup, SecurityGroupRule

from ..access.decision import Need
from ..call import Call
from ..errors import AwsError
from ..operations import forward, operation
from ..state import state
from . import things
from .listing import filtered, page, selected
from .permissions import Permission, joining_peering, of_rule, requested, require_reachable


def _group(call: Call) -> SecurityGroup:
    return things.own(call, "sg", call.get("GroupId") or _id_by_name(call))


def _id_by_name(call: Call) -> str:
    """Names are for the default VPC only."""
    groups = things.security_groups(things.backend(call)).values()
    name = call.get("GroupName", "")
    return next((g.id for g in groups if g.name == name and _in_default_vpc(call, g)), name)


def _in_default_vpc(call: Call, group: SecurityGroup) -> bool:
    return things.find(call, "vpc", group.vpc_id).is_default


def _rules(group: SecurityGroup, egress: bool) -> list[SecurityGroupRule]:
    return group.egress_rules if egress else group.ingress_rules


def _authorization(call: Call) -> list[Need]:
    """On the group; with tags also on the rules to be, and for tagging them."""
    needs = [things.need(call, "sg", call.get("GroupId") or _id_by_name(call))]
    return needs + (things.creation(call, "security-group-rule", {}) if call.get("TagSpecifications") else [])


@operation("ec2:AuthorizeSecurityGroupIngress", "ec2:AuthorizeSecurityGroupEgress", needs=_authorization)
def authorize(call: Call) -> dict[str, Any]:
    """New rules: all of them or none."""
    group, egress = _group(call), call.operation.endswith("Egress")
    tags = things.tag_specification(call, "security-group-rule")
    rules, new = _rules(group, egress), requested(call, group)
    present = {of_rule(rule) for rule in rules}
    for permission, _ in new:
        if permission in present:
            raise AwsError("InvalidPermission.Duplicate", f'the specified rule "{permission}" already exists')
        present.add(permission)
        require_reachable(call, group, permission.peer)
    for version6 in (False, True):
        if sum((p.peer.kind == "CidrIpv6") == version6 for p in present) > state.settings.rules_per_security_group:
            raise AwsError(
                "RulesPerSecurityGroupLimitExceeded", "The maximum number of rules per security group has been reached."
            )
    made = [_make(call, group, egress, permission, entry, tags) for permission, entry in new]
    rules.extend(made)
    return {"Return": True, "SecurityGroupRules": [rule_view(call.account, call.region, rule) for rule in made]}


def _make(
    call: Call, group: SecurityGroup, egress: bool, permission: Permission, entry: dict[str, str], tags: dict[str, str]
) -> SecurityGroupRule:
    kind = permission.peer.kind
    rule = SecurityGroupRule(
        things.backend(call),
        permission.protocol,
        group.id,
        permission.from_port,
        permission.to_port,
        entry if kind.startswith("Cidr") else None,
        source_group=entry if kind == "GroupId" else None,
        prefix_list_id=entry if kind == "PrefixListId" else None,
        is_egress=egress,
    )
    if tags:
        things.backend(call).tags[rule.id].update(tags)
    return rule


@operation(
    "ec2:RevokeSecurityGroupIngress",
    "ec2:RevokeSecurityGroupEgress",
    needs=lambda call: [things.need(call, "sg", call.get("GroupId") or _id_by_name(call))],
)
def revoke(call: Call) -> dict[str, Any]:
    """Removes rules by id or by what they say: all of them or none."""
    group, egress = _group(call), call.operation.endswith("Egress")
    rules = _rules(group, egress)
    unknown: list[dict[str, Any]] = []
    if ids := call.get("SecurityGroupRuleIds"):
        by_id = {rule.id: rule for rule in rules}
        for identifier in ids:
            if identifier not in by_id:
                raise things.not_found("sgr", identifier)
        gone = [by_id[identifier] for identifier in ids]
    else:
        wanted = [permission for permission, _ in requested(call, group)]
        gone = [rule for rule in rules if of_rule(rule) in wanted]
        if len(gone) < len(set(wanted)):
            if not _in_default_vpc(call, group):
                raise AwsError("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
            unknown = call.get("IpPermissions", [])
    revoked = [_revoked_view(rule) for rule in gone]
    ids = {rule.id for rule in gone}
    rules[:] = [rule for rule in rules if rule.id not in ids]
    for identifier in ids:
        things.backend(call).tags.pop(identifier, None)
    return {"Return": True, "UnknownIpPermissions": unknown, "RevokedSecurityGroupRules": revoked}


@operation("ec2:DeleteSecurityGroup", needs=things.on("sg", "GroupId"))
def delete_security_group(call: Call) -> Any:
    """Deletes a group that nothing uses."""
    group = _group(call)
    if group.name == "default":
        raise AwsError("CannotDelete", f'the specified group: "{group.id}" name: "default" cannot be deleted by a user')
    others = [g for g in things.security_groups(things.backend(call)).values() if g is not group and g.vpc_id == group.vpc_id]
    if any(rule.source_group.get("GroupId") == group.id for g in others for rule in (*g.ingress_rules, *g.egress_rules)):
        raise AwsError("DependencyViolation", f"resource {group.id} has a dependent object")
    return forward(call)


# Listing


def _ports(rule: SecurityGroupRule) -> dict[str, Any]:
    every = rule.from_port is None
    return {"IpProtocol": rule.ip_protocol, "FromPort": -1 if every else rule.from_port, "ToPort": -1 if every else rule.to_port}


def _revoked_view(rule: SecurityGroupRule) -> dict[str, Any]:
    view = {
        "SecurityGroupRuleId": rule.id,
        "GroupId": rule.group_id,
        "IsEgress": rule.is_egress,
        **_ports(rule),
        "CidrIpv4": rule.cidr_ipv4,
        "CidrIpv6": rule.cidr_ipv6,
        "PrefixListId": rule.prefix_list_id,
        "ReferencedGroupId": rule.source_group.get("GroupId"),
        "Description": _description(rule),
    }
    return {key: value for key, value in view.items() if value is not None}


def _description(rule: SecurityGroupRule) -> str | None:
    return rule.ip_range.get("Description") or rule.source_group.get("Description")


def rule_view(account: str, region: str, rule: SecurityGroupRule) -> dict[str, Any]:
    """A rule as the API gives it."""
    view = _revoked_view(rule)
    view.pop("ReferencedGroupId", None)
    view["GroupOwnerId"] = account
    view["SecurityGroupRuleArn"] = f"arn:aws:ec2:{region}:{account}:security-group-rule/{rule.id}"
    view["Tags"] = things.tag_list(things.tags(account, region, rule.id))
    if rule.source_group:
        view["ReferencedGroupInfo"] = _referenced(account, region, rule)
    return view


def _referenced(account: str, region: str, rule: SecurityGroupRule) -> dict[str, Any]:
    """The peer group; of another VPC with the connection that leads there, if any still does."""
    info = {"GroupId": rule.source_group["GroupId"], "UserId": rule.source_group["UserId"]}
    group = things.security_groups(ec2_backends[account][region])[rule.group_id]
    other = things.visible("sg", info["UserId"], region).get(info["GroupId"])
    if other is not None and other.vpc_id != group.vpc_id:
        peering = joining_peering(group, region, of_rule(rule).peer)
        info |= {"VpcId": other.vpc_id, "PeeringStatus": peering.status if peering else "deleted"}
        if peering:
            info["VpcPeeringConnectionId"] = peering.id
    return info


@operation("ec2:DescribeSecurityGroupRules")
def describe_security_group_rules(call: Call) -> dict[str, Any]:
    """Single rules. There are only three filters, and `tag-key` is none of them."""
    seen = things.visible("sgr", call.account, call.region)
    found = selected(call, "SecurityGroupRuleIds", seen, lambda i: things.not_found("sgr", i))
    filters = {"group-id": lambda view: view["GroupId"], "security-group-rule-id": lambda view: view["SecurityGroupRuleId"]}
    for wanted in call.get("Filters", []):
        if wanted.get("Name") == "group-id":
            for value in wanted.get("Values", []):
                if not value.startswith("sg-"):
                    raise things.not_found("sg", value)
    views = filtered(call, [rule_view(call.account, call.region, rule) for rule in found], filters, tag_key=False)
    return page(call, "SecurityGroupRules", views, "SecurityGroupRuleIds")


def _permissions(rules: list[SecurityGroupRule]) -> list[dict[str, Any]]:
    """Rules put together by protocol and ports, as the older listing has them."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for rule in rules:
        key = (rule.ip_protocol, rule.from_port, rule.to_port)
        ports = {} if rule.from_port is None else {"FromPort": rule.from_port, "ToPort": rule.to_port}
        empty = {"IpRanges": [], "Ipv6Ranges": [], "PrefixListIds": [], "UserIdGroupPairs": []}
        entry = found.setdefault(key, {"IpProtocol": rule.ip_protocol, **ports, **empty})
        if rule.cidr_ipv4:
            entry["IpRanges"].append(rule.ip_range)
        elif rule.cidr_ipv6:
            entry["Ipv6Ranges"].append(rule.ip_range)
        elif rule.prefix_list_id:
            entry["PrefixListIds"].append({"PrefixListId": rule.prefix_list_id})
        else:
            entry["UserIdGroupPairs"].append(rule.source_group)
    return list(found.values())


def group_view(call: Call, group: SecurityGroup) -> dict[str, Any]:
    """A security group as the API gives it."""
    return {
        "GroupId": group.id,
        "GroupName": group.name,
        "Description": group.description,
        "OwnerId": group.owner_id,
        "VpcId": group.vpc_id,
        "SecurityGroupArn": group.arn,
        "IpPermissions": _permissions(group.ingress_rules),
        "IpPermissionsEgress": _permissions(group.egress_rules),
        "Tags": things.tag_list(things.tags(call.account, call.region, group.id)),
    }


def _of_permissions(part: str) -> dict[str, Any]:
    prefix = "ip-permission" if part == "IpPermissions" else "egress.ip-permission"
    return {
        f"{prefix}.cidr": lambda view: [r["CidrIp"] for p in view[part] for r in p["IpRanges"]],
        f"{prefix}.from-port": lambda view: [p.get("FromPort") for p in view[part]],
        f"{prefix}.group-id": lambda view: [r["GroupId"] for p in view[part] for r in p["UserIdGroupPairs"]],
        f"{prefix}.protocol": lambda view: [p["IpProtocol"] for p in view[part]],
        f"{prefix}.to-port": lambda view: [p.get("ToPort") for p in view[part]],
        f"{prefix}.user-id": lambda view: [r["UserId"] for p in view[part] for r in p["UserIdGroupPairs"]],
    }


_FILTERS = {
    "description": lambda view: view["Description"],
    "group-id": lambda view: view["GroupId"],
    "group-name": lambda view: view["GroupName"],
    "owner-id": lambda view: view["OwnerId"],
    "vpc-id": lambda view: view["VpcId"],
    **_of_permissions("IpPermissions"),
    **_of_permissions("IpPermissionsEgress"),
}


@operation("ec2:DescribeSecurityGroups")
def describe_security_groups(call: Call) -> dict[str, Any]:
    """Security groups with their rules."""
    seen = things.visible("sg", call.account, call.region)
    found = selected(call, "GroupIds", seen, lambda i: things.not_found("sg", i))
    found = filtered(call, [group_view(call, group) for group in found], _FILTERS)
    return page(call, "SecurityGroups", found, "GroupIds")
