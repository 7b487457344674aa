"""How objects are encrypted, and what that asks of their KMS key (docs/aws-behaviour.md#objects-under-a-kms-key)."""

import json
from typing import Any

from ..access.decision import Need
from ..call import Call
from ..errors import AwsError
from ..kms import DISABLED, ENABLED, Key, keys_of, locate, need_on, pending
from .store import Bucket, Version

_KMS = ("aws:kms", "aws:kms:dsse")
ASKED = ("ServerSideEncryption", "SSEKMSKeyId")


def wanted(call: Call, bucket: Bucket) -> dict[str, Any]:
    """What an object is stored with: as the request says, or the bucket."""
    if any(call.get(name) for name in ("SSECustomerAlgorithm", "SSECustomerKey")):
        raise AwsError("NotImplemented", "the bench has no keys of customers' own", 501)
    algorithm, identifier = (call.get(name) for name in ASKED)
    if identifier and algorithm not in _KMS:
        raise AwsError(
            "InvalidArgument",
            "Server Side Encryption with KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms",
        )
    bucket_key = call.get("BucketKeyEnabled")
    if algorithm is None:
        rule = bucket.encryption or {}
        default = rule.get("ApplyServerSideEncryptionByDefault", {})
        algorithm, identifier = default.get("SSEAlgorithm", "AES256"), default.get("KMSMasterKeyID")
        bucket_key = rule.get("BucketKeyEnabled")
    if algorithm not in ("AES256", *_KMS):
        raise AwsError("InvalidArgument", "The encryption method specified is not supported")
    if algorithm == "AES256":
        return {"ServerSideEncryption": algorithm}
    arn, _ = _located(call, identifier) if identifier else (_managed(call).arn, None)
    return {"ServerSideEncryption": algorithm, "SSEKMSKeyId": arn, **({"BucketKeyEnabled": True} if bucket_key else {})}


def _located(call: Call, identifier: str) -> tuple[str, Key | None]:
    try:
        return locate(call, identifier)
    except AwsError as error:
        raise AwsError(f"KMS.{error.code}", error.message) from None


def _managed(call: Call) -> Key:
    """The key that AWS keeps for S3 in the caller's account: no other account can be let in."""
    keys = keys_of(call.account, call.region)
    if "alias/aws/s3" not in keys.aliases:
        condition = {"kms:CallerAccount": call.account, "kms:ViaService": _via(call)}
        statement = {
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
            "Resource": "*",
            "Condition": {"StringEquals": condition},
        }
        look = {
            "Effect": "Allow",
            "Principal": {"AWS": f"arn:{call.partition}:iam::{call.account}:root"},
            "Action": ["kms:Describe*", "kms:Get*", "kms:List*"],
            "Resource": "*",
        }
        policy = json.dumps({"Version": "2012-10-17", "Id": "auto-s3-2", "Statement": [statement, look]})
        key = Key(call.account, call.region, call.arn("key/aws-s3", "kms"), policy, manager="AWS")
        keys.by_id[key.id] = key
        keys.aliases["alias/aws/s3"] = key.id
    return keys.by_id[keys.aliases["alias/aws/s3"]]


def _via(call: Call) -> str:
    return f"s3.{call.region}.amazonaws.com"


def needs(call: Call, bucket: Bucket, attributes: dict[str, Any], name: str, *actions: str) -> list[Need]:
    """The caller's own right to use the key of an object; none where there is no key. The key has to be there."""
    arn = attributes.get("SSEKMSKeyId")
    if arn is None:
        return []
    _, key = _located(call, arn)
    if key is None:
        raise AwsError("KMS.NotFoundException", f"Key '{arn}' does not exist")
    # With a bucket key the context is the bucket, because many objects share a data key.
    encrypted = bucket.arn if attributes.get("BucketKeyEnabled") else f"{bucket.arn}/{name}"
    keys = {"kms:viaservice": _via(call), "kms:encryptioncontext:aws:s3:arn": encrypted}
    return [need_on(call, key, f"kms:{action}", **keys) for action in actions]


def check_key(call: Call, attributes: dict[str, Any]) -> None:
    """Raises if the key of an object cannot be used now."""
    arn = attributes.get("SSEKMSKeyId")
    if arn is None:
        return
    _, key = _located(call, arn)
    if key.state == DISABLED:
        raise AwsError("KMS.DisabledException", f"{arn} is disabled.")
    if key.state != ENABLED:
        raise AwsError("KMS.KMSInvalidStateException", pending(key).message)


def shown(version: Version) -> dict[str, Any]:
    """As answers tell it."""
    names = (*ASKED, "BucketKeyEnabled")
    return {name: version.attributes[name] for name in names if name in version.attributes}
