"""What calls of S3 need permission for: the action on bucket or object, under the caller's policies and the bucket's."""

import re
from collections.abc import Callable
from typing import Any

from ..access.decision import Need, refusal
from ..call import Call
from ..errors import AwsError
from ..operations import Needs
from .store import Bucket, Upload, find

_ACCOUNT = re.compile(r"\d{12}")

DENIED = ("AccessDenied", "Access Denied", 403)


def bucket_of(call: Call) -> Bucket:
    """The bucket that a call names, if it is in the region and is whose the caller expects."""
    bucket = find(call.get("Bucket"))
    if bucket.region != call.region and call.operation != "GetBucketLocation":
        raise AwsError(
            "PermanentRedirect",
            "The bucket you are attempting to access must be addressed using the specified endpoint. "
            "Please send all future requests to this endpoint.",
            301,
            {"x-amz-bucket-region": bucket.region},
        )
    expected = call.get("ExpectedBucketOwner")
    if expected is not None and not _ACCOUNT.fullmatch(expected):
        raise AwsError(
            "InvalidBucketOwnerAWSAccountID", "The value of the expected bucket owner parameter must be an AWS Account ID"
        )
    if expected not in (None, bucket.account):
        raise AwsError(*DENIED)
    return bucket


def need(call: Call, bucket: Bucket, action: str, key: str | None = None, **keys: Any) -> Need:
    """The need of an action on a bucket or an object."""
    resource = bucket.arn if key is None else f"{bucket.arn}/{key}"
    return Need(f"s3:{action}", resource, {**_request_keys(call), **keys}, bucket.guard)


def permitted(call: Call, wanted: Need) -> bool:
    """Whether something beside the call itself is allowed."""
    wanted.keys = {**call.origin.keys(), **wanted.keys}
    return refusal(call.principal, call.region, wanted) is None


def _request_keys(call: Call) -> dict[str, Any]:
    size = call.get("MaxKeys")
    return {
        "s3:prefix": call.get("Prefix"),
        "s3:delimiter": call.get("Delimiter"),
        "s3:max-keys": None if size is None else str(size),
        "s3:versionid": call.get("VersionId"),
        "s3:x-amz-acl": call.get("ACL"),
        "s3:x-amz-server-side-encryption": call.get("ServerSideEncryption"),
        "s3:x-amz-server-side-encryption-aws-kms-key-id": key_arn(call, call.get("SSEKMSKeyId")),
        "s3:if-none-match": call.get("IfNoneMatch"),
        "s3:object-lock-mode": call.get("ObjectLockMode"),
    }


def upload_keys(call: Call, upload: Upload | None) -> dict[str, Any]:
    """The encryption that an upload began with counts for its parts too, whose requests do not tell it."""
    attributes = upload.attributes if upload else {}
    return {
        "s3:x-amz-server-side-encryption": attributes.get("asked", {}).get("ServerSideEncryption"),
        "s3:x-amz-server-side-encryption-aws-kms-key-id": key_arn(call, attributes.get("asked", {}).get("SSEKMSKeyId")),
    }


def key_arn(call: Call, identifier: str | None) -> str | None:
    """A key's id as conditions see it."""
    if identifier is None or identifier.startswith(("arn:", "alias/")):
        return identifier
    return call.arn(f"key/{identifier}", "kms")


def on_bucket(action: str) -> Needs:
    """The needs of an operation on a bucket as a whole."""
    return lambda call: [need(call, bucket_of(call), action)]


def on_object(action: str, versioned: str | None = None) -> Callable[[Call], list[Need]]:
    """The needs of an operation on an object; `versioned` is the action if the call names a version."""

    def needs(call: Call) -> list[Need]:
        actual = versioned if versioned and call.get("VersionId") else action
        return [need(call, bucket_of(call), actual, call.get("Key"))]

    return needs
