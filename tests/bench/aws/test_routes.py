"""Routes: one per table and destination (docs/aws-behaviour.md#routes)."""

import pytest

from .client import CONSUMER, PLATFORM, PRODUCER
from .testing import refused, where


@pytest.fixture
def joined(world):
    world.pcx = world.join()
    return world


def create(world, cidr=None, table="own", **target):
    return world.c_ec2.create_route(
        RouteTableId=world.c.routeTables[table],
        DestinationCidrBlock=cidr or world.p.cidr,
        **target or {"VpcPeeringConnectionId": world.pcx},
    )


def routes(world, table="own"):
    found = world.c_ec2.describe_route_tables(RouteTableIds=[world.c.routeTables[table]])["RouteTables"][0]["Routes"]
    return {route["DestinationCidrBlock"]: route for route in found}


def test_a_route_over_a_connection(joined):
    create(joined)
    assert routes(joined)[joined.p.cidr] == {
        "DestinationCidrBlock": joined.p.cidr,
        "VpcPeeringConnectionId": joined.pcx,
        "Origin": "CreateRoute",
        "State": "active",
    }
    assert routes(joined)[joined.c.cidr]["GatewayId"] == "local"
    assert joined.p.cidr not in routes(joined, "main")


def test_host_bits_are_dropped(joined):
    create(joined, "10.77.12.34/16")
    assert "10.77.0.0/16" in routes(joined)
    with refused("RouteAlreadyExists", "10.77.0.0/16"):
        create(joined, "10.77.0.0/16")
    # For deleting it has to be written as it is kept.
    with refused("InvalidRoute.NotFound"):
        joined.c_ec2.delete_route(RouteTableId=joined.c.routeTables["own"], DestinationCidrBlock="10.77.12.34/16")
    joined.c_ec2.delete_route(RouteTableId=joined.c.routeTables["own"], DestinationCidrBlock="10.77.0.0/16")


def test_a_destination_has_one_route(bench, joined):
    create(joined)
    gateway = joined.c_ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    for target in ({}, {"GatewayId": gateway}):
        with refused("RouteAlreadyExists"):
            create(joined, **target)
    bench.post("settings", identical_route_succeeds=True)
    create(joined)
    with refused("RouteAlreadyExists"):
        create(joined, GatewayId=gateway)


@pytest.mark.parametrize("cidr", ["10.2.0.0/16", "10.2.3.0/24"])
def test_nothing_inside_the_own_vpc(joined, cidr):
    with refused("InvalidParameterValue", f"{cidr} is equal to or more specific than one of this VPC's CIDR blocks"):
        create(joined, cidr)
    create(joined, "10.0.0.0/8")


def test_nothing_inside_a_secondary_block_either(joined):
    joined.c_ec2.associate_vpc_cidr_block(VpcId=joined.c.vpcId, CidrBlock="100.64.0.0/16")
    with refused("InvalidParameterValue", "more specific"):
        create(joined, "100.64.1.0/24")


def test_a_route_leads_nowhere_until_the_connection_is_active_and_after_it_is_gone(bench, world):
    bench.post("settings", peering_provisioning_seconds=0)
    world.pcx = world.request()
    create(world)
    assert routes(world)[world.p.cidr]["State"] == "blackhole"
    world.p_ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=world.pcx)
    assert routes(world)[world.p.cidr]["State"] == "active"
    world.c_ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=world.pcx)
    assert routes(world)[world.p.cidr]["State"] == "blackhole"
    assert routes(world)[world.p.cidr]["VpcPeeringConnectionId"] == world.pcx
    world.c_ec2.delete_route(RouteTableId=world.c.routeTables["own"], DestinationCidrBlock=world.p.cidr)
    assert world.p.cidr not in routes(world)


def test_the_connection_must_be_there_and_end_in_the_vpc(world, bench):
    with refused("InvalidVpcPeeringConnectionID.NotFound"):
        create(world, VpcPeeringConnectionId="pcx-00000000000000000")
    world.pcx = world.join()
    other = world.c_ec2.create_vpc(CidrBlock="10.50.0.0/16")["Vpc"]["VpcId"]
    table = world.c_ec2.create_route_table(VpcId=other)["RouteTable"]["RouteTableId"]
    with refused("InvalidParameterValue", "different networks"):
        world.c_ec2.create_route(RouteTableId=table, DestinationCidrBlock=world.p.cidr, VpcPeeringConnectionId=world.pcx)
    bench.post(f"peering/{world.pcx}", status="deleted")
    with refused("InvalidVpcPeeringConnectionID.NotFound"):
        create(world)


@pytest.mark.parametrize("target", [{}, {"GatewayId": "igw-00000000", "VpcPeeringConnectionId": "pcx-00000000"}])
def test_exactly_one_target(world, target):
    with refused("InvalidParameterCombination" if target else "MissingParameter"):
        world.c_ec2.create_route(RouteTableId=world.c.routeTables["own"], DestinationCidrBlock=world.p.cidr, **target)


def test_destinations_are_checked(joined):
    with refused("InvalidParameterValue", "not a valid CIDR block"):
        create(joined, "10.300.0.0/16")


def test_a_table_that_is_not_there(joined):
    route = {"RouteTableId": "rtb-00000000000000000", "DestinationCidrBlock": joined.p.cidr}
    with refused("InvalidRouteTableID.NotFound"):
        joined.c_ec2.create_route(**route, VpcPeeringConnectionId=joined.pcx)
    with refused("InvalidRouteTableID.NotFound"):
        joined.c_ec2.replace_route(**route, VpcPeeringConnectionId=joined.pcx)
    with refused("InvalidRoute.NotFound"):
        joined.c_ec2.delete_route(**route)


def test_deleting_what_is_not_there(joined):
    route = {"RouteTableId": joined.c.routeTables["own"], "DestinationCidrBlock": joined.p.cidr}
    with refused("InvalidRoute.NotFound"):
        joined.c_ec2.delete_route(**route)
    with refused("InvalidParameterValue", "local route"):
        joined.c_ec2.delete_route(**{**route, "DestinationCidrBlock": joined.c.cidr})
    create(joined)
    joined.c_ec2.delete_route(**route)


def test_replacing(joined):
    route = {"RouteTableId": joined.c.routeTables["own"], "DestinationCidrBlock": joined.p.cidr}
    with refused(
        "InvalidParameterValue", "There is no route defined for '10.1.0.0/16' in the route table. Use CreateRoute instead."
    ):
        joined.c_ec2.replace_route(**route, VpcPeeringConnectionId=joined.pcx)
    gateway = joined.c_ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    create(joined, GatewayId=gateway)
    joined.c_ec2.replace_route(**route, VpcPeeringConnectionId=joined.pcx)
    assert routes(joined)[joined.p.cidr]["VpcPeeringConnectionId"] == joined.pcx
    joined.c_ec2.replace_route(**route, GatewayId=gateway)
    assert "VpcPeeringConnectionId" not in routes(joined)[joined.p.cidr]
    with refused("InvalidVpcPeeringConnectionID.NotFound"):
        joined.c_ec2.replace_route(**route, VpcPeeringConnectionId="pcx-00000000000000000")


def test_a_broader_route_of_others(joined):
    transit = joined.c_ec2.create_transit_gateway()["TransitGateway"]["TransitGatewayId"]
    create(joined, "10.0.0.0/8", TransitGatewayId=transit)
    create(joined)
    assert routes(joined)["10.0.0.0/8"]["TransitGatewayId"] == transit
    with refused("InvalidNatGatewayID.NotFound"):
        create(joined, "10.99.0.0/16", NatGatewayId="nat-00000000000000000")


def test_tables_have_a_quota(bench, joined):
    bench.post("settings", routes_per_table=2)
    create(joined)
    with refused("RouteLimitExceeded"):
        create(joined, "10.99.0.0/16")
    create(joined, "10.99.0.0/16", table="main")


def test_tables_are_found_by_what_they_are_for(joined):
    create(joined)
    find = lambda **f: {t["RouteTableId"] for t in joined.c_ec2.describe_route_tables(Filters=where(**f))["RouteTables"]}
    own, main = joined.c.routeTables["own"], joined.c.routeTables["main"]
    assert find(**{"association.subnet_id": joined.c.subnets["own"]}) == {own}
    # A subnet without a table of its own is in no association.
    assert find(**{"association.subnet_id": joined.c.subnets["main"]}) == set()
    assert find(vpc_id=joined.c.vpcId, **{"association.main": "true"}) == {main}
    assert find(vpc_id=joined.c.vpcId) == set(joined.c.routeTables.values())
    assert find(**{"route.vpc_peering_connection_id": joined.pcx}) == {own}
    assert find(**{"route.destination_cidr_block": joined.p.cidr}) == {own}
    joined.c_ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=joined.pcx)
    assert find(**{"route.state": "blackhole"}) == {own}
    assert find(route_table_id="rtb-00000000000000000") == set()
    with refused("InvalidRouteTableID.NotFound"):
        joined.c_ec2.describe_route_tables(RouteTableIds=["rtb-00000000000000000"])


def test_a_subnet_may_change_its_table(joined):
    found = joined.c_ec2.describe_route_tables(RouteTableIds=[joined.c.routeTables["own"]])["RouteTables"][0]
    association = found["Associations"][0]["RouteTableAssociationId"]
    assert found["Associations"][0]["AssociationState"]["State"] == "associated"
    joined.c_ec2.replace_route_table_association(AssociationId=association, RouteTableId=joined.c.routeTables["other"])
    found = joined.c_ec2.describe_route_tables(Filters=where(**{"association.subnet_id": joined.c.subnets["own"]}))["RouteTables"]
    assert [table["RouteTableId"] for table in found] == [joined.c.routeTables["other"]]


def test_a_cluster_may_be_in_shared_subnets(bench, build):
    world = build(producer={"subnetOwner": PLATFORM})
    group = bench.admin(PRODUCER, "redshift").describe_cluster_subnet_groups()["ClusterSubnetGroups"][0]
    assert group["VpcId"] == world.p.vpcId
    subnets = world.p_ec2.describe_subnets(SubnetIds=[s["SubnetIdentifier"] for s in group["Subnets"]])["Subnets"]
    assert [s["OwnerId"] for s in subnets] == [PLATFORM, PLATFORM]


def test_the_tables_of_shared_subnets_are_seen_but_not_changed(build):
    world = build(consumer={"subnetOwner": PLATFORM})
    subnets = world.c_ec2.describe_subnets(Filters=where(vpc_id=world.c.vpcId))["Subnets"]
    assert {s["OwnerId"] for s in subnets} == {PLATFORM} and len(subnets) == 2
    table = world.c_ec2.describe_route_tables(RouteTableIds=[world.c.routeTables["own"]])["RouteTables"][0]
    assert table["OwnerId"] == PLATFORM
    with refused("UnauthorizedOperation"):
        world.request()
    owners = world.bench.admin(PLATFORM, "ec2")
    world.pcx = world.request(owners)
    with refused("UnauthorizedOperation"):
        create(world)
    assert owners.create_route(
        RouteTableId=world.c.routeTables["own"], DestinationCidrBlock=world.p.cidr, VpcPeeringConnectionId=world.pcx
    )["Return"]
    assert world.c_ec2.describe_security_groups(GroupIds=[world.c.securityGroupId])["SecurityGroups"][0]["OwnerId"] == CONSUMER
