"""Policies of resources: checked when written, kept with their principals in IAM's own form."""

import json
from typing import Any

from ..errors import AwsError
from ..iam.trust import with_checked_principals

_ELEMENTS = {"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"}


class Malformed(Exception):
    """Why a document is not one; the service says it in its own code."""


def statements_of(content: dict[str, Any]) -> list[dict[str, Any]]:
    """The statements of a parsed document."""
    found = content.get("Statement", [])
    return found if isinstance(found, list) else [found]


def as_list(value: Any) -> list[Any]:
    """What may be written as one or as a list."""
    return value if isinstance(value, list) else [value]


def parsed(document: str) -> dict[str, Any]:
    """The content of a resource's policy; raises Malformed where a statement lacks what it must have."""
    try:
        content = json.loads(document)
    except ValueError:
        raise Malformed("Policies must be valid JSON and the first byte must be '{'") from None
    if not isinstance(content, dict) or not statements_of(content):
        raise Malformed("Missing required field Statement")
    for statement in statements_of(content):
        if not isinstance(statement, dict) or set(statement) - _ELEMENTS:
            raise Malformed("Unknown field in statement")
        if statement.get("Effect") not in ("Allow", "Deny"):
            raise Malformed("Invalid effect")
        for element in ("Principal", "Action", "Resource"):
            if (element in statement) == (f"Not{element}" in statement):
                raise Malformed(f"Missing required field {element}")
    return content


def written(content: dict[str, Any], partition: str) -> str:
    """A document as AWS keeps it; raises Malformed if it names a principal that does not exist."""
    try:
        return with_checked_principals(content, partition)
    except AwsError as error:
        raise Malformed(error.message) from None
