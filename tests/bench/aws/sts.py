"""STS: sessions of roles (docs/aws-behaviour.md#assuming-roles)."""

import re
import time
from datetime import UTC, datetime
from typing import Any

from moto.iam.models import Role

from . import errors
from .access.decision import Guard, Need, managed_document, refusal
from .access.policy import statements
from .call import Call
from .errors import AwsError
from .iam.principals import find_role
from .operations import operation
from .sessions import Principal
from .state import state

_CHAINED_MAXIMUM = 3600


def _nothing(_: Call) -> list[Need]:
    """For what needs no permission, or decides on its own."""
    return []


@operation("sts:GetCallerIdentity", needs=_nothing)
def get_caller_identity(call: Call) -> dict[str, Any]:
    """Always allowed."""
    return {"Account": call.account, "Arn": call.principal.arn, "UserId": call.principal.user_id}


def _check(name: str, value: str | None, pattern: str, least: int, most: int) -> None:
    if value is not None and not (least <= len(value) <= most and re.fullmatch(pattern, value)):
        raise AwsError(
            "ValidationError",
            f"1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint: "
            f"Member must satisfy regular expression pattern: {pattern}",
        )


def _validate(call: Call) -> None:
    if not call.get("RoleArn") or not call.get("RoleSessionName"):
        raise AwsError("ValidationError", "1 validation error detected: roleArn and roleSessionName must not be null")
    _check("roleSessionName", call.get("RoleSessionName"), r"[\w+=,.@-]*", 2, 64)
    _check("externalId", call.get("ExternalId"), r"[\w+=,.@:\/-]*", 2, 1224)
    _check("sourceIdentity", call.get("SourceIdentity"), r"(?!aws:)[\w+=,.@-]*", 2, 64)
    _check("policy", call.get("Policy"), r"[\s\S]*", 1, 2048)
    try:
        statements(call.get("Policy") or "{}")
    except ValueError:
        raise AwsError("MalformedPolicyDocument", "The policy is not in the valid JSON format.")
    if not 900 <= call.get("DurationSeconds", 3600) <= 43200:
        raise AwsError("ValidationError", "1 validation error detected: durationSeconds must be from 900 to 43200")


def _keys(call: Call) -> dict[str, Any]:
    tags = {t["Key"]: t["Value"] for t in call.get("Tags", [])}
    return {
        "sts:externalid": call.get("ExternalId"),
        "sts:sourceidentity": call.get("SourceIdentity"),
        "sts:rolesessionname": call.get("RoleSessionName"),
        "aws:tagkeys": list(tags) or None,
        **{f"aws:requesttag/{key}".lower(): value for key, value in tags.items()},
    }


def _actions(call: Call) -> list[str]:
    """What a request asks for besides the role: a source identity, carried or new, and session tags."""
    actions = ["sts:AssumeRole"]
    if call.get("SourceIdentity") or call.principal.source_identity:
        actions.append("sts:SetSourceIdentity")
    if call.get("Tags") or call.principal.transitive_tags:
        actions.append("sts:TagSession")
    return actions


def _refusal(call: Call, role: Role, action: str) -> str | None:
    """Why an action on the role is refused; none if both the caller's policies and the role's trust allow it."""
    trust = Guard(role.account_id, role.assume_role_policy_document, open_to_owner=False)
    keys = {**call.origin.keys(), **_keys(call)}
    return refusal(call.principal, call.region, Need(action, role.arn, keys, trust))


@operation("sts:AssumeRole", needs=_nothing)
def assume_role(call: Call) -> dict[str, Any]:
    """A session of a role, in whichever account."""
    _validate(call)
    arn, principal = call.get("RoleArn"), call.principal
    role = find_role(arn)
    for action in _actions(call):
        reason = _refusal(call, role, action) if role else "because no resource-based policy allows the action"
        if reason:
            raise errors.denied("sts", principal.arn, action, arn, reason)
    if principal.source_identity and call.get("SourceIdentity", principal.source_identity) != principal.source_identity:
        raise errors.denied("sts", principal.arn, "sts:SetSourceIdentity", arn, "because a source identity cannot be changed")
    seconds = call.get("DurationSeconds", 3600)
    if seconds > int(role.max_session_duration or 3600):
        raise AwsError("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
    if principal.role is not None and seconds > _CHAINED_MAXIMUM:
        raise AwsError(
            "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
        )
    session = state.sessions.add(_session(call, role, seconds))
    answer = {
        "Credentials": credentials(session),
        "AssumedRoleUser": {"AssumedRoleId": session.user_id, "Arn": session.arn},
        "SourceIdentity": session.source_identity,
    }
    return {key: value for key, value in answer.items() if value}


def _session(call: Call, role: Role, seconds: int) -> Principal:
    caller = call.principal
    policies = [call.get("Policy")] if call.get("Policy") else []
    target = Principal(role.account_id, role, role.partition)
    policies += [managed_document(target, p["arn"]) for p in call.get("PolicyArns", [])]
    carried = {key: caller.tags[key] for key in caller.transitive_tags}
    return Principal(
        account=role.account_id,
        role=role,
        partition=role.partition,
        session_name=call.get("RoleSessionName"),
        source_identity=call.get("SourceIdentity") or caller.source_identity,
        session_policies=policies,
        tags={**{t["Key"]: t["Value"] for t in call.get("Tags", [])}, **carried},
        transitive_tags=caller.transitive_tags | frozenset(call.get("TransitiveTagKeys", [])),
        expires=time.time() + seconds,
    )


def credentials(session: Principal) -> dict[str, Any]:
    """The credentials of a session, as AWS gives them."""
    return {
        "AccessKeyId": session.access_key,
        "SecretAccessKey": session.secret_key,
        "SessionToken": session.token,
        "Expiration": datetime.fromtimestamp(min(session.expires, time.time() + 43200), UTC),
    }


def trusted_service(role: Role, service: str, action: str, region: str = "aws-global") -> bool:
    """Whether a role's trust lets an AWS service do an action."""
    who = Principal(role.account_id, partition=role.partition, service=service, service_region=region)
    trust = Guard(role.account_id, role.assume_role_policy_document, open_to_owner=False)
    return refusal(who, region, Need(action, role.arn, guard=trust)) is None
