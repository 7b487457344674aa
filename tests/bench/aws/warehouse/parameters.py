"""The parameters of a statement: values in the place of `:name` (docs/aws-behaviour.md#statements)."""

import re

from ..errors import AwsError
from . import sql
from .failure import QueryFailed

_NAME = re.compile(r"[0-9a-zA-Z_]+")


def _named(text: str, backslashes: bool) -> list[tuple[int, int, str]]:
    """Where a text names parameters: outside of literals and comments, and not as a cast `::type`."""
    found = []
    previous = before = None
    for token in sql.tokens(text, backslashes):
        adjacent = previous is not None and previous.is_symbol(":") and previous.end == token.start
        cast = before is not None and before.is_symbol(":") and previous is not None and before.end == previous.start
        if adjacent and not cast and token.kind in (sql.WORD, sql.NUMBER):
            found.append((previous.start, token.end, token.value))
        before, previous = previous, token
    return found


def checked(given: list[dict[str, str]], texts: list[str], backslashes: bool) -> dict[str, str]:
    """The parameters by name; raises where one is wrong, unused or missing."""
    for parameter in given:
        name, value = parameter.get("name") or "", parameter.get("value") or ""
        if not _NAME.fullmatch(name) or not value:
            raise AwsError("ValidationException", f"Invalid SQL parameter {name}: a name and a value are needed.")
    values = {parameter["name"]: parameter["value"] for parameter in given}
    if len(values) < len(given):
        raise AwsError("ValidationException", "Parameters list contains duplicate parameters.")
    if not values:
        return {}
    try:
        named = {name for text in texts for _, _, name in _named(text, backslashes)}
    except QueryFailed as error:
        raise AwsError("ValidationException", f"The SQL text cannot be read: {error}")
    if unused := sorted(set(values) - named):
        raise AwsError("ValidationException", f"Parameters list contains unused parameters: {', '.join(unused)}")
    if missing := sorted(named - set(values)):
        raise AwsError("ValidationException", f"Parameters list lacks parameters: {', '.join(missing)}")
    return values


def filled(text: str, values: dict[str, str], backslashes: bool) -> str:
    """The text with its parameters replaced by literals."""
    if not values:
        return text
    out, at = [], 0
    for start, end, name in _named(text, backslashes):
        out += [text[at:start], sql.literal(values[name], backslashes)]
        at = end
    return "".join([*out, text[at:]])
