"""Clusters and database credentials (docs/aws-behaviour.md#redshift); permissions are in test_permissions.py."""

import datetime

import pytest

from .client import CONSUMER, PRODUCER
from .testing import refused


@pytest.fixture
def redshift(bench, world):
    return bench.client(world.made["producer"]["admin"], "redshift")


def test_a_cluster_tells_where_it_is(world, redshift):
    cluster = redshift.describe_clusters(ClusterIdentifier="warehouse")["Clusters"][0]
    assert cluster["VpcId"] == world.p.vpcId
    assert cluster["VpcSecurityGroups"] == [{"VpcSecurityGroupId": world.p.securityGroupId, "Status": "active"}]
    assert cluster["Endpoint"]["Port"] == 5439 and cluster["Endpoint"]["Address"].startswith("warehouse.")
    assert (cluster["DBName"], cluster["MasterUsername"], cluster["ClusterStatus"]) == ("analytics", "admin", "available")
    assert cluster["PubliclyAccessible"] is False
    group = redshift.describe_cluster_subnet_groups(ClusterSubnetGroupName=cluster["ClusterSubnetGroupName"])[
        "ClusterSubnetGroups"
    ][0]
    assert group["VpcId"] == world.p.vpcId and group["SubnetGroupStatus"] == "Complete"
    assert {s["SubnetIdentifier"] for s in group["Subnets"]} == {world.p.subnets["own"], world.p.subnets["main"]}


def test_a_cluster_is_found_by_its_exact_name(bench, redshift):
    for name in ("Warehouse", "ware", "none"):
        with refused("ClusterNotFound", status=404):
            redshift.describe_clusters(ClusterIdentifier=name)
    with refused("ClusterSubnetGroupNotFoundFault"):
        redshift.describe_cluster_subnet_groups(ClusterSubnetGroupName="none")
    with refused("ClusterNotFound"):
        bench.admin(CONSUMER, "redshift").describe_clusters(ClusterIdentifier="warehouse")
    with refused("ClusterNotFound"):
        bench.admin(PRODUCER, "redshift", "eu-west-2").describe_clusters(ClusterIdentifier="warehouse")


def test_clusters_come_in_pages(bench, redshift):
    bench.post("world", pairs=24, firstPair=1)
    pages = list(redshift.get_paginator("describe_clusters").paginate(PaginationConfig={"PageSize": 20}))
    assert [len(page["Clusters"]) for page in pages] == [20, 5]
    with refused("InvalidParameterValue"):
        redshift.describe_clusters(MaxRecords=19)


def test_a_cluster_changes(bench, world, redshift):
    at = {"account": PRODUCER, "region": "eu-west-1", "clusterIdentifier": "warehouse"}
    bench.post("cluster", **at, status="creating")
    assert "Endpoint" not in redshift.describe_clusters(ClusterIdentifier="warehouse")["Clusters"][0]
    bench.post("cluster", **at, status="paused", publiclyAccessible=True)
    cluster = redshift.describe_clusters(ClusterIdentifier="warehouse")["Clusters"][0]
    assert (cluster["ClusterStatus"], cluster["ClusterAvailabilityStatus"], cluster["PubliclyAccessible"]) == (
        "paused",
        "Unavailable",
        True,
    )


@pytest.mark.parametrize("user", ["1abc", "PUBLIC", "public", "a b", "a:b", "", "x" * 65])
def test_database_users_are_checked(redshift, user):
    with refused("InvalidParameterValue"):
        redshift.get_cluster_credentials(ClusterIdentifier="warehouse", DbUser=user)


def test_credentials_last_as_asked(redshift):
    request = {"ClusterIdentifier": "warehouse", "DbUser": "alice"}
    for seconds in (899, 3601):
        with refused("InvalidParameterValue"):
            redshift.get_cluster_credentials(**request, DurationSeconds=seconds)
    answer = redshift.get_cluster_credentials(**request, DurationSeconds=3600)
    left = answer["Expiration"] - datetime.datetime.now(datetime.UTC)
    assert datetime.timedelta(seconds=3590) < left <= datetime.timedelta(seconds=3600)
    assert answer["DbPassword"]
    with refused("ClusterNotFound"):
        redshift.get_cluster_credentials(**{**request, "ClusterIdentifier": "none"})
