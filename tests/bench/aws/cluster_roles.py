"""The IAM roles that a Redshift cluster may take on (docs/aws-behaviour.md#roles-of-a-cluster).

They are kept on moto's cluster, so that they go with it.
"""

from dataclasses import dataclass

from moto.redshift.models import Cluster, redshift_backends

from .state import now, state

ADDING, IN_SYNC, REMOVING = "adding", "in-sync", "removing"


@dataclass
class Association:
    """A role of a cluster, on its way in or out or settled."""

    status: str
    since: float


def associations(cluster: Cluster) -> dict[str, Association]:
    """The roles of a cluster by ARN, in the states that they have now."""
    if not hasattr(cluster, "associations"):
        cluster.associations = {arn: Association(IN_SYNC, 0) for arn in cluster.iam_roles_arn}
    kept: dict[str, Association] = {}
    for arn, role in cluster.associations.items():
        age = now() - role.since
        if role.status == REMOVING and age >= state.settings.cluster_role_removing_seconds:
            continue
        if role.status == ADDING and age >= state.settings.cluster_role_adding_seconds:
            role = Association(IN_SYNC, now())
        kept[arn] = role
    cluster.associations = kept
    return kept


def usable(account: str, region: str, cluster_identifier: str, role_arn: str) -> bool:
    """Whether a cluster may take on a role now: only one that is in sync."""
    cluster = redshift_backends[account][region].clusters[cluster_identifier]
    role = associations(cluster).get(role_arn)
    return role is not None and role.status == IN_SYNC


def set_role(account: str, region: str, cluster_identifier: str, role_arn: str, status: str | None) -> None:
    """Puts a role of a cluster into a state, or takes it off, as others in the account might."""
    if status not in (ADDING, IN_SYNC, REMOVING, None):
        raise ValueError(f"unknown status; known: {ADDING}, {IN_SYNC}, {REMOVING}, null")
    roles = associations(redshift_backends[account][region].clusters[cluster_identifier])
    if status is None:
        roles.pop(role_arn, None)
    else:
        roles[role_arn] = Association(status, now())
