"""The words in which tests speak of statements: run as a role of the standard world's producer, and waited for."""

import time

from .client import PRODUCER, REGION, allow

ACTIONS = ["redshift-data:*", "redshift:GetClusterCredentials", "redshift:GetClusterCredentialsWithIAM"]
ENDED = ("FINISHED", "FAILED", "ABORTED")


class Sql:
    """The Data API as one session sees it."""

    def __init__(self, bench, credentials, **target):
        self.bench = bench
        self.client = bench.client(credentials, "redshift-data", timeout=40)
        self.target = {"ClusterIdentifier": "warehouse", "Database": "analytics", **target}

    def start(self, sql, **options):
        """The id of a statement that runs."""
        return self.client.execute_statement(Sql=sql, **{**self.target, **options})["Id"]

    def batch(self, *sqls, **options):
        """What a batch has become."""
        identifier = self.client.batch_execute_statement(Sqls=list(sqls), **{**self.target, **options})["Id"]
        return self.ended(identifier)

    def ended(self, identifier, seconds=20):
        """The description of a statement that has ended."""
        described = self.client.describe_statement(Id=identifier, WaitTimeSeconds=seconds)
        assert described["Status"] in ENDED, described
        return described

    def run(self, sql, **options):
        """The description of a statement, whatever has become of it."""
        return self.ended(self.start(sql, **options))

    def ok(self, sql, **options):
        """The description of a statement that has finished."""
        described = self.run(sql, **options)
        assert described["Status"] == "FINISHED", described.get("Error")
        return described

    def error(self, sql, **options):
        """The words in which a statement fails."""
        described = self.run(sql, **options)
        assert described["Status"] == "FAILED", described
        return described["Error"]

    def rows(self, sql, **options):
        """The rows of a statement as plain values."""
        answer = self.client.get_statement_result(Id=self.ok(sql, **options)["Id"])
        return [tuple(None if "isNull" in field else next(iter(field.values())) for field in row) for row in answer["Records"]]

    def until(self, identifier, status, seconds=10):
        """Waits until a statement is in a state."""
        end = time.monotonic() + seconds
        while (found := self.client.describe_statement(Id=identifier)["Status"]) != status:
            assert time.monotonic() < end and found not in ENDED, f"{found} instead of {status}"
            time.sleep(0.01)


def as_role(bench, name="runner", *statements, **target):
    """The Data API as a new role of the producer sees it, which may run everything unless told otherwise."""
    return Sql(bench, bench.role(PRODUCER, name, *(statements or [allow(ACTIONS)])), **target)


def as_admin(bench, **target):
    """The Data API as the cluster's master user sees it."""
    credentials = bench.post("credentials", account=PRODUCER, admin=True)
    return Sql(bench, credentials, **{"DbUser": "admin", **target})


def cluster(**changes):
    """The body of a change of the standard cluster by the bench's own API."""
    return {"account": PRODUCER, "region": REGION, "clusterIdentifier": "warehouse", **changes}
