"""Parquet files: version 1.0, row groups compressed with Snappy (docs/aws-behaviour.md#unload)."""

import math
from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from ..redshift_data import results
from ..redshift_data.statements import Result
from .order import Order
from .rules import ROW_GROUP
from .text import Row


def _moment(text: str) -> datetime:
    """A point in time; the zone is not unloaded."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        moment = (moment - moment.utcoffset()).replace(tzinfo=None)
    return moment


def _type(kind: int, modifier: int, values: list[Any]) -> Any:
    import pyarrow as pa

    simple = {
        results.BOOL: pa.bool_(),
        results.INT2: pa.int16(),
        results.INT4: pa.int32(),
        results.INT8: pa.int64(),
        results.OID: pa.int64(),
        results.FLOAT4: pa.float32(),
        results.FLOAT8: pa.float64(),
        results.DATE: pa.date32(),
        results.TIME: pa.time64("us"),
        results.TIMESTAMP: pa.timestamp("us"),
        results.TIMESTAMPTZ: pa.timestamp("us"),
    }
    if kind == results.NUMERIC:
        precision, scale = results.dimensions(kind, modifier)
        if modifier < 4:
            # PostgreSQL has numbers without a scale, Redshift has not.
            scale = max((-value.as_tuple().exponent for value in values if value is not None), default=0)
        return pa.decimal128(precision, max(scale, 0))
    return simple.get(kind, pa.string())


_PARSED = {
    results.BOOL: lambda text: text == "t",
    results.INT2: int,
    results.INT4: int,
    results.INT8: int,
    results.OID: int,
    results.FLOAT4: float,
    results.FLOAT8: float,
    results.NUMERIC: Decimal,
    results.DATE: date.fromisoformat,
    results.TIME: time.fromisoformat,
    results.TIMESTAMP: _moment,
    results.TIMESTAMPTZ: _moment,
}


def files(order: Order, result: Result, rows: list[Row], largest: int) -> Iterator[tuple[bytes, int]]:
    """The files of one slice, each about as large as allowed, with the number of its rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrays, fields = [], []
    for number, (name, kind, modifier) in enumerate(result.columns):
        parse = _PARSED.get(kind, str)
        values = [None if row[number] is None else parse(row[number].decode()) for row in rows]
        fields.append(pa.field(name, _type(kind, modifier, values)))
        arrays.append(pa.array(values, fields[-1].type))
    table = pa.Table.from_arrays(arrays, schema=pa.schema(fields))
    largest = largest // ROW_GROUP * ROW_GROUP
    parts = max(1, math.ceil(table.nbytes / largest))
    each = math.ceil(table.num_rows / parts)
    group = max(1, int(table.num_rows * (order.row_group_size or ROW_GROUP) / max(1, table.nbytes)))
    for start in range(0, table.num_rows, each):
        part = table.slice(start, each)
        sink = pa.BufferOutputStream()
        pq.write_table(part, sink, version="1.0", compression="snappy", row_group_size=group)
        yield sink.getvalue().to_pybytes(), part.num_rows
