"""When the outcome of an event is known, as a moment of its row.

In: a `Delay`, the table of events and the alias its rows have. Out: the moment; none where it never comes, because the
column is empty or stands for never. Time rule: an outcome is not known before its row is. A day without an hour counts
from its end, since until then the outcome may still come.
"""

from __future__ import annotations

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.row_times import latest, own_time, time_of
from dbt_rfm.plan.values import comes
from dbt_rfm.pql.delay import Delay
from dbt_rfm.schema.types import Column, Table


def known_at(delay: Delay, table: Table, alias: str) -> exp.Expression:
    """The moment, in UTC, of the row that the alias stands for; null where it never comes."""
    time = own_time(table, alias)
    assert time is not None, f"{table.name} has no time, so its outcomes have none after it"
    if not delay.column:
        return sql.later(time, delay.span.end, delay.span.unit)
    moment = time_of(table, delay.column, alias)
    over = sql.later(moment.copy(), 1, "days") if _is_day(table.column(delay.column)) else moment.copy()
    known = latest([time, sql.later(over, delay.span.end, delay.span.unit)])
    assert known is not None, "there are two moments"
    return sql.when(comes(moment), known)


def _is_day(column: Column) -> bool:
    return column.data_type.upper() == "DATE"


def may_be_at_once(delay: Delay) -> bool:
    """Whether an outcome may be known with its own row: then rows at the moment of an event do not count for it."""
    return bool(delay.column) or not delay.span.end
