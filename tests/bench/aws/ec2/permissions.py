"""Security group rules as requests write them: one protocol and port range from or to one place each."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Any

from moto.ec2.models.security_groups import SecurityGroup, SecurityGroupRule

from ..call import Call
from ..errors import AwsError
from . import things
from .peering import Peering, Side
from .peering_operations import find_active

_PROTOCOLS = {"6": "tcp", "17": "udp", "1": "icmp", "58": "icmpv6", "all": "-1"}
_DESCRIPTION = re.compile(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{0,255}")


@dataclass(frozen=True)
class Peer:
    """What a rule is about besides ports: a CIDR block, a prefix list or a security group of some account."""

    kind: str
    value: str
    account: str | None = None


@dataclass(frozen=True)
class Permission:
    """What makes a rule the rule that it is. Descriptions and tags are no part of it."""

    protocol: str
    from_port: int | None
    to_port: int | None
    peer: Peer

    def __str__(self) -> str:
        ports = "" if self.from_port is None else f", from port: {self.from_port}, to port: {self.to_port}"
        return f"peer: {self.peer.value}, {'ALL' if self.protocol == '-1' else self.protocol.upper()}{ports}, ALLOW"


def of_rule(rule: SecurityGroupRule) -> Permission:
    """The permission that a rule gives."""
    if rule.ip_range:
        kind = "CidrIp" if "CidrIp" in rule.ip_range else "CidrIpv6"
        peer = Peer(kind, rule.ip_range[kind])
    elif rule.source_group:
        peer = Peer("GroupId", rule.source_group["GroupId"], rule.source_group["UserId"])
    else:
        peer = Peer("PrefixListId", rule.prefix_list_id)
    return Permission(rule.ip_protocol, rule.from_port, rule.to_port, peer)


def requested(call: Call, group: SecurityGroup) -> list[tuple[Permission, dict[str, str]]]:
    """The single permissions of a request, each with the peer as the request wrote it."""
    permissions = call.get("IpPermissions") or [_flat(call)]
    return [entry for permission in permissions for entry in _split(call, group, permission)]


def _flat(call: Call) -> dict[str, Any]:
    """The older form of the request: one rule in parameters of its own."""
    permission = {name: call.get(name) for name in ("IpProtocol", "FromPort", "ToPort") if call.get(name) is not None}
    if call.get("CidrIp"):
        permission["IpRanges"] = [{"CidrIp": call.get("CidrIp")}]
    return permission


def _split(call: Call, group: SecurityGroup, permission: dict[str, Any]) -> list[tuple[Permission, dict[str, str]]]:
    protocol = str(permission.get("IpProtocol") or "").lower()
    protocol = _PROTOCOLS.get(protocol, protocol)
    if not protocol:
        raise AwsError(
            "InvalidParameterValue",
            "Invalid value 'null' for protocol. VPC security group rules must specify protocols explicitly.",
        )
    ports = _ports(protocol, permission.get("FromPort"), permission.get("ToPort"))
    entries = [
        *(({**r, "CidrIp": _canonical(r["CidrIp"], 4)}, "CidrIp") for r in permission.get("IpRanges", [])),
        *(({**r, "CidrIpv6": _canonical(r["CidrIpv6"], 6)}, "CidrIpv6") for r in permission.get("Ipv6Ranges", [])),
        *((r, "PrefixListId") for r in permission.get("PrefixListIds", [])),
        *((_with_account(call, r), "GroupId") for r in permission.get("UserIdGroupPairs", [])),
    ]
    if not entries:
        raise AwsError("MissingParameter", "The request must contain a source or destination of the traffic.")
    for entry, _ in entries:
        if not _DESCRIPTION.fullmatch(entry.get("Description", "")):
            raise AwsError(
                "InvalidParameterValue",
                "Invalid rule description. Valid descriptions are strings less than 256 characters from the following set: "
                "a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*",
            )
    return [(Permission(protocol, *ports, Peer(kind, entry[kind], entry.get("UserId"))), entry) for entry, kind in entries]


def _ports(protocol: str, low: int | None, high: int | None) -> tuple[int | None, int | None]:
    if protocol == "-1":
        return None, None
    if protocol not in ("tcp", "udp"):
        return -1 if low is None else low, -1 if high is None else high
    if low is None or high is None:
        raise AwsError("InvalidParameterValue", "Invalid value for portRange. Must specify both from and to ports with TCP/UDP.")
    if not 0 <= low <= high <= 65535:
        raise AwsError("InvalidParameterValue", f"Invalid TCP/UDP port range ({low}:{high})")
    return low, high


def _canonical(block: str, version: int) -> str:
    try:
        network = ipaddress.ip_network(block, strict=False)
    except ValueError:
        network = None
    if network is None or network.version != version:
        raise AwsError("InvalidParameterValue", f"CIDR block {block} is malformed")
    return str(network)


def _with_account(call: Call, pair: dict[str, str]) -> dict[str, str]:
    if not pair.get("GroupId"):
        raise AwsError("MissingParameter", "The request must contain the group ID of the peer security group.")
    kept = {key: pair[key] for key in ("GroupId", "Description") if pair.get(key)}
    return {**kept, "UserId": pair.get("UserId") or call.account}


def joining_peering(group: SecurityGroup, region: str, peer: Peer) -> Peering | None:
    """The active connection over which a rule's peer group is reached, in this region only."""
    other = things.visible("sg", peer.account, region).get(peer.value)
    if other is None:
        return None
    return find_active(_side(group, region), _side(other, region))


def _side(group: SecurityGroup, region: str) -> Side:
    """The VPC of a group, which may belong to another account that shares its subnets."""
    vpc = things.visible("vpc", group.owner_id, region)[group.vpc_id]
    return Side(vpc.owner_id, region, vpc.id)


def require_reachable(call: Call, group: SecurityGroup, peer: Peer) -> None:
    """A peer group has to be in the same VPC, or in one that an active connection in the same region leads to."""
    if peer.kind != "GroupId":
        return
    other = things.visible("sg", peer.account, call.region).get(peer.value)
    if other is None:
        raise AwsError("InvalidGroup.NotFound", f"The security group '{peer.value}' does not exist")
    if other.vpc_id != group.vpc_id and joining_peering(group, call.region, peer) is None:
        raise AwsError("InvalidGroup.NotFound", "You have specified two resources that belong to different networks.")
