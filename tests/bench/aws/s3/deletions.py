"""Deleting objects and versions (docs/aws-behaviour.md#objects)."""

from typing import Any

from ..access.decision import Need
from ..call import Call
from ..errors import AwsError
from ..operations import operation
from . import locks
from .access import DENIED, bucket_of, need, permitted
from .store import Bucket, Version

_MOST = 1000


def _needs(call: Call, bucket: Bucket, key: str, version: str | None) -> list[Need]:
    keys = {"s3:versionid": version}
    needed = [need(call, bucket, "DeleteObjectVersion" if version else "DeleteObject", key, **keys)]
    if call.get("BypassGovernanceRetention"):
        needed.append(need(call, bucket, "BypassGovernanceRetention", key, **keys))
    return needed


def _delete(call: Call, bucket: Bucket, key: str, identifier: str | None) -> dict[str, Any]:
    """Deletes; the answer tells what marks the deletion, or that a mark was what was deleted."""
    if identifier is None:
        if bucket.versioning is None:
            bucket.versions.pop(key, None)
            return {}
        marker = Version(key, delete_marker=True)
        bucket.add(marker)
        return {"DeleteMarker": True, "VersionId": marker.id}
    version = bucket.version(key, identifier)
    if version is None:
        return {"VersionId": identifier}
    if locks.protected(version, bool(call.get("BypassGovernanceRetention"))):
        raise AwsError(*locks.PROTECTED)
    bucket.remove(version)
    return {"VersionId": identifier, **({"DeleteMarker": True} if version.delete_marker else {})}


@operation("s3:DeleteObject", needs=lambda call: _needs(call, bucket_of(call), call.get("Key"), call.get("VersionId")))
def delete_object(call: Call) -> dict[str, Any]:
    """An object or version; what is not there is deleted too."""
    return _delete(call, bucket_of(call), call.get("Key"), call.get("VersionId"))


def _bucket_only(call: Call) -> list[Need]:
    """Each object is asked for by itself."""
    bucket_of(call)
    return []


@operation("s3:DeleteObjects", needs=_bucket_only)
def delete_objects(call: Call) -> dict[str, Any]:
    """Up to a thousand; each succeeds or fails by itself."""
    bucket, order = bucket_of(call), call.get("Delete") or {}
    objects = order.get("Objects") or []
    if not 1 <= len(objects) <= _MOST:
        raise AwsError(
            "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema"
        )
    deleted, failed = [], []
    for wanted in objects:
        key, identifier = wanted.get("Key"), wanted.get("VersionId")
        named = {"Key": key, **({"VersionId": identifier} if identifier else {})}
        try:
            if not all(permitted(call, needed) for needed in _needs(call, bucket, key, identifier)):
                raise AwsError(*DENIED)
            done = _delete(call, bucket, key, identifier)
        except AwsError as error:
            failed.append({**named, "Code": error.code, "Message": error.message})
            continue
        marker = {"DeleteMarker": True, "DeleteMarkerVersionId": done["VersionId"]} if "DeleteMarker" in done else {}
        deleted.append({**named, **marker})
    return {"Deleted": [] if order.get("Quiet") else deleted, "Errors": failed}
