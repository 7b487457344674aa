"""Why a query failed, in the form in which the Data API gives the cluster's words (docs/aws-behaviour.md#statements)."""

from typing import Any


class QueryFailed(Exception):
    """A query that failed. The text is what the statement's `Error` says."""


def failed(message: str, detail: str = "", position: int | None = None) -> QueryFailed:
    """A failure with its further lines; positions count characters from 1."""
    text = f"ERROR: {message}"
    if detail:
        text += f"\n  Detail: {detail}"
    if position is not None:
        text += f"\n  Position: {position}"
    return QueryFailed(text)


def from_postgres(error: Any) -> QueryFailed:
    """An error of PostgreSQL, or of the connection to it."""
    diagnosis = error.diag
    if diagnosis.message_primary is None:
        return QueryFailed(f"FATAL: {str(error).strip()}")
    text = f"{diagnosis.severity}: {diagnosis.message_primary}"
    for name, value in (
        ("Detail", diagnosis.message_detail),
        ("Hint", diagnosis.message_hint),
        ("Position", diagnosis.statement_position),
        ("Where", diagnosis.context),
    ):
        if value:
            text += f"\n  {name}: {value}"
    return QueryFailed(text)
