"""Filters and pages of EC2's Describe operations."""

import base64
from collections.abc import Callable, Iterable
from typing import Any

from ministack.core.iam_evaluator import fnmatch_iam_cs

from ..call import Call
from ..errors import AwsError
from ..state import state

_MOST_FILTER_VALUES = 200

Values = Callable[[dict[str, Any]], Any]


def _texts(value: Any) -> list[str]:
    if value is None:
        return []
    if isinstance(value, (list, tuple, set)):
        return [text for item in value for text in _texts(item)]
    if isinstance(value, bool):
        return ["true" if value else "false"]
    return [str(value)]


def _tag_values(name: str) -> Values | None:
    if name == "tag-key":
        return lambda item: [tag["Key"] for tag in item.get("Tags", [])]
    if name.startswith("tag:"):
        return lambda item: [tag["Value"] for tag in item.get("Tags", []) if tag["Key"] == name[4:]]
    return None


def filtered(
    call: Call, items: Iterable[dict[str, Any]], filters: dict[str, Values], tag_key: bool = True
) -> list[dict[str, Any]]:
    """The items that pass all filters of a request; an unknown filter is refused."""
    items = list(items)
    for wanted in call.get("Filters", []):
        name, patterns = wanted.get("Name", ""), wanted.get("Values", [])
        values = filters.get(name)
        if values is None and (tag_key or name != "tag-key"):
            values = _tag_values(name)
        if values is None:
            raise AwsError("InvalidParameterValue", f"The filter '{name}' is invalid")
        if len(patterns) > _MOST_FILTER_VALUES:
            raise AwsError("FilterLimitExceeded", f"The maximum number of filter values is {_MOST_FILTER_VALUES}.")
        items = [i for i in items if any(fnmatch_iam_cs(text, p) for text in _texts(values(i)) for p in patterns)]
    return items


def selected(call: Call, parameter: str, items: dict[str, Any], missing: Callable[[str], AwsError]) -> list[Any]:
    """The things with the ids of a request, all of them if it names none; one unknown id fails the whole call."""
    wanted = call.get(parameter, [])
    for identifier in wanted:
        if identifier not in items:
            raise missing(identifier)
    return [item for identifier, item in items.items() if not wanted or identifier in wanted]


def page(call: Call, key: str, items: list[dict[str, Any]], ids: str, most: int = 1000, least: int = 5) -> dict[str, Any]:
    """One page of a listing. Ids and a page size exclude each other."""
    size = call.get("MaxResults")
    if size is not None:
        if call.get(ids):
            name = ids[0].lower() + ids[1:]
            raise AwsError("InvalidParameterCombination", f"The parameter {name} cannot be used with the parameter maxResults")
        if not least <= size <= most:
            raise AwsError(
                "InvalidParameterValue",
                f"Value ( {size} ) for parameter maxResults is invalid. Expecting a value from {least} to {most}.",
            )
    start = _start(call)
    end = start + min(size or 1000, state.settings.page_limit)
    answer: dict[str, Any] = {key: items[start:end]}
    if end < len(items):
        answer["NextToken"] = base64.b64encode(f"{call.operation}:{end}".encode()).decode()
    return answer


def _start(call: Call) -> int:
    token = call.get("NextToken")
    if not token:
        return 0
    try:
        operation, _, start = base64.b64decode(token, validate=True).decode().partition(":")
        if operation == call.operation:
            return int(start)
    except ValueError:
        pass
    raise AwsError("InvalidNextToken", "The specified nextToken is not valid.")
