"""Clients of the bench, and the words in which its tests speak of policies, tags and refusals."""

import json
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace

import boto3
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import ClientError

REGION = "eu-west-1"
PRODUCER, CONSUMER, PLATFORM = "111122223333", "444455556666", "999988887777"


class Bench:
    """The bench's own API, and boto3 clients."""

    def __init__(self, url):
        self.url = url
        self._http = requests.Session()
        self._boto = boto3.Session()
        # Making a client costs more than a test.
        self._client = cache(self._new_client)

    def post(self, path, **body):
        return self._json(self._http.post(f"{self.url}/_bench/{path}", json=body))

    def get(self, path, **query):
        return self._json(self._http.get(f"{self.url}/_bench/{path}", params=query))

    def delete(self, path):
        return self._json(self._http.delete(f"{self.url}/_bench/{path}"))

    @staticmethod
    def _json(response):
        assert response.status_code == 200, response.text
        return response.json()

    def _new_client(self, service, region, key, secret, token, timeout):
        return self._boto.client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            # Checking parameters is the server's part here.
            config=Config(retries={"total_max_attempts": 1}, read_timeout=timeout, parameter_validation=False),
        )

    def client(self, credentials, service, region=REGION, timeout=20):
        """A client that never tries again."""
        return self._client(
            service, region, credentials["accessKeyId"], credentials["secretAccessKey"], credentials["sessionToken"], timeout
        )

    def admin(self, account, service, region=REGION):
        return self.client(self.post("credentials", account=account, admin=True), service, region)

    def session(self, account, role, **options):
        return self.post("credentials", account=account, role=role, **options)

    def assumed(self, response):
        """Credentials out of AssumeRole's answer."""
        c = response["Credentials"]
        return {"accessKeyId": c["AccessKeyId"], "secretAccessKey": c["SecretAccessKey"], "sessionToken": c["SessionToken"]}

    def role(self, account, name, *statements, trust=None, **options):
        """Makes a role with these statements as its policy; gives credentials of a session of it."""
        iam = self.admin(account, "iam")
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust or by("AWS", account)), **options)
        if statements:
            iam.put_role_policy(RoleName=name, PolicyName="test", PolicyDocument=document(*statements))
        return self.session(account, name)


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(action, resource="*", **condition):
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    return {**statement, "Condition": condition} if condition else statement


def deny(action, resource="*", **condition):
    return {**allow(action, resource, **condition), "Effect": "Deny"}


def by(kind, principal, *actions, **condition):
    """A statement of a trust policy."""
    statement = {"Effect": "Allow", "Principal": {kind: principal}, "Action": list(actions) or "sts:AssumeRole"}
    return {**statement, "Condition": condition} if condition else statement


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


class World(SimpleNamespace):
    """The standard world, with an administrator's clients on both sides."""

    def __init__(self, bench, made, number=0):
        pair = made["pairs"][number]
        super().__init__(
            bench=bench,
            made=made,
            p=SimpleNamespace(**pair["producer"]),
            c=SimpleNamespace(**pair["consumer"]),
            p_ec2=bench.client(made["producer"]["admin"], "ec2", made["producer"]["region"]),
            c_ec2=bench.client(made["consumer"]["admin"], "ec2", made["consumer"]["region"]),
        )

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
