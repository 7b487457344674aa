"""Compares what UNLOADs wrote with the table that they were made from: all rows, in any order.

Parquet is read by DuckDB, which is not what the local AWS writes it with; CSV and JSON by Python's own readers, delimited
text by the rules of ESCAPE. `python -m bench.readback` reads what to compare from its input, and prints how it compares,
both as JSON.
"""

import csv
import gzip
import hashlib
import io
import json
import re
import struct
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

from .aws.client import Bench

NULL = "NULL"
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
NAMED = 3

Row = dict[str, Any]


def _moment(value: Any) -> str:
    return datetime.fromisoformat(str(value)).isoformat()


# One form for a value of a type, however it is spelled.
_FORMS = {
    "int2": int,
    "int4": int,
    "int8": int,
    "numeric": lambda value: str(Decimal(value).normalize()),
    "float4": lambda value: struct.pack("<f", float(value)),
    "float8": lambda value: struct.pack("<d", float(value)),
    "bool": lambda value: {"true": True, "t": True, "false": False, "f": False}[str(value).lower()],
    "bpchar": str,
    "varchar": str,
    "date": str,
    "timestamp": _moment,
}


class Table:
    """The rows of a table, as its cluster gives them over the Data API: how often each is there."""

    def __init__(self, data: Any, name: str, **target: str) -> None:
        self._data, self._target = data, target
        columns = next(iter(self._pages(f"select * from {name} where false")))["ColumnMetadata"]
        self.types = {column["name"]: column["typeName"] for column in columns}
        self.rows: Counter[bytes] = Counter()
        # Many in one text: of fields that stand alone a million take minutes.
        for page in self._pages(f"select json_agg(t)::text from {name} t group by id / 50"):
            for [field] in page["Records"]:
                self.rows.update(map(self.digest, json.loads(field["stringValue"], parse_float=Decimal)))

    def _pages(self, sql: str) -> Iterator[dict[str, Any]]:
        statement = self._data.execute_statement(Sql=sql, **self._target)["Id"]
        while (told := self._data.describe_statement(Id=statement, WaitTimeSeconds=30))["Status"] != "FINISHED":
            assert told["Status"] not in ("FAILED", "ABORTED"), told
        yield from self._data.get_paginator("get_statement_result").paginate(Id=statement)

    def digest(self, row: Row) -> bytes:
        """The same for the same row."""
        values = [None if row[name] is None else _FORMS[kind](row[name]) for name, kind in self.types.items()]
        return hashlib.blake2b(repr(values).encode(), digest_size=16).digest()

    def compared(self, rows: Iterable[Row]) -> dict[str, Any]:
        """How many rows there are, how many of the table are missing, and how many the table does not have."""
        left, number, more, named = self.rows.copy(), 0, 0, []
        for row in rows:
            number += 1
            digest = self.digest(row)
            if left[digest] > 0:
                left[digest] -= 1
                continue
            more += 1
            if more <= NAMED:
                named.append(repr(row)[:1000])
        return {"rows": number, "missing": left.total(), "more": more, "named": named}


# Formats


def _parquet(body: bytes) -> Iterator[Row]:
    import duckdb

    with tempfile.NamedTemporaryFile(suffix=".parquet") as file:
        file.write(body)
        file.flush()
        found = duckdb.connect().execute("select * from read_parquet(?, hive_partitioning = false)", [file.name])
        names = [column[0] for column in found.description]
        while rows := found.fetchmany(10_000):
            yield from (dict(zip(names, row, strict=True)) for row in rows)


def _csv(body: bytes) -> Iterator[Row]:
    csv.field_size_limit(1 << 20)
    lines = csv.reader(io.StringIO(gzip.decompress(body).decode(), newline=""), strict=True)
    names = next(lines)
    for line in lines:
        yield {name: None if value == NULL else value for name, value in zip(names, line, strict=True)}


def _json(body: bytes) -> Iterator[Row]:
    for line in body.decode().removesuffix("\n").split("\n"):
        yield json.loads(line, parse_float=Decimal)


_FIELD = re.compile(r"((?:[^\\|\n]|\\.)*)([|\n])", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def _text(body: bytes) -> Iterator[Row]:
    text, at = body.decode(), 0
    names: list[str] = []
    line: list[str | None] = []
    for field in _FIELD.finditer(text):
        assert field.start() == at, f"what stands at {at} is no field"
        at = field.end()
        line.append(None if field[1] == NULL else _ESCAPED.sub(r"\1", field[1]))
        if field[2] == "\n":
            if names:
                yield dict(zip(names, line, strict=True))
            else:
                names = [str(name) for name in line]
            line = []
    assert at == len(text) and not line, "the last line does not end"


_READERS = {"parquet": _parquet, "csv": _csv, "json": _json, "text": _text}


def _rows(s3: Any, bucket: str, prefix: str, kind: str) -> Iterator[Row]:
    """The rows of all files below a prefix, with the columns that their folders name."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for key in (item["Key"] for item in page["Contents"]):
            *folders, name = key.removeprefix(prefix).split("/")
            if name == "manifest":
                continue
            parts = dict(folder.split("=", 1) for folder in folders)
            of_folders = {column: None if value == NO_VALUE else unquote(value) for column, value in parts.items()}
            for row in _READERS[kind](s3.get_object(Bucket=bucket, Key=key)["Body"].read()):
                yield {**row, **of_folders}


def main() -> None:
    """Compares."""
    asked = json.load(sys.stdin)
    bench = Bench(asked["url"])
    producer, consumer, bucket = asked["producer"], asked["consumer"], asked["bucket"]
    data = bench.client(bench.post("credentials", account=producer, admin=True), "redshift-data", timeout=60)
    table = Table(data, asked["table"], **asked["target"])
    s3 = bench.admin(consumer, "s3")
    told = {kind: table.compared(_rows(s3, bucket, prefix, kind)) for kind, prefix in asked["prefixes"].items()}
    print(json.dumps({"table": table.rows.total(), **told}))


if __name__ == "__main__":
    main()
