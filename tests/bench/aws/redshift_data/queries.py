"""The operations that tell of statements (docs/aws-behaviour.md#statements)."""

import base64
from typing import Any

from ..access.decision import Need
from ..call import Call
from ..errors import AwsError
from ..operations import operation
from ..state import state
from . import results
from .operations import OWNER_KEY, existing, invalid, owned, waiting
from .statements import FINISHED, STATES, Query, Result, Statement, moment, visible


def _described(statement: Statement, query: Query | None) -> dict[str, Any]:
    """A statement as a whole, or one query of a batch."""
    told = query or statement.queries[0]
    view: dict[str, Any] = {
        "ClusterIdentifier": statement.cluster,
        "Database": statement.database,
        "DbUser": statement.db_user,
        "QueryParameters": statement.parameters or None,
        "RedshiftPid": statement.pid,
        "ResultFormat": statement.result_format,
        **(told.as_api() if not statement.batch or query else {}),
    }
    if query is None:
        whole = statement.queries
        view |= {
            "Id": statement.id,
            "Status": statement.status,
            "Error": statement.error or None,
            "CreatedAt": moment(statement.created),
            "UpdatedAt": moment(statement.updated),
            "Duration": sum(q.duration for q in whole),
            "HasResultSet": any(q.result is not None for q in whole),
        }
        if statement.batch:
            last = next((q for q in reversed(whole) if q.query_id), None)
            view |= {
                "ResultRows": -1,
                "ResultSize": -1,
                "RedshiftQueryId": last.query_id if last else 0,
                "ExecutionMode": statement.mode,
                "SubStatements": [q.as_api() for q in whole],
            }
    return {key: value for key, value in view.items() if value is not None}


@operation("redshift-data:DescribeStatement", needs=owned)
def describe_statement(call: Call) -> Any:
    """A statement's state, at once or as soon as it has ended."""
    statement = existing(call)
    query = statement.query(call.get("Id")) if ":" in call.get("Id") else None
    return waiting(call, statement, lambda: _described(statement, query))


# Results


@operation("redshift-data:GetStatementResult", needs=owned)
def get_statement_result(call: Call) -> Any:
    """A page of the rows."""
    statement = existing(call)
    if statement.result_format != "JSON":
        raise invalid("The result format of the statement is CSV: use GetStatementResultV2.")
    return waiting(call, statement, lambda: _page(call, statement))


def _page(call: Call, statement: Statement) -> dict[str, Any]:
    query = statement.query(call.get("Id"))
    result: Result | None = query.result if query and query.status == FINISHED else None
    if result is None:
        text = "Query does not have result. Please check query status with DescribeStatement."
        raise AwsError("ResourceNotFoundException", text)
    start = _start(call, str.isdigit)
    end = int(start or 0) + min(state.settings.result_page_rows, 1000)
    rows = result.rows[int(start or 0) : end]
    answer: dict[str, Any] = {
        "ColumnMetadata": [results.column(*column) for column in result.columns],
        "Records": [[results.value(v, c[1]) for v, c in zip(row, result.columns, strict=True)] for row in rows],
        "TotalNumRows": len(result.rows),
    }
    if end < len(result.rows):
        answer["NextToken"] = _token(str(end))
    return answer


# Listing


def _token(place: str) -> str:
    return base64.urlsafe_b64encode(place.encode()).decode()


def _start(call: Call, valid: Any) -> str | None:
    token = call.get("NextToken")
    if not token:
        return None
    try:
        place = base64.urlsafe_b64decode(token).decode()
    except ValueError:
        place = ""
    if not place or not valid(place):
        raise invalid("The NextToken is not valid.")
    return place


def _listing_need(call: Call) -> list[Need]:
    return [Need(call.action, "*", {OWNER_KEY: call.principal.user_id})]


def _listed(call: Call, statement: Statement) -> bool:
    status, prefix = call.get("Status") or FINISHED, call.get("StatementName") or ""
    return (
        status in ("ALL", statement.status)
        and (statement.name or "").startswith(prefix)
        and call.get("ClusterIdentifier") in (None, statement.cluster)
        and call.get("Database") in (None, statement.database)
        and (call.get("RoleLevel", True) or statement.owner.user_id == call.principal.user_id)
    )


@operation("redshift-data:ListStatements", needs=_listing_need)
def list_statements(call: Call) -> dict[str, Any]:
    """A page of the caller's statements, newest first: the finished ones unless asked for others."""
    size = call.get("MaxResults", 100)
    if not 0 <= size <= 100:
        raise invalid("MaxResults must be from 0 to 100.")
    if call.get("Status") not in (None, "ALL", *STATES):
        raise invalid("Status is not one of the statuses.")
    if call.get("ClusterIdentifier") and call.get("WorkgroupName"):
        raise invalid("ClusterIdentifier and WorkgroupName exclude each other.")
    found = [] if call.get("WorkgroupName") else visible(call.principal, call.region)
    if after := _start(call, lambda place: place in state.statements):
        # Those that were told before have been made later.
        created = list(state.statements).index(after)
        earlier = set(list(state.statements)[:created])
        found = [statement for statement in found if statement.id in earlier]
    found = [statement for statement in found if _listed(call, statement)]
    size = min(size or 100, state.settings.page_limit)
    answer: dict[str, Any] = {"Statements": [_item(statement) for statement in found[:size]]}
    if len(found) > size:
        answer["NextToken"] = _token(found[size - 1].id)
    return answer


def _item(statement: Statement) -> dict[str, Any]:
    texts = [query.text for query in statement.queries]
    view = {
        "Id": statement.id,
        "Status": statement.status,
        "StatementName": statement.name,
        "IsBatchStatement": statement.batch,
        "QueryString": None if statement.batch else texts[0],
        "QueryStrings": texts,
        "QueryParameters": statement.parameters or None,
        "ResultFormat": statement.result_format,
        "CreatedAt": moment(statement.created),
        "UpdatedAt": moment(statement.updated),
    }
    return {key: value for key, value in view.items() if value is not None}
