"""Multipart uploads (docs/aws-behaviour.md#multipart-uploads)."""

import hashlib
from typing import Any

from ..access.decision import Need
from ..call import Call
from ..errors import AwsError
from ..operations import operation
from ..state import state
from . import encryption
from .access import bucket_of, need, on_bucket, on_object, upload_keys
from .objects import begun, check_preconditions, putting, stored
from .store import Bucket, Upload, Version, etag, moment


def _upload(call: Call, bucket: Bucket) -> Upload | None:
    upload = bucket.uploads.get(call.get("UploadId"))
    return upload if upload and upload.key == call.get("Key") else None


def _existing(call: Call, bucket: Bucket) -> Upload:
    upload = _upload(call, bucket)
    if upload is None:
        text = (
            "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
        )
        raise AwsError("NoSuchUpload", text, 404)
    return upload


def _continuing(call: Call) -> list[Need]:
    """On the object, and on the key that the upload began with: its parts are read again to be put together."""
    bucket, key = bucket_of(call), call.get("Key")
    upload = _upload(call, bucket)
    needed = [need(call, bucket, "PutObject", key, **upload_keys(call, upload))]
    if upload:
        needed += encryption.needs(call, bucket, upload.attributes, key, "Decrypt")
    return needed


@operation("s3:CreateMultipartUpload", needs=putting)
def create_multipart_upload(call: Call) -> dict[str, Any]:
    """Begins one; it stays until it is completed or aborted."""
    bucket = bucket_of(call)
    asked = {name: call.get(name) for name in encryption.ASKED if call.get(name)}
    upload = Upload(call.get("Key"), {**begun(call, bucket), "asked": asked})
    bucket.uploads[upload.id] = upload
    shown = encryption.shown(Version(upload.key, attributes=upload.attributes))
    return {"Bucket": bucket.name, "Key": upload.key, "UploadId": upload.id, **shown}


@operation("s3:UploadPart", needs=_continuing)
def upload_part(call: Call) -> dict[str, Any]:
    """A part, in place of one of the same number."""
    upload, number = _existing(call, bucket_of(call)), call.get("PartNumber")
    if not 1 <= number <= 10000:
        raise AwsError("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive")
    encryption.check_key(call, upload.attributes)
    body = call.get("Body") or b""
    part = upload.parts[number] = Version(upload.key, body, etag(body))
    checksums = {
        name: value for name, value in call.params.items() if name.startswith("Checksum") and name != "ChecksumAlgorithm"
    }
    return {"ETag": part.etag, **encryption.shown(Version(upload.key, attributes=upload.attributes)), **checksums}


def _chosen(call: Call, upload: Upload) -> list[Version]:
    """The parts that a completion names, in the order of their numbers."""
    named = (call.get("MultipartUpload") or {}).get("Parts") or []
    if not named:
        raise AwsError(
            "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema"
        )
    numbers = [part.get("PartNumber") for part in named]
    if numbers != sorted(set(numbers)):
        raise AwsError("InvalidPartOrder", "The list of parts was not in ascending order. Parts must be ordered by part number.")
    parts = []
    for part in named:
        there = upload.parts.get(part["PartNumber"])
        if there is None or there.etag.strip('"') != (part.get("ETag") or "").strip('"'):
            raise AwsError("InvalidPart", "One or more of the specified parts could not be found.")
        parts.append(there)
    if any(len(part.body) < state.settings.smallest_part_bytes for part in parts[:-1]):
        raise AwsError("EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
    return parts


@operation("s3:CompleteMultipartUpload", needs=_continuing)
def complete_multipart_upload(call: Call) -> dict[str, Any]:
    """Makes an object of the parts; those that are not named are dropped."""
    bucket = bucket_of(call)
    upload = _existing(call, bucket)
    parts = _chosen(call, upload)
    check_preconditions(call, bucket)
    encryption.check_key(call, upload.attributes)
    digests = b"".join(hashlib.md5(part.body, usedforsecurity=False).digest() for part in parts)
    tag = f'"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"'
    attributes = {name: value for name, value in upload.attributes.items() if name != "asked"}
    version = Version(upload.key, b"".join(part.body for part in parts), tag, attributes=attributes)
    del bucket.uploads[upload.id]
    return {"Bucket": bucket.name, "Key": upload.key, "Location": f"/{bucket.name}/{upload.key}", **stored(bucket, version)}


@operation("s3:AbortMultipartUpload", needs=on_object("AbortMultipartUpload"))
def abort_multipart_upload(call: Call) -> dict[str, Any]:
    """Drops the parts."""
    bucket = bucket_of(call)
    del bucket.uploads[_existing(call, bucket).id]
    return {}


@operation("s3:ListMultipartUploads", needs=on_bucket("ListBucketMultipartUploads"))
def list_multipart_uploads(call: Call) -> dict[str, Any]:
    """All that are under way below a prefix, in one page."""
    bucket, prefix = bucket_of(call), call.get("Prefix") or ""
    found = sorted((u for u in bucket.uploads.values() if u.key.startswith(prefix)), key=lambda u: (u.key, u.initiated))
    shown = [{"UploadId": u.id, "Key": u.key, "Initiated": moment(u.initiated), "StorageClass": "STANDARD"} for u in found]
    return {"Bucket": bucket.name, "Prefix": prefix, "MaxUploads": 1000, "IsTruncated": False, "Uploads": shown}
