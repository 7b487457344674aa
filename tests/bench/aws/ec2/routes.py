"""Routes: single entries of route tables, without id, tags or owner (docs/aws-behaviour.md#routes)."""

import ipaddress
from collections.abc import Iterator
from typing import Any

from moto.ec2.models.route_tables import Route, RouteTable
from moto.ec2.utils import generate_route_id

from ..call import Call
from ..errors import AwsError
from ..operations import forward, operation
from ..state import state
from . import things
from .listing import filtered, page, selected
from .peering import ACTIVE, LIVE, Peering, cidrs

# The parameters of which a new route has exactly one.
_TARGETS = (
    "GatewayId",
    "NatGatewayId",
    "InstanceId",
    "NetworkInterfaceId",
    "TransitGatewayId",
    "VpcPeeringConnectionId",
    "EgressOnlyInternetGatewayId",
    "VpcEndpointId",
)
_DESTINATIONS = ("DestinationCidrBlock", "DestinationIpv6CidrBlock", "DestinationPrefixListId")
_TABLE = things.on("rtb", "RouteTableId")


def _one_of(call: Call, names: tuple[str, ...], what: str) -> str:
    given = [name for name in names if call.get(name)]
    if not given:
        raise AwsError("MissingParameter", f"The request must contain a {what}.")
    if len(given) > 1:
        raise AwsError("InvalidParameterCombination", f"The request must contain exactly one {what}, not {', '.join(given)}.")
    return given[0]


def _canonical(call: Call) -> str:
    """The destination with its host bits off, as EC2 keeps it."""
    name = _one_of(call, _DESTINATIONS, "destination")
    if name == "DestinationPrefixListId":
        return call.get(name)
    try:
        return str(ipaddress.ip_network(call.get(name), strict=False))
    except ValueError:
        parameter = name[0].lower() + name[1:]
        raise AwsError(
            "InvalidParameterValue",
            f"Value ({call.get(name)}) for parameter {parameter} is invalid. This is not a valid CIDR block.",
        ) from None


def _find(table: RouteTable, destination: str) -> Route | None:
    return table._routes.get(generate_route_id(table.id, destination))


def _target(route: Route) -> tuple[str, str]:
    """The parameter and id of where a route goes."""
    if route.local:
        return "GatewayId", "local"
    things_by_name = {
        "GatewayId": route.gateway,
        "NatGatewayId": route.nat_gateway,
        "InstanceId": route.instance,
        "NetworkInterfaceId": route.interface,
        "TransitGatewayId": route.transit_gateway,
        "EgressOnlyInternetGatewayId": route.egress_only_igw,
        "VpcPeeringConnectionId": route.vpc_pcx,
    }
    return next((name, thing.id) for name, thing in things_by_name.items() if thing is not None)


def _peering(call: Call, table: RouteTable) -> Peering:
    """The connection that a route is to go over: one that ends in the table's VPC."""
    peering = things.find(call, "pcx", call.get("VpcPeeringConnectionId"))
    if peering.status not in LIVE:
        raise AwsError("InvalidVpcPeeringConnectionID.NotFound", f"The vpcPeeringConnection ID '{peering.id}' does not exist")
    if table.vpc_id not in (peering.requester.vpc_id, peering.accepter.vpc_id):
        raise AwsError("InvalidParameterValue", f"route table {table.id} and peering {peering.id} belong to different networks")
    return peering


def _refuse_inside_vpc(call: Call, table: RouteTable, destination: str) -> None:
    blocks = [ipaddress.ip_network(block) for block in cidrs(things.backend(call).vpcs[table.vpc_id])]
    wanted = ipaddress.ip_network(destination)
    if wanted.version == 4 and any(wanted.subnet_of(block) for block in blocks):
        raise AwsError(
            "InvalidParameterValue",
            f"The destination CIDR block {destination} is equal to or more specific than one of this VPC's CIDR blocks. "
            "This route can target only an interface or an instance.",
        )


@operation("ec2:CreateRoute", needs=_TABLE)
def create_route(call: Call) -> dict[str, Any]:
    """A route to a destination that the table has no route to yet."""
    table = things.own(call, "rtb", call.get("RouteTableId"))
    destination, target = _canonical(call), _one_of(call, _TARGETS, "target")
    if target not in ("InstanceId", "NetworkInterfaceId") and "/" in destination:
        _refuse_inside_vpc(call, table, destination)
    if present := _find(table, destination):
        if state.settings.identical_route_succeeds and _target(present) == (target, call.get(target)):
            return {"Return": True}
        raise AwsError("RouteAlreadyExists", f"The route identified by {destination} already exists.")
    # Whether the local route counts is not known; that it does is what a client finds harder.
    if len(table.routes) >= state.settings.routes_per_table:
        raise AwsError("RouteLimitExceeded", f"The maximum number of routes has been reached for {table.id}.")
    if target == "VpcPeeringConnectionId":
        peering = _peering(call, table)
        version6 = ":" in destination
        route = Route(table, None if version6 else destination, destination if version6 else None, None, vpc_pcx=peering)
        table._routes[route.id] = route
        return {"Return": True}
    _require_gateway(call)
    call.params[_one_of(call, _DESTINATIONS, "destination")] = destination
    return forward(call)


def _require_gateway(call: Call) -> None:
    """moto would make a route to nowhere."""
    store = things.backend(call)
    for parameter, known, code in (
        ("NatGatewayId", store.nat_gateways, "InvalidNatGatewayID.NotFound"),
        ("TransitGatewayId", store.transit_gateways, "InvalidTransitGatewayID.NotFound"),
    ):
        if call.get(parameter) and call.get(parameter) not in known:
            raise AwsError(code, f"The gateway ID '{call.get(parameter)}' does not exist")


@operation("ec2:ReplaceRoute", needs=_TABLE)
def replace_route(call: Call) -> Any:
    """Another target for a destination that the table has a route to."""
    table = things.own(call, "rtb", call.get("RouteTableId"))
    destination = _canonical(call)
    present = _find(table, destination)
    if present is None or present.local:
        raise AwsError(
            "InvalidParameterValue", f"There is no route defined for '{destination}' in the route table. Use CreateRoute instead."
        )
    if _one_of(call, _TARGETS, "target") != "VpcPeeringConnectionId":
        _require_gateway(call)
        return forward(call)
    peering = _peering(call, table)
    table._routes[present.id] = Route(
        table,
        present.destination_cidr_block,
        present.destination_ipv6_cidr_block,
        present.destination_prefix_list,
        vpc_pcx=peering,
    )
    return {}


@operation("ec2:DeleteRoute", needs=_TABLE)
def delete_route(call: Call) -> dict[str, Any]:
    """Removes a route. Destinations are compared as they are written, and a table that is gone has no routes."""
    tables = things.visible("rtb", call.account, call.region)
    table_id = call.get("RouteTableId")
    destination = call.get(_one_of(call, _DESTINATIONS, "destination"))
    present = _find(tables[table_id], destination) if table_id in tables else None
    if present is None:
        raise AwsError("InvalidRoute.NotFound", f"no route with destination-cidr-block {destination} in route table {table_id}")
    table = things.own(call, "rtb", table_id)
    if present.local:
        raise AwsError("InvalidParameterValue", f"cannot remove local route {destination} in route table {table_id}")
    del table._routes[present.id]
    return {}


# Listing


def _route_view(route: Route) -> dict[str, Any]:
    target, identifier = _target(route)
    view = {
        "DestinationCidrBlock": route.destination_cidr_block,
        "DestinationIpv6CidrBlock": route.destination_ipv6_cidr_block,
        "DestinationPrefixListId": route.destination_prefix_list.id if route.destination_prefix_list else None,
        target: identifier,
        "Origin": "CreateRouteTable" if route.local else "CreateRoute",
        "State": "active",
    }
    if isinstance(route.vpc_pcx, Peering) and route.vpc_pcx.status != ACTIVE:
        view["State"] = "blackhole"
    return {key: value for key, value in view.items() if value is not None}


def table_view(call: Call, table: RouteTable) -> dict[str, Any]:
    """A route table as the API gives it."""
    return {
        "RouteTableId": table.id,
        "VpcId": table.vpc_id,
        "OwnerId": table.owner_id,
        "Associations": table.associations,
        "Routes": [_route_view(route) for route in table.routes],
        "PropagatingVgws": [],
        "Tags": things.tag_list(things.tags(call.account, call.region, table.id)),
    }


def _each(view: dict[str, Any], part: str, key: str) -> Iterator[Any]:
    return (item.get(key) for item in view[part])


def _of_routes(key: str) -> Any:
    return lambda view: list(_each(view, "Routes", key))


def _of_associations(key: str) -> Any:
    return lambda view: list(_each(view, "Associations", key))


_FILTERS = {
    "association.gateway-id": _of_associations("GatewayId"),
    "association.main": _of_associations("Main"),
    "association.route-table-association-id": _of_associations("RouteTableAssociationId"),
    "association.route-table-id": _of_associations("RouteTableId"),
    "association.subnet-id": _of_associations("SubnetId"),
    "owner-id": lambda view: view["OwnerId"],
    "route-table-id": lambda view: view["RouteTableId"],
    "route.destination-cidr-block": _of_routes("DestinationCidrBlock"),
    "route.destination-ipv6-cidr-block": _of_routes("DestinationIpv6CidrBlock"),
    "route.destination-prefix-list-id": _of_routes("DestinationPrefixListId"),
    "route.egress-only-internet-gateway-id": _of_routes("EgressOnlyInternetGatewayId"),
    "route.gateway-id": _of_routes("GatewayId"),
    "route.instance-id": _of_routes("InstanceId"),
    "route.nat-gateway-id": _of_routes("NatGatewayId"),
    "route.transit-gateway-id": _of_routes("TransitGatewayId"),
    "route.origin": _of_routes("Origin"),
    "route.state": _of_routes("State"),
    "route.vpc-peering-connection-id": _of_routes("VpcPeeringConnectionId"),
    "vpc-id": lambda view: view["VpcId"],
}


@operation("ec2:DescribeRouteTables")
def describe_route_tables(call: Call) -> dict[str, Any]:
    """Route tables. A subnet that has no table of its own is in none of their associations."""
    seen = things.visible("rtb", call.account, call.region)
    found = selected(call, "RouteTableIds", seen, lambda i: things.not_found("rtb", i))
    found = filtered(call, [table_view(call, table) for table in found], _FILTERS)
    return page(call, "RouteTables", found, "RouteTableIds", most=100)
