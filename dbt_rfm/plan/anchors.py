"""Anchors: the moments at which examples stand.

In: the prediction anchor, the horizon, the data's start. Out: the grid anchor - H, anchor - 2H, … newest first, and the
SELECTs that find the newest and oldest event. Months follow the calendar (31 March minus one month is 28 or 29
February), counted from the prediction anchor, so a grid does not drift; a window of the grid is closed at the anchor
after it in every case.
"""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlglot import exp

from dbt_rfm.errors import DataError
from dbt_rfm.plan import sql
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.row_times import own_time
from dbt_rfm.schema.types import Table


def shifted(moment: datetime, number: int, unit: str) -> datetime:
    """`moment` moved by a number of units, as the warehouse does it. Raises DataError outside the calendar."""
    try:
        if unit.startswith("month"):
            return _months_later(moment, number)
        return moment + timedelta(**{unit if unit.endswith("s") else f"{unit}s": number})
    except (OverflowError, ValueError) as error:
        raise DataError(f"{number} {unit} from {moment} lies outside the calendar") from error


def grid(anchor: datetime, step: int, unit: str, *, start: datetime, limit: int) -> list[datetime]:
    """anchor - step, anchor - 2 step, … not before `start`, at most `limit` of them, newest first."""
    found: list[datetime] = []
    for k in range(1, limit + 1):
        moment = shifted(anchor, -k * step, unit)
        if moment < start:
            break
        found.append(moment)
    return found


def newest_event(graph: Graph, tables: Sequence[Table], until: datetime | None = None) -> exp.Expression | None:
    """SELECT the newest time of all time columns, not after `until`; None if no table has one."""
    return _extreme(graph, tables, exp.Max, until)


def oldest_event(graph: Graph, tables: Sequence[Table]) -> exp.Expression | None:
    """SELECT the oldest time of all time columns; None if no table has one."""
    return _extreme(graph, tables, exp.Min)


def _extreme(
    graph: Graph, tables: Sequence[Table], aggregate: type[exp.Max] | type[exp.Min], until: datetime | None = None
) -> exp.Expression | None:
    queries = []
    for table in tables:
        time = own_time(table, "r0")
        if time is not None:
            query = sql.select(sql.aliased(aggregate(this=time), "moment"))
            query = query.from_(graph.read(table, "r0"), copy=False)
            if until is not None:
                query = query.where(exp.LTE(this=time.copy(), expression=sql.timestamp(until)), copy=False)
            queries.append(query)
    if not queries:
        return None
    whole = sql.subquery(sql.union_all(queries), "moments")
    outer = sql.select(sql.aliased(aggregate(this=sql.column("moment")), "moment"))
    return outer.from_(whole, copy=False)


def _months_later(moment: datetime, number: int) -> datetime:
    year, month = divmod(moment.year * 12 + moment.month - 1 + number, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return moment.replace(year=year, month=month + 1, day=min(moment.day, last))
