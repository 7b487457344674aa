"""Buckets and their policies (docs/aws-behaviour.md#s3)."""

import json

import pytest
import requests

from .client import CONSUMER, PLATFORM, PRODUCER, REGION, allow, by, deny, document
from .testing import BUCKET, refused

ARN = f"arn:aws:s3:::{BUCKET}"


def s3_as(bench, credentials, region=REGION):
    return bench.client(credentials, "s3", region)


def plain_get(bench, account, path, region=REGION, **headers):
    """An answer before any SDK has read it."""
    admin = bench.post("credentials", account=account, admin=True)
    scope = f"{admin['accessKeyId']}/20260101/{region}/s3/aws4_request"
    signed = {"Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"}
    headers = {**signed, "X-Amz-Security-Token": admin["sessionToken"], **headers}
    return requests.get(bench.url + path, headers=headers, allow_redirects=False)


def granting(principal, *actions, effect="Allow", resource=(ARN, f"{ARN}/*"), **condition):
    statement = {"Effect": effect, "Principal": principal, "Action": list(actions) or "s3:*", "Resource": list(resource)}
    return {**statement, "Condition": condition} if condition else statement


def role_arn(name, account=CONSUMER):
    return f"arn:aws:iam::{account}:role/{name}"


def put_policy(s3, *statements):
    s3.put_bucket_policy(Bucket=BUCKET, Policy=document(*statements))


def test_a_bucket_tells_where_it_is(bench, owner):
    assert owner.get_bucket_location(Bucket=BUCKET)["LocationConstraint"] == REGION
    assert owner.head_bucket(Bucket=BUCKET)["BucketRegion"] == REGION
    assert [b["Name"] for b in owner.list_buckets()["Buckets"]] == [BUCKET]
    first = bench.admin(CONSUMER, "s3", "us-east-1")
    first.create_bucket(Bucket="in-the-first-region")
    assert first.get_bucket_location(Bucket="in-the-first-region")["LocationConstraint"] is None
    first.create_bucket(Bucket="from-the-first-region", CreateBucketConfiguration={"LocationConstraint": REGION})
    assert owner.head_bucket(Bucket="from-the-first-region")["BucketRegion"] == REGION
    with refused("IllegalLocationConstraintException"):
        first.create_bucket(Bucket="nowhere", CreateBucketConfiguration={"LocationConstraint": "us-east-1"})
    assert bench.admin(PRODUCER, "s3").list_buckets()["Buckets"] == []


def test_a_new_bucket_has_nothing(owner):
    with refused("NoSuchBucketPolicy", status=404):
        owner.get_bucket_policy(Bucket=BUCKET)
    with refused("ObjectLockConfigurationNotFoundError", status=404):
        owner.get_object_lock_configuration(Bucket=BUCKET)
    assert "Status" not in owner.get_bucket_versioning(Bucket=BUCKET)
    rule = owner.get_bucket_encryption(Bucket=BUCKET)["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


def test_what_is_not_there(bench, owner):
    for call in ("get_bucket_location", "get_bucket_policy", "delete_bucket", "get_bucket_versioning"):
        with refused("NoSuchBucket", status=404):
            getattr(owner, call)(Bucket="no-such-bucket")
    with refused("404"):
        owner.head_bucket(Bucket="no-such-bucket")


def test_names_are_global_and_checked(bench, owner):
    here = {"CreateBucketConfiguration": {"LocationConstraint": REGION}}
    with refused("BucketAlreadyOwnedByYou", status=409):
        owner.create_bucket(Bucket=BUCKET, **here)
    with refused("BucketAlreadyExists", status=409):
        bench.admin(PRODUCER, "s3").create_bucket(Bucket=BUCKET, **here)
    for name in ("Upper", "ab", "a..b", "10.0.0.1", "-a-b"):
        with refused("InvalidBucketName"):
            owner.create_bucket(Bucket=name, **here)
    for wrong in ({}, {"CreateBucketConfiguration": {"LocationConstraint": "eu-west-2"}}):
        with refused("IllegalLocationConstraintException"):
            owner.create_bucket(Bucket="another-bucket", **wrong)
    with refused("InvalidBucketAclWithObjectOwnership"):
        owner.create_bucket(Bucket="another-bucket", ACL="public-read", **here)


def test_another_region_is_another_endpoint(bench, owner):
    answer = plain_get(bench, CONSUMER, f"/{BUCKET}?policy", "eu-west-2")
    assert (answer.status_code, answer.headers["x-amz-bucket-region"]) == (301, REGION)
    assert "<Code>PermanentRedirect</Code>" in answer.text
    # boto3 goes after the bucket.
    with refused("NoSuchBucketPolicy"):
        bench.admin(CONSUMER, "s3", "eu-west-2").get_bucket_policy(Bucket=BUCKET)


def test_where_a_bucket_is_can_be_asked_elsewhere(bench, owner):
    put_policy(owner, granting({"AWS": PRODUCER}))
    ours, theirs = (bench.admin(account, "s3", "eu-west-2") for account in (CONSUMER, PRODUCER))
    assert ours.get_bucket_location(Bucket=BUCKET)["LocationConstraint"] == REGION
    # The policy does not apply there.
    assert bench.admin(PRODUCER, "s3").get_bucket_location(Bucket=BUCKET)
    with refused("AccessDenied"):
        theirs.get_bucket_location(Bucket=BUCKET)
    owner.delete_bucket_policy(Bucket=BUCKET)
    with refused("403") as caught:
        bench.admin(PRODUCER, "s3").head_bucket(Bucket=BUCKET)
    assert caught.value.response["ResponseMetadata"]["HTTPHeaders"]["x-amz-bucket-region"] == REGION


def test_a_bucket_may_stand_in_front_of_the_host(bench, owner):
    answer = plain_get(bench, CONSUMER, "/?location", Host=f"{BUCKET}.localhost:4566")
    assert (answer.status_code, REGION in answer.text) == (200, True)
    assert "AccessDenied" in plain_get(bench, PRODUCER, "/?location", Host=f"{BUCKET}.s3.eu-west-1.amazonaws.com").text


def test_whose_a_bucket_is_may_be_asserted(owner):
    assert owner.get_bucket_location(Bucket=BUCKET, ExpectedBucketOwner=CONSUMER)
    with refused("AccessDenied", status=403):
        owner.get_bucket_location(Bucket=BUCKET, ExpectedBucketOwner=PRODUCER)
    with refused("InvalidBucketOwnerAWSAccountID"):
        owner.get_bucket_location(Bucket=BUCKET, ExpectedBucketOwner="me")


# Permissions


def test_in_one_account_either_policy_is_enough(bench, owner):
    silent, able = bench.role(CONSUMER, "silent"), bench.role(CONSUMER, "able", allow("s3:GetBucketLocation", ARN))
    assert s3_as(bench, able).get_bucket_location(Bucket=BUCKET)
    with refused("AccessDenied", "no identity-based policy allows the s3:GetBucketLocation action", 403):
        s3_as(bench, silent).get_bucket_location(Bucket=BUCKET)
    put_policy(owner, granting({"AWS": role_arn("silent")}, "s3:GetBucketLocation", resource=[ARN]))
    assert s3_as(bench, silent).get_bucket_location(Bucket=BUCKET)
    with refused("AccessDenied"):
        s3_as(bench, silent).get_bucket_versioning(Bucket=BUCKET)


def test_an_account_in_the_policy_leaves_it_to_its_own_policies(bench, owner):
    silent = bench.role(CONSUMER, "silent")
    put_policy(owner, granting({"AWS": CONSUMER}))
    with refused("AccessDenied"):
        s3_as(bench, silent).get_bucket_location(Bucket=BUCKET)
    put_policy(owner, granting("*", StringEquals={"aws:PrincipalAccount": CONSUMER}))
    assert s3_as(bench, silent).get_bucket_location(Bucket=BUCKET)


def test_across_accounts_both_must_allow(bench, owner):
    able, silent = bench.role(PRODUCER, "able", allow("s3:*")), bench.role(PRODUCER, "silent")
    with refused("AccessDenied", "Access Denied", 403):
        s3_as(bench, able).get_bucket_location(Bucket=BUCKET)
    with refused("AccessDenied"):
        bench.admin(PRODUCER, "s3").get_bucket_location(Bucket=BUCKET)
    bench.post("settings", block_public_policies=False)
    for principal in ({"AWS": PRODUCER}, {"AWS": [role_arn("able", PRODUCER), role_arn("silent", PRODUCER)]}, "*"):
        put_policy(owner, granting(principal))
        assert s3_as(bench, able).get_bucket_location(Bucket=BUCKET)
        with refused("AccessDenied"):
            s3_as(bench, silent).get_bucket_location(Bucket=BUCKET)
    put_policy(owner, granting({"AWS": role_arn("silent", PRODUCER)}))
    with refused("AccessDenied"):
        s3_as(bench, able).get_bucket_location(Bucket=BUCKET)


def test_a_denial_wins_on_either_side(bench, owner):
    able = bench.role(CONSUMER, "able", allow("s3:*"))
    barred = bench.role(CONSUMER, "barred", allow("s3:*"), deny("s3:GetBucketLocation"))
    put_policy(owner, granting({"AWS": role_arn("barred")}), granting("*", "s3:GetBucketVersioning", effect="Deny"))
    with refused("AccessDenied", "explicit deny in an identity-based policy"):
        s3_as(bench, barred).get_bucket_location(Bucket=BUCKET)
    with refused("AccessDenied", "explicit deny in a resource-based policy"):
        s3_as(bench, able).get_bucket_versioning(Bucket=BUCKET)
    # No policy applies to an administrator but that of the thing.
    with refused("AccessDenied"):
        owner.get_bucket_versioning(Bucket=BUCKET)
    put_policy(owner, granting("*", effect="Deny"))
    with refused("AccessDenied"):
        owner.get_bucket_location(Bucket=BUCKET)
    owner.delete_bucket_policy(Bucket=BUCKET)
    assert owner.get_bucket_location(Bucket=BUCKET)


def test_a_policy_may_except_somebody_from_a_denial(bench, owner):
    roles = {name: s3_as(bench, bench.role(CONSUMER, name, allow("s3:*"))) for name in ("one", "other")}
    statement = granting(None, "s3:GetBucketLocation", effect="Deny", resource=[ARN])
    del statement["Principal"]
    put_policy(owner, {**statement, "NotPrincipal": {"AWS": role_arn("one")}})
    assert roles["one"].get_bucket_location(Bucket=BUCKET)
    with refused("AccessDenied"):
        roles["other"].get_bucket_location(Bucket=BUCKET)


def test_limits_of_a_role_hold_unless_its_session_is_named(bench, owner):
    edge = bench.admin(CONSUMER, "iam").create_policy(PolicyName="edge", PolicyDocument=document(allow("ec2:*")))
    bounded = bench.role(CONSUMER, "bounded", PermissionsBoundary=edge["Policy"]["Arn"])
    put_policy(owner, granting({"AWS": role_arn("bounded")}))
    with refused("AccessDenied", "permissions boundary"):
        s3_as(bench, bounded).get_bucket_location(Bucket=BUCKET)
    put_policy(owner, granting({"AWS": f"arn:aws:sts::{CONSUMER}:assumed-role/bounded/bench"}))
    assert s3_as(bench, bounded).get_bucket_location(Bucket=BUCKET)


@pytest.mark.parametrize(
    "settings, condition, works",
    [
        ({}, {"StringEquals": {"aws:SourceVpce": "vpce-1"}}, False),
        ({"source_vpce": "vpce-1"}, {"StringEquals": {"aws:SourceVpce": "vpce-1"}}, True),
        ({"source_vpc": "vpc-1", "source_vpce": "vpce-1"}, {"StringEquals": {"aws:SourceVpc": "vpc-1"}}, True),
        ({}, {"Null": {"aws:SourceVpc": "true"}}, True),
        ({"source_ip": "203.0.113.9"}, {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}, True),
        ({}, {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}, False),
        ({"source_ip": "203.0.113.9", "source_vpce": "vpce-1"}, {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}, False),
        ({}, {"Bool": {"aws:SecureTransport": "true"}}, True),
        ({}, {"StringEquals": {"aws:ResourceAccount": CONSUMER}}, True),
        ({}, {"StringEquals": {"aws:ResourceAccount": PRODUCER}}, False),
        ({}, {"StringEquals": {"s3:ResourceAccount": CONSUMER}}, True),
        ({}, {"StringEquals": {"aws:PrincipalAccount": PRODUCER}}, True),
        ({}, {"ArnEquals": {"aws:PrincipalArn": f"arn:aws:iam::{PRODUCER}:role/able"}}, True),
        ({}, {"StringEquals": {"aws:ResourceAccount": "${aws:PrincipalAccount}"}}, False),
    ],
)
def test_conditions_of_a_bucket_policy(bench, owner, settings, condition, works):
    able = s3_as(bench, bench.role(PRODUCER, "able", allow("s3:*")))
    put_policy(owner, granting({"AWS": PRODUCER}, **condition))
    bench.post("settings", **settings)
    if works:
        assert able.get_bucket_location(Bucket=BUCKET)
    else:
        with refused("AccessDenied"):
            able.get_bucket_location(Bucket=BUCKET)


def test_a_caller_may_be_kept_to_the_buckets_of_one_account(bench, owner):
    kept = s3_as(bench, bench.role(PRODUCER, "kept", allow("s3:*", "*", StringEquals={"aws:ResourceAccount": PRODUCER})))
    put_policy(owner, granting({"AWS": PRODUCER}))
    with refused("AccessDenied"):
        kept.get_bucket_location(Bucket=BUCKET)
    bench.admin(PRODUCER, "s3").create_bucket(Bucket="theirs", CreateBucketConfiguration={"LocationConstraint": REGION})
    assert kept.get_bucket_location(Bucket="theirs")


def test_each_operation_has_its_action(bench, owner):
    actions = {
        "get_bucket_policy": "GetBucketPolicy",
        "head_bucket": "ListBucket",
        "get_bucket_encryption": "GetEncryptionConfiguration",
        "get_object_lock_configuration": "GetBucketObjectLockConfiguration",
        "get_bucket_versioning": "GetBucketVersioning",
        "delete_bucket_policy": "DeleteBucketPolicy",
    }
    owner.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    owner.put_object_lock_configuration(Bucket=BUCKET, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"})
    put_policy(owner, granting({"AWS": PLATFORM}))
    for number, (method, action) in enumerate(actions.items()):
        others = [f"s3:{a}" for a in actions.values() if a != action]
        without = s3_as(bench, bench.role(CONSUMER, f"without-{number}", allow(others)))
        with refused("403" if method == "head_bucket" else "AccessDenied"):
            getattr(without, method)(Bucket=BUCKET)
        assert getattr(s3_as(bench, bench.role(CONSUMER, f"with-{number}", allow(f"s3:{action}", ARN))), method)(Bucket=BUCKET)
    with refused("AccessDenied", "s3:ListAllMyBuckets"):
        s3_as(bench, bench.role(CONSUMER, "r", allow("s3:ListBucket"))).list_buckets()
    locked = {"ObjectLockEnabledForBucket": True, "CreateBucketConfiguration": {"LocationConstraint": REGION}}
    maker = s3_as(bench, bench.role(CONSUMER, "maker", allow("s3:CreateBucket")))
    with refused("AccessDenied", "PutBucketObjectLockConfiguration"):
        maker.create_bucket(Bucket="locked", **locked)
    del locked["ObjectLockEnabledForBucket"]
    with refused("AccessDenied", "PutBucketOwnershipControls"):
        maker.create_bucket(Bucket="owned", ObjectOwnership="BucketOwnerEnforced", **locked)
    assert maker.create_bucket(Bucket="plain", **locked)


def test_the_policy_is_for_the_owners_account_only(bench, owner):
    put_policy(owner, granting({"AWS": PRODUCER}))
    theirs = bench.admin(PRODUCER, "s3")
    calls = (theirs.get_bucket_policy, theirs.delete_bucket_policy, lambda **at: put_policy(theirs, granting({"AWS": PRODUCER})))
    for call in calls:
        with refused("MethodNotAllowed", status=405):
            call(Bucket=BUCKET)
    put_policy(owner, granting({"AWS": PRODUCER}, "s3:ListBucket"))
    for call in calls:
        with refused("AccessDenied", status=403):
            call(Bucket=BUCKET)


# The policy as a document


@pytest.mark.parametrize(
    "statement, public",
    [
        (granting("*"), True),
        (granting({"AWS": "*"}), True),
        (granting("*", effect="Deny"), False),
        (granting({"AWS": PRODUCER}), False),
        (granting("*", StringEquals={"aws:SourceVpce": "vpce-1"}), False),
        (granting("*", StringLike={"aws:SourceVpce": "*"}), True),
        (granting("*", StringNotEquals={"aws:SourceVpce": "vpce-1"}), True),
        (granting("*", Bool={"aws:SecureTransport": "true"}), True),
    ],
)
def test_a_policy_must_not_let_everybody_in(bench, owner, statement, public):
    if not public:
        put_policy(owner, statement)
        return
    with refused("AccessDenied", "BlockPublicPolicy", 403):
        put_policy(owner, statement)
    bench.post("settings", block_public_policies=False)
    put_policy(owner, statement)


@pytest.mark.parametrize(
    "wrong, text",
    [
        (granting({"AWS": role_arn("none")}), "Invalid principal in policy"),
        (granting({"AWS": CONSUMER}, resource=["arn:aws:s3:::another/*"]), "Policy has invalid resource"),
        (granting({"AWS": CONSUMER}, "ec2:DescribeVpcs"), "Policy has invalid action"),
        (allow("s3:*", ARN), "Missing required field Principal"),
        ({**granting("*"), "Effect": "Maybe"}, "Invalid effect"),
    ],
)
def test_a_policy_must_make_sense(owner, wrong, text):
    with refused("MalformedPolicy", text, 400):
        put_policy(owner, wrong)
    with refused("NoSuchBucketPolicy"):
        owner.get_bucket_policy(Bucket=BUCKET)


def test_a_policy_must_be_json(owner):
    with refused("MalformedPolicy"):
        owner.put_bucket_policy(Bucket=BUCKET, Policy="{")


def test_a_role_that_is_gone_leaves_its_id(bench, owner):
    bench.role(PRODUCER, "able", allow("s3:*"))
    put_policy(owner, granting({"AWS": role_arn("able", PRODUCER)}))
    identifier = bench.admin(PRODUCER, "iam").get_role(RoleName="able")["Role"]["RoleId"]
    shown = lambda: json.loads(owner.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"][0]["Principal"]
    assert shown() == {"AWS": role_arn("able", PRODUCER)}
    iam = bench.admin(PRODUCER, "iam")
    iam.delete_role_policy(RoleName="able", PolicyName="test")
    iam.delete_role(RoleName="able")
    assert shown() == {"AWS": identifier}
    again = bench.role(PRODUCER, "able", allow("s3:*"))
    with refused("AccessDenied"):
        s3_as(bench, again).get_bucket_location(Bucket=BUCKET)


def test_an_account_is_shown_as_its_root(owner):
    put_policy(owner, granting({"AWS": PRODUCER}))
    statement = json.loads(owner.get_bucket_policy(Bucket=BUCKET)["Policy"])["Statement"][0]
    assert statement["Principal"] == {"AWS": f"arn:aws:iam::{PRODUCER}:root"}


def test_services_may_be_named(owner):
    put_policy(owner, {**granting({"Service": "redshift.amazonaws.com"}, "s3:PutObject", resource=[f"{ARN}/*"])})
    with refused("MalformedPolicy"):
        put_policy(owner, {**by("Service", "nonsense"), "Action": "s3:*", "Resource": ARN})
