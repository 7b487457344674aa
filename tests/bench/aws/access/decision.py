"""Allowed or not: identity policies, permissions boundary and session policies together."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moto.iam.models import Policy, Role, iam_backends

from .. import errors
from ..iam.principals import names, names_exactly
from ..sessions import Principal
from .policy import ALLOW, DENY, SILENT, Context, decide, decide_for

if TYPE_CHECKING:
    from ..call import Call


@dataclass
class Guard:
    """The policy that a resource has itself, and whose resource it is."""

    owner: str
    document: str | None
    # Whether the owner's own policies do without it. Those of a KMS key's owner do not, nor those of a role's.
    open_to_owner: bool = True


@dataclass
class Need:
    """A permission that a call needs: an action on a resource, with the condition keys of that resource type."""

    action: str
    resource: str
    keys: dict[str, Any] = field(default_factory=dict)
    guard: Guard | None = None


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
    """Why what is needed is not allowed, in AWS's words; none if it is."""
    guard = need.guard
    context = Context(principal, region, need.action, need.resource, need.keys, guard.owner if guard else None)
    granted = _guarded(guard, context, principal)
    if granted == DENY:
        return "with an explicit deny in a resource-based policy"
    layers = _layers(principal, principal.role) if principal.role else {}
    verdicts = {layer: decide(documents, context) for layer, documents in layers.items()}
    for layer, verdict in verdicts.items():
        if verdict == DENY:
            return f"with an explicit deny in {_LAYERS[layer][1]}"
    for layer in _exempted(guard, context, principal):
        verdicts.pop(layer, None)
    for layer, verdict in verdicts.items():
        if verdict != ALLOW:
            return f"because no {_LAYERS[layer][0]} allows the {need.action} action"
    if guard and granted != ALLOW and not (guard.open_to_owner and guard.owner == principal.account):
        return f"because no resource-based policy allows the {need.action} action"
    return None


def _guarded(guard: Guard | None, context: Context, principal: Principal, accounts: bool = True) -> str:
    if guard is None or guard.document is None:
        return SILENT
    return decide_for(guard.document, context, lambda element: names(element, principal, accounts))


def _exempted(guard: Guard | None, context: Context, principal: Principal) -> tuple[str, ...]:
    """What need not allow a call, because the policy of a resource in the same account names the caller itself.

    One that names a role's session does away with boundary and session policy too.
    """
    if guard is None or guard.document is None or guard.owner != principal.account:
        return ()
    if decide_for(guard.document, context, lambda element: names_exactly(element, principal)) == ALLOW:
        return tuple(_LAYERS)
    return ("identity",) if _guarded(guard, context, principal, accounts=False) == ALLOW else ()


def authorize(call: "Call", needs: list[Need]) -> None:
    """Raises unless all that a call needs is allowed."""
    for need in needs:
        need.keys = {**call.origin.keys(), **need.keys}
        if reason := refusal(call.principal, call.region, need):
            owner = need.guard.owner if need.guard else call.account
            raise errors.denied(call.service, call.principal.arn, need.action, need.resource, reason, owner != call.account)
