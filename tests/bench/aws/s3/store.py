"""Buckets and what is in them."""

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ..access.decision import Guard
from ..errors import AwsError
from ..state import now, state

NULL = "null"


def moment(seconds: float) -> datetime:
    """A time as the serializer takes it; S3 has whole seconds."""
    return datetime.fromtimestamp(int(seconds), UTC)


@dataclass
class Version:
    """An object's content at one time, or the mark of its deletion."""

    key: str
    body: bytes = b""
    etag: str = ""
    id: str = NULL
    delete_marker: bool = False
    # As GetObject gives them: ContentType, Metadata, encryption, locks, checksums.
    attributes: dict[str, Any] = field(default_factory=dict)
    modified: float = field(default_factory=now)

    @property
    def kms_key(self) -> str | None:
        """The ARN of the KMS key that it is encrypted with."""
        return self.attributes.get("SSEKMSKeyId")


@dataclass
class Upload:
    """A multipart upload that is neither completed nor aborted."""

    key: str
    attributes: dict[str, Any]
    id: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    parts: dict[int, Version] = field(default_factory=dict)
    initiated: float = field(default_factory=now)


@dataclass
class Bucket:
    """A bucket. `versions` has those of each key, the newest last."""

    name: str
    account: str
    region: str
    partition: str
    policy: str | None = None
    # None, Enabled or Suspended.
    versioning: str | None = None
    object_lock: bool = False
    lock_rule: dict[str, Any] | None = None
    encryption: dict[str, Any] | None = None
    versions: dict[str, list[Version]] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    created: float = field(default_factory=now)

    @property
    def arn(self) -> str:
        """The ARN, which tells no account."""
        return f"arn:{self.partition}:s3:::{self.name}"

    @property
    def guard(self) -> Guard:
        """Its policy, beside which the owner's own policies suffice."""
        return Guard(self.account, self.policy)

    def current(self, key: str) -> Version | None:
        """What is found without a version id, be it a delete marker."""
        versions = self.versions.get(key)
        return versions[-1] if versions else None

    def version(self, key: str, identifier: str) -> Version | None:
        """A version by its id."""
        return next((v for v in self.versions.get(key, []) if v.id == identifier), None)

    def add(self, version: Version) -> None:
        """Puts a version on top; without versioning in place of what is there."""
        versions = self.versions.setdefault(version.key, [])
        version.id = secrets.token_urlsafe(24) if self.versioning == "Enabled" else NULL
        if version.id == NULL:
            versions[:] = [v for v in versions if v.id != NULL]
        versions.append(version)

    def remove(self, version: Version) -> None:
        """Takes a version away for good."""
        versions = self.versions[version.key]
        versions.remove(version)
        if not versions:
            del self.versions[version.key]

    def objects(self) -> list[Version]:
        """What a listing shows, in order."""
        newest = (versions[-1] for _, versions in sorted(self.versions.items()))
        return [version for version in newest if not version.delete_marker]


def etag(body: bytes) -> str:
    """That of an object that was put in one."""
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


def find(name: str) -> Bucket:
    """A bucket, whosesoever."""
    bucket = state.buckets.get(name)
    if bucket is None:
        raise AwsError("NoSuchBucket", "The specified bucket does not exist", 404)
    return bucket
