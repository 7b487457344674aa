"""Managed prefix lists, and routes to them (docs/aws-behaviour.md#routes)."""

from .testing import refused


def make(ec2, *blocks):
    entries = [{"Cidr": block} for block in blocks]
    made = ec2.create_managed_prefix_list(PrefixListName="offices", AddressFamily="IPv4", MaxEntries=10, Entries=entries)
    return made["PrefixList"]["PrefixListId"]


def blocks(ec2, identifier, **options):
    answer = ec2.get_managed_prefix_list_entries(PrefixListId=identifier, **options)
    return [entry["Cidr"] for entry in answer["Entries"]], answer.get("NextToken")


def test_a_list_gives_its_blocks_page_by_page(world):
    identifier = make(world.c_ec2, "10.80.0.0/16", "10.81.0.0/16", "10.82.0.0/16")
    first, token = blocks(world.c_ec2, identifier, MaxResults=2)
    rest, end = blocks(world.c_ec2, identifier, MaxResults=2, NextToken=token)
    assert (first, rest, end) == (["10.80.0.0/16", "10.81.0.0/16"], ["10.82.0.0/16"], None)
    with refused("InvalidParameterValue"):
        blocks(world.c_ec2, identifier, MaxResults=101)


def test_the_newest_version_counts(world):
    identifier = make(world.c_ec2, "10.80.0.0/16")
    change = {"AddEntries": [{"Cidr": "10.81.0.0/16"}], "RemoveEntries": [{"Cidr": "10.80.0.0/16"}]}
    world.c_ec2.modify_managed_prefix_list(PrefixListId=identifier, PrefixListName="offices", CurrentVersion=1, **change)
    assert blocks(world.c_ec2, identifier)[0] == ["10.81.0.0/16"]


def test_another_account_does_not_see_it(world):
    identifier = make(world.c_ec2, "10.80.0.0/16")
    with refused("InvalidPrefixListID.NotFound", identifier):
        blocks(world.p_ec2, identifier)


def test_a_list_is_the_destination_of_a_route(world):
    identifier, table = make(world.c_ec2, "10.80.0.0/16"), world.c.routeTables["own"]
    gateway = world.c_ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    world.c_ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=world.c.vpcId)
    world.c_ec2.create_route(RouteTableId=table, DestinationPrefixListId=identifier, GatewayId=gateway)
    routes = world.c_ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"][0]["Routes"]
    assert (identifier, gateway) in [(r.get("DestinationPrefixListId"), r.get("GatewayId")) for r in routes]
