"""VPC endpoints, as they are listed (docs/aws-behaviour.md#vpc-endpoints)."""

from .testing import refused

S3 = "com.amazonaws.eu-west-1.s3"


def make(ec2, **options):
    return ec2.create_vpc_endpoint(ServiceName=S3, **options)["VpcEndpoint"]["VpcEndpointId"]


def test_endpoints_are_found_by_network(world):
    table = world.p.routeTables["own"]
    gateway = make(world.p_ec2, VpcId=world.p.vpcId, RouteTableIds=[table])
    by = lambda name, value: world.p_ec2.describe_vpc_endpoints(Filters=[{"Name": name, "Values": [value]}])["VpcEndpoints"]
    found = by("vpc-id", world.p.vpcId)
    assert [(e["VpcEndpointId"], e["VpcEndpointType"], e["RouteTableIds"], e["State"]) for e in found] == [
        (gateway, "Gateway", [table], "available")
    ]
    assert not found[0]["PrivateDnsEnabled"]
    assert '"Effect": "Allow"' in found[0]["PolicyDocument"]
    assert by("vpc-id", "vpc-0123456789abcdef0") == []
    with refused("InvalidParameterValue"):
        by("color", "red")


def test_pages_and_unknown_ids(world):
    for _ in range(3):
        make(world.p_ec2, VpcId=world.p.vpcId, VpcEndpointType="Interface", SubnetIds=[world.p.subnets["own"]])
    first = world.p_ec2.describe_vpc_endpoints(MaxResults=2)
    rest = world.p_ec2.describe_vpc_endpoints(MaxResults=2, NextToken=first["NextToken"])
    assert (len(first["VpcEndpoints"]), len(rest["VpcEndpoints"])) == (2, 1)
    assert first["VpcEndpoints"][0]["PrivateDnsEnabled"]
    with refused("InvalidVpcEndpointId.NotFound"):
        world.p_ec2.describe_vpc_endpoints(VpcEndpointIds=["vpce-0123456789abcdef0"])
