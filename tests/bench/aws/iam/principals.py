"""Roles by ARN, and the principals that policies name."""

import re
from typing import Any

from moto.iam.models import Role, iam_backends

from ..sessions import Principal
from ..state import now, state

_ROLE_ARN = re.compile(r"arn:(aws[a-z-]*):iam::(\d{12}):role/(.+)")
_ACCOUNT = re.compile(r"(?:arn:aws[a-z-]*:iam::)?(\d{12})(?::root)?")


def find_role(arn: str, settled: bool = True) -> Role | None:
    """A role by its ARN, path included; with `settled` only one that the rest of AWS has heard of by now."""
    match = _ROLE_ARN.fullmatch(arn)
    if match is None:
        return None
    partition, account, _ = match.groups()
    role = next((r for r in iam_backends[account][partition].roles.values() if r.arn == arn), None)
    if role and settled and now() - role.create_date.timestamp() < state.settings.iam_propagation_seconds:
        return None
    return role


def find_role_by_id(role_id: str) -> Role | None:
    """A role by its unique id, in whichever account."""
    for _, _, backend in iam_backends.iter_backends():
        if role := backend.roles.get(role_id):
            return role
    return None


def account_of(principal: str) -> str | None:
    """The account that a principal stands for as a whole; none where it is something else."""
    match = _ACCOUNT.fullmatch(principal)
    return match.group(1) if match else None


def names(element: Any, principal: Principal, accounts: bool = True) -> bool:
    """Whether a `Principal` element names somebody, if only by naming everybody; with `accounts` also by the account."""
    if principal.service:
        return any(value in principal.service_names for value in _named(element, "Service"))
    for value in _named(element):
        if value in (principal.identity_arn, principal.arn, "*"):
            return True
        if accounts and account_of(value) == principal.account:
            return True
    return False


def names_exactly(element: Any, principal: Principal) -> bool:
    """Whether a `Principal` element names a session, not just its role."""
    return principal.role is not None and principal.arn in _named(element)


def _named(element: Any, kind: str = "AWS") -> list[str]:
    named = element if isinstance(element, str) else element.get(kind, [])
    return named if isinstance(named, list) else [named]
