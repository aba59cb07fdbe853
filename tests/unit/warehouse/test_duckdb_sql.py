"""Rows meet windows end to end by the day: the same rows as by comparing each with every window."""

from __future__ import annotations

from datetime import datetime, timedelta

import duckdb
import pyarrow as pa
import pytest

from dbt_rfm.plan import sql
from dbt_rfm.warehouse.duckdb import DuckDB

NOON = datetime(2024, 3, 31, 12)
MIDNIGHT = datetime(2024, 3, 31)


@pytest.mark.parametrize("length", [timedelta(hours=1), timedelta(hours=36), timedelta(days=1), timedelta(days=31)])
@pytest.mark.parametrize("end", [NOON, MIDNIGHT])
def test__windows_end_to_end__hold_the_same_rows(length: timedelta, end: datetime) -> None:
    starts = [end - k * length for k in range(1, 150)]
    ticks = [timedelta(microseconds=n) for n in (-1, 0, 1)]
    moments = [start + tick for start in starts for tick in ticks] + [None, starts[-1] - timedelta(days=99)]
    with duckdb.connect() as connection:
        warehouse = DuckDB(connection)
        warehouse.load_temporary("moments", pa.table({"at": pa.array(moments, pa.timestamp("us"))}))
        warehouse.load_temporary("windows", pa.table({"start": pa.array(starts, pa.timestamp("us"))}))
        each, by_day = (_met(length) for _ in range(2))
        sql.of_windows_end_to_end(by_day)

        found = [warehouse.query(query).to_pylist() for query in (each, by_day)]

    assert found[0] == found[1]
    # Each end belongs to the window that it ends; after the newest one no moment is later than a tick.
    assert len(found[0]) == 3 * len(starts) - 2


def _met(length: timedelta) -> sql.exp.Select:
    start = sql.column("start", "w")
    until = sql.later(start.copy(), int(length.total_seconds()), "seconds")
    query = sql.select(sql.column("at", "m"), start).from_(sql.temporary("moments", "m"), copy=False)
    sql.join_windows(query, sql.temporary("windows", "w"), sql.column("at", "m"), start.copy(), until)
    return query.order_by("1", "2", copy=False)
