"""The roles of a cluster (docs/aws-behaviour.md#roles-of-a-cluster)."""

import json
import time

import pytest

from .client import CONSUMER, PRODUCER, REGION, allow, by
from .testing import refused

CLUSTER = f"arn:aws:redshift:{REGION}:{PRODUCER}:cluster:warehouse"
AT = {"account": PRODUCER, "region": REGION, "clusterIdentifier": "warehouse"}


def role(name, account=PRODUCER):
    return f"arn:aws:iam::{account}:role/{name}"


@pytest.fixture
def redshift(bench, world):
    return bench.client(world.made["producer"]["admin"], "redshift")


def modify(redshift, add=(), remove=(), **options):
    options = {"ClusterIdentifier": "warehouse", **options}
    if add:
        options["AddIamRoles"] = list(add)
    if remove:
        options["RemoveIamRoles"] = list(remove)
    return shown(redshift.modify_cluster_iam_roles(**options)["Cluster"])


def shown(cluster):
    return {r["IamRoleArn"]: r["ApplyStatus"] for r in cluster["IamRoles"]}


def described(redshift):
    return shown(redshift.describe_clusters(ClusterIdentifier="warehouse")["Clusters"][0])


def settle(bench, seconds=0):
    bench.post("settings", cluster_role_adding_seconds=seconds, cluster_role_removing_seconds=seconds)


def test_roles_come_and_go_by_and_by(bench, redshift):
    settle(bench, 60)
    assert described(redshift) == {}
    assert modify(redshift, [role("a"), role("b")]) == {role("a"): "adding", role("b"): "adding"}
    assert set(described(redshift).values()) == {"adding"}
    settle(bench)
    assert described(redshift) == {role("a"): "in-sync", role("b"): "in-sync"}
    settle(bench, 60)
    assert modify(redshift, remove=[role("a")]) == {role("a"): "removing", role("b"): "in-sync"}
    settle(bench)
    assert described(redshift) == {role("b"): "in-sync"}


def test_unless_told_otherwise_it_takes_a_moment(bench, redshift):
    modify(redshift, [role("a")])
    time.sleep(0.3)
    assert described(redshift) == {role("a"): "in-sync"}
    modify(redshift, remove=[role("a")])
    time.sleep(0.3)
    assert described(redshift) == {}


def test_others_roles_stay(bench, redshift):
    settle(bench)
    modify(redshift, [role("theirs")])
    modify(redshift, [role("ours")])
    assert modify(redshift, [role("ours")]) == {role("theirs"): "in-sync", role("ours"): "in-sync"}
    modify(redshift, remove=[role("ours"), role("never-there")])
    assert described(redshift) == {role("theirs"): "in-sync"}
    assert modify(redshift) == {role("theirs"): "in-sync"}


def test_one_change_at_a_time(bench, redshift):
    settle(bench, 60)
    modify(redshift, [role("a")])
    for change in ({"add": [role("b")]}, {"remove": [role("a")]}, {"add": [role("a")]}):
        with refused("InvalidClusterState", "under way"):
            modify(redshift, **change)
    bench.post("settings", cluster_role_changes_may_overlap=True)
    assert modify(redshift, [role("b")], [role("a")]) == {role("a"): "removing", role("b"): "adding"}
    assert modify(redshift, [role("a")])[role("a")] == "adding"


@pytest.mark.parametrize("status", ["paused", "creating", "deleting", "modifying"])
def test_only_an_available_cluster_takes_roles(bench, redshift, status):
    bench.post("cluster", **AT, status=status)
    with refused("InvalidClusterState", status=400):
        modify(redshift, [role("a")])


def test_what_makes_no_sense_is_refused(bench, redshift):
    with refused("ClusterNotFound", status=404):
        modify(redshift, [role("a")], ClusterIdentifier="none")
    with refused("InvalidParameterValue"):
        modify(redshift, ["role/a"])
    with refused("InvalidParameterCombination"):
        modify(redshift, [role("a")], [role("a")])
    with refused("NotImplemented", status=501):
        modify(redshift, DefaultIamRoleArn=role("a"))
    with refused("AccessDenied", "cross-account", 403):
        modify(redshift, [role("a", CONSUMER)])
    assert described(redshift) == {}


def test_a_cluster_has_fifty_roles_at_most(bench, redshift):
    settle(bench)
    bench.post("settings", roles_per_cluster=2)
    modify(redshift, [role("a"), role("b")])
    with refused("InvalidParameterValue", "cannot exceed 2"):
        modify(redshift, [role("c")])
    assert modify(redshift, [role("a")])
    modify(redshift, remove=[role("b")])
    assert modify(redshift, [role("c")])


def test_a_role_is_not_looked_at_unless_told_so(bench, redshift):
    settle(bench)
    modify(redshift, [role("none")])
    bench.post("settings", attached_roles_must_trust_redshift=True)
    bench.role(PRODUCER, "closed")
    bench.role(PRODUCER, "open", trust=by("Service", "redshift.amazonaws.com"))
    bench.role(PRODUCER, "here", trust=by("Service", f"redshift.{REGION}.amazonaws.com"))
    for wrong in ("none", "closed"):
        with refused("InvalidParameterValue", "does not trust"):
            modify(redshift, [role(wrong)])
    assert set(modify(redshift, [role("open"), role("here")])) == {role("none"), role("open"), role("here")}


def test_a_role_must_be_passed_to_redshift(bench, world):
    act = allow("redshift:ModifyClusterIamRoles", CLUSTER)
    to_redshift = {"StringEquals": {"iam:PassedToService": "redshift.amazonaws.com"}}
    client = lambda name, *statements: bench.client(bench.role(PRODUCER, name, *statements), "redshift")
    with refused("AccessDenied", f"iam:PassRole on resource: {role('a')}", 403):
        modify(client("r1", act), [role("a")])
    for number, wrong in enumerate(
        (
            allow("iam:PassRole", role("b"), **to_redshift),
            allow("iam:PassRole", role("a"), StringEquals={"iam:PassedToService": "ec2.amazonaws.com"}),
        )
    ):
        with refused("AccessDenied", "iam:PassRole"):
            modify(client(f"w{number}", act, wrong), [role("a")])
    passing = client("r2", act, allow("iam:PassRole", role("a"), **to_redshift))
    with refused("AccessDenied", role("b")):
        modify(passing, [role("a"), role("b")])
    settle(bench)
    assert modify(passing, [role("a")])
    # Taking one off passes nothing.
    assert modify(client("r3", act), remove=[role("a")]) == {}
    with refused("AccessDenied", "redshift:ModifyClusterIamRoles"):
        modify(client("r4", allow("iam:PassRole")), [role("a")])


def test_the_inventory_shows_roles_that_are_left(bench, redshift):
    settle(bench)
    left = lambda: json.dumps(bench.get("inventory", account=PRODUCER))
    before = left()
    modify(redshift, [role("a")])
    assert role("a") in left()
    modify(redshift, remove=[role("a")])
    assert left() == before


def test_others_change_roles_too(bench, redshift):
    bench.post("cluster-role", **AT, roleArn=role("theirs"), status="in-sync")
    assert described(redshift) == {role("theirs"): "in-sync"}
    bench.post("cluster-role", **AT, roleArn=role("theirs"), status=None)
    assert described(redshift) == {}


def test_a_new_cluster_of_an_old_name_has_no_roles(bench, world, redshift):
    settle(bench)
    modify(redshift, [role("a")])
    cluster = redshift.describe_clusters(ClusterIdentifier="warehouse")["Clusters"][0]
    assert cluster["ClusterNamespaceArn"].startswith(f"arn:aws:redshift:{REGION}:{PRODUCER}:namespace:")
    redshift.delete_cluster(ClusterIdentifier="warehouse", SkipFinalClusterSnapshot=True)
    redshift.create_cluster(
        ClusterIdentifier="warehouse", NodeType="ra3.xlplus", MasterUsername="admin", MasterUserPassword="Bench-password-1"
    )
    assert described(redshift) == {}
