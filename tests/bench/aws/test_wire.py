"""The wire: what any SDK sees of every service."""

import concurrent.futures
import http.client
import json
import re
from urllib.parse import urlencode, urlsplit

import pytest

from .client import CONSUMER, PRODUCER, REGION
from .testing import refused


def raw(bench, credentials, service, params, target=None, connection=None):
    """An answer before any SDK has read it."""
    connection = connection or http.client.HTTPConnection(urlsplit(bench.url).netloc)
    scope = f"{credentials['accessKeyId']}/20260101/{REGION}/{service}/aws4_request"
    headers = {
        "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
        "X-Amz-Security-Token": credentials["sessionToken"],
    }
    if target:
        connection.request("POST", "/", json.dumps(params), {**headers, "X-Amz-Target": target})
    else:
        connection.request("POST", "/", urlencode(params), {**headers, "Content-Type": "application/x-www-form-urlencoded"})
    response = connection.getresponse()
    return response, response.read().decode()


def test_times_are_iso_in_xml_and_seconds_in_json(bench, world):
    world.request()
    consumer, producer = world.made["consumer"]["admin"], world.made["producer"]["admin"]
    iso = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"
    _, ec2 = raw(bench, consumer, "ec2", {"Action": "DescribeVpcPeeringConnections"})
    assert re.search(f"<expirationTime>{iso}</expirationTime>", ec2)
    _, iam = raw(bench, consumer, "iam", {"Action": "ListRoles"})
    assert re.search(f"<CreateDate>{iso}</CreateDate>", iam)
    _, redshift = raw(bench, producer, "redshift", {"Action": "DescribeClusters"})
    assert re.search(f"<ClusterCreateTime>{iso}</ClusterCreateTime>", redshift)
    _, sagemaker = raw(bench, consumer, "sagemaker", {"DomainId": world.c.domainId}, "SageMaker.DescribeDomain")
    assert isinstance(json.loads(sagemaker)["CreationTime"], (int, float))


def test_every_answer_has_a_request_id_of_its_own(bench):
    admin = bench.post("credentials", account=PRODUCER, admin=True)
    seen = set()
    for service, params, target in (
        ("sts", {"Action": "GetCallerIdentity"}, None),
        ("ec2", {"Action": "DescribeVpcs"}, None),
        ("ec2", {"Action": "DescribeVpcs", "VpcId.1": "vpc-00000000000000000"}, None),
        ("iam", {"Action": "GetRole", "RoleName": "none"}, None),
        ("redshift", {"Action": "DescribeClusters", "ClusterIdentifier": "none"}, None),
        ("sagemaker", {"DomainId": "d-none"}, "SageMaker.DescribeDomain"),
    ):
        response, body = raw(bench, admin, service, params, target)
        identifier = response.headers["x-amzn-requestid"]
        assert target or identifier in body
        seen.add(identifier)
    assert len(seen) == 6


def test_errors_have_the_status_of_their_service(bench):
    admin = lambda service: bench.admin(PRODUCER, service)
    with refused("NoSuchEntity", status=404):
        admin("iam").get_role(RoleName="none")
    with refused("InvalidVpcID.NotFound", status=400):
        admin("ec2").describe_vpcs(VpcIds=["vpc-00000000000000000"])
    with refused("ClusterNotFound", status=404):
        admin("redshift").describe_clusters(ClusterIdentifier="none")
    with refused("ResourceNotFound", status=400):
        admin("sagemaker").describe_domain(DomainId="d-none")


def test_an_unknown_key_is_refused_in_the_words_of_the_service(bench):
    nobody = {"accessKeyId": "ASIA0000000000000000", "secretAccessKey": "x", "sessionToken": "x"}
    with refused("InvalidClientTokenId", status=403):
        bench.client(nobody, "sts").get_caller_identity()
    with refused("AuthFailure", status=401):
        bench.client(nobody, "ec2").describe_vpcs()
    with refused("UnrecognizedClientException"):
        bench.client(nobody, "sagemaker").list_domains()
    admin = bench.post("credentials", account=PRODUCER, admin=True)
    with refused("InvalidClientTokenId"):
        bench.client({**admin, "sessionToken": "another"}, "sts").get_caller_identity()
    assert bench.client(admin, "sts").get_caller_identity()["Account"] == PRODUCER


def test_what_the_bench_lacks_is_no_outage(bench):
    with refused("NotImplemented", status=501):
        bench.admin(PRODUCER, "ec2").describe_instances()
    with refused("NotImplemented", status=501):
        bench.admin(PRODUCER, "s3").get_bucket_cors(Bucket="any")
    with refused("NotImplemented", status=501):
        bench.admin(PRODUCER, "sns").list_topics()


def test_what_makes_no_sense_is_refused(bench):
    admin = bench.post("credentials", account=PRODUCER, admin=True)
    for status, service, params, target in (
        (501, "ec2", {"Action": "Nonsense"}, None),
        (501, "ec2", {}, None),
        (501, "sagemaker", {}, "SageMaker.Nonsense"),
        (400, "ec2", {"Action": "DescribeVpcs", "MaxResults": "many"}, None),
        (400, "sagemaker", "{", "SageMaker.ListDomains"),
    ):
        assert raw(bench, admin, service, params, target)[0].status == status
    unsigned = http.client.HTTPConnection(urlsplit(bench.url).netloc)
    unsigned.request("GET", "/")
    assert unsigned.getresponse().status == 403


def test_accounts_and_regions_do_not_see_each_other(bench, world):
    assert world.p_ec2.describe_vpcs(VpcIds=[world.p.vpcId])["Vpcs"]
    with refused("InvalidVpcID.NotFound"):
        bench.admin(CONSUMER, "ec2").describe_vpcs(VpcIds=[world.p.vpcId])
    with refused("InvalidVpcID.NotFound"):
        bench.admin(PRODUCER, "ec2", "eu-west-2").describe_vpcs(VpcIds=[world.p.vpcId])


def test_a_connection_serves_many_requests(bench):
    admin = bench.post("credentials", account=PRODUCER, admin=True)
    connection = http.client.HTTPConnection(urlsplit(bench.url).netloc)
    raw(bench, admin, "sts", {"Action": "GetCallerIdentity"}, connection=connection)
    socket = connection.sock
    for _ in range(50):
        response, _ = raw(bench, admin, "sts", {"Action": "GetCallerIdentity"}, connection=connection)
        assert response.status == 200
    assert connection.sock is socket


def test_many_clients_at_once(bench, world):
    admin = world.made["producer"]["admin"]

    def describe(_):
        connection = http.client.HTTPConnection(urlsplit(bench.url).netloc)
        return [raw(bench, admin, "ec2", {"Action": "DescribeVpcs"}, connection=connection)[0].status for _ in range(20)]

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        statuses = [status for many in pool.map(describe, range(16)) for status in many]
    assert statuses == [200] * 320


@pytest.mark.parametrize("size, pages", [(5, 4), (7, 3), (20, 1)])
def test_a_listing_comes_in_pages(bench, size, pages):
    ec2 = bench.admin(PRODUCER, "ec2")
    for number in range(19):
        ec2.create_vpc(CidrBlock=f"10.{number}.0.0/16")
    paginator = ec2.get_paginator("describe_vpcs").paginate(PaginationConfig={"PageSize": size})
    found = [page["Vpcs"] for page in paginator]
    assert len(found) == pages
    assert len({vpc["VpcId"] for page in found for vpc in page}) == 20


def test_a_listing_may_be_paged_unasked(bench):
    ec2 = bench.admin(PRODUCER, "ec2")
    bench.post("settings", page_limit=2)
    ec2.create_vpc(CidrBlock="10.0.0.0/16")
    ec2.create_vpc(CidrBlock="10.1.0.0/16")
    first = ec2.describe_vpcs()
    assert len(first["Vpcs"]) == 2
    rest = ec2.describe_vpcs(NextToken=first["NextToken"])
    assert len(rest["Vpcs"]) == 1 and "NextToken" not in rest


def test_page_sizes_and_tokens_are_checked(bench, world):
    ec2 = world.p_ec2
    for size in (4, 1001):
        with refused("InvalidParameterValue", "maxResults"):
            ec2.describe_vpcs(MaxResults=size)
    with refused("InvalidParameterValue"):
        ec2.describe_route_tables(MaxResults=101)
    assert ec2.describe_route_tables(MaxResults=100)["RouteTables"]
    with refused("InvalidParameterCombination"):
        ec2.describe_vpcs(VpcIds=[world.p.vpcId], MaxResults=5)
    with refused("InvalidNextToken"):
        ec2.describe_vpcs(NextToken="nonsense")
    token = ec2.describe_subnets(MaxResults=5)["NextToken"]
    with refused("InvalidNextToken"):
        ec2.describe_vpcs(NextToken=token)


@pytest.mark.parametrize(
    "operation", ["vpcs", "subnets", "route_tables", "security_groups", "security_group_rules", "vpc_peering_connections"]
)
def test_an_unknown_filter_is_refused(bench, operation):
    describe = getattr(bench.admin(PRODUCER, "ec2"), f"describe_{operation}")
    with refused("InvalidParameterValue", "filter 'colour' is invalid"):
        describe(Filters=[{"Name": "colour", "Values": ["red"]}])
    with refused("FilterLimitExceeded"):
        describe(Filters=[{"Name": "tag:a", "Values": [str(n) for n in range(201)]}])
    assert describe(Filters=[{"Name": "tag:a", "Values": ["b"]}])


def test_dry_run_says_what_would_be(bench, world):
    with refused("DryRunOperation", status=412):
        world.p_ec2.delete_vpc(VpcId=world.p.vpcId, DryRun=True)
    assert world.p_ec2.describe_vpcs(VpcIds=[world.p.vpcId])["Vpcs"]
