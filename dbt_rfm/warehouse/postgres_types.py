"""What the driver for Postgres hands over, as plain Arrow, and back.

In: Arrow tables of the driver. Out: Arrow tables of plain types. NUMERIC comes as text: it becomes a decimal where the
column declares its digits, or if all values are whole, else a double. What Arrow has no type for, `is_opaque` tells,
and it is asked for as text. CHAR(n) comes without the blanks that fill it up: they mean nothing there, and would be
meant where it is compared with text. The driver counts the moments of Postgres from 1970 instead of 2000 without a
look at how far Arrow counts: what is too late for that, infinity for one, arrives as a moment before all of Postgres's.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from dbt_rfm.warehouse.moments import in_calendar, is_moment, numbers

_MAX_DIGITS = 38
_FIRST_DAY = -2_440_588  # Postgres has no moment before 4714 BC
_FROM_2000 = 10_957  # days since 1970
_MICROSECONDS = 86_400_000_000  # of a day
_LIMITS = {pa.int32(): (-(2**31), 2**31 - 1), pa.int64(): (-(2**63), 2**63 - 1)}


def is_opaque(field: pa.Field) -> bool:
    """A type that Arrow lacks, in Postgres's own bytes."""
    if isinstance(field.type, pa.OpaqueType):
        return pa.types.is_binary(field.type.storage_type)
    return isinstance(field.type, pa.UuidType)


def _digits(field: pa.Field) -> tuple[int, int] | None:
    """(precision, scale) that a NUMERIC column declares, packed in its type modifier; None without or if unusual."""
    packed = int((field.metadata or {}).get(b"POSTGRESQL:typmod", b"-1")) - 4
    precision, scale = packed >> 16, packed & 0x7FF
    return (precision, scale) if packed >= 0 and precision <= _MAX_DIGITS and scale <= precision else None


def _is_numeric(field: pa.Field) -> bool:
    return isinstance(field.type, pa.OpaqueType) and field.type.type_name == "numeric"


def _is_padded(field: pa.Field) -> bool:
    return (field.metadata or {}).get(b"POSTGRESQL:type") == b"bpchar"


def with_digits(name: str, field: pa.Field) -> str:
    digits = _digits(field) if _is_numeric(field) else None
    return f"{name}({digits[0]},{digits[1]})" if digits else name


def _plain_type(field: pa.Field, values: pa.ChunkedArray) -> pa.DataType:
    if _is_numeric(field):
        digits = _digits(field)
        if digits:
            return pa.decimal128(*digits)
        whole = pc.all(pc.match_substring_regex(_storage(values), r"^-?\d{1,38}$"), skip_nulls=True, min_count=1)
        return pa.decimal128(_MAX_DIGITS, 0) if whole.as_py() else pa.float64()
    return field.type.storage_type if isinstance(field.type, pa.BaseExtensionType) else field.type


def plain(rows: pa.Table) -> pa.Table:
    """Without the driver's own types and notes."""
    schema = pa.schema([pa.field(f.name, _plain_type(f, rows.column(i))) for i, f in enumerate(rows.schema)])
    columns = [_as_plain(rows.column(i), field) for i, field in enumerate(schema)]
    columns = [pc.utf8_rtrim(c, " ") if _is_padded(f) else c for c, f in zip(columns, rows.schema, strict=True)]
    columns = [_in_order(column) if is_moment(column.type) else column for column in columns]
    return in_calendar(pa.table(columns, schema=schema))


def _as_plain(values: pa.ChunkedArray, field: pa.Field) -> pa.ChunkedArray:
    if not isinstance(values.type, pa.BaseExtensionType):
        return values
    stored = _storage(values)
    if pa.types.is_decimal(field.type):
        # A decimal of Arrow has no NaN and no infinity; in a column of numbers they mean missing.
        stored = pc.if_else(pc.match_substring_regex(stored, r"^[-\d.]+$"), stored, None)
    return stored.cast(field.type)


def _in_order(moments: pa.ChunkedArray) -> pa.ChunkedArray:
    """Moments as Postgres means them: infinity after all others."""
    kept = numbers(moments)
    least, most = (pa.scalar(end, kept.type) for end in _LIMITS[kept.type])
    unit = 1 if pa.types.is_date32(moments.type) else _MICROSECONDS
    wrapped = pc.less(kept, pa.scalar(_FIRST_DAY * unit, kept.type))
    if not pc.any(wrapped).as_py():
        return moments
    minus_infinity = pc.equal(kept, pa.scalar(least.as_py() + _FROM_2000 * unit, kept.type))
    return pc.if_else(wrapped, pc.if_else(minus_infinity, least, most), kept).cast(moments.type)


def _storage(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return pa.chunked_array([chunk.storage for chunk in values.chunks], type=values.type.storage_type)


def loadable(rows: pa.Table) -> pa.Table:
    """Columns without any value have no type in Arrow; Postgres wants one."""
    fields = [pa.field(f.name, pa.string()) if pa.types.is_null(f.type) else f for f in rows.schema]
    return rows.cast(pa.schema(fields))
