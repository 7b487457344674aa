"""Values and columns as GetStatementResult gives them."""

from typing import Any

# PostgreSQL's numbers of types, and Redshift's names of them.
BOOL, INT2, INT4, INT8, FLOAT4, FLOAT8, NUMERIC = 16, 21, 23, 20, 700, 701, 1700
TEXT, BPCHAR, VARCHAR, NAME, UNKNOWN = 25, 1042, 1043, 19, 705
DATE, TIME, TIMESTAMP, TIMESTAMPTZ, TIMETZ, BYTEA, OID = 1082, 1083, 1114, 1184, 1266, 17, 26

NAMES = {
    BOOL: "bool",
    INT2: "int2",
    INT4: "int4",
    INT8: "int8",
    OID: "oid",
    FLOAT4: "float4",
    FLOAT8: "float8",
    NUMERIC: "numeric",
    TEXT: "varchar",
    VARCHAR: "varchar",
    NAME: "name",
    UNKNOWN: "varchar",
    BPCHAR: "bpchar",
    DATE: "date",
    TIME: "time",
    TIMETZ: "timetz",
    TIMESTAMP: "timestamp",
    TIMESTAMPTZ: "timestamptz",
    BYTEA: "varbyte",
}
_INTEGERS = {INT2: 5, INT4: 10, INT8: 19, OID: 10}
_LONGEST = 65535


def dimensions(kind: int, modifier: int) -> tuple[int, int]:
    """A type's length, or its precision, and its scale."""
    if kind == NUMERIC:
        return ((modifier - 4) >> 16, (modifier - 4) & 0xFFFF) if modifier >= 4 else (38, 0)
    if kind in (VARCHAR, BPCHAR):
        return (modifier - 4 if modifier >= 4 else _LONGEST), 0
    return _INTEGERS.get(kind, _LONGEST if kind in (TEXT, UNKNOWN) else 0), 0


def column(name: str, kind: int, modifier: int) -> dict[str, Any]:
    """The metadata of a column."""
    precision, scale = dimensions(kind, modifier)
    return {
        "name": name,
        "label": name,
        "typeName": NAMES.get(kind, "varchar"),
        "nullable": 1,
        "precision": precision,
        "scale": scale,
        "length": 0,
        "isCaseSensitive": kind in (TEXT, VARCHAR, BPCHAR, NAME, UNKNOWN),
        "isCurrency": False,
        "isSigned": kind in (INT2, INT4, INT8, FLOAT4, FLOAT8, NUMERIC),
        "schemaName": "",
        "tableName": "",
    }


def value(text: bytes | None, kind: int) -> dict[str, Any]:
    """One field."""
    if text is None:
        return {"isNull": True}
    if kind == BOOL:
        return {"booleanValue": text == b"t"}
    if kind in _INTEGERS:
        return {"longValue": int(text)}
    if kind in (FLOAT4, FLOAT8):
        return {"doubleValue": float(text)}
    return {"stringValue": text.decode()}
