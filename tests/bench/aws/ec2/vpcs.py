"""VPCs, subnets and tags, and what moto does well enough by itself."""

import ipaddress
from typing import Any

from moto.ec2.models.vpcs import VPC

from ..access.decision import Need
from ..call import Call
from ..errors import AwsError
from ..operations import forward, forwarded, operation
from . import things
from .listing import filtered, page, selected
from .peering import cidrs
from .peering_operations import refuse_new_block

_SWITCHES = {"EnableDnsSupport": "enable_dns_support", "EnableDnsHostnames": "enable_dns_hostnames"}


def vpc_view(call: Call, vpc: VPC) -> dict[str, Any]:
    """A VPC as the API gives it."""
    return {
        "VpcId": vpc.id,
        "OwnerId": vpc.owner_id,
        "State": "available",
        "CidrBlock": vpc.cidr_block,
        "CidrBlockAssociationSet": [
            {
                "AssociationId": a["association_id"],
                "CidrBlock": a["cidr_block"],
                "CidrBlockState": {"State": a["cidr_block_state"]["state"]},
            }
            for a in vpc.get_cidr_block_association_set(ipv6=False)
        ],
        "Ipv6CidrBlockAssociationSet": [
            {
                "AssociationId": a["association_id"],
                "Ipv6CidrBlock": a["cidr_block"],
                "Ipv6CidrBlockState": {"State": a["cidr_block_state"]["state"]},
            }
            for a in vpc.get_cidr_block_association_set(ipv6=True)
        ],
        "DhcpOptionsId": vpc.dhcp_options_id,
        "InstanceTenancy": vpc.instance_tenancy,
        "IsDefault": vpc.is_default,
        "Tags": things.tag_list(things.tags(call.account, call.region, vpc.id)),
    }


_VPC_FILTERS = {
    "cidr": lambda view: view["CidrBlock"],
    "cidr-block-association.cidr-block": lambda view: [a["CidrBlock"] for a in view["CidrBlockAssociationSet"]],
    "dhcp-options-id": lambda view: view["DhcpOptionsId"],
    "is-default": lambda view: view["IsDefault"],
    "owner-id": lambda view: view["OwnerId"],
    "state": lambda view: view["State"],
    "vpc-id": lambda view: view["VpcId"],
}


@operation("ec2:DescribeVpcs")
def describe_vpcs(call: Call) -> dict[str, Any]:
    """VPCs."""
    seen = things.visible("vpc", call.account, call.region)
    found = selected(call, "VpcIds", seen, lambda i: things.not_found("vpc", i))
    return page(call, "Vpcs", filtered(call, [vpc_view(call, vpc) for vpc in found], _VPC_FILTERS), "VpcIds")


def subnet_view(call: Call, subnet: Any) -> dict[str, Any]:
    """A subnet as the API gives it; of a shared one `OwnerId` is another account."""
    return {
        "SubnetId": subnet.id,
        "VpcId": subnet.vpc_id,
        "OwnerId": subnet.owner_id,
        "CidrBlock": subnet.cidr_block,
        "AvailabilityZone": subnet.availability_zone,
        "AvailabilityZoneId": subnet.availability_zone_id,
        "AvailableIpAddressCount": 250,
        "DefaultForAz": subnet.default_for_az,
        "MapPublicIpOnLaunch": subnet.map_public_ip_on_launch,
        "State": "available",
        "SubnetArn": subnet.arn,
        "Tags": things.tag_list(things.tags(call.account, call.region, subnet.id)),
    }


_SUBNET_FILTERS = {
    "availability-zone": lambda view: view["AvailabilityZone"],
    "cidr-block": lambda view: view["CidrBlock"],
    "default-for-az": lambda view: view["DefaultForAz"],
    "owner-id": lambda view: view["OwnerId"],
    "state": lambda view: view["State"],
    "subnet-id": lambda view: view["SubnetId"],
    "vpc-id": lambda view: view["VpcId"],
}


@operation("ec2:DescribeSubnets")
def describe_subnets(call: Call) -> dict[str, Any]:
    """Subnets, those shared with the caller too."""
    seen = things.visible("subnet", call.account, call.region)
    found = selected(call, "SubnetIds", seen, lambda i: things.not_found("subnet", i))
    return page(call, "Subnets", filtered(call, [subnet_view(call, s) for s in found], _SUBNET_FILTERS), "SubnetIds")


@operation("ec2:DescribeVpcAttribute", needs=things.on("vpc", "VpcId"))
def describe_vpc_attribute(call: Call) -> dict[str, Any]:
    """One of the switches of a VPC."""
    vpc = things.own(call, "vpc", call.get("VpcId"))
    name = call.get("Attribute", "")
    key = name[:1].upper() + name[1:]
    if key not in _SWITCHES:
        raise AwsError("InvalidParameterValue", f"Value ({name}) for parameter attribute is invalid.")
    return {"VpcId": vpc.id, key: {"Value": getattr(vpc, _SWITCHES[key])}}


@operation("ec2:ModifyVpcAttribute", needs=things.on("vpc", "VpcId"))
def modify_vpc_attribute(call: Call) -> dict[str, Any]:
    """Sets one switch; host names need DNS support."""
    vpc = things.own(call, "vpc", call.get("VpcId"))
    given = [key for key in _SWITCHES if call.get(key) is not None]
    if len(given) != 1:
        raise AwsError("InvalidParameterCombination", "Fields for multiple attribute types specified, or for none.")
    value = bool(call.get(given[0]).get("Value"))
    if given == ["EnableDnsHostnames"] and value and not vpc.enable_dns_support:
        raise AwsError("InvalidParameterValue", "DNS hostnames need DNS support.")
    setattr(vpc, _SWITCHES[given[0]], value)
    return {}


@operation("ec2:AssociateVpcCidrBlock", needs=things.on("vpc", "VpcId"))
def associate_vpc_cidr_block(call: Call) -> Any:
    """Another block for a VPC, unless a connection of it forbids that."""
    things.own(call, "vpc", call.get("VpcId"))
    if block := call.get("CidrBlock"):
        wanted = ipaddress.ip_network(block)
        refuse_new_block(call, call.get("VpcId"), lambda vpc: any(wanted.overlaps(ipaddress.ip_network(c)) for c in cidrs(vpc)))
    return forward(call)


# Tags


def _prefix(identifier: str) -> str:
    prefix = identifier.partition("-")[0]
    if prefix not in things.KINDS:
        raise AwsError("InvalidID", f"The ID '{identifier}' is not valid")
    return prefix


def _tagging(call: Call) -> list[Need]:
    values = {tag["Key"]: tag.get("Value", "") for tag in call.get("Tags", [])}
    keys = things.request_tag_keys(values)
    return [things.need(call, _prefix(i), i, **keys) for i in call.get("Resources", [])]


@operation("ec2:CreateTags", needs=_tagging)
def create_tags(call: Call) -> dict[str, Any]:
    """Sets tags as the caller's account and region see them: all or none."""
    values = {tag["Key"]: tag.get("Value", "") for tag in call.get("Tags", [])}
    for identifier in call.get("Resources", []):
        things.find(call, _prefix(identifier), identifier)
        things.check_tags(values, things.tags(call.account, call.region, identifier))
    for identifier in call.get("Resources", []):
        things.backend(call).tags[identifier].update(values)
    return {}


@operation("ec2:DeleteTags", needs=_tagging)
def delete_tags(call: Call) -> dict[str, Any]:
    """Removes tags: those with a value only where it is this one, all of them where none is named."""
    for identifier in call.get("Resources", []):
        things.find(call, _prefix(identifier), identifier)
    for identifier in call.get("Resources", []):
        present = things.backend(call).tags[identifier]
        if not call.get("Tags"):
            present.clear()
        for tag in call.get("Tags", []):
            if tag.get("Value") in (None, present.get(tag["Key"])):
                present.pop(tag["Key"], None)
    return {}


@operation("ec2:DescribeTags")
def describe_tags(call: Call) -> dict[str, Any]:
    """Tags as the caller's account and region see them."""
    found = [
        {"ResourceId": identifier, "ResourceType": things.KINDS[prefix].resource, "Key": key, "Value": value}
        for identifier, values in things.backend(call).tags.items()
        if (prefix := identifier.partition("-")[0]) in things.KINDS
        for key, value in values.items()
    ]
    filters = {
        "key": lambda tag: tag["Key"],
        "value": lambda tag: tag["Value"],
        "resource-id": lambda tag: tag["ResourceId"],
        "resource-type": lambda tag: tag["ResourceType"],
    }
    return page(call, "Tags", filtered(call, found, filters, tag_key=False), "Resources")


# What surrounds a link, and is made and changed by the people of the accounts.
forwarded(
    "ec2:CreateVpc",
    "ec2:DeleteVpc",
    "ec2:DisassociateVpcCidrBlock",
    "ec2:CreateSubnet",
    "ec2:DeleteSubnet",
    "ec2:CreateRouteTable",
    "ec2:DeleteRouteTable",
    "ec2:AssociateRouteTable",
    "ec2:DisassociateRouteTable",
    "ec2:ReplaceRouteTableAssociation",
    "ec2:CreateSecurityGroup",
    "ec2:CreateInternetGateway",
    "ec2:AttachInternetGateway",
    "ec2:AllocateAddress",
    "ec2:CreateNatGateway",
    "ec2:CreateTransitGateway",
)
