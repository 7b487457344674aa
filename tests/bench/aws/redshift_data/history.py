"""What the cluster notes of a query in its system views."""

import threading
from datetime import datetime
from typing import Any

from ..state import now
from ..warehouse.clusters import Warehouse, shortened
from ..warehouse.sql import literal
from ..warehouse.system_views import SCHEMA
from .statements import FAILED, FINISHED, Query, Statement, moment

_ENDS = {FINISHED: ("success", "completed"), FAILED: ("failed", "aborted")}


def _written(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, datetime):
        return f"'{value.replace(tzinfo=None).isoformat(sep=' ')}'"
    # The owner's own connection reads literals by PostgreSQL's rules.
    return str(value) if isinstance(value, int) else literal(str(value).replace("\0", ""), False)


class Record:
    """The rows of one query."""

    def __init__(self, statement: Statement, warehouse: Warehouse, query: Query) -> None:
        self._statement, self._warehouse, self._query = statement, warehouse, query
        self._started = moment(now())
        self._unload: dict[str, Any] | None = None
        self._lock = threading.Lock()

    def _insert(self, table: str, **values: Any) -> None:
        names, texts = ", ".join(values), ", ".join(_written(value) for value in values.values())
        self._warehouse.execute_as_owner(self._statement.database, f"insert into {SCHEMA}.{table} ({names}) values ({texts})")

    def _mine(self) -> dict[str, Any]:
        who = self._statement
        return {"query_id": self._query.query_id, "user_name": shortened(who.db_user), "session_id": who.pid}

    def unload(self, file_format: str, compression: str, location: str) -> None:
        """An UNLOAD has begun."""
        self._unload = {"file_format": file_format, "compression_type": compression, "unloaded_location": location}
        self._insert("unloads", **self._mine(), **self._unload, status="running", start_time=self._started)

    def file(self, number: int, url: str, lines: int, size: int) -> None:
        """An UNLOAD has written a file."""
        assert self._unload is not None
        self._insert(
            "files",
            **self._mine(),
            slice=number,
            file_name=url,
            start_time=self._started,
            end_time=moment(now()),
            line_count=lines,
            transfer_size=size,
            file_format=self._unload["file_format"],
        )

    def end(self) -> None:
        """The query has ended."""
        query = self._query
        status, unloaded = _ENDS.get(query.status, ("canceled", "aborted"))
        kind = "UNLOAD" if self._unload else "SELECT" if query.result is not None else "OTHER"
        times = {"start_time": self._started, "end_time": moment(now()), "error_message": query.error}
        details = {"query_uuid": query.query_uuid, "query_type": kind, "returned_rows": max(query.rows, 0)}
        self._insert("queries", **self._mine(), **details, **times, status=status, query_text=query.text[:4000])
        if self._unload:
            self._warehouse.execute_as_owner(
                self._statement.database,
                f"update {SCHEMA}.unloads set status = '{unloaded}', end_time = {_written(times['end_time'])}, "
                f"error_message = {_written(query.error)} where query_id = {query.query_id}",
            )
