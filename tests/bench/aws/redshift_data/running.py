"""Runs statements in the background, as their database users."""

import sys
import threading
import time
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ..state import now, state
from ..warehouse import sql
from ..warehouse.clusters import NotThere, Warehouse, clusters
from ..warehouse.failure import QueryFailed, from_postgres
from . import authentication, history
from .statements import ABORTED, AUTO_COMMIT, FAILED, FINISHED, PICKED, STARTED, Query, Result, Statement

if TYPE_CHECKING:
    from ..engine import Engine

_ROW_BYTES = 64 * 1024
# A query that did not hear that it is to stop is asked again after so many seconds.
_ASKED_AGAIN = 0.2

# The engine of this process: an UNLOAD acts through it as other callers do.
_engine: list["Engine"] = []


def use(engine: "Engine") -> None:
    """Tells which engine there is."""
    _engine[:] = [engine]


def current_engine() -> "Engine":
    """The engine."""
    return _engine[0]


class Aborted(Exception):
    """The query was stopped because somebody asked for it."""


def begin(statement: Statement) -> None:
    """Starts a statement's way through its states."""
    cluster = authentication.cluster_of(statement.account, statement.region, statement.cluster)
    key = (statement.account, statement.region, statement.cluster, str(cluster.create_time))
    database, master = cluster.db_name, cluster.master_username
    threading.Thread(target=lambda: _run(statement, lambda: clusters.warehouse(key, database, master)), daemon=True).start()


def _run(statement: Statement, warehouse: Any) -> None:
    try:
        for seconds, status in (
            (state.settings.statement_submitted_seconds, PICKED),
            (state.settings.statement_picked_seconds, STARTED),
        ):
            if statement.stopped.wait(seconds) and statement.abandoned:
                return
            statement.become(status)
        _run_queries(statement, warehouse())
    except (QueryFailed, NotThere) as error:
        _end(statement, FAILED, str(error))
    except Aborted:
        _end(statement, ABORTED)
    except Exception as error:
        traceback.print_exc(file=sys.stderr)
        _end(statement, FAILED, f"the bench failed: {error!r}")


def _end(statement: Statement, status: str, error: str = "") -> None:
    """The end of a statement, and of those of its queries that have not got to theirs."""
    if statement.end:
        status, error = FAILED, statement.end
    for query in statement.queries:
        if not query.ended:
            query.become(status if query.status == STARTED or not statement.batch else ABORTED, error)
    if statement.batch and status == FAILED:
        number = next((n for n, query in enumerate(statement.queries, 1) if query.status == FAILED), 1)
        error = f"Query #{number} failed with {error}"
    statement.become(status, error)


def _run_queries(statement: Statement, warehouse: Warehouse) -> None:
    import psycopg

    try:
        connection = warehouse.connect(statement.database, statement.db_user, statement.make_user)
    except psycopg.Error as error:
        raise from_postgres(error)
    failure: QueryFailed | None = None
    over = threading.Event()
    with connection:
        statement.pid = connection.info.backend_pid
        statement.interrupt = lambda: threading.Thread(target=_interrupt, args=(connection, over), daemon=True).start()
        whole = statement.batch and statement.mode != AUTO_COMMIT
        if whole:
            connection.execute("begin")
        try:
            for query in statement.queries:
                try:
                    _run_query(statement, warehouse, connection, query)
                except QueryFailed as error:
                    if whole or not statement.batch:
                        raise
                    failure = failure or error
        finally:
            over.set()
        if whole:
            _commit(statement, connection)
    if failure:
        raise failure
    _end(statement, FINISHED)


def _interrupt(connection: Any, over: threading.Event) -> None:
    """Ends what the connection is doing; that it has ended by itself in the meantime is no error.

    PostgreSQL forgets a request that comes between two commands: it is made until the queries are over.
    """
    import psycopg

    while not over.is_set():
        with suppress(psycopg.Error):
            connection.cancel_safe(timeout=5)
        over.wait(_ASKED_AGAIN)


def _commit(statement: Statement, connection: Any) -> None:
    import psycopg

    try:
        connection.execute("commit")
    except psycopg.Error as error:
        raise Aborted if statement.stopped.is_set() and not statement.end else from_postgres(error)


def _run_query(statement: Statement, warehouse: Warehouse, connection: Any, query: Query) -> None:
    import psycopg

    query.start()
    began = time.monotonic_ns()
    record = history.Record(statement, warehouse, query)
    try:
        if statement.stopped.is_set():
            raise Aborted
        try:
            _perform(statement, connection, query, record)
        except psycopg.errors.QueryCanceled as error:
            raise Aborted if statement.cancelled else from_postgres(error)
        except psycopg.Error as error:
            raise Aborted if statement.abandoned else from_postgres(error)
        query.become(FINISHED)
    except QueryFailed as error:
        query.become(FAILED, statement.end or str(error))
        raise
    except Aborted:
        query.become(*((FAILED, statement.end) if statement.end else (ABORTED, "")))
        raise
    finally:
        query.duration = time.monotonic_ns() - began
        if not statement.abandoned:
            record.end()
        statement.tell()


def _perform(statement: Statement, connection: Any, query: Query, record: Any) -> None:
    from ..unload import unloading

    backslashes = not state.settings.standard_conforming_strings
    if sql.is_statement(query.filled, "UNLOAD", backslashes):
        query.rows = unloading.run(current_engine(), statement, connection, query, record)
        query.size = 0
        return
    # Prepared, because that takes one statement only.
    answer = connection.execute(query.filled.encode(), prepare=True).pgresult
    if answer.nfields:
        query.result = read(answer)
        query.rows = len(query.result.rows)
        query.size = _size(query.result)
    else:
        query.rows = answer.command_tuples if answer.command_tuples is not None else -1
        query.size = 0


def read(answer: Any) -> Result:
    """The rows of an answer of PostgreSQL."""
    fields = range(answer.nfields)
    columns = [(answer.fname(i).decode(), answer.ftype(i), answer.fmod(i)) for i in fields]
    return Result(columns, [tuple(answer.get_value(row, i) for i in fields) for row in range(answer.ntuples)])


def _size(result: Result) -> int:
    sizes = [sum(len(value) for value in row if value is not None) for row in result.rows]
    if any(size > _ROW_BYTES for size in sizes):
        raise QueryFailed("ERROR: Packet for query is too large")
    if sum(sizes) > state.settings.result_bytes:
        raise QueryFailed("ERROR: Database response exceeded size limit")
    return sum(sizes)


def end_from_outside(statement: Statement, error: str) -> None:
    """Ends a statement as the cluster would: a limit of its queues, a restart."""
    statement.end = error
    statement.updated = now()
    statement.stop()
