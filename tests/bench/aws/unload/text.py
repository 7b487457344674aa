"""Delimited, fixed-width, CSV and JSON files, by the documented rules (docs/aws-behaviour.md#unload)."""

import bz2
import gzip
import json
from collections.abc import Callable, Iterable, Iterator

from ..redshift_data import results
from ..redshift_data.statements import Result
from ..warehouse.failure import failed
from .order import CSV, JSON, Order

Row = tuple[bytes | None, ...]
Line = Callable[[Row], str]

_CHARACTERS = (results.BPCHAR, results.VARCHAR, results.TEXT, results.NAME, results.UNKNOWN)
_BARE = (results.INT2, results.INT4, results.INT8, results.FLOAT4, results.FLOAT8, results.NUMERIC, results.OID)
_DOCUMENTS = (114, 3802)  # PostgreSQL's JSON stands for SUPER
_NOT_NUMBERS = ("NaN", "Infinity", "-Infinity")


def _plain(value: bytes, kind: int) -> str:
    text = value.decode()
    return text.removeprefix("\\x") if kind == results.BYTEA else text


def _delimited(order: Order, kinds: list[int]) -> Line:
    delimiter = order.delimiter or "|"
    special = {"\\", "\n", "\r", delimiter} | ({'"', "'"} if order.add_quotes else set())
    escaped = str.maketrans({char: "\\" + char for char in special})

    def field(value: bytes | None, kind: int) -> str:
        if value is None:
            return order.null_as or ""
        text = _plain(value, kind)
        if order.escape and kind in _CHARACTERS:
            text = text.translate(escaped)
        return f'"{text}"' if order.add_quotes else text

    return lambda row: delimiter.join(field(value, kind) for value, kind in zip(row, kinds, strict=True))


def _csv(order: Order, kinds: list[int]) -> Line:
    delimiter = order.delimiter or ","
    special = (delimiter, '"', "\n", "\r")

    def field(value: bytes | None, kind: int) -> str:
        text = order.null_as or "" if value is None else _plain(value, kind)
        if any(char in text for char in special):
            text = '"' + text.replace('"', '""') + '"'
        return text

    return lambda row: delimiter.join(field(value, kind) for value, kind in zip(row, kinds, strict=True))


def _fixed(order: Order, kinds: list[int]) -> Line:
    widths = [width for _, width in order.fixed_width or []]

    def field(value: bytes | None, kind: int, width: int) -> str:
        text = order.null_as or "" if value is None else _plain(value, kind)
        if len(text) > width:
            if value is None and kind not in _CHARACTERS:
                text = ""
            else:
                raise failed(f"The value is wider than its FIXEDWIDTH column of {width}")
        return text.ljust(width)

    return lambda row: "".join(field(*cell) for cell in zip(row, kinds, widths, strict=True))


def _json(names: list[str], kinds: list[int]) -> Line:
    labels = [json.dumps(name, ensure_ascii=False) for name in names]

    def field(value: bytes | None, kind: int) -> str:
        if value is None:
            return "null"
        text = _plain(value, kind)
        if kind in _DOCUMENTS or (kind in _BARE and text not in _NOT_NUMBERS):
            return text
        return json.dumps(text, ensure_ascii=False)

    def line(row: Row) -> str:
        cells = zip(labels, row, kinds, strict=True)
        return "{" + ",".join(f"{label}:{field(value, kind)}" for label, value, kind in cells) + "}"

    return line


_LINES = {CSV: _csv}


def _line(order: Order, result: Result) -> tuple[Line, str | None]:
    """How a row is written, and the line above the rows."""
    names, kinds = [name for name, _, _ in result.columns], [kind for _, kind, _ in result.columns]
    if order.format == JSON:
        return _json(names, kinds), None
    if order.fixed_width is not None:
        return _fixed(order, kinds), None
    make = _LINES.get(order.format, _delimited)
    header = None
    if order.header:
        header = make(order, [results.VARCHAR] * len(names))(tuple(name.encode() for name in names))
    return make(order, kinds), header


def _compressed(order: Order, body: bytes) -> bytes:
    if order.compression == "GZIP":
        return gzip.compress(body, mtime=0)
    if order.compression == "BZIP2":
        return bz2.compress(body)
    if order.compression == "ZSTD":
        import zstandard

        return zstandard.compress(body)
    return body


def files(order: Order, result: Result, rows: Iterable[Row], largest: int) -> Iterator[tuple[bytes, int]]:
    """The files of one slice, none larger than allowed before compression, each with the number of its lines."""
    line, header = _line(order, result)
    first = [] if header is None else [header.encode() + b"\n"]
    lines, size = list(first), sum(map(len, first))
    for row in rows:
        written = line(row).encode() + b"\n"
        if size + len(written) > largest and len(lines) > len(first):
            yield _compressed(order, b"".join(lines)), len(lines)
            lines, size = list(first), sum(map(len, first))
        lines.append(written)
        size += len(written)
    if len(lines) > len(first):
        yield _compressed(order, b"".join(lines)), len(lines)
