"""The bench's own API: the world and its variations, the record, the inventory, the settings."""

import ipaddress
import itertools
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from .client import CONSUMER, PLATFORM, PRODUCER, allow, by, document
from .testing import World, refused, tags, where


def test_it_ends_when_told(tmp_path):
    for how in ("eof", "term"):
        running = subprocess.Popen(
            [sys.executable, "-m", "bench.aws", *(["--stdin-eof"] if how == "eof" else [])],
            env={"PYTHONPATH": str(Path(__file__).parents[2])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        url = json.loads(running.stdout.readline())["url"]
        assert url.startswith("http://127.0.0.1:")
        assert requests.post(f"{url}/_bench/world", json={}).status_code == 200
        running.stdin.close() if how == "eof" else running.terminate()
        assert running.wait(60) == 0


def test_unknown_paths_and_options_are_refused(bench):
    post = lambda path, **body: requests.post(f"{bench.url}/_bench/{path}", json=body)
    assert post("nonsense").status_code == 404
    for path, body in (
        ("world", {"colour": "red"}),
        ("world", {"producer": {"colour": "red"}}),
        ("settings", {"colour": "red"}),
        ("credentials", {"account": PRODUCER}),
        ("credentials", {"account": PRODUCER, "role": "none"}),
        ("peering/pcx-0", {"status": "nonsense"}),
        ("studio-session", {"account": CONSUMER, "domainId": "d-0", "profile": "alice"}),
    ):
        answer = post(path, **body)
        assert answer.status_code == 400 and answer.json()["error"], path


# The world


def test_the_standard_world(bench, world):
    assert (
        bench.admin(PLATFORM, "iam").get_role(RoleName="redshift-link-controller")["Role"]["Arn"]
        == world.made["platform"]["roleArn"]
    )
    for network, ec2 in ((world.p, world.p_ec2), (world.c, world.c_ec2)):
        tables = ec2.describe_route_tables(Filters=where(vpc_id=network.vpcId))["RouteTables"]
        subnets = {t["RouteTableId"]: [a.get("SubnetId") for a in t["Associations"]] for t in tables}
        assert subnets[network.routeTables["own"]] == [network.subnets["own"]]
        assert subnets[network.routeTables["other"]] == [network.subnets["other"]]
        assert subnets[network.routeTables["main"]] == [None]
    trust = bench.admin(CONSUMER, "iam").get_role(RoleName=world.c.executionRoleName)["Role"]
    assert trust["Path"] == "/service-role/" and trust["RoleName"].startswith("AmazonSageMaker-ExecutionRole-")
    statement = trust["AssumeRolePolicyDocument"]["Statement"][0]
    assert statement["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    assert statement["Action"] == ["sts:AssumeRole", "sts:SetSourceIdentity"]


def test_many_pairs_do_not_overlap(bench):
    made = bench.post("world", pairs=130)
    blocks = sorted(ipaddress.ip_network(pair[side]["cidr"]) for pair in made["pairs"] for side in ("producer", "consumer"))
    assert len(blocks) == 260
    assert not any(one.overlaps(next_) for one, next_ in itertools.pairwise(blocks))
    assert made["pairs"][3]["producer"]["clusterIdentifier"] == "warehouse-3"


def test_pairs_may_be_added(bench):
    first = bench.post("world")
    second = bench.post("world", firstPair=1, consumer={"account": "222233334444"})
    assert second["pairs"][0]["producer"]["clusterIdentifier"] == "warehouse-1"
    assert World(bench, second).status(World(bench, second).join()) == "active"
    assert World(bench, first).status(World(bench, first).join()) == "active"


def test_a_world_elsewhere(build):
    world = build(producer={"region": "cn-north-1"}, consumer={"region": "cn-north-1"}, platform={"region": "cn-north-1"})
    assert world.made["platform"]["roleArn"].startswith("arn:aws-cn:iam::")
    assert world.c.executionRoleArn.startswith("arn:aws-cn:iam::")
    assert world.status(world.join()) == "active"


def test_a_public_cluster(bench, build):
    build(producer={"publiclyAccessible": True})
    assert bench.admin(PRODUCER, "redshift").describe_clusters()["Clusters"][0]["PubliclyAccessible"] is True


def test_a_world_with_a_bucket(bench, build):
    made = build(consumer={"bucket": True, "kmsKey": True})
    s3 = bench.client(made.made["consumer"]["admin"], "s3")
    assert made.c.bucket == f"unloads-{CONSUMER}-0"
    assert s3.put_object(Bucket=made.c.bucket, Key="a")["SSEKMSKeyId"] == made.c.kmsKeyArn
    left = bench.get("inventory", account=CONSUMER)
    assert left["buckets"][made.c.bucket]["objects"] == 1 and list(left["keys"]) == [made.c.kmsKeyArn]
    plain = build(consumer={"account": "222233334444", "region": "us-east-1", "bucket": True}, firstPair=1)
    assert plain.c.bucket == "unloads-222233334444-1" and not hasattr(plain.c, "kmsKeyArn")


def test_a_reset_empties_everything(bench, world):
    world.join()
    bench.admin(CONSUMER, "kms").create_key()
    bench.admin(CONSUMER, "s3", "us-east-1").create_bucket(Bucket="bench-bucket")
    bench.post("settings", peering_provisioning_seconds=5)
    bench.post("faults", kind="throttle", action="*", times=100)
    bench.post("reset")
    assert requests.post(world.c_ec2.meta.endpoint_url, data="Action=DescribeVpcs").status_code == 403
    assert bench.get("calls") == []
    assert bench.get("settings")["peering_provisioning_seconds"] == 0.2
    assert bench.admin(CONSUMER, "iam").list_roles()["Roles"] == []
    assert bench.admin(CONSUMER, "s3").list_buckets()["Buckets"] == []
    assert bench.get("inventory", account=CONSUMER)["keys"] == {}
    assert len(bench.admin(CONSUMER, "ec2").describe_vpcs()["Vpcs"]) == 1
    assert bench.admin(CONSUMER, "ec2").describe_vpc_peering_connections()["VpcPeeringConnections"] == []


# The record


def test_every_call_is_recorded(bench, world):
    bench.post("calls/clear")
    credentials = bench.role(CONSUMER, "r", allow("ec2:Describe*"))
    bench.post("calls/clear")
    ec2 = bench.client(bench.session(CONSUMER, "r", sourceIdentity="alice", sessionName="s1"), "ec2", "eu-west-2")
    answer = ec2.describe_vpcs(Filters=[{"Name": "vpc-id", "Values": ["vpc-1"]}])
    with refused("UnauthorizedOperation"):
        ec2.create_vpc(CidrBlock="10.0.0.0/16")
    read, write = bench.get("calls")
    assert read["caller"] == f"arn:aws:sts::{CONSUMER}:assumed-role/r/s1"
    assert (read["account"], read["source_identity"], read["region"]) == (CONSUMER, "alice", "eu-west-2")
    assert (read["service"], read["action"], read["write"]) == ("ec2", "ec2:DescribeVpcs", False)
    assert read["parameters"] == {"Filters": [{"Name": "vpc-id", "Values": ["vpc-1"]}]}
    assert (read["status"], read["error"], read["executed"]) == (200, None, True)
    assert read["request_id"] == answer["ResponseMetadata"]["RequestId"]
    assert (write["action"], write["write"], write["status"], write["error"], write["executed"]) == (
        "ec2:CreateVpc",
        True,
        403,
        "UnauthorizedOperation",
        False,
    )
    assert abs(write["time"] - time.time()) < 5 and write["sequence"] == read["sequence"] + 1
    assert bench.get("calls", after=read["sequence"]) == [write]
    bench.client({**credentials, "accessKeyId": "ASIA0000000000000000"}, "sts")
    bench.post("calls/clear")
    assert bench.get("calls") == []


def test_calls_of_strangers_are_recorded_too(bench):
    nobody = bench.client({"accessKeyId": "ASIA0000000000000000", "secretAccessKey": "x", "sessionToken": "x"}, "sts")
    with pytest.raises(nobody.exceptions.ClientError):
        nobody.get_caller_identity()
    assert (bench.get("calls")[0]["account"], bench.get("calls")[0]["error"]) == ("", "InvalidClientTokenId")


# The inventory


def inventory(bench, account):
    return requests.get(f"{bench.url}/_bench/inventory", params={"account": account}).text


def test_what_is_undone_leaves_no_trace(bench, world):
    bench.post("settings", peering_deleting_seconds=0)
    before = [inventory(bench, account) for account in (PRODUCER, CONSUMER)]
    iam = bench.admin(PRODUCER, "iam")

    iam.create_role(RoleName="link", AssumeRolePolicyDocument=document(by("AWS", world.c.executionRoleArn)))
    iam.put_role_policy(RoleName="link", PolicyName="p", PolicyDocument=document(allow("redshift:*")))
    pcx = world.join()
    world.p_ec2.create_tags(Resources=[pcx], Tags=[{"Key": "a", "Value": "b"}])
    route = {"RouteTableId": world.p.routeTables["own"], "DestinationCidrBlock": world.c.cidr}
    world.p_ec2.create_route(**route, VpcPeeringConnectionId=pcx)
    rule = world.p_ec2.authorize_security_group_ingress(
        GroupId=world.p.securityGroupId,
        IpPermissions=[{"IpProtocol": "tcp", "FromPort": 5439, "ToPort": 5439, "IpRanges": [{"CidrIp": world.c.cidr}]}],
        TagSpecifications=tags("security-group-rule", a="b"),
    )["SecurityGroupRules"][0]["SecurityGroupRuleId"]
    during = [inventory(bench, account) for account in (PRODUCER, CONSUMER)]
    for trace in ("link", pcx, rule, "blackhole"):
        assert (trace in during[0]) == (trace != "blackhole")
    assert pcx in during[1] and during[0] != before[0] and during[1] != before[1]

    # Looking around in another region is no change.
    bench.admin(PRODUCER, "ec2", "eu-west-3").describe_vpcs()
    world.p_ec2.revoke_security_group_ingress(GroupId=world.p.securityGroupId, SecurityGroupRuleIds=[rule])
    world.p_ec2.delete_route(**route)
    world.c_ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=pcx)
    iam.delete_role_policy(RoleName="link", PolicyName="p")
    iam.delete_role(RoleName="link")
    assert [inventory(bench, account) for account in (PRODUCER, CONSUMER)] == before


@pytest.mark.parametrize(
    "change",
    [
        lambda w, iam: iam.tag_role(RoleName=w.c.executionRoleName, Tags=[{"Key": "a", "Value": "b"}]),
        lambda w, iam: iam.put_role_policy(
            RoleName=w.c.executionRoleName, PolicyName="p", PolicyDocument=document(allow("ec2:*"))
        ),
        lambda w, iam: iam.update_assume_role_policy(
            RoleName=w.c.executionRoleName, PolicyDocument=document(by("AWS", PRODUCER))
        ),
        lambda w, iam: w.c_ec2.modify_vpc_attribute(VpcId=w.c.vpcId, EnableDnsHostnames={"Value": False}),
        lambda w, iam: w.c_ec2.create_tags(Resources=[w.c.routeTables["main"]], Tags=[{"Key": "a", "Value": "b"}]),
        lambda w, iam: w.bench.admin(CONSUMER, "sagemaker").update_domain(
            DomainId=w.c.domainId, DomainSettingsForUpdate={"ExecutionRoleIdentityConfig": "DISABLED"}
        ),
        lambda w, iam: w.request(),
        lambda w, iam: w.bench.admin(CONSUMER, "s3", "us-east-1").create_bucket(Bucket="bench-bucket"),
        lambda w, iam: w.bench.admin(CONSUMER, "kms").create_key(),
    ],
)
def test_the_inventory_shows_every_change(bench, world, change):
    before = inventory(bench, CONSUMER)
    assert inventory(bench, CONSUMER) == before
    change(world, bench.admin(CONSUMER, "iam"))
    assert inventory(bench, CONSUMER) != before


def test_settings_are_read_and_written(bench):
    assert bench.post("settings", routes_per_table=3)["routes_per_table"] == 3
    assert bench.get("settings")["routes_per_table"] == 3
