"""UNLOAD: who may, where to, what is left, what goes wrong (docs/aws-behaviour.md#unload)."""

import pytest

from .client import CONSUMER, PRODUCER, allow, by, document
from .sql_testing import cluster
from .unload_testing import BUCKET, FIRST, LAST, ROWS, USER, WRITING, Link


@pytest.fixture
def link(bench, world):
    return Link(bench)


def test_rows_are_written_to_the_other_accounts_bucket(bench, link):
    described = link.ok(ROWS, options="MANIFEST VERBOSE")
    assert (described["HasResultSet"], described["ResultRows"]) == (False, -1)
    files = link.files()
    assert list(files) == ["out/0000_part_00", "out/0001_part_00", "out/manifest"]
    assert link.lines() == [f"{i}|row {i}" for i in range(1, 11)]
    manifest = link.manifest()
    assert [entry["url"] for entry in manifest["entries"]] == [f"s3://{BUCKET}/{key}" for key in list(files)[:2]]
    assert [entry["meta"] for entry in manifest["entries"]] == [
        {"content_length": len(body), "record_count": 5} for body in list(files.values())[:2]
    ]
    assert manifest["meta"] == {"content_length": sum(map(len, list(files.values())[:2])), "record_count": 10}
    assert manifest["schema"]["elements"][0] == {"name": "i", "type": {"base": "integer"}}
    assert manifest["author"] == {"name": "Amazon Redshift", "version": "1.0.0"}
    writer = [call for call in bench.get("calls") if call["action"] == "s3:PutObject"]
    assert {call["account"] for call in writer} == {CONSUMER} and len(writer) == 3
    assert {call["caller"] for call in writer} == {f"arn:aws:sts::{CONSUMER}:assumed-role/unload-last/RedshiftIamRoleSession"}


def test_the_query_runs_as_the_statements_user(link):
    link.admin.ok("create table secret as select 1 as i")
    assert "permission denied for table secret" in link.error("select * from secret")
    assert 'relation "none" does not exist' in link.error("select * from none")
    assert link.files() == {}
    link.admin.ok('grant select on secret to "IAMR:runner"')
    link.ok("select i, current_user as u from secret")
    assert link.lines() == ["1|IAMR:runner"]


def test_rows_may_be_told(bench, link):
    bench.post("settings", unload_tells_rows=True)
    assert link.ok(ROWS)["ResultRows"] == 10
    batch = link.sql.batch(link.text(ROWS, prefix="again/"), "select pg_last_unload_count()")
    answer = link.sql.client.get_statement_result(Id=f"{batch['Id']}:2")
    assert answer["Records"] == [[{"longValue": 10}]]


# The chain of roles


def refused_role(link, named=f"{FIRST},{LAST}", **options):
    error = link.error("select 1", **options)
    assert error.startswith(f"ERROR: User {USER} is not authorized to assume IAM Role {named}"), error
    assert "code:      8001" in error
    assert link.files() == {}


def test_the_first_role_must_be_in_sync_with_the_cluster(bench, world):
    link = Link(bench, attach=False)
    refused_role(link)
    bench.post("settings", cluster_role_adding_seconds=60)
    redshift = bench.admin(PRODUCER, "redshift")
    redshift.modify_cluster_iam_roles(ClusterIdentifier="warehouse", AddIamRoles=[FIRST])
    refused_role(link)
    bench.post("settings", cluster_role_adding_seconds=0)
    link.ok("select 1")
    bench.post("settings", cluster_role_removing_seconds=60)
    redshift.modify_cluster_iam_roles(ClusterIdentifier="warehouse", RemoveIamRoles=[FIRST])
    assert "not authorized to assume IAM Role" in link.error("select 1", prefix="again/")


@pytest.mark.parametrize(
    "statement",
    [
        by("AWS", PRODUCER),
        by("Service", "sagemaker.amazonaws.com"),
        by("Service", "redshift.amazonaws.com", StringEquals={"sts:ExternalId": USER + "x"}),
        by("Service", "redshift.amazonaws.com", StringEquals={"sts:ExternalId": USER.replace("runner", "other")}),
        by("Service", "redshift.amazonaws.com", StringLike={"sts:ExternalId": USER.replace("warehouse", "other")}),
    ],
)
def test_the_first_role_must_trust_redshift_for_this_database_user(bench, link, statement):
    iam = bench.admin(PRODUCER, "iam")
    iam.update_assume_role_policy(RoleName="unload-first", PolicyDocument=document(statement))
    refused_role(link)


@pytest.mark.parametrize(
    "statement",
    [
        by("Service", "redshift.amazonaws.com"),
        by("Service", "redshift.amazonaws.com", StringLike={"sts:ExternalId": USER.replace("IAMR:runner", "*")}),
    ],
)
def test_trust_may_be_wider(bench, link, statement):
    iam = bench.admin(PRODUCER, "iam")
    iam.update_assume_role_policy(RoleName="unload-first", PolicyDocument=document(statement))
    link.ok("select 1")


def test_each_role_must_be_let_by_the_one_before_and_trust_it(bench, link):
    first, last = bench.admin(PRODUCER, "iam"), bench.admin(CONSUMER, "iam")
    first.put_role_policy(RoleName="unload-first", PolicyName="test", PolicyDocument=document(allow("s3:*")))
    refused_role(link)
    policy = document(allow("sts:AssumeRole", LAST))
    first.put_role_policy(RoleName="unload-first", PolicyName="test", PolicyDocument=policy)
    last.update_assume_role_policy(RoleName="unload-last", PolicyDocument=document(by("AWS", CONSUMER)))
    refused_role(link)
    # The external id is for the first role only.
    trust = by("AWS", FIRST, StringEquals={"sts:ExternalId": USER})
    last.update_assume_role_policy(RoleName="unload-last", PolicyDocument=document(trust))
    refused_role(link)
    refused_role(link, f"{LAST},{FIRST}", roles=f"{LAST},{FIRST}")
    refused_role(link, f"{FIRST},{LAST}x", roles=f"{FIRST},{LAST}x")


def test_a_role_made_anew_is_not_trusted(bench, link):
    iam = bench.admin(PRODUCER, "iam")
    iam.delete_role_policy(RoleName="unload-first", PolicyName="test")
    iam.delete_role(RoleName="unload-first")
    trust = by("Service", "redshift.amazonaws.com")
    bench.role(PRODUCER, "unload-first", allow("sts:AssumeRole", LAST), trust=trust)
    refused_role(link)


def test_refused_roles_may_be_told_in_other_words(bench, link):
    bench.post("settings", role_refusals_name_the_association=True)
    assert f"The requested role {LAST} is not associated to cluster" in link.error("select 1", roles=LAST)
    assert f"Not authorized to get credentials of role {LAST}x" in link.error("select 1", roles=f"{FIRST},{LAST}x")


def test_one_role_is_enough_where_the_bucket_lets_it_in(bench, link):
    iam = bench.admin(PRODUCER, "iam")
    iam.put_role_policy(RoleName="unload-first", PolicyName="test", PolicyDocument=document(allow(WRITING)))
    assert "S3ServiceException:Access Denied,Status 403" in link.error("select 1", roles=FIRST)
    grant = {**by("AWS", FIRST, *WRITING), "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]}
    link.s3.put_bucket_policy(Bucket=BUCKET, Policy=document(grant))
    link.ok("select 1", roles=FIRST)
    assert link.lines() == ["1"]


def test_without_a_default_role_default_is_refused(link):
    text = link.text("select 1").replace(f"'{FIRST},{LAST}'", "default")
    assert "There is no default IAM role" in link.sql.error(text)


# The bucket


@pytest.mark.parametrize("missing", WRITING)
def test_writing_needs_each_permission(link, missing):
    link.may(*(action for action in WRITING if action != missing))
    error = link.error("select 1", options="MANIFEST")
    assert error.startswith("ERROR: S3ServiceException:") and "Status 403,Error AccessDenied" in error
    assert link.files() == {}


def test_what_it_asks_for_may_be_less(bench, link):
    bench.post("settings", unload_asks_for_bucket_location=False, unload_reads_objects=False)
    link.may("s3:PutObject", "s3:ListBucket")
    link.ok("select 1")


def test_a_bucket_may_deny_the_chain(link):
    rule = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{BUCKET}/out/*"}
    link.s3.put_bucket_policy(Bucket=BUCKET, Policy=document(rule))
    assert "S3ServiceException" in link.error("select 1")
    link.ok("select 1", prefix="elsewhere/")


def endpoint(world, **options):
    """An endpoint of S3 in the network of the cluster."""
    service = "com.amazonaws.eu-west-1.s3"
    made = world.p_ec2.create_vpc_endpoint(VpcId=world.p.vpcId, ServiceName=service, **options)
    return made["VpcEndpoint"]["VpcEndpointId"]


def test_a_bucket_may_ask_for_a_way_through_the_clusters_vpc(bench, link, world):
    identifier = endpoint(world, RouteTableIds=[world.p.routeTables["own"]])
    outside = {"StringNotEquals": {"aws:SourceVpce": identifier}}
    arns = [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]
    rule = {"Effect": "Deny", "Principal": {"AWS": LAST}, "Action": "s3:*", "Resource": arns, "Condition": outside}
    link.s3.put_bucket_policy(Bucket=BUCKET, Policy=document(rule))
    assert "Error AccessDenied" in link.error("select 1")
    bench.post("cluster", **cluster(enhancedVpcRouting=True))
    link.ok("select 1")
    others = document(allow("s3:*", "arn:aws:s3:::others/*"))
    world.p_ec2.modify_vpc_endpoint(VpcEndpointId=identifier, PolicyDocument=others)
    assert "Error AccessDenied" in link.error("select 1", prefix="again/")


def test_through_the_vpc_there_must_be_a_way(bench, link, world):
    bench.post("cluster", **cluster(enhancedVpcRouting=True))
    assert "Connection timed out" in link.error("select 1")
    subnets = [world.p.subnets["own"]]
    endpoint(world, VpcEndpointType="Interface", SubnetIds=subnets, PrivateDnsEnabled=True)
    link.ok("select 1", prefix="again/")


def test_a_bucket_must_exist(link):
    error = link.sql.error(link.text("select 1").replace(BUCKET, "no-such-bucket"))
    assert "S3ServiceException:The specified bucket does not exist,Status 404,Error NoSuchBucket" in error


def test_another_regions_bucket_needs_its_region(bench, link):
    elsewhere = {"LocationConstraint": "eu-west-2"}
    bench.admin(CONSUMER, "s3", "eu-west-2").create_bucket(Bucket="far-away-exports", CreateBucketConfiguration=elsewhere)
    policy = document(allow("s3:*"))
    bench.admin(CONSUMER, "iam").put_role_policy(RoleName="unload-last", PolicyName="test", PolicyDocument=policy)
    text = lambda options: link.text("select 1", options=options).replace(BUCKET, "far-away-exports")
    assert "Status 301,Error PermanentRedirect" in link.sql.error(text(""))
    link.sql.ok(text("REGION 'eu-west-2'"))
    assert "Status 301" in link.error("select 1", options="REGION AS 'eu-west-2'")
    link.ok("select 1", options="REGION AS 'eu-west-1'")


def test_the_destination_must_be_empty(link):
    link.ok("select 1")
    assert "Specified unload destination on S3 is not empty. Consider using" in link.error("select 2")
    assert link.lines() == ["1"]
    link.s3.put_object(Bucket=BUCKET, Key="out-of-it", Body=b"")
    assert "is not empty" in link.error("select 2", prefix="out")
    link.ok("select 2", prefix="out/2/")


def test_overwriting_leaves_what_has_another_name(link):
    link.ok(ROWS, options="MANIFEST")
    link.ok("select 7", options="ALLOWOVERWRITE MANIFEST")
    assert link.lines() == ["7"] + [f"{i}|row {i}" for i in range(6, 11)]
    assert len(link.manifest()["entries"]) == 1


def test_cleaning_needs_permission_and_keeps_older_versions(link):
    link.ok(ROWS)
    assert "s3:DeleteObject" in link.error("select 7", options="CLEANPATH")
    assert len(link.lines()) == 10
    link.may(*WRITING, "s3:DeleteObject")
    link.s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    link.ok("select 7", options="CLEANPATH")
    assert link.lines() == ["7"]
    assert len(link.s3.list_object_versions(Bucket=BUCKET)["Versions"]) == 3


def test_a_key_of_kms_must_let_the_last_role(bench, link):
    kms = bench.admin(CONSUMER, "kms")
    key = kms.create_key()["KeyMetadata"]["Arn"]
    options = f"KMS_KEY_ID '{key}' ENCRYPTED"
    assert "kms:GenerateDataKey" in link.error("select 1", options=options)
    policy = document(allow(WRITING), allow("kms:GenerateDataKey", key))
    bench.admin(CONSUMER, "iam").put_role_policy(RoleName="unload-last", PolicyName="test", PolicyDocument=policy)
    link.ok("select 1", options=options)
    head = link.s3.head_object(Bucket=BUCKET, Key="out/0000_part_00")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)
    link.ok("select 1", prefix="plain/")
    assert link.s3.head_object(Bucket=BUCKET, Key="plain/0000_part_00")["ServerSideEncryption"] == "AES256"


def test_encryption_as_the_bucket_has_it_is_asked_for(bench, link):
    key = bench.admin(CONSUMER, "kms").create_key()["KeyMetadata"]["Arn"]
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    link.s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})
    link.ok("select 1", prefix="plain/")
    assert link.s3.head_object(Bucket=BUCKET, Key="plain/0000_part_00")["ServerSideEncryption"] == "AES256"
    assert "s3:GetEncryptionConfiguration" in link.error("select 1", options="ENCRYPTED AUTO")
    link.may(*WRITING, "s3:GetEncryptionConfiguration")
    assert "kms:GenerateDataKey" in link.error("select 1", options="ENCRYPTED AUTO")
    policy = document(allow([*WRITING, "s3:GetEncryptionConfiguration"]), allow("kms:GenerateDataKey", key))
    bench.admin(CONSUMER, "iam").put_role_policy(RoleName="unload-last", PolicyName="test", PolicyDocument=policy)
    link.ok("select 1", options="ENCRYPTED AUTO")
    assert link.s3.head_object(Bucket=BUCKET, Key="out/0000_part_00")["SSEKMSKeyId"] == key


# Nothing to write


@pytest.mark.parametrize("options", ["CSV", "", "JSON", "PARQUET"])
def test_no_rows_make_no_manifest(bench, link, options):
    nothing = ROWS.replace("generate_series(1, 10)", "generate_series(1, 0)")
    link.ok(nothing, options=f"{options} MANIFEST VERBOSE")
    texts = options in ("", "CSV")
    assert link.files() == ({"out/0000_part_00": b"", "out/0001_part_00": b""} if texts else {})
    bench.post("settings", unload_empty_objects=False)
    link.ok(nothing, prefix="again/", options=f"{options} MANIFEST VERBOSE")
    assert link.files("again/") == {}
