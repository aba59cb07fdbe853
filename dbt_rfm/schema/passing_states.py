"""States that pass: `orders.status` is 'placed' of the newest orders and of no others, since each becomes 'done' later.

In: a table with a time and its columns. Out: the names of those whose values are written over. A column is one if its
name says state (`status`, `delivery_stage`) or if it is a boolean (`is_paid`), and if some value, of a boolean
`false`, is found nearly only among the newest rows. A value that is new in the world looks the same, so of other names
nothing is concluded. Time rule: all rows are looked at, also those after a named anchor, since the column is of today.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date

from sqlglot import exp

from dbt_rfm.schema import names
from dbt_rfm.schema.probe import Probe, column, time_of
from dbt_rfm.schema.types import Column, SemanticType, Table

_STATES = {"status", "state", "stage", "phase", "progress", "lifecycle"}
_NEWEST, _AT_MOST = 0.1, 0.25  # of the rows: those of whole days; more on one day tell nothing
_NEARLY_ALL = 0.9  # of the rows that have the value; some are stuck
_FALSE = ("false", "f", "0")  # as warehouses write it
_ROWS, _OF_VALUE = 200, 5  # at least, of the table and of the value


def passing_states(table: Table, columns: Sequence[Column], probe: Probe) -> list[str]:
    """The names of those columns that hold states which pass."""
    if table.own_time is None:
        return []
    return [c.name for c in columns if _may_pass(c) and _passes(c, _by_day(table, c, probe))]


def _may_pass(given: Column) -> bool:
    named = given.semantic_type is SemanticType.CATEGORICAL and bool(_STATES & {*names.words(given.name)})
    return named or given.semantic_type is SemanticType.BOOLEAN


def _by_day(table: Table, given: Column, probe: Probe) -> list[tuple[str, date, int]]:
    """(value, day, rows), in no order."""
    assert table.own_time is not None, "asked only of tables with a time"
    day = exp.Cast(this=time_of(table, table.own_time), to=exp.DataType.build("date"))
    value = exp.Cast(this=column(given.name), to=exp.DataType.build("text"))
    known = [exp.Not(this=exp.Is(this=column(n), expression=exp.Null())) for n in (given.name, table.own_time)]
    select = exp.select(exp.alias_(value, "v"), exp.alias_(day, "d"), exp.alias_(exp.Count(this=exp.Star()), "n"))
    select = select.from_(probe.all_rows(table).subquery("t")).where(*known).group_by(value.copy(), day.copy())
    found = probe.warehouse.query(select)
    return [(str(v), d, int(n)) for v, d, n in zip(*(c.to_pylist() for c in found.columns), strict=True)]


def _passes(given: Column, rows: Sequence[tuple[str, date, int]]) -> bool:
    of_value, of_day = Counter[str](), Counter[date]()
    for value, day, n in rows:
        of_value[value] += n
        of_day[day] += n
    newest = _newest_days(of_day)
    if of_value.total() < _ROWS or sum(of_day[day] for day in newest) > _AT_MOST * of_value.total():
        return False
    among = Counter[str]()
    for value, day, n in rows:
        among[value] += n if day in newest else 0
    every = given.semantic_type is SemanticType.CATEGORICAL
    asked = [v for v, n in of_value.items() if n >= _OF_VALUE and (every or v.lower() in _FALSE)]
    return any(among[v] >= _NEARLY_ALL * of_value[v] for v in asked)


def _newest_days(of_day: Counter[date]) -> set[date]:
    """The last days, as many as hold a tenth of the rows."""
    days: set[date] = set()
    left = _NEWEST * of_day.total()
    for day in sorted(of_day, reverse=True):
        if left <= 0:
            break
        days.add(day)
        left -= of_day[day]
    return days
