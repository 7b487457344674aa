"""The manifest: which files there are (docs/aws-behaviour.md#unload)."""

import json
from dataclasses import dataclass
from typing import Any

from ..redshift_data import results
from ..redshift_data.statements import Result
from .order import Order

_BASES = {
    results.BOOL: "boolean",
    results.INT2: "smallint",
    results.INT4: "integer",
    results.INT8: "bigint",
    results.FLOAT4: "real",
    results.FLOAT8: "double precision",
    results.NUMERIC: "numeric",
    results.BPCHAR: "character",
    results.DATE: "date",
    results.TIMESTAMP: "timestamp without time zone",
    results.TIMESTAMPTZ: "timestamp with time zone",
}


@dataclass
class Written:
    """A file that is there: its URL, size and number of lines."""

    url: str
    size: int
    lines: int


def _element(name: str, kind: int, modifier: int) -> dict[str, Any]:
    base = _BASES.get(kind, "character varying")
    kind_of = {"base": base}
    first, second = results.dimensions(kind, modifier)
    if base in ("character", "character varying"):
        kind_of |= {"max_length": first or 65535}
    elif base == "numeric":
        kind_of |= {"precision": first, "scale": second}
    return {"name": name, "type": kind_of}


def manifest(order: Order, result: Result, files: list[Written]) -> bytes:
    """The manifest of files: their URLs, with VERBOSE also what is in them."""
    if not order.verbose:
        return json.dumps({"entries": [{"url": file.url} for file in files]}, indent=2).encode()

    def meta(size: int, lines: int) -> dict[str, int]:
        return {"content_length": size, "record_count": lines}

    content = {
        "entries": [{"url": file.url, "meta": meta(file.size, file.lines)} for file in files],
        "schema": {"elements": [_element(*column) for column in result.columns]},
        "meta": meta(sum(file.size for file in files), sum(file.lines for file in files)),
        "author": {"name": "Amazon Redshift", "version": "1.0.0"},
    }
    return json.dumps(content, indent=2).encode()
