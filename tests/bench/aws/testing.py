"""The words in which the tests of the bench speak of refusals, tags and the standard world."""

from contextlib import contextmanager
from functools import cached_property
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from .client import CONSUMER

BUCKET = "bench-bucket"


@contextmanager
def refused(code, text="", status=None):
    """The call within is refused with this code."""
    with pytest.raises(ClientError) as caught:
        yield caught
    response = caught.value.response
    assert response["Error"]["Code"] == code, response["Error"]
    assert text in response["Error"]["Message"], response["Error"]["Message"]
    assert response["ResponseMetadata"]["RequestId"]
    if status:
        assert response["ResponseMetadata"]["HTTPStatusCode"] == status


def tags(kind, **values):
    return [{"ResourceType": kind, "Tags": [{"Key": k, "Value": v} for k, v in values.items()]}]


def where(**filters):
    return [{"Name": name.replace("_", "-"), "Values": [value]} for name, value in filters.items()]


def s3_of(bench, role, *statements, account=CONSUMER):
    """S3 as a new role with these statements."""
    return bench.client(bench.role(account, role, *statements), "s3")


class World(SimpleNamespace):
    """The standard world, with an administrator's clients on both sides."""

    def __init__(self, bench, made, number=0):
        pair = made["pairs"][number]
        super().__init__(
            bench=bench,
            made=made,
            p=SimpleNamespace(**pair["producer"]),
            c=SimpleNamespace(**pair["consumer"]),
        )

    # Making a client costs more than a test, and many need none of these.
    @cached_property
    def p_ec2(self):
        return self.bench.client(self.made["producer"]["admin"], "ec2", self.made["producer"]["region"])

    @cached_property
    def c_ec2(self):
        return self.bench.client(self.made["consumer"]["admin"], "ec2", self.made["consumer"]["region"])

    def request(self, ec2=None, **options):
        """Asks for a connection, from the consumer's side unless told otherwise."""
        theirs = {"VpcId": self.c.vpcId, "PeerVpcId": self.p.vpcId, "PeerOwnerId": self.made["producer"]["account"]}
        if self.made["producer"]["region"] != self.made["consumer"]["region"]:
            theirs["PeerRegion"] = self.made["producer"]["region"]
        return (ec2 or self.c_ec2).create_vpc_peering_connection(**{**theirs, **options})["VpcPeeringConnection"][
            "VpcPeeringConnectionId"
        ]

    def join(self):
        """An active connection."""
        self.bench.post("settings", peering_provisioning_seconds=0)
        identifier = self.request()
        self.p_ec2.accept_vpc_peering_connection(VpcPeeringConnectionId=identifier)
        return identifier

    def peering(self, identifier, ec2=None):
        found = (ec2 or self.c_ec2).describe_vpc_peering_connections(VpcPeeringConnectionIds=[identifier])
        return found["VpcPeeringConnections"][0]

    def status(self, identifier, ec2=None):
        return self.peering(identifier, ec2)["Status"]["Code"]
