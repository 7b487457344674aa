"""Listings of objects and versions, in pages (docs/aws-behaviour.md#listings)."""

import base64
from typing import Any
from urllib.parse import quote

from ..call import Call
from ..errors import AwsError
from ..operations import operation
from ..state import state
from .access import bucket_of, on_bucket
from .buckets import canonical_id
from .store import Bucket, Version, moment

_MOST = 1000


def _size(call: Call) -> int:
    size = call.get("MaxKeys", _MOST)
    if size < 0:
        raise AwsError("InvalidArgument", "Argument maxKeys must be an integer between 0 and 2147483647")
    return min(size, _MOST, state.settings.page_limit)


class _Encoded:
    """Keys as a listing shows them: in URL form if it was asked for."""

    def __init__(self, call: Call) -> None:
        self.type = call.get("EncodingType")
        if self.type not in (None, "url"):
            raise AwsError("InvalidArgument", "Invalid Encoding Method specified in Request")

    def __call__(self, key: str) -> str:
        return quote(key, safe="/*") if self.type else key


def _grouped(call: Call, key: str) -> str | None:
    """The common prefix that stands for a key."""
    prefix, delimiter = call.get("Prefix") or "", call.get("Delimiter")
    if not delimiter:
        return None
    head, found, _ = key[len(prefix) :].partition(delimiter)
    return prefix + head + delimiter if found else None


def _object(version: Version, encoded: _Encoded) -> dict[str, Any]:
    return {
        "Key": encoded(version.key),
        "LastModified": moment(version.modified),
        "ETag": version.etag,
        "Size": len(version.body),
        "StorageClass": "STANDARD",
    }


def _after(call: Call) -> str:
    token = call.get("ContinuationToken")
    if token is None:
        return call.get("StartAfter") or ""
    try:
        return base64.b64decode(token, altchars=b"-_", validate=True).decode()
    except ValueError:
        raise AwsError("InvalidArgument", "The continuation token provided is incorrect")


@operation("s3:ListObjectsV2", needs=on_bucket("ListBucket"))
def list_objects_v2(call: Call) -> dict[str, Any]:
    """A page of the objects below a prefix; those beyond a delimiter are shown as one."""
    bucket, size, encoded = bucket_of(call), _size(call), _Encoded(call)
    after, prefix = _after(call), call.get("Prefix") or ""
    owner = {"Owner": {"ID": canonical_id(bucket.account)}} if call.get("FetchOwner") else {}
    contents: list[dict[str, Any]] = []
    prefixes: list[str] = []
    last, truncated = after, False
    for version in bucket.objects():
        group = _grouped(call, version.key)
        if not version.key.startswith(prefix) or version.key <= after or (group and group <= after) or group in prefixes:
            continue
        if len(contents) + len(prefixes) >= size:
            truncated = size > 0
            break
        last = group or version.key
        if group:
            prefixes.append(group)
        else:
            contents.append({**_object(version, encoded), **owner})
    answer = {
        "Name": bucket.name,
        "Prefix": encoded(prefix),
        "Delimiter": call.get("Delimiter"),
        "MaxKeys": call.get("MaxKeys", _MOST),
        "EncodingType": encoded.type,
        "KeyCount": len(contents) + len(prefixes),
        "ContinuationToken": call.get("ContinuationToken"),
        "StartAfter": call.get("StartAfter"),
        "IsTruncated": truncated,
        "Contents": contents,
        "CommonPrefixes": [{"Prefix": encoded(group)} for group in prefixes],
    }
    if truncated:
        answer["NextContinuationToken"] = base64.urlsafe_b64encode(last.encode()).decode()
    return {name: value for name, value in answer.items() if value is not None}


def _versions(bucket: Bucket) -> list[tuple[Version, bool]]:
    """All versions, the newest of each key first, with whether it is the newest."""
    return [(v, v is versions[-1]) for _, versions in sorted(bucket.versions.items()) for v in reversed(versions)]


@operation("s3:ListObjectVersions", needs=on_bucket("ListBucketVersions"))
def list_object_versions(call: Call) -> dict[str, Any]:
    """A page of versions and delete markers."""
    bucket, size, encoded = bucket_of(call), _size(call), _Encoded(call)
    prefix, marker, version_marker = call.get("Prefix") or "", call.get("KeyMarker") or "", call.get("VersionIdMarker")
    shown: dict[str, list[dict[str, Any]]] = {"Versions": [], "DeleteMarkers": []}
    prefixes: list[str] = []
    # A version as marker: what comes behind it, its key's older ones included.
    reached = version_marker is None
    last: tuple[str, str | None] | None = None
    truncated = False
    for version, newest in _versions(bucket):
        if not reached:
            reached = (version.key, version.id) == (marker, version_marker)
            continue
        group = _grouped(call, version.key)
        before = version.key <= marker if version_marker is None else version.key < marker
        if not version.key.startswith(prefix) or before or (group and group <= marker) or group in prefixes:
            continue
        if sum(map(len, shown.values())) + len(prefixes) >= size:
            truncated = size > 0
            break
        last = (group, None) if group else (version.key, version.id)
        if group:
            prefixes.append(group)
            continue
        view = {**_object(version, encoded), "VersionId": version.id, "IsLatest": newest}
        if version.delete_marker:
            kept = ("Key", "LastModified", "VersionId", "IsLatest")
            shown["DeleteMarkers"].append({name: view[name] for name in kept})
        else:
            shown["Versions"].append(view)
    answer: dict[str, Any] = {
        "Name": bucket.name,
        "Prefix": encoded(prefix),
        "KeyMarker": encoded(marker),
        "MaxKeys": call.get("MaxKeys", _MOST),
        "EncodingType": encoded.type,
        "IsTruncated": truncated,
        "CommonPrefixes": [{"Prefix": encoded(group)} for group in prefixes],
        **shown,
    }
    if truncated and last:
        answer |= {"NextKeyMarker": encoded(last[0]), "NextVersionIdMarker": last[1]}
    return {name: value for name, value in answer.items() if value is not None}
