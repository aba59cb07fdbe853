"""Where windows of examples begin and end: the moments between which rows may be added up before any example looks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.windows import LookBack


def bounds_select(examples: str, windows: Sequence[LookBack], last: datetime | None = None) -> exp.Select:
    """(lo, hi] between any two neighbouring bounds of the examples' windows, and up to a `last` moment."""
    moments = [("as_of", None), *(("anchor_time", w) for w in windows if w.number is not None)]
    queries = []
    for named, window in moments:
        moment: exp.Expression = sql.column(named)
        if window is not None and window.number is not None:
            moment = sql.later(moment, -window.number, window.unit)
        queries.append(sql.select(sql.aliased(moment, "hi")).from_(sql.temporary(examples), copy=False))
    if last is not None:
        queries.append(sql.select(sql.aliased(sql.timestamp(last), "hi")))
    inner = sql.union_all(queries)
    distinct = sql.select(sql.column("hi")).distinct(copy=False).from_(sql.subquery(inner, "m"), copy=False)
    lag = exp.Window(this=exp.Lag(this=sql.column("hi")), order=exp.Order(expressions=[sql.column("hi")]))
    lo = exp.Coalesce(this=lag, expressions=[sql.timestamp(sql.BEGINNING)])
    return sql.select(sql.aliased(lo, "lo"), sql.column("hi")).from_(sql.subquery(distinct, "m"), copy=False)
