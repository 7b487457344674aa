"""What policy documents say about a request: ministack's evaluator, and the policy variables that it lacks."""

import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ministack.core import iam_evaluator

from ..sessions import Principal

ALLOW, DENY, SILENT = "Allow", "Deny", "ImplicitDeny"

_VARIABLE = re.compile(r"\$\{([^},]+)(?:,\s*'([^']*)')?\}")
# Keys that the evaluator would answer itself: it knows no resource but the caller's own.
_OURS = {"aws:resourceaccount": "bench:resourceaccount", "s3:resourceaccount": "bench:s3resourceaccount"}
_LITERALS = {"*": "*", "?": "?", "$": "$"}


@dataclass
class Context:
    """One action on one resource by one principal, with the condition keys of the request in lower case."""

    principal: Principal
    region: str
    action: str
    resource: str
    keys: dict[str, Any] = field(default_factory=dict)
    # Whose the resource is, where its ARN does not say so.
    owner: str | None = None

    def __post_init__(self) -> None:
        who = self.principal
        owner = self.owner or _account(self.resource) or who.account
        self.keys = {
            **self.keys,
            "aws:resourceaccount": owner,
            "s3:resourceaccount": owner if self.action.startswith("s3:") else None,
            "aws:principalarn": None if who.service else who.identity_arn,
            "aws:principalaccount": None if who.service else who.account,
            "aws:principalisawsservice": "true" if who.service else "false",
            "aws:principalservicename": who.service,
            "aws:principalorgid": None,
            "aws:requestedregion": self.region,
            "aws:userid": who.user_id,
            "aws:sourceidentity": who.source_identity,
            **{f"aws:principaltag/{key}".lower(): value for key, value in who.all_tags.items()},
        }
        self.keys.setdefault("aws:tagkeys", None)

    def evaluated(self) -> iam_evaluator.EvalContext:
        """In the evaluator's form."""
        return iam_evaluator.EvalContext(
            principal_arn=self.keys["aws:principalarn"],
            principal_type="AssumedRole",
            principal_account=self.keys["aws:principalaccount"],
            action=self.action,
            resource_arn=self.resource,
            region=self.region,
            # AWS is spoken to over TLS; that the bench is not must not be held against a caller.
            secure_transport=True,
            source_ip=self.keys.get("aws:sourceip"),
            service_context={**self.keys, **{_OURS[key]: self.keys[key] for key in _OURS}},
        )

    def variable(self, name: str) -> str | None:
        """The value of a policy variable."""
        value = self.keys.get(name.lower())
        return value if isinstance(value, str) else None


class _Unresolved(Exception):
    """A variable whose key is not in the request."""


def _expand(text: str, context: Context) -> str:
    def value(match: re.Match[str]) -> str:
        name, default = match.groups()
        found = _LITERALS.get(name) or context.variable(name) or default
        if found is None:
            raise _Unresolved
        return found

    return _VARIABLE.sub(value, text)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _expanded(statement: dict[str, Any], context: Context) -> dict[str, Any] | None:
    """The statement with its variables replaced; none if a condition speaks of what the request has not."""
    out = dict(statement)
    for element in ("Resource", "NotResource"):
        if element not in out:
            continue
        resources = []
        for resource in _as_list(out[element]):
            try:
                resources.append(_expand(resource, context))
            except _Unresolved:
                continue
        if not resources:
            return None
        out[element] = resources
    try:
        out["Condition"] = {
            operator: {key: [_expand(str(v), context) for v in _as_list(values)] for key, values in keys.items()}
            for operator, keys in out.get("Condition", {}).items()
        }
    except _Unresolved:
        return None
    return out


def _renamed(statement: dict[str, Any]) -> dict[str, Any]:
    conditions = {
        operator: {_OURS.get(key.lower(), key): values for key, values in keys.items()}
        for operator, keys in statement.get("Condition", {}).items()
    }
    return {**statement, "Condition": conditions} if conditions else statement


def _account(arn: str) -> str | None:
    parts = arn.split(":", 5)
    return parts[4] if len(parts) == 6 and parts[4].isdigit() else None


@lru_cache(maxsize=4096)
def _parsed(document: str) -> tuple[tuple[dict[str, Any], ...], bool]:
    """The statements of a document, and whether it uses variables: only its newer version has them."""
    content = json.loads(document)
    return tuple(_renamed(s) for s in _as_list(content.get("Statement", []))), content.get(
        "Version"
    ) == "2012-10-17" and "${" in document


def statements(document: str) -> tuple[dict[str, Any], ...]:
    """The statements of a document."""
    return _parsed(document)[0]


def decide(documents: list[str], context: Context) -> str:
    """What documents together say: Allow, Deny, or nothing."""
    found: list[dict[str, Any]] = []
    for document in documents:
        content, variables = _parsed(document)
        found += [s for s in (_expanded(s, context) for s in content) if s] if variables else content
    return _decide(found, context)


def decide_for(document: str, context: Context, named: Any) -> str:
    """What the statements of a resource's own policy say whose `Principal` satisfies `named`."""
    content, variables = _parsed(document)
    found = [s for s in content if (not named(s["NotPrincipal"]) if "NotPrincipal" in s else named(s.get("Principal", {})))]
    return _decide([s for s in (_expanded(s, context) for s in found) if s] if variables else found, context)


def _decide(found: list[dict[str, Any]], context: Context) -> str:
    parsed = iam_evaluator.parse_policy_document({"Statement": found})
    return iam_evaluator.evaluate(context.evaluated(), [parsed]).decision
