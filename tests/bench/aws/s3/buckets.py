"""The operations on buckets."""

import ipaddress
import re
from typing import Any

from ..access.decision import Guard, Need
from ..call import Call
from ..errors import AwsError
from ..operations import operation
from ..state import state
from .access import DENIED, bucket_of, need, on_bucket, permitted
from .store import Bucket, moment

_NAME = re.compile(r"(?!xn--|sthree-)[a-z0-9](?:[a-z0-9.-]{1,61})[a-z0-9]")
_FIRST_REGION = "us-east-1"


def _creation(call: Call) -> list[Need]:
    """On the bucket to be, which is the caller's own."""
    arn = f"arn:{call.partition}:s3:::{call.get('Bucket')}"
    keys = {"s3:locationconstraint": _constraint(call), "s3:x-amz-acl": call.get("ACL")}
    actions = ["CreateBucket"]
    if call.get("ObjectLockEnabledForBucket"):
        actions += ["PutBucketObjectLockConfiguration", "PutBucketVersioning"]
    if call.get("ObjectOwnership"):
        actions.append("PutBucketOwnershipControls")
    return [Need(f"s3:{action}", arn, dict(keys)) for action in actions]


def _constraint(call: Call) -> str | None:
    return (call.get("CreateBucketConfiguration") or {}).get("LocationConstraint")


def _valid_name(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return bool(_NAME.fullmatch(name)) and ".." not in name
    return False


@operation("s3:CreateBucket", needs=_creation)
def create_bucket(call: Call) -> dict[str, Any]:
    """A bucket in the region whose endpoint is asked, or in any one from the first, under a name that nobody has."""
    name, constraint = call.get("Bucket") or "", _constraint(call)
    if not _valid_name(name):
        raise AwsError("InvalidBucketName", "The specified bucket is not valid.")
    # The endpoint of the first region is also that of all.
    region = (constraint or _FIRST_REGION) if call.region == _FIRST_REGION else call.region
    if constraint != (None if region == _FIRST_REGION else region):
        given = constraint or "unspecified"
        raise AwsError(
            "IllegalLocationConstraintException",
            f"The {given} location constraint is incompatible for the region specific endpoint this request was sent to.",
        )
    if call.get("ACL") not in (None, "private"):
        raise AwsError(
            "InvalidBucketAclWithObjectOwnership",
            "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting",
        )
    if call.get("ObjectOwnership") not in (None, "BucketOwnerEnforced"):
        raise AwsError("NotImplemented", "the bench has only buckets without ACLs", 501)
    if (call.get("CreateBucketConfiguration") or {}).get("Tags"):
        raise AwsError("NotImplemented", "the bench has no tags on buckets", 501)
    if present := state.buckets.get(name):
        _refuse_existing(call, present)
    bucket = Bucket(name, call.account, region, call.partition)
    if call.get("ObjectLockEnabledForBucket"):
        bucket.object_lock, bucket.versioning = True, "Enabled"
    state.buckets[name] = bucket
    return {"Location": f"/{name}"}


def _refuse_existing(call: Call, present: Bucket) -> None:
    if present.account == call.account:
        text = "Your previous request to create the named bucket succeeded and you already own it."
        raise AwsError("BucketAlreadyOwnedByYou", text, 409)
    text = "The requested bucket name is not available. The bucket namespace is shared by all users of the system."
    raise AwsError("BucketAlreadyExists", text, 409)


@operation("s3:DeleteBucket", needs=on_bucket("DeleteBucket"))
def delete_bucket(call: Call) -> dict[str, Any]:
    """Only an empty one; old versions and delete markers count."""
    bucket = bucket_of(call)
    if bucket.versions:
        text = "The bucket you tried to delete is not empty"
        raise AwsError(
            "BucketNotEmpty", text + (". You must delete all versions in the bucket." if bucket.versioning else ""), 409
        )
    del state.buckets[bucket.name]
    return {}


@operation("s3:ListBuckets", needs=lambda call: [Need("s3:ListAllMyBuckets", "*")])
def list_buckets(call: Call) -> dict[str, Any]:
    """Those of the caller's account, in all regions."""
    prefix, region = call.get("Prefix") or "", call.get("BucketRegion")
    own = [b for _, b in sorted(state.buckets.items()) if b.account == call.account and b.name.startswith(prefix)]
    return {
        "Buckets": [
            {"Name": b.name, "CreationDate": moment(b.created), "BucketRegion": b.region}
            for b in own
            if region in (None, b.region)
        ],
        "Owner": {"ID": canonical_id(call.account)},
    }


def canonical_id(account: str) -> str:
    """An account's other name."""
    return f"{int(account):064x}"


@operation("s3:HeadBucket", needs=lambda call: [])
def head_bucket(call: Call) -> dict[str, Any]:
    """Whether the bucket is there and may be looked into. Where it is everybody gets to know."""
    bucket = bucket_of(call)
    if not permitted(call, need(call, bucket, "ListBucket")):
        raise AwsError(*DENIED, {"x-amz-bucket-region": bucket.region})
    return {"BucketRegion": bucket.region, "AccessPointAlias": False}


def _on_location(call: Call) -> list[Need]:
    """In another region than its own the bucket's policy does not apply, so that only its own account is answered."""
    bucket = bucket_of(call)
    needed = need(call, bucket, "GetBucketLocation")
    if bucket.region != call.region:
        needed.guard = Guard(bucket.account, None)
    return [needed]


@operation("s3:GetBucketLocation", needs=_on_location)
def get_bucket_location(call: Call) -> dict[str, Any]:
    """The region; nothing for the first of them."""
    region = bucket_of(call).region
    return {"LocationConstraint": "" if region == _FIRST_REGION else region}


@operation("s3:GetBucketVersioning", needs=on_bucket("GetBucketVersioning"))
def get_bucket_versioning(call: Call) -> dict[str, Any]:
    """No status if versions were never asked for."""
    status = bucket_of(call).versioning
    return {"Status": status} if status else {}


@operation("s3:PutBucketVersioning", needs=on_bucket("PutBucketVersioning"))
def put_bucket_versioning(call: Call) -> dict[str, Any]:
    """Versions cannot be suspended where objects may be locked."""
    bucket, status = bucket_of(call), (call.get("VersioningConfiguration") or {}).get("Status")
    if status not in ("Enabled", "Suspended"):
        raise AwsError("IllegalVersioningConfigurationException", "The Versioning element must be specified")
    if bucket.object_lock and status != "Enabled":
        text = "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed."
        raise AwsError("InvalidBucketState", text, 409)
    bucket.versioning = status
    return {}


@operation("s3:GetObjectLockConfiguration", needs=on_bucket("GetBucketObjectLockConfiguration"))
def get_object_lock_configuration(call: Call) -> dict[str, Any]:
    """Whether objects may be locked, and how they are if nothing is said."""
    bucket = bucket_of(call)
    if not bucket.object_lock:
        text = "Object Lock configuration does not exist for this bucket"
        raise AwsError("ObjectLockConfigurationNotFoundError", text, 404)
    rule = {"Rule": bucket.lock_rule} if bucket.lock_rule else {}
    return {"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled", **rule}}


@operation("s3:PutObjectLockConfiguration", needs=on_bucket("PutBucketObjectLockConfiguration"))
def put_object_lock_configuration(call: Call) -> dict[str, Any]:
    """Only where there are versions; it cannot be taken back."""
    bucket, wanted = bucket_of(call), call.get("ObjectLockConfiguration") or {}
    if wanted.get("ObjectLockEnabled") != "Enabled":
        raise AwsError(
            "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema"
        )
    if bucket.versioning != "Enabled":
        text = "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration"
        raise AwsError("InvalidBucketState", text, 409)
    retention = (wanted.get("Rule") or {}).get("DefaultRetention") or {}
    if wanted.get("Rule") and (
        retention.get("Mode") not in ("GOVERNANCE", "COMPLIANCE") or ("Days" in retention) == ("Years" in retention)
    ):
        raise AwsError(
            "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema"
        )
    bucket.object_lock, bucket.lock_rule = True, wanted.get("Rule")
    return {}


_DEFAULT_ENCRYPTION = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}


@operation("s3:GetBucketEncryption", needs=on_bucket("GetEncryptionConfiguration"))
def get_bucket_encryption(call: Call) -> dict[str, Any]:
    """Every bucket has one."""
    return {"ServerSideEncryptionConfiguration": {"Rules": [bucket_of(call).encryption or _DEFAULT_ENCRYPTION]}}


@operation("s3:PutBucketEncryption", needs=on_bucket("PutEncryptionConfiguration"))
def put_bucket_encryption(call: Call) -> dict[str, Any]:
    """How objects are encrypted whose requests do not say it. The key is not looked at."""
    rules = (call.get("ServerSideEncryptionConfiguration") or {}).get("Rules") or []
    default = (rules[0].get("ApplyServerSideEncryptionByDefault") or {}) if len(rules) == 1 else {}
    if default.get("SSEAlgorithm") not in ("AES256", "aws:kms", "aws:kms:dsse"):
        raise AwsError(
            "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema"
        )
    if default.get("KMSMasterKeyID") and default["SSEAlgorithm"] == "AES256":
        raise AwsError("InvalidArgument", "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms")
    bucket_of(call).encryption = rules[0]
    return {}
