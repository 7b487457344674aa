"""Object lock: versions that cannot be deleted for a while (docs/aws-behaviour.md#objects)."""

from datetime import UTC, datetime, timedelta
from typing import Any

from ..access.decision import Need
from ..call import Call
from ..errors import AwsError
from ..state import now
from .access import need
from .store import Bucket, Version

_ASKED = ("ObjectLockMode", "ObjectLockRetainUntilDate", "ObjectLockLegalHoldStatus")
PROTECTED = ("AccessDenied", "Access Denied because object protected by object lock.", 403)


def wanted(call: Call, bucket: Bucket) -> dict[str, Any]:
    """The lock that an object is stored with: as the request says, or the bucket."""
    asked = {name: call.get(name) for name in _ASKED if call.get(name) is not None}
    if asked and not bucket.object_lock:
        raise AwsError("InvalidRequest", "Bucket is missing Object Lock Configuration")
    if ("ObjectLockMode" in asked) != ("ObjectLockRetainUntilDate" in asked):
        text = "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied"
        raise AwsError("InvalidArgument", text)
    if "ObjectLockMode" not in asked and bucket.lock_rule:
        retention = bucket.lock_rule["DefaultRetention"]
        days = retention.get("Days") or 365 * retention["Years"]
        asked["ObjectLockMode"] = retention["Mode"]
        asked["ObjectLockRetainUntilDate"] = datetime.fromtimestamp(int(now()), UTC) + timedelta(days=days)
    if "ObjectLockRetainUntilDate" in asked:
        # Times come from the wire without a zone.
        asked["ObjectLockRetainUntilDate"] = asked["ObjectLockRetainUntilDate"].replace(tzinfo=UTC)
    return asked


def needs(call: Call, bucket: Bucket, key: str) -> list[Need]:
    """What it takes to lock the object that is put."""
    actions = []
    if call.get("ObjectLockMode"):
        actions.append("PutObjectRetention")
    if call.get("ObjectLockLegalHoldStatus"):
        actions.append("PutObjectLegalHold")
    return [need(call, bucket, action, key) for action in actions]


def protected(version: Version, bypass: bool) -> bool:
    """Whether a version cannot be deleted now."""
    if version.attributes.get("ObjectLockLegalHoldStatus") == "ON":
        return True
    until = version.attributes.get("ObjectLockRetainUntilDate")
    if until is None or until.timestamp() <= now():
        return False
    return version.attributes["ObjectLockMode"] == "COMPLIANCE" or not bypass
