"""Objects under KMS keys (docs/aws-behaviour.md#objects-under-a-kms-key)."""

import pytest

from .client import CONSUMER, PRODUCER, REGION, allow, document
from .testing import BUCKET, refused, s3_of

AT = {"Bucket": BUCKET}
KMS = {"ServerSideEncryption": "aws:kms"}


@pytest.fixture
def kms(bench):
    return bench.admin(CONSUMER, "kms")


@pytest.fixture
def key(kms):
    return kms.create_key()["KeyMetadata"]["Arn"]


def under(key):
    return {**KMS, "SSEKMSKeyId": key}


def test_an_object_tells_its_key(owner, key):
    put = owner.put_object(**AT, Key="a", Body=b"1", **under(key))
    assert (put["ServerSideEncryption"], put["SSEKMSKeyId"]) == ("aws:kms", key)
    assert owner.head_object(**AT, Key="a")["SSEKMSKeyId"] == key
    # The id alone is one of the caller's account.
    assert owner.put_object(**AT, Key="a", **under(key.rpartition("/")[2]))["SSEKMSKeyId"] == key


@pytest.mark.parametrize(
    "wrong, code",
    [
        ({"ServerSideEncryption": "nonsense"}, "InvalidArgument"),
        ({"ServerSideEncryption": "AES256", "SSEKMSKeyId": "k"}, "InvalidArgument"),
        ({"SSEKMSKeyId": "k"}, "InvalidArgument"),
        (under("none"), "KMS.NotFoundException"),
        (under(f"arn:aws:kms:eu-west-2:{CONSUMER}:key/k"), "KMS.NotFoundException"),
    ],
)
def test_what_makes_no_sense_is_refused(owner, wrong, code):
    with refused(code, status=400):
        owner.put_object(**AT, Key="a", **wrong)


def test_the_bucket_may_say_how(owner, key):
    default = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}, "BucketKeyEnabled": True}
    owner.put_bucket_encryption(**AT, ServerSideEncryptionConfiguration={"Rules": [default]})
    assert owner.get_bucket_encryption(**AT)["ServerSideEncryptionConfiguration"]["Rules"] == [default]
    put = owner.put_object(**AT, Key="a")
    assert (put["SSEKMSKeyId"], put["BucketKeyEnabled"]) == (key, True)
    assert "SSEKMSKeyId" not in owner.put_object(**AT, Key="b", ServerSideEncryption="AES256")
    for wrong in ({"SSEAlgorithm": "nonsense"}, {}):
        rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": wrong}]}
        with refused("MalformedXML"):
            owner.put_bucket_encryption(**AT, ServerSideEncryptionConfiguration=rules)


def test_the_callers_own_rights_on_the_key_count(bench, owner, key):
    s3 = allow("s3:*")
    with refused("AccessDenied", "kms:GenerateDataKey", 403):
        s3_of(bench, "none", s3).put_object(**AT, Key="a", **under(key))
    writer = s3_of(bench, "writer", s3, allow("kms:GenerateDataKey", key))
    writer.put_object(**AT, Key="a", Body=b"1", **under(key))
    with refused("AccessDenied", "kms:Decrypt"):
        writer.get_object(**AT, Key="a")
    # What an object is like is no secret, but for its checksum.
    assert writer.head_object(**AT, Key="a")["ContentLength"] == 1
    with refused("403"):
        writer.head_object(**AT, Key="a", ChecksumMode="ENABLED")
    # An upload reads what it wrote.
    upload = writer.create_multipart_upload(**AT, Key="b", **under(key))["UploadId"]
    with refused("AccessDenied", "kms:Decrypt"):
        writer.upload_part(**AT, Key="b", UploadId=upload, PartNumber=1, Body=b"1")
    reader = s3_of(bench, "reader", s3, allow("kms:Decrypt", key))
    assert reader.get_object(**AT, Key="a")["Body"].read() == b"1"
    owner.put_object(**AT, Key="plain", Body=b"2")
    assert writer.get_object(**AT, Key="plain")["Body"].read() == b"2"


def test_a_key_of_another_account_needs_both(bench, owner, kms, key):
    account = f"arn:aws:iam::{PRODUCER}:root"
    access = {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
    owner.put_bucket_policy(**AT, Policy=document(access))
    able = s3_of(bench, "able", allow("s3:*"), allow("kms:*"), account=PRODUCER)
    with refused("AccessDenied"):
        able.put_object(**AT, Key="a", **under(key))
    root = {"Effect": "Allow", "Principal": {"AWS": CONSUMER}, "Action": "kms:*", "Resource": "*"}
    theirs = {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "kms:GenerateDataKey", "Resource": "*"}
    kms.put_key_policy(KeyId=key, PolicyName="default", Policy=document(root, theirs))
    assert able.put_object(**AT, Key="a", **under(key))
    with refused("AccessDenied"):
        s3_of(bench, "unable", allow("s3:*"), account=PRODUCER).put_object(**AT, Key="a", **under(key))


def test_the_key_that_aws_keeps_stays_in_the_account(bench, owner):
    put = owner.put_object(**AT, Key="a", Body=b"1", **KMS)
    assert f":{CONSUMER}:key/" in put["SSEKMSKeyId"]
    # Whoever may use S3 in the account may use it, whatever else he may.
    assert s3_of(bench, "inside", allow("s3:*")).get_object(**AT, Key="a")["Body"].read() == b"1"
    access = {"Effect": "Allow", "Principal": {"AWS": PRODUCER}, "Action": "s3:*", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
    owner.put_bucket_policy(**AT, Policy=document(access))
    with refused("AccessDenied"):
        s3_of(bench, "outside", allow("s3:*"), allow("kms:*"), account=PRODUCER).get_object(**AT, Key="a")
    kms = bench.admin(CONSUMER, "kms")
    assert kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]["KeyManager"] == "AWS"
    for change in (kms.disable_key, kms.schedule_key_deletion):
        with refused("AccessDeniedException"):
            change(KeyId=put["SSEKMSKeyId"])


@pytest.mark.parametrize("status, code", [("Disabled", "DisabledException"), ("PendingDeletion", "KMSInvalidStateException")])
def test_a_key_that_cannot_be_used(bench, owner, key, status, code):
    owner.put_object(**AT, Key="a", Body=b"1", **under(key))
    bench.post("key", arn=key, status=status)
    with refused(f"KMS.{code}", status=400):
        owner.put_object(**AT, Key="b", **under(key))
    with refused(f"KMS.{code}"):
        owner.get_object(**AT, Key="a")
    bench.post("key", arn=key, status=None)
    with refused("KMS.NotFoundException"):
        owner.get_object(**AT, Key="a")


def test_a_key_may_serve_one_bucket_only(bench, owner, key):
    context = "kms:EncryptionContext:aws:s3:arn"
    use = lambda **condition: allow("kms:GenerateDataKey", key, StringLike=condition)
    put = lambda name, **condition: s3_of(bench, name, allow("s3:*"), use(**condition)).put_object(**AT, Key="a", **under(key))
    assert put("via", **{"kms:ViaService": f"s3.{REGION}.amazonaws.com", context: f"arn:aws:s3:::{BUCKET}/*"})
    for number, wrong in enumerate(({"kms:ViaService": "ec2.*"}, {context: "arn:aws:s3:::another/*"})):
        with refused("AccessDenied", "kms:GenerateDataKey"):
            put(f"wrong-{number}", **wrong)
    # Used directly it is not used by S3.
    able = bench.role(CONSUMER, "direct", allow("kms:DescribeKey", key, Null={"kms:ViaService": "true"}))
    assert bench.client(able, "kms").describe_key(KeyId=key)


@pytest.mark.parametrize("named", ["arn", "id"])
def test_a_policy_may_ask_for_one_key(bench, owner, kms, key, named):
    other = kms.create_key()["KeyMetadata"]["Arn"]
    everybody = {"Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"}
    condition = {"StringNotEquals": {"s3:x-amz-server-side-encryption-aws-kms-key-id": key}}
    owner.put_bucket_policy(**AT, Policy=document({"Effect": "Deny", **everybody, "Condition": condition}))
    right = key if named == "arn" else key.rpartition("/")[2]
    bench.post("settings", smallest_part_bytes=0)
    assert owner.put_object(**AT, Key="a", **under(right))
    upload = owner.create_multipart_upload(**AT, Key="b", **under(right))["UploadId"]
    part = owner.upload_part(**AT, Key="b", UploadId=upload, PartNumber=1, Body=b"1")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    assert owner.complete_multipart_upload(**AT, Key="b", UploadId=upload, MultipartUpload=parts)["SSEKMSKeyId"] == key
    for wrong in (under(other), KMS, {}):
        with refused("AccessDenied"):
            owner.put_object(**AT, Key="a", **wrong)
