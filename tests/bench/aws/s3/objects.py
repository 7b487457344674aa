"""Putting objects and getting them (docs/aws-behaviour.md#objects)."""

import re
from typing import Any

from ..access.decision import Need
from ..call import Call
from ..errors import AwsError
from ..operations import operation
from . import encryption, locks
from .access import DENIED, bucket_of, need, permitted
from .store import Bucket, Version, etag, moment

_LONGEST_KEY = 1024
_CHECKSUMS = ("ChecksumCRC32", "ChecksumCRC32C", "ChecksumCRC64NVME", "ChecksumSHA1", "ChecksumSHA256")
_KEPT = ("CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType", "Metadata")
_GRANTS = ("GrantFullControl", "GrantRead", "GrantReadACP", "GrantWriteACP")
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class Answered(dict):
    """A result with a status of its own."""

    def __init__(self, status: int, content: dict[str, Any]) -> None:
        super().__init__(content)
        self.status = status


def precondition_failed() -> AwsError:
    """The object is not as the request supposes."""
    return AwsError("PreconditionFailed", "At least one of the pre-conditions you specified did not hold", 412)


# Putting


def putting(call: Call) -> list[Need]:
    """The needs of an operation that begins an object: for itself, its lock, its ACL, and its key."""
    bucket, key = bucket_of(call), call.get("Key")
    actions = ["PutObject"]
    if call.get("ACL") or any(call.get(name) for name in _GRANTS):
        actions.append("PutObjectAcl")
    attributes = encryption.wanted(call, bucket)
    return [
        *(need(call, bucket, action, key) for action in actions),
        *locks.needs(call, bucket, key),
        *encryption.needs(call, bucket, attributes, key, "GenerateDataKey"),
    ]


def begun(call: Call, bucket: Bucket) -> dict[str, Any]:
    """What an object is stored with, besides its content; raises where it cannot be."""
    if len(call.get("Key").encode()) > _LONGEST_KEY:
        raise AwsError("KeyTooLongError", "Your key is too long")
    if call.get("ACL") not in (None, "bucket-owner-full-control") or any(call.get(name) for name in _GRANTS):
        raise AwsError("AccessControlListNotSupported", "The bucket does not allow ACLs")
    if call.get("Tagging") or call.get("StorageClass") not in (None, "STANDARD"):
        raise AwsError("NotImplemented", "the bench has neither tags nor storage classes of objects", 501)
    attributes = {**encryption.wanted(call, bucket), **locks.wanted(call, bucket)}
    encryption.check_key(call, attributes)
    attributes |= {name: call.get(name) for name in _KEPT if call.get(name)}
    if "Metadata" in attributes:
        attributes["Metadata"] = {name.lower(): value for name, value in attributes["Metadata"].items()}
    attributes.setdefault("ContentType", "binary/octet-stream")
    return attributes


def check_preconditions(call: Call, bucket: Bucket) -> None:
    """Raises if the object that is there, or not there, is not the one that the request supposes."""
    current = bucket.current(call.get("Key"))
    present = current is not None and not current.delete_marker
    if (unless := call.get("IfNoneMatch")) is not None:
        if unless != "*":
            raise AwsError("NotImplemented", "A header you provided implies functionality that is not implemented", 501)
        if present:
            raise precondition_failed()
    if (only := call.get("IfMatch")) is not None:
        if not present:
            raise AwsError("NoSuchKey", "The specified key does not exist.", 404)
        if only.strip('"') != current.etag.strip('"'):
            raise precondition_failed()


def stored(bucket: Bucket, version: Version) -> dict[str, Any]:
    """Puts an object into its bucket; the answer."""
    bucket.add(version)
    answer = {"ETag": version.etag, **encryption.shown(version)}
    if bucket.versioning == "Enabled":
        answer["VersionId"] = version.id
    return answer


@operation("s3:PutObject", needs=putting)
def put_object(call: Call) -> dict[str, Any]:
    """An object in one, in place of what is there or above it."""
    bucket, body = bucket_of(call), call.get("Body") or b""
    attributes = begun(call, bucket)
    check_preconditions(call, bucket)
    checksums = {name: call.get(name) for name in _CHECKSUMS if call.get(name)}
    if checksums:
        checksums["ChecksumType"] = "FULL_OBJECT"
    version = Version(call.get("Key"), body, etag(body), attributes={**attributes, **checksums})
    return {**stored(bucket, version), **checksums}


# Getting


def _opened(call: Call) -> bool:
    """Whether the key of an object is needed: for its content, and for its checksum."""
    return call.operation == "GetObject" or call.get("ChecksumMode") == "ENABLED"


def _getting(call: Call) -> list[Need]:
    """On the object, and on its key; on the key only where there is an object."""
    bucket, key, identifier = bucket_of(call), call.get("Key"), call.get("VersionId")
    action = "GetObjectVersion" if identifier else "GetObject"
    version = bucket.version(key, identifier) if identifier else bucket.current(key)
    needed = [need(call, bucket, action, key)]
    if _opened(call) and version and not version.delete_marker:
        needed += encryption.needs(call, bucket, version.attributes, key, "Decrypt")
    return needed


def _found(call: Call, bucket: Bucket) -> Version:
    key, identifier = call.get("Key"), call.get("VersionId")
    version = bucket.version(key, identifier) if identifier else bucket.current(key)
    if version is None and identifier:
        raise AwsError("NoSuchVersion", "The specified version does not exist.", 404)
    if version is not None and version.delete_marker and identifier:
        marker = {"x-amz-delete-marker": "true"}
        raise AwsError("MethodNotAllowed", "The specified method is not allowed against this resource.", 405, marker)
    if version is None or version.delete_marker:
        # Only who may list gets to know that it is not there.
        if not permitted(call, need(call, bucket, "ListBucket")):
            raise AwsError(*DENIED)
        marker = {"x-amz-delete-marker": "true"} if version else {}
        raise AwsError("NoSuchKey", "The specified key does not exist.", 404, marker)
    return version


def _check_conditions(call: Call, version: Version) -> None:
    only, unless = call.get("IfMatch"), call.get("IfNoneMatch")
    if only is not None and only.strip('"') not in (version.etag.strip('"'), "*"):
        raise precondition_failed()
    if unless is not None and unless.strip('"') in (version.etag.strip('"'), "*"):
        raise AwsError("NotModified", "Not Modified", 304)


def _described(call: Call, bucket: Bucket, version: Version) -> dict[str, Any]:
    answer = {
        **version.attributes,
        "ETag": version.etag,
        "LastModified": moment(version.modified),
        "ContentLength": len(version.body),
        "AcceptRanges": "bytes",
    }
    if bucket.versioning is not None:
        answer["VersionId"] = version.id
    if call.get("ChecksumMode") != "ENABLED":
        answer = {name: value for name, value in answer.items() if not name.startswith("Checksum")}
    return answer


@operation("s3:HeadObject", needs=_getting)
def head_object(call: Call) -> dict[str, Any]:
    """An object without its content."""
    bucket = bucket_of(call)
    version = _found(call, bucket)
    if _opened(call):
        encryption.check_key(call, version.attributes)
    _check_conditions(call, version)
    return _described(call, bucket, version)


@operation("s3:GetObject", needs=_getting)
def get_object(call: Call) -> dict[str, Any]:
    """An object, or some of it."""
    answer = head_object(call)
    body = _found(call, bucket_of(call)).body
    part = _RANGE.fullmatch(call.get("Range") or "")
    if part is None or part.groups() == ("", ""):
        return {**answer, "Body": body}
    first, last = part.groups()
    start = int(first) if first else max(0, len(body) - int(last))
    end = min(int(last) if first and last else len(body) - 1, len(body) - 1)
    if start > end:
        raise AwsError("InvalidRange", "The requested range is not satisfiable", 416)
    piece = body[start : end + 1]
    # A checksum is of the whole.
    answer = {name: value for name, value in answer.items() if not name.startswith("Checksum")}
    content = {"Body": piece, "ContentLength": len(piece), "ContentRange": f"bytes {start}-{end}/{len(body)}"}
    return Answered(206, {**answer, **content})
