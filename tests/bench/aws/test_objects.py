"""Objects, their versions, listings and uploads (docs/aws-behaviour.md#objects)."""

import base64
import datetime
import hashlib
import re
import zlib

import pytest
import requests

from .client import CONSUMER, PRODUCER, REGION, allow, deny, document
from .testing import BUCKET, refused, s3_of

ARN = f"arn:aws:s3:::{BUCKET}"
AT = {"Bucket": BUCKET}


def versioned(owner):
    owner.put_bucket_versioning(**AT, VersioningConfiguration={"Status": "Enabled"})


def read(s3, key, **options):
    return s3.get_object(**AT, Key=key, **options)["Body"].read()


def keys(s3, **options):
    return [item["Key"] for item in s3.list_objects_v2(**AT, **options).get("Contents", [])]


def test_an_object_comes_back_as_it_was_put(owner):
    body = bytes(range(256)) * 20
    put = owner.put_object(**AT, Key="a/b c+d.bin", Body=body, ContentType="application/x-parquet", Metadata={"Who": "me"})
    got = owner.get_object(**AT, Key="a/b c+d.bin")
    assert got["Body"].read() == body
    assert (got["ContentType"], got["Metadata"], got["ETag"]) == ("application/x-parquet", {"who": "me"}, put["ETag"])
    assert put["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    head = owner.head_object(**AT, Key="a/b c+d.bin")
    assert (head["ContentLength"], head["ServerSideEncryption"], "VersionId" in head) == (len(body), "AES256", False)
    assert read(owner, "a/b c+d.bin", Range="bytes=10-19") == body[10:20]
    assert read(owner, "a/b c+d.bin", Range="bytes=-5") == body[-5:]
    part = owner.get_object(**AT, Key="a/b c+d.bin", Range="bytes=5000-")
    assert (part["ResponseMetadata"]["HTTPStatusCode"], part["ContentRange"]) == (206, f"bytes 5000-5119/{len(body)}")
    with refused("InvalidRange"):
        read(owner, "a/b c+d.bin", Range="bytes=9999-")
    owner.put_object(**AT, Key="empty", Body=b"")
    assert read(owner, "empty") == b""


def test_what_is_not_there(bench, owner):
    with refused("NoSuchKey", status=404):
        read(owner, "none")
    with refused("404"):
        owner.head_object(**AT, Key="none")
    with refused("NoSuchBucket", status=404):
        owner.put_object(Bucket="no-such-bucket", Key="a")
    # Only who may list gets to know it.
    with refused("AccessDenied", status=403):
        read(s3_of(bench, "blind", allow("s3:GetObject", f"{ARN}/*")), "none")
    with refused("NoSuchKey"):
        read(s3_of(bench, "seeing", allow("s3:GetObject", f"{ARN}/*"), allow("s3:ListBucket", ARN)), "none")
    assert owner.delete_object(**AT, Key="none")["ResponseMetadata"]["HTTPStatusCode"] == 204


def test_a_put_may_be_on_condition(owner):
    first = owner.put_object(**AT, Key="once", Body=b"1", IfNoneMatch="*")
    with refused("PreconditionFailed", status=412):
        owner.put_object(**AT, Key="once", Body=b"2", IfNoneMatch="*")
    assert read(owner, "once") == b"1"
    owner.put_object(**AT, Key="once", Body=b"3", IfMatch=first["ETag"])
    with refused("PreconditionFailed", status=412):
        owner.put_object(**AT, Key="once", Body=b"4", IfMatch=first["ETag"])
    with refused("NoSuchKey", status=404):
        owner.put_object(**AT, Key="none", Body=b"4", IfMatch=first["ETag"])
    with refused("304"):
        read(owner, "once", IfNoneMatch=owner.head_object(**AT, Key="once")["ETag"])
    with refused("PreconditionFailed"):
        read(owner, "once", IfMatch=first["ETag"])
    versioned(owner)
    owner.delete_object(**AT, Key="once")
    assert owner.put_object(**AT, Key="once", Body=b"5", IfNoneMatch="*")


def test_what_the_bench_lacks_is_not_taken(owner):
    for wrong in ({"Tagging": "a=b"}, {"StorageClass": "GLACIER"}, {"SSECustomerAlgorithm": "AES256"}):
        with refused("NotImplemented", status=501):
            owner.put_object(**AT, Key="a", **wrong)


def test_there_are_no_acls(bench, owner):
    assert owner.put_object(**AT, Key="a", ACL="bucket-owner-full-control")
    for wrong in (
        {"ACL": "public-read"},
        {"ACL": "private"},
        {"GrantRead": 'uri="http://acs.amazonaws.com/groups/global/AllUsers"'},
    ):
        with refused("AccessControlListNotSupported", status=400):
            owner.put_object(**AT, Key="a", **wrong)
    with refused("AccessDenied", "s3:PutObjectAcl"):
        s3_of(bench, "r", allow("s3:PutObject")).put_object(**AT, Key="a", ACL="bucket-owner-full-control")


def signed(bench):
    """The headers of a request that boto3 does not make."""
    admin = bench.post("credentials", account=CONSUMER, admin=True)
    scope = f"{admin['accessKeyId']}/20260101/{REGION}/s3/aws4_request"
    return {
        "Authorization": f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0",
        "X-Amz-Security-Token": admin["sessionToken"],
    }


def plain_put(bench, body, **headers):
    """A put as an SDK might make it that is not boto3."""
    return requests.put(f"{bench.url}/{BUCKET}/sent?x-id=PutObject", data=body, headers={**signed(bench), **headers})


def test_bodies_may_come_in_chunks_with_a_checksum_behind_them(bench, owner):
    crc = base64.b64encode(zlib.crc32(b"hello world").to_bytes(4, "big")).decode()
    chunked = lambda crc: f"5\r\nhello\r\n6;chunk-signature=00\r\n world\r\n0\r\nx-amz-checksum-crc32:{crc}\r\n\r\n".encode()
    headers = {
        "Content-Encoding": "aws-chunked",
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "x-amz-decoded-content-length": "11",
        "x-amz-trailer": "x-amz-checksum-crc32",
    }
    assert plain_put(bench, chunked(crc), **headers).status_code == 200
    got = owner.get_object(**AT, Key="sent", ChecksumMode="ENABLED")
    assert (got["Body"].read(), got["ChecksumCRC32"], "ContentEncoding" in got) == (b"hello world", crc, False)
    for wrong in (
        plain_put(bench, chunked("AAAAAA=="), **headers),
        plain_put(bench, b"hello", **{"Content-MD5": "AAAAAAAAAAAAAAAAAAAAAA=="}),
    ):
        assert (wrong.status_code, "<Code>BadDigest</Code>" in wrong.text) == (400, True)
    for wrong in (plain_put(bench, b"nonsense", **headers), plain_put(bench, b"1\r\na\r\n0\r\n\r\n", **headers)):
        assert "<Code>IncompleteBody</Code>" in wrong.text
    # Without a length, in HTTP's own chunks.
    assert plain_put(bench, iter([b"one ", b"two"])).status_code == 200
    assert read(owner, "sent") == b"one two"


def test_encoding_is_kept_but_for_the_chunks(bench, owner):
    headers = {"Content-Encoding": "aws-chunked,gzip", "x-amz-decoded-content-length": "1"}
    assert plain_put(bench, b"1\r\na\r\n0\r\n\r\n", **headers).status_code == 200
    assert owner.head_object(**AT, Key="sent")["ContentEncoding"] == "gzip"


@pytest.mark.parametrize(
    "query, root",
    [
        ("versioning", "VersioningConfiguration"),
        ("location", "LocationConstraint"),
        ("encryption", "ServerSideEncryptionConfiguration"),
        ("list-type=2", "ListBucketResult"),
        ("versions", "ListVersionsResult"),
        ("uploads", "ListMultipartUploadsResult"),
        ("", "Error"),
    ],
)
def test_answers_have_the_root_that_the_rust_sdk_insists_on(bench, owner, query, root):
    text = requests.get(f"{bench.url}/{BUCKET}?{query}", headers=signed(bench)).text
    assert re.search(r"\?>\s*<(\w+)", text)[1] == root


# Permissions


def test_objects_are_by_bucket_and_key(bench, owner):
    owner.put_object(**AT, Key="mine/a", Body=b"1")
    owner.put_object(**AT, Key="theirs/a", Body=b"2")
    s3 = s3_of(bench, "r", allow(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], f"{ARN}/mine/*"))
    assert read(s3, "mine/a") == b"1"
    s3.put_object(**AT, Key="mine/b", Body=b"3")
    s3.delete_object(**AT, Key="mine/b")
    for call in (s3.get_object, s3.put_object, s3.delete_object):
        with refused("AccessDenied", "theirs/a", 403):
            call(**AT, Key="theirs/a")
    with refused("AccessDenied"):
        keys(s3)


def test_listing_may_be_limited_to_a_prefix(bench, owner):
    s3 = s3_of(bench, "r", allow("s3:ListBucket", ARN, StringLike={"s3:prefix": "mine/*"}))
    owner.put_object(**AT, Key="mine/a")
    assert keys(s3, Prefix="mine/") == ["mine/a"]
    for options in ({}, {"Prefix": "theirs/"}, {"Prefix": ""}):
        with refused("AccessDenied"):
            keys(s3, **options)


def test_another_account_writes_with_both_policies(bench, owner):
    s3 = s3_of(bench, "writer", allow("s3:PutObject", f"{ARN}/*"), account=PRODUCER)
    with refused("AccessDenied", "Access Denied"):
        s3.put_object(**AT, Key="a")
    writer = {"AWS": f"arn:aws:iam::{PRODUCER}:role/writer"}
    statement = {"Effect": "Allow", "Principal": writer, "Action": "s3:PutObject", "Resource": f"{ARN}/in/*"}
    owner.put_bucket_policy(**AT, Policy=document(statement))
    s3.put_object(**AT, Key="in/a", Body=b"1", ExpectedBucketOwner=CONSUMER)
    assert read(owner, "in/a") == b"1"
    with refused("AccessDenied"):
        s3.put_object(**AT, Key="out/a")
    with refused("AccessDenied"):
        s3.get_object(**AT, Key="in/a")
    with refused("AccessDenied"):
        s3.put_object(**AT, Key="in/a", ExpectedBucketOwner=PRODUCER)


@pytest.mark.parametrize(
    "condition, works, fails",
    [
        (
            {"StringNotEquals": {"s3:x-amz-server-side-encryption": "AES256"}},
            {"ServerSideEncryption": "AES256"},
            {},
        ),
        ({"Null": {"s3:if-none-match": "true"}}, {"IfNoneMatch": "*"}, {}),
        ({"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}}, {}, {"ACL": "bucket-owner-full-control"}),
    ],
)
def test_a_policy_may_ask_for_headers(bench, owner, condition, works, fails):
    everybody = {"Principal": "*", "Action": "s3:PutObject", "Resource": f"{ARN}/*"}
    owner.put_bucket_policy(**AT, Policy=document({"Effect": "Deny", **everybody, "Condition": condition}))
    s3 = s3_of(bench, "r", allow("s3:*"))
    assert s3.put_object(**AT, Key="a", **works)
    with refused("AccessDenied", "explicit deny in a resource-based policy"):
        s3.put_object(**AT, Key="b", **fails)


# Versions and locks


def test_versions_stay(owner):
    versioned(owner)
    first = owner.put_object(**AT, Key="a", Body=b"1")["VersionId"]
    second = owner.put_object(**AT, Key="a", Body=b"2")["VersionId"]
    assert (read(owner, "a"), read(owner, "a", VersionId=first)) == (b"2", b"1")
    marker = owner.delete_object(**AT, Key="a")
    assert marker["DeleteMarker"] is True and keys(owner) == []
    with refused("NoSuchKey") as caught:
        read(owner, "a")
    assert caught.value.response["ResponseMetadata"]["HTTPHeaders"]["x-amz-delete-marker"] == "true"
    with refused("MethodNotAllowed", status=405):
        read(owner, "a", VersionId=marker["VersionId"])
    with refused("NoSuchVersion", status=404):
        read(owner, "a", VersionId="none")
    with refused("BucketNotEmpty", "delete all versions", 409):
        owner.delete_bucket(**AT)
    listed = owner.list_object_versions(**AT)
    assert [(v["VersionId"], v["IsLatest"]) for v in listed["Versions"]] == [(second, False), (first, False)]
    assert [m["VersionId"] for m in listed["DeleteMarkers"]] == [marker["VersionId"]]
    owner.delete_object(**AT, Key="a", VersionId=marker["VersionId"])
    assert read(owner, "a") == b"2"
    for version in (first, second):
        owner.delete_object(**AT, Key="a", VersionId=version)
    assert owner.delete_bucket(**AT)


def test_without_versions_the_last_one_counts(owner):
    owner.put_object(**AT, Key="a", Body=b"1")
    versioned(owner)
    kept = owner.put_object(**AT, Key="a", Body=b"2")["VersionId"]
    owner.put_bucket_versioning(**AT, VersioningConfiguration={"Status": "Suspended"})
    owner.put_object(**AT, Key="a", Body=b"3")
    owner.put_object(**AT, Key="a", Body=b"4")
    assert [v["VersionId"] for v in owner.list_object_versions(**AT)["Versions"]] == ["null", kept]
    assert read(owner, "a", VersionId="null") == b"4"
    with refused("BucketNotEmpty"):
        owner.delete_bucket(**AT)


def test_versions_need_actions_of_their_own(bench, owner):
    versioned(owner)
    version = owner.put_object(**AT, Key="a", Body=b"1")["VersionId"]
    plain = s3_of(bench, "plain", allow(["s3:GetObject", "s3:DeleteObject", "s3:ListBucket"]))
    assert read(plain, "a") == b"1"
    for call in (plain.get_object, plain.delete_object):
        with refused("AccessDenied", "Version"):
            call(**AT, Key="a", VersionId=version)
    with refused("AccessDenied", "s3:ListBucketVersions"):
        plain.list_object_versions(**AT)
    able = s3_of(bench, "able", allow(["s3:GetObjectVersion", "s3:DeleteObjectVersion"]))
    assert read(able, "a", VersionId=version) == b"1"
    able.delete_object(**AT, Key="a", VersionId=version)


def test_many_are_deleted_at_once(bench, owner):
    versioned(owner)
    ids = {key: owner.put_object(**AT, Key=key)["VersionId"] for key in ("a", "b", "c")}
    s3 = s3_of(bench, "r", allow(["s3:DeleteObject", "s3:DeleteObjectVersion"]), deny("s3:Delete*", f"{ARN}/b"))
    order = {"Objects": [{"Key": "a"}, {"Key": "b"}, {"Key": "c", "VersionId": ids["c"]}, {"Key": "none"}]}
    answer = s3.delete_objects(**AT, Delete=order)
    assert [d["Key"] for d in answer["Deleted"]] == ["a", "c", "none"]
    assert [(e["Key"], e["Code"]) for e in answer["Errors"]] == [("b", "AccessDenied")]
    assert answer["Deleted"][0]["DeleteMarker"] is True and keys(owner) == ["b"]
    quiet = owner.delete_objects(**AT, Delete={"Objects": [{"Key": "b"}], "Quiet": True})
    assert "Deleted" not in quiet and keys(owner) == []
    with refused("MalformedXML"):
        owner.delete_objects(**AT, Delete={"Objects": []})


def test_locked_versions_stay(bench, owner):
    with refused("InvalidRequest", "missing Object Lock"):
        owner.put_object(**AT, Key="a", ObjectLockLegalHoldStatus="ON")
    configuration = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}}
    with refused("InvalidBucketState", status=409):
        owner.put_object_lock_configuration(**AT, ObjectLockConfiguration=configuration)
    versioned(owner)
    owner.put_object_lock_configuration(**AT, ObjectLockConfiguration=configuration)
    assert owner.get_object_lock_configuration(**AT)["ObjectLockConfiguration"] == configuration
    with refused("InvalidBucketState"):
        owner.put_bucket_versioning(**AT, VersioningConfiguration={"Status": "Suspended"})
    version = owner.put_object(**AT, Key="a")["VersionId"]
    assert owner.head_object(**AT, Key="a")["ObjectLockMode"] == "GOVERNANCE"
    # Marking it deleted is no loss.
    assert owner.delete_object(**AT, Key="a")["DeleteMarker"]
    with refused("AccessDenied", "object lock", 403):
        owner.delete_object(**AT, Key="a", VersionId=version)
    bypass = {"Key": "a", "VersionId": version, "BypassGovernanceRetention": True}
    with refused("AccessDenied", "s3:BypassGovernanceRetention"):
        s3_of(bench, "r", allow("s3:DeleteObject*")).delete_object(**AT, **bypass)
    owner.delete_object(**AT, **bypass)
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=1)
    held = owner.put_object(**AT, Key="b", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=until)["VersionId"]
    with refused("AccessDenied", "object lock"):
        owner.delete_object(**AT, **{**bypass, "Key": "b", "VersionId": held})
    answer = owner.delete_objects(**AT, Delete={"Objects": [{"Key": "b", "VersionId": held}]})
    assert answer["Errors"][0]["Code"] == "AccessDenied"


# What else sees it


def test_the_inventory_shows_what_is_left(bench, owner):
    found = lambda: bench.get("inventory", account=CONSUMER)["buckets"][BUCKET]
    before = found()
    owner.put_object(**AT, Key="a")
    upload = owner.create_multipart_upload(**AT, Key="big")["UploadId"]
    assert (found()["objects"], found()["uploads"]) == (1, ["big"])
    owner.delete_object(**AT, Key="a")
    owner.abort_multipart_upload(**AT, Key="big", UploadId=upload)
    assert found() == before
    policy = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": ARN}
    owner.put_bucket_policy(**AT, Policy=document(policy))
    assert found()["policy"]["Statement"] == [policy]
    assert BUCKET not in bench.get("inventory", account=PRODUCER)["buckets"]


def test_the_record_has_no_contents(bench, owner):
    bench.post("calls/clear")
    owner.put_object(**AT, Key="a", Body=b"secret")
    entry = bench.get("calls")[0]
    assert (entry["action"], entry["write"], entry["parameters"]["Body"]) == ("s3:PutObject", True, "6 bytes")
    owner.head_object(**AT, Key="a")
    assert bench.get("calls")[-1]["write"] is False


@pytest.mark.parametrize("kind, code, status", [("throttle", "SlowDown", 503), ("error500", "InternalError", 500)])
def test_faults_speak_as_s3_does(bench, owner, kind, code, status):
    bench.post("faults", kind=kind, action="s3:PutObject")
    with refused(code, status=status):
        owner.put_object(**AT, Key="a")
    assert owner.put_object(**AT, Key="a")
