"""Which cluster a statement is for, as which database user, and the permissions that this takes
(docs/aws-behaviour.md#statements).
"""

from dataclasses import dataclass

from moto.redshift.models import Cluster, redshift_backends

from .. import errors
from ..access.decision import Need
from ..call import Call
from ..errors import AwsError

# Statuses of a cluster that runs SQL although it is busy otherwise.
_RUNS = ("available", "modifying", "renaming", "rotating-keys", "updating-hsm", "cancelling-resize", "final-snapshot")


@dataclass
class Login:
    """A cluster, a database in it, and a user of that."""

    cluster: str
    database: str
    user: str
    make_user: bool


def needs(call: Call) -> list[Need]:
    """The action on the cluster, and credentials for the database user."""
    cluster = call.get("ClusterIdentifier")
    found = [Need(call.action, call.arn(f"cluster:{cluster or '*'}", "redshift"))]
    if not cluster or call.get("SecretArn"):
        return found
    user, database = call.get("DbUser"), call.get("Database")
    keys = {"redshift:dbname": database, "redshift:durationseconds": "900"}
    on_database = call.arn(f"dbname:{cluster}/{database}", "redshift")
    if user:
        keys["redshift:dbuser"] = user
        action = "redshift:GetClusterCredentials"
        found.append(Need(action, call.arn(f"dbuser:{cluster}/{user}", "redshift"), keys))
        return [*found, Need(action, on_database, keys)] if database else found
    return [*found, Need("redshift:GetClusterCredentialsWithIAM", on_database, keys)]


def cluster_of(account: str, region: str, identifier: str) -> Cluster | None:
    """A cluster, if it is there."""
    return redshift_backends[account][region].clusters.get(identifier)


def runs(cluster: Cluster) -> bool:
    """Whether a cluster takes statements now."""
    return cluster.status.startswith("available") or cluster.status in _RUNS


def login(call: Call) -> Login:
    """What a request says of where and as whom to run; raises where that is refused."""
    for parameter in ("WorkgroupName", "SecretArn", "SessionId", "SessionKeepAliveSeconds"):
        if call.get(parameter):
            raise errors.not_implemented(f"{call.action} with {parameter}")
    identifier, database, user = call.get("ClusterIdentifier"), call.get("Database"), call.get("DbUser")
    if not identifier:
        raise AwsError("ValidationException", "Either ClusterIdentifier, WorkgroupName or SessionId must be provided.")
    cluster = cluster_of(call.account, call.region, identifier)
    if cluster is None:
        raise AwsError("ValidationException", "Redshift endpoint doesn't exist in this region.")
    if not database:
        raise AwsError("ValidationException", "Database must be provided when connecting with temporary credentials.")
    if not runs(cluster):
        text = f"Cluster {identifier} is in status {cluster.status}. A statement can only be run on an available cluster."
        raise AwsError("ValidationException", text)
    if user:
        return Login(identifier, database, user, False)
    role = call.principal.role
    return Login(identifier, database, f"IAMR:{role.name}" if role else "IAM:administrator", True)
