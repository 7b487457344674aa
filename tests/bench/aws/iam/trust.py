"""Trust policies: checked when written, kept in IAM's own form, and broken when a trusted role goes.

IAM keeps a role's unique id in place of its ARN and shows the ARN as long as the role lives. Here the ARN is kept, and
replaced by the id when the role is deleted: a role made anew under the same name is not trusted.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from moto.iam.exceptions import MalformedPolicyDocument
from moto.iam.models import Role, iam_backends
from moto.iam.policy_validation import IAMTrustPolicyDocumentValidator

from ..errors import AwsError
from ..state import state
from .principals import account_of, find_role, find_role_by_id

_ROLE_ID = re.compile(r"AROA[A-Z0-9]+")
_SESSION = re.compile(r"arn:(aws[a-z-]*):sts::(\d{12}):assumed-role/([^/]+)/.+")
_USER = re.compile(r"arn:(aws[a-z-]*):iam::(\d{12}):user/.+")
_SERVICE = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*\.amazonaws\.com(\.cn)?")


def _malformed(message: str) -> AwsError:
    return AwsError("MalformedPolicyDocument", message)


def written(document: str, partition: str) -> str:
    """A trust policy as IAM keeps it; raises where it would not."""
    try:
        IAMTrustPolicyDocumentValidator(document).validate()
    except MalformedPolicyDocument as error:
        raise _malformed(error.message) from None
    if len(re.sub(r"\s", "", document)) > state.settings.trust_policy_characters:
        quota = state.settings.trust_policy_characters
        raise AwsError("LimitExceeded", f"Cannot exceed quota for ACLSizePerRole: {quota}", 409)
    content = json.loads(document)
    statements = content["Statement"] if isinstance(content["Statement"], list) else [content["Statement"]]
    for statement in statements:
        if "Principal" not in statement:
            raise _malformed("AssumeRolepolicy must contain principals.")
    return with_checked_principals(content, partition)


def with_checked_principals(content: dict[str, Any], partition: str) -> str:
    """A document in IAM's own form; raises if a principal is not there. Policies of other resources are kept so too."""
    return _with_principals(content, lambda principal: _checked(principal, partition), _checked_service)


def forget(role: Role) -> None:
    """Breaks the trust in a role that is deleted, in every account, and what policies of buckets, keys and secrets give it."""
    for _, _, backend in iam_backends.iter_backends():
        for other in backend.roles.values():
            other.assume_role_policy_document = _without(role, other.assume_role_policy_document)
    for thing in state.with_policies():
        thing.policy = _without(role, thing.policy)


def _without(role: Role, document: str | None) -> str | None:
    if document is None or role.arn not in document:
        return document
    return _with_principals(
        json.loads(document), lambda principal: role.id if principal == role.arn else principal, lambda service: service
    )


def _checked_service(service: str) -> str:
    if not _SERVICE.fullmatch(service):
        raise _malformed(f'Invalid principal in policy: "SERVICE":"{service}"')
    return service


def _checked(principal: str, partition: str) -> str:
    """A principal in the form in which it is shown."""
    if principal == "*":
        return principal
    if account := account_of(principal):
        return f"arn:{partition}:iam::{account}:root"
    if _ROLE_ID.fullmatch(principal) and (role := find_role_by_id(principal)):
        return role.arn
    if find_role(principal):
        return principal
    if _names_session_or_user(principal):
        return principal
    raise _malformed(f'Invalid principal in policy: "AWS":"{principal}"')


def _names_session_or_user(principal: str) -> bool:
    if match := _SESSION.fullmatch(principal):
        roles = iam_backends[match.group(2)][match.group(1)].roles.values()
        return any(role.name == match.group(3) for role in roles)
    if match := _USER.fullmatch(principal):
        users = iam_backends[match.group(2)][match.group(1)].users.values()
        return any(user.arn == principal for user in users)
    return False


def _with_principals(content: dict[str, Any], aws: Callable[[str], str], service: Callable[[str], str]) -> str:
    statements = content["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        element = statement.get("Principal", statement.get("NotPrincipal"))
        if not isinstance(element, dict):
            continue
        for kind, change in (("AWS", aws), ("Service", service)):
            if kind in element:
                values = element[kind] if isinstance(element[kind], list) else [element[kind]]
                changed = list(dict.fromkeys(map(change, values)))
                # IAM gives a list of one back as the one.
                element[kind] = changed[0] if len(changed) == 1 else changed
    return json.dumps(content, separators=(",", ":"))
