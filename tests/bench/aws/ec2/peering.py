"""A VPC peering connection: its two sides and its states."""

import ipaddress
import secrets
from dataclasses import dataclass, field
from typing import Any

from moto.ec2.models import ec2_backends
from moto.ec2.models.vpcs import VPC
from moto.utilities.utils import get_partition

from ..state import now, state

LIFETIME_SECONDS = 7 * 24 * 3600
PENDING, PROVISIONING, ACTIVE, FAILED = "pending-acceptance", "provisioning", "active", "failed"
REJECTED, EXPIRED, DELETING, DELETED = "rejected", "expired", "deleting", "deleted"
LIVE = ("initiating-request", PENDING, PROVISIONING, ACTIVE)
STATES = (*LIVE, FAILED, REJECTED, EXPIRED, DELETING, DELETED)


@dataclass(frozen=True)
class Side:
    """One of the two VPCs."""

    account: str
    region: str
    vpc_id: str

    @property
    def vpc(self) -> VPC | None:
        """The VPC; none where there is no such VPC."""
        return ec2_backends[self.account][self.region].vpcs.get(self.vpc_id)

    @property
    def vpc_arn(self) -> str:
        """The ARN of the VPC."""
        return f"arn:{get_partition(self.region)}:ec2:{self.region}:{self.account}:vpc/{self.vpc_id}"


def cidrs(vpc: VPC, ipv6: bool = False) -> list[str]:
    """All blocks of a VPC, also the secondary ones."""
    associations = vpc.get_cidr_block_association_set(ipv6=ipv6)
    return [a["cidr_block"] for a in associations if a["cidr_block_state"]["state"] == "associated"]


def overlap(one: VPC, other: VPC) -> bool:
    """Whether any block of one overlaps any of the other."""
    return any(
        ipaddress.ip_network(a).overlaps(ipaddress.ip_network(b))
        for ipv6 in (False, True)
        for a in cidrs(one, ipv6)
        for b in cidrs(other, ipv6)
    )


@dataclass
class Peering:
    """A connection, in whatever state. Time alone moves it on; whoever looks at it sees the state of now."""

    requester: Side
    accepter: Side
    id: str = field(default_factory=lambda: "pcx-" + secrets.token_hex(9)[:17])
    created: float = field(default_factory=now)
    # DNS resolution for the other side, by side.
    dns: dict[Side, bool] = field(default_factory=dict)
    _status: str = PENDING
    _since: float = field(default_factory=now)
    _message: str = ""

    def become(self, status: str, message: str = "") -> None:
        """Enters a state."""
        self._status, self._since, self._message = status, now(), message

    @property
    def status(self) -> str:
        """The state now."""
        age = now() - self._since
        if self._status == PENDING and self._impossible():
            self.become(FAILED, "Failed due to incorrect VPC-ID, Account ID, or overlapping CIDR range")
        elif self._status == PENDING and now() - self.created > LIFETIME_SECONDS:
            self.become(EXPIRED)
        elif self._status == PROVISIONING and age >= state.settings.peering_provisioning_seconds:
            self.become(ACTIVE)
        elif self._status == DELETING and age >= state.settings.peering_deleting_seconds:
            self.become(DELETED, self._message)
        return self._status

    def _impossible(self) -> bool:
        one, other = self.requester.vpc, self.accepter.vpc
        return one is None or other is None or overlap(one, other)

    @property
    def message(self) -> str:
        """What AWS says beside the state."""
        status = self.status
        texts = {
            PENDING: f"Pending Acceptance by {self.accepter.account}",
            PROVISIONING: "Provisioning",
            ACTIVE: "Active",
            REJECTED: f"Rejected by {self.accepter.account}",
            EXPIRED: "Expired",
        }
        return self._message or texts.get(status, status)

    def side(self, account: str, region: str) -> Side | None:
        """The side that an account and region owns; the requester's where it owns both."""
        return next((s for s in (self.requester, self.accepter) if (s.account, s.region) == (account, region)), None)

    def joins(self, one: Side, other: Side) -> bool:
        """Whether it is between these two, in whichever direction."""
        return {self.requester, self.accepter} == {one, other}

    def seen_by(self, account: str, region: str) -> bool:
        """Whether an account sees it in a region."""
        side = self.side(account, region)
        if side is None:
            return False
        status = self.status
        if status == DELETED and now() - self._since > state.settings.peering_deleted_visible_seconds:
            return False
        fresh = now() - self.created < state.settings.peering_pending_visible_seconds
        return not (fresh and side == self.accepter and status == PENDING)

    def as_api(self, account: str, region: str, tags: list[dict[str, str]], status: str | None = None) -> dict[str, Any]:
        """As an account sees it in a region; `status` stands in for the state where the API tells an earlier one."""
        code = status or self.status
        message = self.message if status is None else f"Initiating Request to {self.accepter.account}"
        answer = {
            "VpcPeeringConnectionId": self.id,
            "Status": {"Code": code, "Message": message},
            "RequesterVpcInfo": self._info(self.requester, code),
            "AccepterVpcInfo": self._info(self.accepter, code),
            "Tags": tags,
        }
        if code in ("initiating-request", PENDING):
            answer["ExpirationTime"] = self.created + LIFETIME_SECONDS
        return answer

    def _info(self, side: Side, code: str) -> dict[str, Any]:
        info: dict[str, Any] = {"OwnerId": side.account, "VpcId": side.vpc_id, "Region": side.region}
        if code == ACTIVE and side.vpc:
            info["CidrBlock"] = side.vpc.cidr_block
            info["CidrBlockSet"] = [{"CidrBlock": block} for block in cidrs(side.vpc)]
            info["Ipv6CidrBlockSet"] = [{"Ipv6CidrBlock": block} for block in cidrs(side.vpc, ipv6=True)]
            info["PeeringOptions"] = {
                "AllowDnsResolutionFromRemoteVpc": self.dns.get(side, False),
                "AllowEgressFromLocalClassicLinkToRemoteVpc": False,
                "AllowEgressFromLocalVpcToRemoteClassicLink": False,
            }
        return info
