"""How the calls of a cluster get to S3: past its VPC, or with enhanced VPC routing through it
(docs/aws-behaviour.md#unload).
"""

from moto.ec2.models import ec2_backends
from moto.ec2.models.vpcs import VPCEndPoint
from moto.redshift.models import Cluster, SubnetGroup, redshift_backends

from ..access.policy import ALLOW, Context, decide
from ..call import Call
from ..ec2.endpoints import is_gateway
from ..engine import NOWHERE
from ..errors import AwsError
from ..origin import Origin

_UNREACHABLE = AwsError("RequestTimeout", "Connection timed out after 50001 milliseconds", 400)


class Way:
    """The way of one cluster. To be used with the lock held."""

    def __init__(self, account: str, region: str, cluster: Cluster | None) -> None:
        self._region = region
        self._group: SubnetGroup | None = None
        if cluster is not None and cluster.enhanced_vpc_routing:
            self._group = redshift_backends[account][region].subnet_groups[cluster.cluster_subnet_group_name]

    def origin(self, call: Call, bucket_arn: str) -> Origin:
        """Whence a call comes; raises what an endpoint or the want of one makes of it."""
        if self._group is None:
            return NOWHERE
        subnet = self._group.subnets[0]
        store = ec2_backends[subnet.owner_id][self._region]
        here = [table for table in store.route_tables.values() if table.vpc_id == subnet.vpc_id]
        own = [table for table in here if subnet.id in table._associations.values()]
        table = (own or [table for table in here if table.main_association_id])[0]
        endpoints = [e for e in store.vpc_end_points.values() if e.vpc_id == subnet.vpc_id and e.service_name.endswith(".s3")]
        usable = [e for e in endpoints if (table.id in e.route_table_ids if is_gateway(e) else e.private_dns_enabled)]
        if usable and call.region == self._region:
            return self._through(usable[0], call, bucket_arn)
        if any(route.destination_cidr_block == "0.0.0.0/0" for route in table.routes):
            return NOWHERE
        raise _UNREACHABLE

    def _through(self, endpoint: VPCEndPoint, call: Call, bucket_arn: str) -> Origin:
        origin = Origin(source_vpc=endpoint.vpc_id, source_vpce=endpoint.id)
        key = call.get("Key")
        context = Context(call.principal, call.region, call.action, f"{bucket_arn}/{key}" if key else bucket_arn, origin.keys())
        if decide([endpoint.policy_document], context) != ALLOW:
            raise AwsError("AccessDenied", "Access Denied", 403)
        return origin
