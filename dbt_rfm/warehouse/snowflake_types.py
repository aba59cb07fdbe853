"""Types of Snowflake and of Arrow, one as the other.

In: what the connector says of a result's columns, or Arrow types. Out: Snowflake's names of them, Arrow rows in the
types that the rest of the package knows from DuckDB. The connector gives whole numbers in the narrowest width of each
batch, and times in nanoseconds: both differ from batch to batch, so each column is brought to one type.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from snowflake.connector.constants import FIELD_ID_TO_NAME

from dbt_rfm.warehouse.moments import in_calendar
from dbt_rfm.warehouse.snowflake_sql import other_case

_NAMES = {"FIXED": "NUMBER", "REAL": "FLOAT", "TEXT": "VARCHAR", "TIMESTAMP": "TIMESTAMP_NTZ"}
_ARROW = {
    "REAL": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "DATE": pa.date32(),
    "TIME": pa.time64("us"),
    "BINARY": pa.binary(),
    "TIMESTAMP_NTZ": pa.timestamp("us"),
    "TIMESTAMP_TZ": pa.timestamp("us", tz="UTC"),
    "TIMESTAMP_LTZ": pa.timestamp("us", tz="UTC"),
}


def data_type(column: Any) -> str:
    """What Snowflake calls the type of a result's column, e.g. NUMBER(38,0)."""
    kind = FIELD_ID_TO_NAME[column.type_code]
    name = _NAMES.get(kind, kind)
    return f"{name}({column.precision},{column.scale})" if kind == "FIXED" else name


def plain(rows: pa.Table, described: Sequence[Any]) -> pa.Table:
    """The rows under the package's names and types."""
    columns, names = [], []
    for column, meta in zip(rows.columns, described, strict=True):
        kind = _arrow_type(column, meta)
        # What is finer than a microsecond is cut off, as DuckDB does.
        columns.append(column if column.type == kind else column.cast(kind, safe=not pa.types.is_timestamp(kind)))
        names.append(other_case(meta.name))
    return in_calendar(pa.table(columns, names=names))


def sql_type(kind: pa.DataType) -> str:
    """Snowflake's type for a column of loaded rows."""
    if pa.types.is_boolean(kind):
        return "BOOLEAN"
    if pa.types.is_integer(kind):
        return "NUMBER(38,0)"
    if pa.types.is_decimal(kind):
        return f"NUMBER({kind.precision},{kind.scale})"
    if pa.types.is_floating(kind):
        return "FLOAT"
    if pa.types.is_date(kind):
        return "DATE"
    if pa.types.is_timestamp(kind):
        return "TIMESTAMP_TZ" if kind.tz else "TIMESTAMP_NTZ"
    return "BINARY" if pa.types.is_binary(kind) else "VARCHAR"


def loadable(rows: pa.Table) -> pa.Table:
    """The rows in types that a Parquet file and Snowflake share."""
    return rows.cast(pa.schema([field.with_type(_loadable(field.type)) for field in rows.schema]))


def _loadable(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _loadable(kind.value_type)
    if pa.types.is_null(kind) or pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_integer(kind):
        return pa.int64()
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", tz=kind.tz)
    return pa.float64() if pa.types.is_floating(kind) else kind


def _arrow_type(column: pa.ChunkedArray, meta: Any) -> pa.DataType:
    kind = FIELD_ID_TO_NAME[meta.type_code]
    if kind != "FIXED":
        return _ARROW.get(kind, pa.string())
    if meta.scale:
        return pa.decimal128(meta.precision or 38, meta.scale)
    try:
        column.cast(pa.int64())
    except pa.ArrowInvalid:
        return pa.decimal128(38, 0)
    return pa.int64()
