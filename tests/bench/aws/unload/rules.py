"""What Redshift does not let an UNLOAD ask for (docs/aws-behaviour.md#unload)."""

from ..redshift_data import results
from ..redshift_data.statements import Result
from ..warehouse import sql
from ..warehouse.failure import failed
from .order import CSV, JSON, MEGABYTE, PARQUET, Order

ROW_GROUP = 32 * MEGABYTE

_WIDE_NODES = ("ra3.4xlarge", "ra3.16xlarge", "dc2.8xlarge")
_TEXT_ONLY = ("DELIMITER", "FIXEDWIDTH", "ADDQUOTES", "ESCAPE", "NULL AS", "HEADER")
_EXCLUDED = {
    CSV: ("ESCAPE", "FIXEDWIDTH", "ADDQUOTES"),
    PARQUET: (*_TEXT_ONLY, "GZIP", "BZIP2", "ZSTD"),
    JSON: _TEXT_ONLY,
    "FIXEDWIDTH": ("DELIMITER", "HEADER"),
    "CLEANPATH": ("ALLOWOVERWRITE",),
    "ENCRYPTED AUTO": ("KMS_KEY_ID",),
}
_PARTITION_TYPES = (
    results.INT2,
    results.INT4,
    results.INT8,
    results.NUMERIC,
    results.FLOAT4,
    results.BOOL,
    results.BPCHAR,
    results.VARCHAR,
    results.TEXT,
    results.DATE,
    results.TIMESTAMP,
)


def _given(order: Order) -> set[str]:
    said = {
        order.format: True,
        "DELIMITER": order.delimiter is not None,
        "FIXEDWIDTH": order.fixed_width is not None,
        "ADDQUOTES": order.add_quotes,
        "ESCAPE": order.escape,
        "NULL AS": order.null_as is not None,
        "HEADER": order.header,
        "CLEANPATH": order.clean_path,
        "ALLOWOVERWRITE": order.allow_overwrite,
        "ENCRYPTED AUTO": order.auto,
        "KMS_KEY_ID": order.kms_key_id is not None,
        order.compression or "": True,
    }
    return {option for option, is_said in said.items() if is_said}


def check(order: Order, node_type: str) -> None:
    """Fails where options exclude or need each other."""
    given = _given(order)
    for option, others in _EXCLUDED.items():
        for other in others:
            if option in given and other in given:
                raise failed(f"{other} is not supported for UNLOAD with {option}")
    if order.kms_key_id is not None and not order.encrypted:
        raise failed("KMS_KEY_ID requires the ENCRYPTED option")
    if order.encrypted and not (order.auto or order.kms_key_id):
        raise failed("ENCRYPTED requires KMS_KEY_ID or AUTO: client-side encryption is not supported")
    if order.row_group_size is not None:
        if order.format != PARQUET:
            raise failed("ROWGROUPSIZE is only supported for UNLOAD with PARQUET")
        if node_type not in _WIDE_NODES:
            raise failed(f"ROWGROUPSIZE is not supported for node type {node_type}")
    if order.format == PARQUET and order.max_file_size is not None and order.max_file_size < ROW_GROUP:
        raise failed("MAXFILESIZE must be at least 32 MB for UNLOAD with PARQUET")
    if order.bucket.endswith("-s3alias"):
        raise failed("UNLOAD does not support Amazon S3 access point aliases")


def check_query(query: str, backslashes: bool) -> None:
    """Fails unless the query is one SELECT without a LIMIT outside of all parentheses."""
    depth, first, ended = 0, True, False
    for token in sql.tokens(query, backslashes):
        if ended:
            raise failed("cannot insert multiple commands into a prepared statement")
        if token.is_symbol(";") and not first:
            ended = True
        depth += token.is_symbol("(") - token.is_symbol(")")
        if first and not (token.is_word("SELECT", "WITH") or token.is_symbol("(")):
            text = query[token.start : token.end]
            raise failed(f'syntax error at or near "{text}"', position=token.start + 1)
        first = False
        if depth == 0 and token.is_word("LIMIT", "FETCH"):
            raise failed("Limit clause is not supported in the outermost select of an UNLOAD statement")
    if first:
        raise failed("syntax error at end of input")


def check_columns(order: Order, result: Result) -> None:
    """Fails where the query's columns do not go with the options."""
    names = [name for name, _, _ in result.columns]
    kinds = {name: kind for name, kind, _ in result.columns}
    if order.format in (JSON, PARQUET) and len(set(names)) < len(names):
        raise failed(f"Column names must be unique for UNLOAD with {order.format}")
    for column in order.partition_by:
        if column not in kinds:
            raise failed(f'column "{column}" specified in PARTITION BY clause does not exist in the query')
        if kinds[column] not in _PARTITION_TYPES:
            kind = results.NAMES.get(kinds[column], "unknown")
            raise failed(f'column "{column}" of type {kind} is not supported in PARTITION BY clause')
    if len(set(order.partition_by)) < len(order.partition_by):
        raise failed("PARTITION BY clause has a column twice")
    if order.partition_by and set(names) <= set(order.partition_by):
        raise failed("UNLOAD needs at least one column that is not in the PARTITION BY clause")
    if results.BYTEA in kinds.values() and (order.format in (JSON, PARQUET) or order.fixed_width):
        raise failed("VARBYTE columns can only be unloaded to text or CSV, and not with FIXEDWIDTH")
    if order.fixed_width is not None:
        written = [name for name in names if order.include or name not in order.partition_by]
        if len(order.fixed_width) != len(written):
            raise failed(f"FIXEDWIDTH specifies {len(order.fixed_width)} columns, and the query has {len(written)}")
        for number, ((given, _), name) in enumerate(zip(order.fixed_width, written, strict=True)):
            if given.lower() != name.lower() and given not in (str(number), str(number + 1)):
                raise failed(f'FIXEDWIDTH names column "{given}" where the query has "{name}"')
