"""The policies of buckets."""

from typing import Any

from ..access.documents import Malformed, as_list, parsed, statements_of, written
from ..call import Call
from ..errors import AwsError
from ..operations import Needs, operation
from .access import bucket_of, need
from .store import Bucket

_LONGEST = 20480


def _on_policy(action: str) -> Needs:
    """The owner's administrator may always: he stands for root here, whom a policy cannot lock out."""

    def needs(call: Call) -> list[Any]:
        bucket = bucket_of(call)
        administrator = call.principal.role is None and call.account == bucket.account
        return [] if administrator else [need(call, bucket, action)]

    return needs


@operation("s3:GetBucketPolicy", needs=_on_policy("GetBucketPolicy"))
def get_bucket_policy(call: Call) -> dict[str, Any]:
    """The policy, with the ids of principals that are gone."""
    policy = bucket_of(call).policy
    if policy is None:
        raise AwsError("NoSuchBucketPolicy", "The bucket policy does not exist", 404)
    return {"Policy": policy}


@operation("s3:PutBucketPolicy", needs=_on_policy("PutBucketPolicy"))
def put_bucket_policy(call: Call) -> dict[str, Any]:
    """Replaces it; raises where it names what is not there or not the bucket's."""
    bucket, document = bucket_of(call), call.get("Policy") or ""
    if len(document) > _LONGEST:
        raise AwsError("PolicyTooLarge", "The policy is too large")
    try:
        content = parsed(document)
        _check(bucket, content)
        bucket.policy = written(content, bucket.partition)
    except Malformed as error:
        text = "Invalid principal in policy" if "Invalid principal" in str(error) else str(error)
        raise AwsError("MalformedPolicy", text)
    return {}


@operation("s3:DeleteBucketPolicy", needs=_on_policy("DeleteBucketPolicy"))
def delete_bucket_policy(call: Call) -> dict[str, Any]:
    """Also if there is none."""
    bucket_of(call).policy = None
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
