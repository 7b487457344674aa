"""The operations on VPC peering connections."""

from typing import Any

from ..access.decision import Need
from ..call import Call
from ..errors import AwsError
from ..operations import operation
from ..state import state
from . import things
from .listing import filtered, page, selected
from .peering import ACTIVE, DELETING, LIVE, PENDING, PROVISIONING, REJECTED, Peering, Side


def _accepter(call: Call) -> Side:
    return Side(call.get("PeerOwnerId", call.account), call.get("PeerRegion", call.region), call.get("PeerVpcId", ""))


def _creation(call: Call) -> list[Need]:
    """On the requester's VPC, and on the connection to be, which knows both VPCs."""
    requester = Side(call.account, call.region, call.get("VpcId", ""))
    keys = {"ec2:requestervpc": requester.vpc_arn, "ec2:acceptervpc": _accepter(call).vpc_arn}
    return [things.need(call, "vpc", requester.vpc_id), *things.creation(call, "vpc-peering-connection", keys)]


def _acceptance(call: Call) -> list[Need]:
    identifier = call.get("VpcPeeringConnectionId")
    peering = state.peerings.get(identifier)
    needs = [things.need(call, "pcx", identifier)]
    if peering and (peering.accepter.account, peering.accepter.region) == (call.account, call.region):
        needs.append(things.need(call, "vpc", peering.accepter.vpc_id))
    return needs


def _view(call: Call, peering: Peering, status: str | None = None) -> dict[str, Any]:
    tags = things.tag_list(things.tags(call.account, call.region, peering.id))
    return peering.as_api(call.account, call.region, tags, status)


def _not_permitted(message: str) -> AwsError:
    return AwsError("OperationNotPermitted", message)


def _bad_transition(peering: Peering, to: str) -> AwsError:
    return AwsError(
        "InvalidStateTransition",
        f"Invalid state transition for {peering.id}, attempted to transition from {peering.status} to {to}",
    )


@operation("ec2:CreateVpcPeeringConnection", needs=_creation)
def create_vpc_peering_connection(call: Call) -> dict[str, Any]:
    """A request; the same one again gives the connection that is there."""
    things.own(call, "vpc", call.get("VpcId", ""))
    requester, accepter = Side(call.account, call.region, call.get("VpcId")), _accepter(call)
    if requester == accepter:
        raise AwsError("InvalidParameterValue", "The requester VPC and the accepter VPC must be different.")
    if accepter.account == call.account and accepter.vpc is None:
        raise things.not_found("vpc", accepter.vpc_id)
    tags = things.tag_specification(call, "vpc-peering-connection")
    existing = next(
        (p for p in state.peerings.values() if (p.requester, p.accepter) == (requester, accepter) and p.status in LIVE), None
    )
    if existing:
        if state.settings.existing_peering_takes_tags:
            things.backend(call).tags[existing.id].update(tags)
        return {"VpcPeeringConnection": _view(call, existing)}
    outstanding = [p for p in state.peerings.values() if p.requester.account == call.account and p.status == PENDING]
    if len(outstanding) >= state.settings.outstanding_peerings_per_account:
        raise AwsError(
            "OutstandingVpcPeeringConnectionLimitExceeded", "The maximum number of outstanding requests has been reached."
        )
    peering = Peering(requester, accepter)
    state.peerings[peering.id] = peering
    things.backend(call).tags[peering.id].update(tags)
    return {"VpcPeeringConnection": _view(call, peering, "initiating-request")}


def _decided_by_accepter(call: Call, verb: str, to: str) -> Peering:
    """A pending request, looked at by the accepter in the accepter's region."""
    peering = things.find(call, "pcx", call.get("VpcPeeringConnectionId"))
    accepter = peering.accepter
    if call.account != accepter.account:
        raise _not_permitted(f"User ({call.account}) cannot {verb} peering {peering.id}")
    if call.region != accepter.region:
        raise _not_permitted(
            f"Incorrect region ({call.region}) specified for this request. "
            f"VPC peering connection {peering.id} must be {verb}ed in region {accepter.region}"
        )
    if peering.status != PENDING:
        raise _bad_transition(peering, to)
    return peering


@operation("ec2:AcceptVpcPeeringConnection", needs=_acceptance)
def accept_vpc_peering_connection(call: Call) -> dict[str, Any]:
    """Accepts a request, unless the two VPCs are joined already."""
    peering = _decided_by_accepter(call, "accept", PROVISIONING)
    joined = [p for p in state.peerings.values() if p.status in (PROVISIONING, ACTIVE)]
    if any(p.joins(peering.requester, peering.accepter) for p in joined):
        raise AwsError(
            "VpcPeeringConnectionAlreadyExists", f"The vpc peering connection identified by {peering.id} already exists"
        )
    for side in (peering.requester, peering.accepter):
        if sum(side in (p.requester, p.accepter) for p in joined) >= state.settings.peerings_per_vpc:
            raise AwsError(
                "ActiveVpcPeeringConnectionPerVpcLimitExceeded",
                f"The maximum number of active VPC peering connections of {side.vpc_id} has been reached.",
            )
    peering.become(PROVISIONING)
    return {"VpcPeeringConnection": _view(call, peering)}


@operation("ec2:RejectVpcPeeringConnection", needs=things.on("pcx", "VpcPeeringConnectionId"))
def reject_vpc_peering_connection(call: Call) -> dict[str, Any]:
    """Rejects a request."""
    _decided_by_accepter(call, "reject", REJECTED).become(REJECTED)
    return {"Return": True}


@operation("ec2:DeleteVpcPeeringConnection", needs=things.on("pcx", "VpcPeeringConnectionId"))
def delete_vpc_peering_connection(call: Call) -> dict[str, Any]:
    """Deletes an active connection for either owner, or a pending one for the requester."""
    peering = things.find(call, "pcx", call.get("VpcPeeringConnectionId"))
    if peering.status == PENDING and call.account != peering.requester.account:
        raise _not_permitted(f"User ({call.account}) cannot delete peering {peering.id}")
    if peering.status not in LIVE:
        raise _bad_transition(peering, DELETING)
    peering.become(DELETING, f"Deleted by {call.account}")
    return {"Return": True}


@operation("ec2:ModifyVpcPeeringConnectionOptions", needs=things.on("pcx", "VpcPeeringConnectionId"))
def modify_vpc_peering_connection_options(call: Call) -> dict[str, Any]:
    """Sets DNS resolution, on the caller's own side of an active connection."""
    peering = things.find(call, "pcx", call.get("VpcPeeringConnectionId"))
    given = {
        side: call.get(name)
        for side, name in (
            (peering.requester, "RequesterPeeringConnectionOptions"),
            (peering.accepter, "AccepterPeeringConnectionOptions"),
        )
        if call.get(name)
    }
    if not given:
        raise AwsError("MissingParameter", "The request must contain requester or accepter peering connection options.")
    if peering.status != ACTIVE:
        raise _not_permitted(f"Peering {peering.id} is not active. Peering options can be added only to active peerings.")
    for side, options in given.items():
        if (side.account, side.region) != (call.account, call.region):
            raise _not_permitted(f"User ({call.account}) cannot modify the options of the other side of peering {peering.id}")
        if options.get("AllowDnsResolutionFromRemoteVpc"):
            _require_dns(peering)
    answer = {}
    for side, options in given.items():
        peering.dns[side] = bool(options.get("AllowDnsResolutionFromRemoteVpc", peering.dns.get(side)))
        name = "RequesterPeeringConnectionOptions" if side == peering.requester else "AccepterPeeringConnectionOptions"
        answer[name] = {"AllowDnsResolutionFromRemoteVpc": peering.dns[side]}
    return answer


def _require_dns(peering: Peering) -> None:
    for side in (peering.requester, peering.accepter):
        if not (side.vpc and side.vpc.enable_dns_support and side.vpc.enable_dns_hostnames):
            raise AwsError(
                "InvalidVpcPeeringConnectionState.DnsHostnamesDisabled",
                f"DNS hostnames or DNS support is disabled for {side.vpc_id}; both VPCs need them.",
            )


_FILTERS = {
    "expiration-time": lambda p: p.get("ExpirationTime"),
    "status-code": lambda p: p["Status"]["Code"],
    "status-message": lambda p: p["Status"]["Message"],
    "vpc-peering-connection-id": lambda p: p["VpcPeeringConnectionId"],
    "accepter-vpc-info.cidr-block": lambda p: p["AccepterVpcInfo"].get("CidrBlock"),
    "accepter-vpc-info.owner-id": lambda p: p["AccepterVpcInfo"]["OwnerId"],
    "accepter-vpc-info.vpc-id": lambda p: p["AccepterVpcInfo"]["VpcId"],
    "requester-vpc-info.cidr-block": lambda p: p["RequesterVpcInfo"].get("CidrBlock"),
    "requester-vpc-info.owner-id": lambda p: p["RequesterVpcInfo"]["OwnerId"],
    "requester-vpc-info.vpc-id": lambda p: p["RequesterVpcInfo"]["VpcId"],
}


@operation("ec2:DescribeVpcPeeringConnections")
def describe_vpc_peering_connections(call: Call) -> dict[str, Any]:
    """The connections that have a side in this account and region."""
    seen = things.visible("pcx", call.account, call.region)
    found = selected(call, "VpcPeeringConnectionIds", seen, lambda i: things.not_found("pcx", i))
    found = filtered(call, [_view(call, p) for p in found], _FILTERS)
    return page(call, "VpcPeeringConnections", found, "VpcPeeringConnectionIds")


def find_active(one: Side, other: Side) -> Peering | None:
    """The active connection between two VPCs."""
    return next((p for p in state.peerings.values() if p.joins(one, other) and p.status == ACTIVE), None)


def refuse_new_block(call: Call, vpc_id: str, overlapping: Any) -> None:
    """Refuses a new CIDR block of a VPC where its connections forbid it."""
    side = Side(call.account, call.region, vpc_id)
    for peering in state.peerings.values():
        if peering.status == PENDING and side == peering.requester:
            raise _not_permitted(f"A CIDR block cannot be added while the request {peering.id} is pending.")
        if peering.status in (PROVISIONING, ACTIVE) and side in (peering.requester, peering.accepter):
            other = peering.accepter if side == peering.requester else peering.requester
            if other.vpc and overlapping(other.vpc):
                raise AwsError("InvalidVpc.Range", f"The CIDR block overlaps the VPC at the other end of {peering.id}.")
