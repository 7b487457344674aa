"""The operations on roles."""

import re
from typing import Any

from moto.core.responses import ActionResult
from moto.iam.models import Role, iam_backends

from ..access.decision import Need
from ..access.policy import statements
from ..call import Call
from ..errors import AwsError
from ..operations import anything, forward, forwarded, operation
from ..state import state
from . import trust

_NAME = re.compile(r"[\w+=,.@-]{1,64}")
_PATH = re.compile(r"/|/[\x21-\x7e]{1,510}/")
_POLICY_NAME = re.compile(r"[\w+=,.@-]{1,128}")
_LINKED = "/aws-service-role/"


def _find(call: Call) -> Role | None:
    name = _valid(call.get("RoleName"))
    return next((r for r in iam_backends[call.account][call.partition].roles.values() if r.name == name), None)


def _valid(name: str | None) -> str:
    if name is None or not _NAME.fullmatch(name):
        raise AwsError(
            "ValidationError",
            "The specified value for roleName is invalid. "
            "It must contain only alphanumeric characters and/or the following: +=,.@_-",
        )
    return name


def _existing(call: Call) -> Role:
    if role := _find(call):
        return role
    raise AwsError("NoSuchEntity", f"The role with name {call.get('RoleName')} cannot be found.", 404)


def _changeable(call: Call) -> Role:
    role = _existing(call)
    if role.path.startswith(_LINKED):
        raise AwsError("UnmodifiableEntity", f"Cannot perform the operation on the protected role '{role.name}'", 400)
    return role


# Permissions


def _tag_keys(tags: list[dict[str, str]]) -> dict[str, Any]:
    keys: dict[str, Any] = {f"aws:requesttag/{t['Key']}".lower(): t["Value"] for t in tags}
    return {**keys, "aws:tagkeys": [t["Key"] for t in tags] or None}


def _role_need(call: Call, **keys: Any) -> list[Need]:
    """The action on the role, whose path belongs to its ARN; without the role nothing is known of a path."""
    role = _find(call)
    if role is None:
        if state.settings.absent_role_is_not_found:
            return []
        return [Need(call.action, call.arn(f"role/{call.get('RoleName')}", "iam"), keys)]
    tags = {f"{prefix}:resourcetag/{t['Key']}".lower(): t["Value"] for t in role.tags for prefix in ("aws", "iam")}
    return [Need(call.action, role.arn, {**tags, **keys})]


def _role(call: Call) -> list[Need]:
    return _role_need(call)


def _bounded(call: Call) -> list[Need]:
    """For actions with the key iam:PermissionsBoundary, which holds the boundary that the role has."""
    role = _find(call)
    return _role_need(call, **{"iam:permissionsboundary": role.permissions_boundary_arn if role else None})


def _managed(call: Call) -> list[Need]:
    needs = _bounded(call)
    for need in needs:
        need.keys["iam:policyarn"] = call.get("PolicyArn")
    return needs


def _new_boundary(call: Call) -> list[Need]:
    return _role_need(call, **{"iam:permissionsboundary": call.get("PermissionsBoundary")})


def _tagging(call: Call) -> list[Need]:
    keys = call.get("TagKeys")
    return _role_need(call, **({"aws:tagkeys": keys} if keys else _tag_keys(call.get("Tags", []))))


def _creation(call: Call) -> list[Need]:
    arn = call.arn(f"role{call.get('Path') or '/'}{call.get('RoleName')}", "iam")
    keys = {**_tag_keys(call.get("Tags", [])), "iam:permissionsboundary": call.get("PermissionsBoundary")}
    actions = ["iam:CreateRole", "iam:TagRole"] if call.get("Tags") else ["iam:CreateRole"]
    return [Need(action, arn, dict(keys)) for action in actions]


# Operations


@operation("iam:CreateRole", needs=_creation)
def create_role(call: Call) -> ActionResult:
    """A role whose trust is valid, under a name that no other has in whatever case or path."""
    name, path = _valid(call.get("RoleName")), call.get("Path") or "/"
    if not _PATH.fullmatch(path):
        raise AwsError("ValidationError", f"The specified value for path is invalid: {path}")
    roles = iam_backends[call.account][call.partition].roles.values()
    if any(role.name.lower() == name.lower() for role in roles):
        raise AwsError("EntityAlreadyExists", f"Role with name {name} already exists.", 409)
    if len(roles) >= state.settings.roles_per_account:
        raise AwsError("LimitExceeded", f"Cannot exceed quota for RolesPerAccount: {state.settings.roles_per_account}", 409)
    _check_boundary(call)
    call.params["AssumeRolePolicyDocument"] = trust.written(call.get("AssumeRolePolicyDocument"), call.partition)
    return forward(call)


def _check_boundary(call: Call) -> None:
    arn = call.get("PermissionsBoundary")
    if arn and arn not in iam_backends[call.account][call.partition].managed_policies:
        raise AwsError("NoSuchEntity", f"Scope ARN: {arn} does not exist or is not attachable.", 404)


@operation("iam:UpdateAssumeRolePolicy", needs=_role)
def update_assume_role_policy(call: Call) -> ActionResult:
    """Replaces the trust."""
    role = _changeable(call)
    role.assume_role_policy_document = trust.written(call.get("PolicyDocument"), call.partition)
    return ActionResult(None)


@operation("iam:DeleteRole", needs=_role)
def delete_role(call: Call) -> ActionResult:
    """Deletes a role without policies; who trusted it trusts nobody from then on."""
    role = _changeable(call)
    result = forward(call)
    trust.forget(role)
    return result


@operation("iam:PutRolePolicy", needs=_bounded)
def put_role_policy(call: Call) -> ActionResult:
    """Writes an inline policy, within the total that a role may have."""
    role = _changeable(call)
    name, document = call.get("PolicyName"), call.get("PolicyDocument")
    if not _POLICY_NAME.fullmatch(name):
        raise AwsError("ValidationError", "The specified value for policyName is invalid.")
    if any(s.get("Principal") for s in _statements(document)):
        raise AwsError("MalformedPolicyDocument", "Policy document should not specify a principal.")
    others = [text for other, text in role.policies.items() if other != name]
    if sum(len(re.sub(r"\s", "", text)) for text in [*others, document]) > state.settings.inline_policy_characters:
        quota = state.settings.inline_policy_characters
        raise AwsError("LimitExceeded", f"Maximum policy size of {quota} bytes exceeded for role {role.name}", 409)
    return forward(call)


def _statements(document: str) -> list[dict[str, Any]]:
    try:
        return [s for s in statements(document) if isinstance(s, dict)]
    except ValueError:
        raise AwsError("MalformedPolicyDocument", "Syntax errors in policy.") from None


@operation("iam:PutRolePermissionsBoundary", needs=_new_boundary)
def put_role_permissions_boundary(call: Call) -> ActionResult:
    """Sets the boundary."""
    _changeable(call)
    _check_boundary(call)
    return forward(call)


@operation("iam:ListRoles")
def list_roles(call: Call) -> ActionResult:
    """A page of the roles under a path."""
    call.params["MaxItems"] = min(call.get("MaxItems", 100), state.settings.page_limit)
    return forward(call)


@operation("iam:ListRolePolicies", needs=_role)
def list_role_policies(call: Call) -> dict[str, Any]:
    """A page of the names of the inline policies."""
    names = sorted(_existing(call).policies)
    start = int(call.get("Marker", 0))
    end = start + min(call.get("MaxItems", 100), state.settings.page_limit)
    more = {"Marker": str(end)} if end < len(names) else {}
    return {"PolicyNames": names[start:end], "IsTruncated": bool(more), **more}


@operation("iam:GetAccountSummary")
def get_account_summary(call: Call) -> dict[str, Any]:
    """Counts and quotas."""
    summary = iam_backends[call.account][call.partition].account_summary.summary_map
    quotas = {
        "AssumeRolePolicySizeQuota": state.settings.trust_policy_characters,
        "RolePolicySizeQuota": state.settings.inline_policy_characters,
        "RolesQuota": state.settings.roles_per_account,
    }
    return {"SummaryMap": {**summary, **quotas}}


@operation("iam:DeleteRolePolicy", "iam:DeleteRolePermissionsBoundary", needs=_bounded)
def change_bounded_role(call: Call) -> ActionResult:
    """moto's, but not on the roles that belong to a service."""
    _changeable(call)
    return forward(call)


@operation("iam:AttachRolePolicy", "iam:DetachRolePolicy", needs=_managed)
def change_attached_policies(call: Call) -> ActionResult:
    """moto's, but not on the roles that belong to a service."""
    _changeable(call)
    return forward(call)


@operation("iam:TagRole", "iam:UntagRole", needs=_tagging)
def change_tags(call: Call) -> ActionResult:
    """moto's, but not on the roles that belong to a service."""
    _changeable(call)
    return forward(call)


forwarded("iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListRoleTags", needs=_role)
forwarded("iam:CreatePolicy", "iam:DeletePolicy", "iam:GetPolicy", "iam:GetPolicyVersion", needs=anything)
