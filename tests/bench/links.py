"""Manifests of links in the standard world of the local AWS."""

from .aws.client import CONSUMER, PRODUCER, REGION
from .cluster import GROUP


def link(name: str = "warehouse", cluster: str = "warehouse", domain: str = "d-abcdefghijkl") -> dict:
    """A link between a cluster and a domain."""
    warehouse = {"identifier": cluster, "database": "analytics"}
    return {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": "CrossAccountRedshiftLink",
        "metadata": {"name": name},
        "spec": {
            "producer": {"accountId": PRODUCER, "region": REGION, "cluster": warehouse},
            "consumer": {"accountId": CONSUMER, "studio": {"domainId": domain}},
        },
    }
