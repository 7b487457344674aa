"""What is in an account, thing by thing, and what two looks at it differ in, in words that a platform engineer reads."""

from collections import Counter
from collections.abc import Callable

ROLE, POLICY, PEERING = "IAM role", "inline policy", "peering connection"
ROUTE, RULE, VPC, DOMAIN = "route", "security group rule", "VPC", "Studio domain"
KINDS = (ROLE, POLICY, PEERING, ROUTE, RULE, VPC, DOMAIN)

Things = dict[tuple[str, str], dict]


def things(inventory: dict) -> Things:
    """The content of an account, by kind and name."""
    found: Things = {}
    for role in inventory["roles"]:
        found[ROLE, role["arn"]] = {**role, "inline_policies": None}
        found |= {(POLICY, f"{role['arn']} {name}"): text for name, text in role["inline_policies"].items()}
    for region in inventory["regions"].values():
        found |= {(PEERING, peering["VpcPeeringConnectionId"]): peering for peering in region["peerings"]}
        found |= {(RULE, rule["SecurityGroupRuleId"]): rule for rule in region["security_group_rules"]}
        found |= {(VPC, vpc["VpcId"]): vpc for vpc in region["vpcs"]}
        for table in region["route_tables"]:
            found |= {
                (ROUTE, f"{table['RouteTableId']} {route.get('DestinationCidrBlock')}"): route
                for route in table["Routes"]
            }
    return found | {(DOMAIN, name): domain for name, domain in inventory["domains"].items()}


def counts(inventory: dict) -> list[int]:
    """How many of each kind there are."""
    numbers = Counter(kind for kind, _ in things(inventory))
    return [numbers[kind] for kind in KINDS]


def added(before: dict, after: dict) -> list[tuple[str, str]]:
    """What is there and was not before, each with its kind, in words."""
    old, new = things(before), things(after)
    return [
        (kind, _WORDS[kind](name, new[kind, name])) for kind, name in sorted(new, key=_order) if (kind, name) not in old
    ]


def difference(before: dict, after: dict) -> list[str]:
    """What came, went or changed, a line each; one more line where it is nothing that has a name here."""
    old, new = things(before), things(after)
    lines = [f"left behind: {kind} {name}" for kind, name in sorted(new.keys() - old.keys(), key=_order)]
    lines += [f"gone: {kind} {name}" for kind, name in sorted(old.keys() - new.keys(), key=_order)]
    lines += [
        f"changed: {kind} {name}"
        for kind, name in sorted(old.keys() & new.keys())
        if old[kind, name] != new[kind, name]
    ]
    return lines or ([] if before == after else ["changed: something else"])


def _order(thing: tuple[str, str]) -> tuple[int, str]:
    return KINDS.index(thing[0]), thing[1]


def _role(_: str, role: dict) -> str:
    trusted = sorted(
        {name for statement in role["trust"]["Statement"] for name in listed(statement["Principal"]["AWS"])}
    )
    return f"{role['path']}{last(role['arn'])}, assumed by {' and '.join(map(last, trusted))}"


def _policy(name: str, policy: dict) -> str:
    role, own = name.split(" ")
    actions = sorted({action for statement in policy["Statement"] for action in listed(statement["Action"])})
    return f"{own} on {last(role)}: {', '.join(actions)}"


def _peering(name: str, peering: dict) -> str:
    sides = (peering["RequesterVpcInfo"], peering["AccepterVpcInfo"])
    return f"{name}, {peering['Status']['Code']}, from {' to '.join(side['VpcId'] for side in sides)}"


def _route(name: str, route: dict) -> str:
    table, cidr = name.split(" ")
    return f"{cidr} through {route.get('VpcPeeringConnectionId')}, in table {table}"


def _rule(_: str, rule: dict) -> str:
    way = "to" if rule["IsEgress"] else "from"
    peer = rule.get("CidrIpv4") or rule.get("ReferencedGroupInfo", {}).get("GroupId")
    return f"{rule['IpProtocol']} {rule['FromPort']} {way} {peer}, in group {rule['GroupId']}"


def _named(name: str, _: dict) -> str:
    return name


def listed(value: str | list[str]) -> list[str]:
    """What a policy gives as one or several."""
    return [value] if isinstance(value, str) else value


def last(arn: str, separator: str = "/") -> str:
    """The end of an ARN: what is left of it for somebody who knows the account."""
    return arn.rpartition(separator)[2]


_WORDS: dict[str, Callable[[str, dict], str]] = {
    ROLE: _role,
    POLICY: _policy,
    PEERING: _peering,
    ROUTE: _route,
    RULE: _rule,
    VPC: _named,
    DOMAIN: _named,
}
