"""Allowed or not: identity policies, permissions boundary and session policies together."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moto.iam.models import Policy, Role, iam_backends

from .. import errors
from ..sessions import Principal
from .policy import ALLOW, DENY, Context, decide

if TYPE_CHECKING:
    from ..call import Call


@dataclass
class Need:
    """A permission that a call needs: an action on a resource, with the condition keys of that resource type."""

    action: str
    resource: str
    keys: dict[str, Any] = field(default_factory=dict)


_LAYERS = {
    "identity": ("identity-based policy", "an identity-based policy"),
    "boundary": ("permissions boundary", "a permissions boundary"),
    "session": ("session policy", "a session policy"),
}


def _document(policy: Policy) -> str:
    return next(version.document for version in policy.versions if version.is_default)


def managed_document(principal: Principal, arn: str) -> str:
    """The document of a managed policy; one that is not there allows nothing."""
    policy = iam_backends[principal.account][principal.partition].managed_policies.get(arn)
    return _document(policy) if policy else '{"Statement": []}'


def _layers(principal: Principal, role: Role) -> dict[str, list[str]]:
    """The policy documents that each must allow: those of the identity, then those that limit it."""
    layers = {"identity": [*role.policies.values(), *map(_document, role.managed_policies.values())]}
    if role.permissions_boundary_arn:
        layers["boundary"] = [managed_document(principal, role.permissions_boundary_arn)]
    if principal.session_policies:
        layers["session"] = principal.session_policies
    return layers


def refusal(principal: Principal, region: str, need: Need) -> str | None:
    """Why the policies of a principal do not allow what is needed, in AWS's words; none if they do."""
    if principal.role is None:
        return None
    context = Context(principal, region, need.action, need.resource, need.keys)
    verdicts = {layer: decide(documents, context) for layer, documents in _layers(principal, principal.role).items()}
    for layer, verdict in verdicts.items():
        if verdict == DENY:
            return f"with an explicit deny in {_LAYERS[layer][1]}"
    for layer, verdict in verdicts.items():
        if verdict != ALLOW:
            return f"because no {_LAYERS[layer][0]} allows the {need.action} action"
    return None


def authorize(call: "Call", needs: list[Need]) -> None:
    """Raises unless all that a call needs is allowed."""
    for need in needs:
        if reason := refusal(call.principal, call.region, need):
            raise errors.denied(call.service, call.principal.arn, need.action, need.resource, reason)
