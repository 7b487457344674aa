"""VPC endpoints, as they are listed (docs/aws-behaviour.md#vpc-endpoints); moto makes and deletes them."""

from typing import Any

from moto.ec2.models.vpcs import VPCEndPoint

from ..call import Call
from ..errors import AwsError
from ..operations import forwarded, operation
from . import things
from .listing import filtered, page, selected


def is_gateway(endpoint: VPCEndPoint) -> bool:
    """Routes lead to it; it has no addresses of its own."""
    return (endpoint.vpc_endpoint_type or "Gateway").lower() == "gateway"


def _view(call: Call, endpoint: VPCEndPoint) -> dict[str, Any]:
    gateway = is_gateway(endpoint)
    return {
        "VpcEndpointId": endpoint.id,
        "VpcEndpointType": "Gateway" if gateway else endpoint.vpc_endpoint_type,
        "VpcId": endpoint.vpc_id,
        "ServiceName": endpoint.service_name,
        "State": endpoint.state,
        "PolicyDocument": endpoint.policy_document,
        "RouteTableIds": endpoint.route_table_ids,
        "SubnetIds": endpoint.subnet_ids or [],
        "PrivateDnsEnabled": bool(endpoint.private_dns_enabled) and not gateway,
        "NetworkInterfaceIds": endpoint.network_interface_ids,
        "OwnerId": call.account,
        "Tags": things.tag_list(things.tags(call.account, call.region, endpoint.id)),
    }


_FILTERS = {
    "service-name": lambda view: view["ServiceName"],
    "vpc-endpoint-id": lambda view: view["VpcEndpointId"],
    "vpc-endpoint-state": lambda view: view["State"],
    "vpc-endpoint-type": lambda view: view["VpcEndpointType"],
    "vpc-id": lambda view: view["VpcId"],
}


def _unknown(identifier: str) -> AwsError:
    return AwsError("InvalidVpcEndpointId.NotFound", f"The Vpc Endpoint Id '{identifier}' does not exist")


@operation("ec2:DescribeVpcEndpoints")
def describe_vpc_endpoints(call: Call) -> dict[str, Any]:
    """Endpoints of all kinds."""
    found = selected(call, "VpcEndpointIds", things.backend(call).vpc_end_points, _unknown)
    views = filtered(call, [_view(call, endpoint) for endpoint in found], _FILTERS)
    return page(call, "VpcEndpoints", views, "VpcEndpointIds", least=1)


# By the people of the accounts.
forwarded("ec2:CreateVpcEndpoint", "ec2:ModifyVpcEndpoint", "ec2:DeleteVpcEndpoints")
