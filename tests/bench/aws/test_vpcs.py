"""VPCs, subnets and tags (docs/aws-behaviour.md#vpcs-and-tags)."""

import pytest

from .client import CONSUMER, PRODUCER
from .testing import refused, tags, where


def test_a_vpc_shows_all_its_blocks(build):
    world = build(producer={"extraCidrs": ["100.64.0.0/16"]})
    vpc = world.p_ec2.describe_vpcs(VpcIds=[world.p.vpcId])["Vpcs"][0]
    blocks = [(a["CidrBlock"], a["CidrBlockState"]["State"]) for a in vpc["CidrBlockAssociationSet"]]
    assert blocks == [(world.p.cidr, "associated"), ("100.64.0.0/16", "associated")]
    assert (vpc["CidrBlock"], vpc["OwnerId"], vpc["IsDefault"]) == (world.p.cidr, PRODUCER, False)


def test_a_block_may_go_again(build):
    world = build(producer={"extraCidrs": ["100.64.0.0/16"]})
    association = world.p_ec2.describe_vpcs(VpcIds=[world.p.vpcId])["Vpcs"][0]["CidrBlockAssociationSet"][1]["AssociationId"]
    world.p_ec2.disassociate_vpc_cidr_block(AssociationId=association)
    vpc = world.p_ec2.describe_vpcs(VpcIds=[world.p.vpcId])["Vpcs"][0]
    assert [a["CidrBlock"] for a in vpc["CidrBlockAssociationSet"] if a["CidrBlockState"]["State"] == "associated"] == [
        world.p.cidr
    ]


def test_dns_attributes(world):
    attribute = lambda name: world.p_ec2.describe_vpc_attribute(VpcId=world.p.vpcId, Attribute=name)
    assert attribute("enableDnsSupport")["EnableDnsSupport"] == {"Value": True}
    assert attribute("enableDnsHostnames")["EnableDnsHostnames"] == {"Value": True}
    modify = lambda **o: world.p_ec2.modify_vpc_attribute(VpcId=world.p.vpcId, **{k: {"Value": v} for k, v in o.items()})
    with refused("InvalidParameterCombination"):
        modify(EnableDnsSupport=False, EnableDnsHostnames=False)
    modify(EnableDnsHostnames=False)
    modify(EnableDnsSupport=False)
    assert attribute("enableDnsHostnames")["EnableDnsHostnames"] == {"Value": False}
    with refused("InvalidParameterValue"):
        modify(EnableDnsHostnames=True)
    modify(EnableDnsSupport=True)
    modify(EnableDnsHostnames=True)
    with refused("InvalidVpcID.NotFound"):
        world.c_ec2.describe_vpc_attribute(VpcId=world.p.vpcId, Attribute="enableDnsSupport")


def test_a_new_vpc_has_no_host_names(world):
    vpc = world.p_ec2.create_vpc(CidrBlock="10.50.0.0/16")["Vpc"]["VpcId"]
    found = world.p_ec2.describe_vpc_attribute(VpcId=vpc, Attribute="enableDnsHostnames")
    assert found["EnableDnsHostnames"] == {"Value": False}


def test_subnets(world):
    found = world.c_ec2.describe_subnets(SubnetIds=list(world.c.subnets.values()))["Subnets"]
    assert {s["OwnerId"] for s in found} == {CONSUMER} and {s["VpcId"] for s in found} == {world.c.vpcId}
    assert len({s["AvailabilityZone"] for s in found}) == 2
    with refused("InvalidSubnetID.NotFound"):
        world.c_ec2.describe_subnets(SubnetIds=[world.p.subnets["own"]])
    assert world.c_ec2.describe_subnets(Filters=where(subnet_id=world.p.subnets["own"]))["Subnets"] == []


KINDS = ["vpcId", "securityGroupId"]


@pytest.mark.parametrize("kind", KINDS)
def test_tags_come_and_go(world, kind):
    thing = getattr(world.p, kind)
    world.p_ec2.create_tags(Resources=[thing], Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}])
    world.p_ec2.create_tags(Resources=[thing], Tags=[{"Key": "a", "Value": "2"}])
    read = lambda: {t["Key"]: t["Value"] for t in world.p_ec2.describe_tags(Filters=where(resource_id=thing))["Tags"]}
    assert read() == {"a": "2", "b": ""}
    world.p_ec2.delete_tags(Resources=[thing], Tags=[{"Key": "a", "Value": "1"}, {"Key": "b"}])
    assert read() == {"a": "2"}
    world.p_ec2.delete_tags(Resources=[thing])
    assert read() == {}


def test_tags_are_found_by(world):
    world.p_ec2.create_tags(Resources=[world.p.vpcId], Tags=[{"Key": "team", "Value": "blue*"}])
    find = lambda name, value: world.p_ec2.describe_vpcs(Filters=[{"Name": name, "Values": [value]}])["Vpcs"]
    assert len(find("tag:team", "bl*")) == len(find("tag-key", "team")) == 1
    assert find("tag:team", "Blue*") == find("tag:none", "*") == []


def test_tags_have_rules(world):
    create = lambda *t: world.p_ec2.create_tags(Resources=[world.p.vpcId], Tags=[{"Key": k, "Value": v} for k, v in t])
    with refused("InvalidParameterValue", "aws:"):
        create(("aws:x", "1"))
    with refused("InvalidParameterValue"):
        create(("x" * 129, "1"))
    with refused("TagLimitExceeded"):
        create(*((str(n), "") for n in range(51)))
    create(*((str(n), "") for n in range(50)))
    with refused("TagLimitExceeded"):
        create(("one more", ""))
    create(("1", "changed"))


def test_what_is_not_there_is_not_tagged(world):
    for identifier, code in (
        ("vpc-00000000000000000", "InvalidVpcID.NotFound"),
        ("pcx-00000000000000000", "InvalidVpcPeeringConnectionID.NotFound"),
        ("sgr-00000000000000000", "InvalidSecurityGroupRuleId.NotFound"),
        (world.c.vpcId, "InvalidVpcID.NotFound"),
        ("nonsense", "InvalidID"),
    ):
        with refused(code):
            world.p_ec2.create_tags(Resources=[world.p.vpcId, identifier], Tags=[{"Key": "a", "Value": "b"}])
    assert world.p_ec2.describe_tags(Filters=where(resource_id=world.p.vpcId))["Tags"] == []


def test_a_duplicate_key_in_a_request(world):
    twice = [{"ResourceType": "vpc-peering-connection", "Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}]
    with refused("InvalidParameterValue", "Duplicate tag key"):
        world.request(TagSpecifications=twice)
    assert world.request(TagSpecifications=tags("vpc-peering-connection", a="1"))
