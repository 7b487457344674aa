"""Runs an UNLOAD: roles, destination, query, files one after the other, manifest last (docs/aws-behaviour.md#unload)."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ..engine import Engine
from ..redshift_data import history, results, running
from ..redshift_data.authentication import cluster_of
from ..redshift_data.statements import ABORTED, Query, Result, Statement
from ..state import state
from ..warehouse.failure import failed
from . import order as orders
from . import parquet, roles, rules, text
from .manifest import Written, manifest
from .order import PARQUET, Order
from .storage import Storage

_LARGEST = int(6.2 * 1024) * orders.MEGABYTE
_SUFFIXES = {"GZIP": ".gz", "BZIP2": ".bz2", "ZSTD": ".zst"}
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
_NOT_EMPTY = (
    "Specified unload destination on S3 is not empty. Consider using a different bucket / prefix, manually removing the "
    "target files in S3, or using the ALLOWOVERWRITE option."
)
_TIMEOUT = (
    "S3ServiceException:Your socket connection to the server was not read from or written to within the timeout period. "
    "Idle connections will be closed.,Status 400,Error RequestTimeout,CanRetry 1"
)


@dataclass
class File:
    """A file to be written."""

    key: str
    slice: int
    body: bytes
    lines: int


def run(engine: Engine, statement: Statement, connection: Any, query: Query, record: history.Record) -> int:
    """Executes the statement; what its description says of rows."""
    backslashes = not state.settings.standard_conforming_strings
    order = orders.read(query.filled, backslashes)
    with engine.lock:
        cluster = cluster_of(statement.account, statement.region, statement.cluster)
        node_type = cluster.node_type if cluster else ""
    rules.check(order, node_type)
    rules.check_query(order.query, backslashes)
    connection.execute("select set_config('redshift.last_unload_count', '0', false)")
    # The query is understood before anything is taken on or looked at, and run after it.
    connection.execute(f"explain {order.query}".encode(), prepare=True)
    session = roles.session(engine, statement, query, order)
    unload = _Unload(engine, Storage(engine, session, statement, query, order), statement, query, order, record)
    record.unload(order.format, order.compression or "", order.location)
    unload.look()
    result = running.read(connection.execute(order.query.encode(), prepare=True).pgresult)
    rules.check_columns(order, result)
    unload.write(result)
    connection.execute(f"select set_config('redshift.last_unload_count', '{len(result.rows)}', false)")
    return len(result.rows) if state.settings.unload_tells_rows else -1


class _Unload:
    def __init__(
        self, engine: Engine, storage: Storage, statement: Statement, query: Query, order: Order, record: history.Record
    ) -> None:
        self._storage, self._statement, self._query, self._order, self._record = storage, statement, query, order, record
        slash = "/" if order.partition_by and not order.prefix.endswith("/") else ""
        self._root = order.prefix + slash
        self._written: list[Written] = []
        self._left_after_abort = -1

    # Before

    def look(self) -> None:
        """Fails where the destination is not one; empties it if that is asked for."""
        order = self._order
        self._storage.look(self._root + "manifest" if order.manifest else self._root + "0000_part_00")
        found = self._storage.keys(self._root)
        if order.clean_path and not order.partition_by:
            for key in found:
                self._storage.delete(key)
        elif found and not (order.allow_overwrite or order.clean_path):
            raise failed(_NOT_EMPTY)

    # Files

    def write(self, result: Result) -> None:
        """Writes all files, then the manifest."""
        for file in self._files(result):
            self._count()
            self._storage.put(file.key, file.body, self._pause)
            url = f"s3://{self._order.bucket}/{file.key}"
            self._written.append(Written(url, len(file.body), file.lines))
            self._record.file(file.slice, url, file.lines, len(file.body))
        self._count()
        if self._order.manifest and result.rows:
            self._write_manifest(result)
        if self._left_after_abort >= 0:
            raise running.Aborted

    def _write_manifest(self, result: Result) -> None:
        kind = state.settings.unload_manifest
        if kind == "missing":
            return
        listed = self._written[:-1] if kind == "short" else self._written
        self._storage.put(self._root + "manifest", manifest(self._order, result, listed), self._pause)

    def _count(self) -> None:
        """Ends the statement after a number of files, where the settings say so; here it also hears of being stopped."""
        if len(self._written) == state.settings.unload_fails_after_files:
            raise failed(_TIMEOUT)
        if self._left_after_abort == 0:
            raise running.Aborted
        if self._left_after_abort > 0:
            self._left_after_abort -= 1
        elif self._statement.stopped.is_set():
            self._stop()

    def _pause(self) -> None:
        if self._left_after_abort < 0:
            if not self._statement.stopped.wait(state.settings.unload_file_seconds):
                return
            self._stop()
        time.sleep(state.settings.unload_file_seconds)

    def _stop(self) -> None:
        """Stops; or writes on for some files although the statement says that it is over."""
        more = state.settings.unload_files_after_abort
        if self._statement.abandoned or self._statement.end or more == 0:
            raise running.Aborted
        self._query.become(ABORTED)
        self._statement.become(ABORTED)
        self._left_after_abort = more - 1

    def _files(self, result: Result) -> Iterator[File]:
        order = self._order
        if not result.rows:
            if order.format in (orders.TEXT, orders.CSV) and state.settings.unload_empty_objects and not order.partition_by:
                for number in range(state.settings.unload_slices if order.parallel else 1):
                    yield File(self._root + self._name(number, 0), number, b"", 0)
            return
        for folder, content in self._folders(result):
            if order.clean_path and order.partition_by:
                for key in self._storage.keys(self._root + folder):
                    self._storage.delete(key)
            for number, rows in self._slices(content.rows):
                write = parquet.files if order.format == PARQUET else text.files
                for part, (body, lines) in enumerate(write(order, content, rows, order.max_file_size or _LARGEST)):
                    yield File(self._root + folder + self._name(number, part), number, body, lines)

    def _name(self, number: int, part: int) -> str:
        order = self._order
        name = f"{number:04}_part_{part:02}" if order.parallel else f"{part:03}"
        if order.extension is not None:
            return f"{name}.{order.extension.removeprefix('.')}"
        return name + (".parquet" if order.format == PARQUET else _SUFFIXES.get(order.compression or "", ""))

    def _slices(self, rows: list[text.Row]) -> Iterator[tuple[int, list[text.Row]]]:
        number = state.settings.unload_slices if self._order.parallel else 1
        each = math.ceil(len(rows) / number)
        for start in range(0, len(rows), each):
            yield start // each, rows[start : start + each]

    def _folders(self, result: Result) -> Iterator[tuple[str, Result]]:
        """The rows of each partition, without the columns that its folder names."""
        by = self._order.partition_by
        if not by:
            yield "", result
            return
        names = [name for name, _, _ in result.columns]
        keys = [names.index(name) for name in by]
        kept = [n for n in range(len(names)) if self._order.include or n not in keys]
        folders: dict[str, list[text.Row]] = {}
        for row in result.rows:
            folder = "".join(f"{names[n]}={_value(row[n], result.columns[n][1])}/" for n in keys)
            folders.setdefault(folder, []).append(tuple(row[n] for n in kept))
        columns = [result.columns[n] for n in kept]
        for folder, rows in folders.items():
            yield folder, Result(columns, rows)


def _value(value: bytes | None, kind: int) -> str:
    """A value as a part of a folder's name."""
    if value is None or value == b"":
        return _NO_VALUE
    written = value.decode()
    if kind == results.BOOL:
        written = {"t": "true", "f": "false"}[written]
    return quote(written, safe=" -_.,:+@()!*'")
