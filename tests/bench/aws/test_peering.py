"""VPC peering: states, sides, options (docs/aws-behaviour.md#vpc-peering)."""

import time

import pytest

from .client import CONSUMER, PLATFORM, PRODUCER, REGION
from .testing import refused, tags, where

DNS = {"AllowDnsResolutionFromRemoteVpc": True}


def options(ec2, identifier, side="Requester", value=True):
    return ec2.modify_vpc_peering_connection_options(
        VpcPeeringConnectionId=identifier, **{f"{side}PeeringConnectionOptions": {"AllowDnsResolutionFromRemoteVpc": value}}
    )


def test_from_request_to_active(bench, world):
    bench.post("settings", peering_provisioning_seconds=0.5)
    created = world.c_ec2.create_vpc_peering_connection(VpcId=world.c.vpcId, PeerVpcId=world.p.vpcId, PeerOwnerId=PRODUCER)
    assert created["VpcPeeringConnection"]["Status"]["Code"] == "initiating-request"
    identifier = created["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    assert world.status(identifier) == world.status(identifier, world.p_ec2) == "pending-acceptance"
    accepted = world.p_ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=identifier)
    assert accepted["VpcPeeringConnection"]["Status"]["Code"] == "provisioning"
    assert world.status(identifier) == "provisioning"
    time.sleep(0.6)
    assert world.status(identifier) == "active"


def test_what_a_connection_tells(bench, world):
    identifier = world.request()
    pending = world.peering(identifier)
    assert pending["ExpirationTime"].timestamp() - time.time() > 6.9 * 24 * 3600
    requester = {"OwnerId": CONSUMER, "VpcId": world.c.vpcId, "Region": REGION}
    assert pending["RequesterVpcInfo"] == requester
    assert pending["AccepterVpcInfo"] == {"OwnerId": PRODUCER, "VpcId": world.p.vpcId, "Region": REGION}
    bench.post("settings", peering_provisioning_seconds=0)
    world.p_ec2.associate_vpc_cidr_block(VpcId=world.p.vpcId, CidrBlock="10.200.0.0/16")
    world.p_ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=identifier)
    active = world.peering(identifier)
    assert "ExpirationTime" not in active
    assert active["AccepterVpcInfo"]["CidrBlock"] == world.p.cidr
    assert active["AccepterVpcInfo"]["CidrBlockSet"] == [{"CidrBlock": world.p.cidr}, {"CidrBlock": "10.200.0.0/16"}]
    assert active["RequesterVpcInfo"]["PeeringOptions"]["AllowDnsResolutionFromRemoteVpc"] is False


def test_the_same_request_again_gives_the_one_that_is_there(bench, world):
    first = world.request(TagSpecifications=tags("vpc-peering-connection", a="1"))
    assert world.request(TagSpecifications=tags("vpc-peering-connection", b="2")) == first
    assert world.peering(first)["Tags"] == [{"Key": "a", "Value": "1"}]
    bench.post("settings", peering_provisioning_seconds=0, existing_peering_takes_tags=True)
    world.p_ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=first)
    assert world.request(TagSpecifications=tags("vpc-peering-connection", b="2")) == first
    assert len(world.peering(first)["Tags"]) == 2
    world.c_ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=first)
    assert world.request() != first


def test_the_reversed_request_is_made_but_not_accepted(world):
    active = world.join()
    reversed_ = world.p_ec2.create_vpc_peering_connection(VpcId=world.p.vpcId, PeerVpcId=world.c.vpcId, PeerOwnerId=CONSUMER)
    second = reversed_["VpcPeeringConnection"]["VpcPeeringConnectionId"]
    assert second != active and world.status(second) == "pending-acceptance"
    with refused("VpcPeeringConnectionAlreadyExists", f"{second} already exists"):
        world.c_ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=second)
    world.p_ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=second)
    assert world.status(active) == "active"


@pytest.mark.parametrize(
    "producer, consumer",
    [
        ({"cidr": "10.2.0.0/16"}, {}),
        ({"cidr": "10.2.128.0/17"}, {}),
        ({"extraCidrs": ["10.2.64.0/20"]}, {}),
        ({}, {"extraCidrs": ["10.1.0.0/18"]}),
        ({"extraCidrs": ["100.64.0.0/16"]}, {"extraCidrs": ["100.64.128.0/20"]}),
    ],
)
def test_any_overlap_fails(build, producer, consumer):
    world = build(producer=producer, consumer=consumer)
    identifier = world.request()
    found = world.peering(identifier)
    assert found["Status"]["Code"] == "failed" and "overlapping" in found["Status"]["Message"]
    with refused("InvalidStateTransition", "from failed to deleting"):
        world.c_ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=identifier)
    with refused("InvalidStateTransition"):
        world.p_ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=identifier)


def test_no_overlap_no_failure(build):
    world = build(producer={"extraCidrs": ["100.64.0.0/16"]}, consumer={"extraCidrs": ["100.65.0.0/16"]})
    assert world.status(world.join()) == "active"


def test_a_vpc_that_is_not_there(world):
    with refused("InvalidVpcID.NotFound"):
        world.request(VpcId="vpc-00000000000000000")
    # In another account nobody looks at once.
    assert world.status(world.request(PeerVpcId="vpc-00000000000000000")) == "failed"
    with refused("InvalidVpcID.NotFound"):
        world.request(PeerVpcId="vpc-00000000000000000", PeerOwnerId=CONSUMER)
    with refused("InvalidParameterValue"):
        world.request(PeerVpcId=world.c.vpcId, PeerOwnerId=CONSUMER)


def test_a_block_added_while_pending(world):
    identifier = world.request()
    with refused("OperationNotPermitted"):
        world.c_ec2.associate_vpc_cidr_block(VpcId=world.c.vpcId, CidrBlock="10.100.0.0/16")
    world.p_ec2.associate_vpc_cidr_block(VpcId=world.p.vpcId, CidrBlock="10.100.0.0/16")
    assert world.status(identifier) == "pending-acceptance"
    world.p_ec2.associate_vpc_cidr_block(VpcId=world.p.vpcId, CidrBlock="10.2.0.0/24")
    assert world.status(identifier) == "failed"


def test_a_block_added_while_active_may_not_overlap(world):
    world.join()
    with refused("InvalidVpc.Range"):
        world.c_ec2.associate_vpc_cidr_block(VpcId=world.c.vpcId, CidrBlock="10.1.0.0/24")
    assert world.c_ec2.associate_vpc_cidr_block(VpcId=world.c.vpcId, CidrBlock="10.100.0.0/16")


# Who may do what


def test_only_the_accepter_decides(world):
    identifier = world.request()
    for operation in ("accept", "reject"):
        with refused("OperationNotPermitted", f"User ({CONSUMER}) cannot {operation} peering {identifier}"):
            getattr(world.c_ec2, f"{operation}_vpc_peering_connection")(VpcPeeringConnectionId=identifier)
    world.p_ec2.reject_vpc_peering_connection(VpcPeeringConnectionId=identifier)
    assert world.status(identifier) == "rejected"
    with refused("InvalidStateTransition"):
        world.p_ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=identifier)
    with refused("InvalidStateTransition", "from rejected to deleting"):
        world.c_ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=identifier)
    # A rejected request is none: the next one is new.
    assert world.request() != identifier


def test_a_pending_request_is_deleted_by_the_requester_only(world):
    identifier = world.request()
    with refused("OperationNotPermitted"):
        world.p_ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=identifier)
    world.c_ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=identifier)
    assert world.status(identifier) in ("deleting", "deleted")


@pytest.mark.parametrize("side", ["p_ec2", "c_ec2"])
def test_an_active_connection_is_deleted_by_either(bench, world, side):
    bench.post("settings", peering_deleting_seconds=0.3)
    identifier = world.join()
    with refused("InvalidStateTransition"):
        world.p_ec2.reject_vpc_peering_connection(VpcPeeringConnectionId=identifier)
    getattr(world, side).delete_vpc_peering_connection(VpcPeeringConnectionId=identifier)
    assert world.status(identifier) == "deleting"
    time.sleep(0.4)
    for ec2 in (world.p_ec2, world.c_ec2):
        assert world.status(identifier, ec2) == "deleted"
        with refused("InvalidStateTransition", "from deleted to deleting"):
            ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=identifier)
    bench.post("settings", peering_deleted_visible_seconds=0)
    with refused("InvalidVpcPeeringConnectionID.NotFound"):
        world.peering(identifier)


def test_a_stranger_sees_nothing(bench, world):
    identifier = world.join()
    stranger = bench.admin(PLATFORM, "ec2")
    assert stranger.describe_vpc_peering_connections()["VpcPeeringConnections"] == []
    for call in (stranger.accept_vpc_peering_connection, stranger.delete_vpc_peering_connection):
        with refused("InvalidVpcPeeringConnectionID.NotFound"):
            call(VpcPeeringConnectionId=identifier)


def test_a_new_request_may_take_time_to_arrive(bench, world):
    bench.post("settings", peering_pending_visible_seconds=60)
    identifier = world.request()
    assert world.status(identifier) == "pending-acceptance"
    for call in (
        lambda: world.peering(identifier, world.p_ec2),
        lambda: world.p_ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=identifier),
        lambda: world.p_ec2.create_tags(Resources=[identifier], Tags=[{"Key": "a", "Value": "b"}]),
    ):
        with refused("InvalidVpcPeeringConnectionID.NotFound"):
            call()
    assert world.p_ec2.describe_vpc_peering_connections()["VpcPeeringConnections"] == []
    bench.post("settings", peering_pending_visible_seconds=0)
    assert world.p_ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=identifier)


@pytest.mark.parametrize("status", ["expired", "rejected", "failed", "deleted"])
def test_time_does_its_work(bench, world, status):
    identifier = world.request()
    bench.post(f"peering/{identifier}", status=status)
    assert world.status(identifier) == status
    with refused("InvalidStateTransition"):
        world.p_ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=identifier)
    assert world.request() != identifier


# Tags and options


def test_each_side_has_its_own_tags(world):
    identifier = world.request(TagSpecifications=tags("vpc-peering-connection", ours="1"))
    assert world.peering(identifier, world.p_ec2)["Tags"] == []
    world.p_ec2.create_tags(Resources=[identifier], Tags=[{"Key": "theirs", "Value": "2"}])
    assert world.peering(identifier)["Tags"] == [{"Key": "ours", "Value": "1"}]
    assert world.peering(identifier, world.p_ec2)["Tags"] == [{"Key": "theirs", "Value": "2"}]
    find = lambda ec2, **f: ec2.describe_vpc_peering_connections(Filters=[{"Name": k, "Values": [v]} for k, v in f.items()])
    assert find(world.c_ec2, **{"tag:ours": "1"})["VpcPeeringConnections"]
    assert not find(world.p_ec2, **{"tag:ours": "1"})["VpcPeeringConnections"]
    assert find(world.p_ec2, **{"tag-key": "the*"})["VpcPeeringConnections"]


def test_tags_must_be_of_a_connection(world):
    with refused("InvalidParameterValue", "'vpc' is not a valid taggable resource type"):
        world.request(TagSpecifications=tags("vpc", a="1"))
    with refused("InvalidParameterValue", "aws:"):
        world.request(TagSpecifications=tags("vpc-peering-connection", **{"aws:a": "1"}))
    assert not world.c_ec2.describe_vpc_peering_connections()["VpcPeeringConnections"]


def test_options_are_for_active_connections_and_ones_own_side(bench, world):
    identifier = world.request()
    with refused(
        "OperationNotPermitted", f"Peering {identifier} is not active. Peering options can be added only to active peerings."
    ):
        options(world.c_ec2, identifier)
    bench.post("settings", peering_provisioning_seconds=0)
    world.p_ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=identifier)
    with refused("OperationNotPermitted"):
        options(world.c_ec2, identifier, "Accepter")
    with refused("OperationNotPermitted"):
        options(world.p_ec2, identifier, "Requester")
    assert options(world.p_ec2, identifier, "Accepter")["AccepterPeeringConnectionOptions"] == DNS
    found = world.peering(identifier)
    assert found["AccepterVpcInfo"]["PeeringOptions"]["AllowDnsResolutionFromRemoteVpc"] is True
    assert found["RequesterVpcInfo"]["PeeringOptions"]["AllowDnsResolutionFromRemoteVpc"] is False
    options(world.p_ec2, identifier, "Accepter", False)
    assert world.peering(identifier)["AccepterVpcInfo"]["PeeringOptions"]["AllowDnsResolutionFromRemoteVpc"] is False


@pytest.mark.parametrize("attribute", ["dnsSupport", "dnsHostnames"])
@pytest.mark.parametrize("side", ["producer", "consumer"])
def test_dns_needs_the_attributes_of_both_vpcs(build, side, attribute):
    world = build(**{side: {attribute: False}})
    identifier = world.join()
    with refused("InvalidVpcPeeringConnectionState.DnsHostnamesDisabled"):
        options(world.c_ec2, identifier)
    assert options(world.c_ec2, identifier, value=False)


# Finding


def test_filters_find_what_they_say(world):
    identifier = world.join()
    find = lambda **f: world.c_ec2.describe_vpc_peering_connections(Filters=where(**f))["VpcPeeringConnections"]
    for found in (
        {"status_code": "active"},
        {"vpc_peering_connection_id": identifier},
        {"requester_vpc_info.vpc_id": world.c.vpcId, "accepter_vpc_info.vpc_id": world.p.vpcId},
        {"requester_vpc_info.owner_id": CONSUMER, "accepter_vpc_info.owner_id": PRODUCER},
        {"accepter_vpc_info.cidr_block": world.p.cidr},
    ):
        assert [p["VpcPeeringConnectionId"] for p in find(**found)] == [identifier], found
    for missed in ({"status_code": "pending-acceptance"}, {"requester_vpc_info.vpc_id": world.p.vpcId}):
        assert find(**missed) == []


def test_one_unknown_id_fails_the_call(world):
    identifier = world.join()
    with refused("InvalidVpcPeeringConnectionID.NotFound"):
        world.c_ec2.describe_vpc_peering_connections(VpcPeeringConnectionIds=[identifier, "pcx-00000000000000000"])
    with refused("InvalidVpcPeeringConnectionId.Malformed"):
        world.c_ec2.describe_vpc_peering_connections(VpcPeeringConnectionIds=["nonsense"])
    found = world.c_ec2.describe_vpc_peering_connections(Filters=where(vpc_peering_connection_id="pcx-00000000000000000"))
    assert found["VpcPeeringConnections"] == []


# Regions


def test_across_regions(bench, build):
    world = build(producer={"region": "eu-west-2"})
    bench.post("settings", peering_provisioning_seconds=0)
    identifier = world.request()
    assert world.peering(identifier)["AccepterVpcInfo"]["Region"] == "eu-west-2"
    # The accepter does not see it in the requester's region.
    with refused("InvalidVpcPeeringConnectionID.NotFound"):
        bench.admin(PRODUCER, "ec2", "eu-west-1").accept_vpc_peering_connection(VpcPeeringConnectionId=identifier)
    world.p_ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=identifier)
    assert world.status(identifier) == "active"


def test_across_regions_of_one_account(bench, build):
    world = build(producer={"account": CONSUMER, "region": "eu-west-2"})
    identifier = world.request()
    with refused("OperationNotPermitted", "must be accepted in region eu-west-2"):
        world.c_ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=identifier)
    assert world.p_ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=identifier)


def test_the_region_of_the_peer_matters(build):
    world = build(producer={"region": "eu-west-2"})
    assert world.status(world.request(PeerRegion="eu-west-3")) == "failed"


# Quotas


def test_outstanding_requests_have_a_quota(bench, world):
    bench.post("settings", outstanding_peerings_per_account=1)
    first = world.request()
    other = world.c_ec2.create_vpc(CidrBlock="10.50.0.0/16")["Vpc"]["VpcId"]
    with refused("OutstandingVpcPeeringConnectionLimitExceeded"):
        world.request(VpcId=other)
    world.p_ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=first)
    assert world.request(VpcId=other)


def test_active_connections_have_a_quota(bench, world):
    bench.post("settings", peerings_per_vpc=1)
    world.join()
    other = world.c_ec2.create_vpc(CidrBlock="10.50.0.0/16")["Vpc"]["VpcId"]
    second = world.request(VpcId=other)
    with refused("ActiveVpcPeeringConnectionPerVpcLimitExceeded"):
        world.p_ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=second)
    bench.post("settings", peerings_per_vpc=2)
    assert world.p_ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=second)
