"""A client of the local AWS: its own API, boto3 clients, and the words in which policies are written."""

import json
from functools import cache

import boto3
import requests
from botocore.config import Config

from ..failure import Failure

REGION = "eu-west-1"
PRODUCER, CONSUMER, PLATFORM = "111122223333", "444455556666", "999988887777"


class Bench:
    """The bench's own API, and boto3 clients."""

    def __init__(self, url):
        self.url = url
        self._http = requests.Session()
        self._http.trust_env = False  # a proxy does not know this machine's ports
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
        if response.status_code != 200:
            raise Failure(f"{response.request.method} {response.url}: {response.text}")
        return response.json()

    def sql(self, cluster, text):
        """The administrator of a cluster of the world runs a statement."""
        data, where = self.admin(PRODUCER, "redshift-data"), {"ClusterIdentifier": cluster["clusterIdentifier"]}
        where |= {"Database": cluster["database"], "DbUser": cluster["masterUsername"]}
        statement = data.execute_statement(Sql=text, **where)["Id"]
        while (found := data.describe_statement(Id=statement, WaitTimeSeconds=5))["Status"] != "FINISHED":
            if found["Status"] in ("FAILED", "ABORTED"):
                raise Failure(f"{text}: {found.get('Error')}")

    def _new_client(self, service, region, key, secret, token, timeout):
        return self._boto.client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            # Checking parameters is the server's part here.
            config=Config(retries={"total_max_attempts": 1}, read_timeout=timeout, parameter_validation=False, proxies={}),
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
