"""Moments that Python's calendar, of the years 1 to 9999, does not hold: infinity, a date of BC, a year typed wrong.

In: Arrow rows as a warehouse gives them. Out: the rows with such moments at the end of the calendar that they lie
beyond, so that they can be compared and shown, and stay before or after everything that really happened.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

_BEGIN = datetime(1970, 1, 1)  # of Arrow's numbers
_DAYS = tuple((end - _BEGIN.date()).days for end in (date.min, date.max))
_MICROSECONDS = tuple((end - _BEGIN) // timedelta(microseconds=1) for end in (datetime.min, datetime.max))


def in_calendar(rows: pa.Table) -> pa.Table:
    for i, field in enumerate(rows.schema):
        if is_moment(field.type):
            rows = rows.set_column(i, field, _within(rows.column(i)))
    return rows


def is_moment(kind: pa.DataType) -> bool:
    return kind == pa.date32() or (pa.types.is_timestamp(kind) and kind.unit == "us")


def numbers(moments: pa.ChunkedArray) -> pa.ChunkedArray:
    """Days or microseconds since 1970, as Arrow keeps them."""
    return moments.cast(pa.int32() if pa.types.is_date32(moments.type) else pa.int64())


def _within(moments: pa.ChunkedArray) -> pa.ChunkedArray:
    kept = numbers(moments)
    first, last = _DAYS if pa.types.is_date32(moments.type) else _MICROSECONDS
    found = pc.min_max(kept).as_py()
    if found["min"] is None or first <= found["min"] <= found["max"] <= last:
        return moments
    for beyond, end in ((pc.less, pa.scalar(first, kept.type)), (pc.greater, pa.scalar(last, kept.type))):
        kept = pc.if_else(beyond(kept, end), end, kept)
    return kept.cast(moments.type)
