"""Managed prefix lists: blocks under one id, as destinations of routes (docs/aws-behaviour.md#routes)."""

from typing import Any

from ..access.decision import Need
from ..call import Call
from ..errors import AwsError
from ..operations import forwarded, operation
from . import things
from .listing import page


def _on_list(call: Call) -> list[Need]:
    found = things.backend(call).managed_prefix_lists.get(call.get("PrefixListId"))
    arn = found.prefix_list_arn if found else call.arn(f"prefix-list/{call.get('PrefixListId')}")
    return [Need(call.action, arn)]


@operation("ec2:GetManagedPrefixListEntries", needs=_on_list)
def get_managed_prefix_list_entries(call: Call) -> dict[str, Any]:
    """A page of the blocks of a list, in its newest version."""
    identifier = call.get("PrefixListId")
    found = things.backend(call).managed_prefix_lists.get(identifier)
    if found is None:
        raise AwsError("InvalidPrefixListID.NotFound", f"The prefix list ID '{identifier}' does not exist")
    newest = next(reversed(found.entries.values()), [])
    entries = [{key: entry[key] for key in ("Cidr", "Description") if key in entry} for entry in newest]
    return page(call, "Entries", entries, "", most=100, least=1)


# By the people of the accounts.
forwarded("ec2:CreateManagedPrefixList", "ec2:ModifyManagedPrefixList")
