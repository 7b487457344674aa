"""The policies of buckets."""

from typing import Any

from ..access.documents import Malformed, as_list, parsed, statements_of, written
from ..call import Call
from ..errors import AwsError, denied
from ..operations import Needs, operation
from ..state import state
from .access import bucket_of, need
from .store import Bucket

_LONGEST = 20480


# What keeps a policy from being public that names everybody, if it is asked for by a value without wildcards.
_NARROWING = {
    f"aws:{key}".lower() for key in ("SourceIp", "SourceArn", "SourceVpc", "SourceVpce", "SourceOwner", "SourceAccount", "UserId")
} | {"aws:principalorgid", "aws:principalaccount", "aws:principalarn", "s3:dataaccesspointaccount", "s3:dataaccesspointarn"}
_POSITIVE = ("stringequals", "stringlike", "arnequals", "arnlike", "ipaddress")


def _on_policy(action: str) -> Needs:
    """The owner's administrator may always: he stands for root here, whom a policy cannot lock out."""

    def needs(call: Call) -> list[Any]:
        bucket = bucket_of(call)
        administrator = call.principal.role is None and call.account == bucket.account
        return [] if administrator else [need(call, bucket, action)]

    return needs


def _own(call: Call) -> Bucket:
    """Only identities of the owner's account get at the policy, whoever is allowed to."""
    bucket = bucket_of(call)
    if bucket.account != call.account:
        raise AwsError("MethodNotAllowed", "The specified method is not allowed against this resource.", 405)
    return bucket


@operation("s3:GetBucketPolicy", needs=_on_policy("GetBucketPolicy"))
def get_bucket_policy(call: Call) -> dict[str, Any]:
    """The policy, with the ids of principals that are gone."""
    policy = _own(call).policy
    if policy is None:
        raise AwsError("NoSuchBucketPolicy", "The bucket policy does not exist", 404)
    return {"Policy": policy}


@operation("s3:PutBucketPolicy", needs=_on_policy("PutBucketPolicy"))
def put_bucket_policy(call: Call) -> dict[str, Any]:
    """Replaces it; raises where it names what is not there or not the bucket's."""
    bucket, document = _own(call), call.get("Policy") or ""
    if len(document) > _LONGEST:
        raise AwsError("PolicyTooLarge", "The policy is too large")
    try:
        content = parsed(document)
        _check(bucket, content)
        policy = written(content, bucket.partition)
    except Malformed as error:
        text = "Invalid principal in policy" if "Invalid principal" in str(error) else str(error)
        raise AwsError("MalformedPolicy", text)
    if state.settings.block_public_policies and any(map(_public, statements_of(content))):
        reason = "because public policies are prevented by the BlockPublicPolicy setting in S3 Block Public Access."
        raise denied("s3", call.principal.arn, "s3:PutBucketPolicy", bucket.arn, reason)
    bucket.policy = policy
    return {}


def _public(statement: dict[str, Any]) -> bool:
    """Whether a statement lets everybody in."""
    principal = statement.get("Principal", "*")
    named = as_list(principal.get("AWS", []) if isinstance(principal, dict) else principal)
    if statement["Effect"] != "Allow" or "*" not in named:
        return False
    for operator, keys in statement.get("Condition", {}).items():
        for key, values in keys.items():
            fixed = not any(character in str(value) for value in as_list(values) for character in "*?")
            if operator.lower() in _POSITIVE and key.lower() in _NARROWING and fixed:
                return False
    return True


@operation("s3:DeleteBucketPolicy", needs=_on_policy("DeleteBucketPolicy"))
def delete_bucket_policy(call: Call) -> dict[str, Any]:
    """Also if there is none."""
    _own(call).policy = None
    return {}


def _check(bucket: Bucket, content: dict[str, Any]) -> None:
    for statement in statements_of(content):
        for action in as_list(statement.get("Action", statement.get("NotAction"))):
            if action != "*" and not action.lower().startswith("s3:"):
                raise Malformed("Policy has invalid action")
        for resource in as_list(statement.get("Resource", statement.get("NotResource"))):
            if not _inside(bucket, resource):
                raise Malformed("Policy has invalid resource")


def _inside(bucket: Bucket, resource: str) -> bool:
    if resource == bucket.arn or resource.startswith(f"{bucket.arn}/"):
        return True
    # A pattern may begin before the bucket's name ends.
    head, star, _ = resource.partition("*")
    return bool(star) and len(head) > len(f"arn:{bucket.partition}:s3:::") - 1 and bucket.arn.startswith(head)
