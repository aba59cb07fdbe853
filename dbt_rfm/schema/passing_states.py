"""States that pass: `orders.status` is 'placed' of the newest orders and of no others, since each becomes 'done' later.

In: a table with a time and its columns. Out: the names of those whose values are written over. A column is one if its
name says state (`status`, `delivery_stage`) or if it is a boolean (`is_paid`), and if one of its frequent values, of a
boolean `false`, is found nearly only among the newest rows. A value that is new in the world looks the same, so of
other names nothing is concluded.
Time rule: all rows are looked at, also those after a named anchor, since the column is of today.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
from sqlglot import exp

from dbt_rfm.schema import names
from dbt_rfm.schema.probe import Probe, column, time_of
from dbt_rfm.schema.types import Column, SemanticType, Table

_STATES = {"status", "state", "stage", "phase", "progress", "lifecycle"}
_FALSE = ("false", "f", "0")  # as warehouses write it
_PLACE = re.compile("[A-Z]{2}")  # TX is a state too, and may be new to a business
_NEWEST, _AT_MOST = 0.1, 0.25  # of the rows: those of whole days; more on one day tell nothing
_NEARLY_ALL = 0.9  # of the rows that have the value; some are stuck
_ROWS, _OF_VALUE = 200, 5  # at least, of the table and of the value


def passing_states(table: Table, columns: Sequence[Column], probe: Probe) -> list[str]:
    """The names of those columns that hold states which pass; one look at the table."""
    states = [(given.name, texts) for given in columns for texts in _that_may_pass(given)]
    if not states or table.own_time is None:
        return []
    rows, *counts = _by_day(table, states, probe)
    newest = _newest_days(rows)
    if rows.sum() < _ROWS or rows[newest].sum() > _AT_MOST * rows.sum():
        return []
    passes = [c.sum() >= _OF_VALUE and c[newest].sum() >= _NEARLY_ALL * c.sum() for c in counts]
    return list(dict.fromkeys(name for (name, _), found in zip(states, passes, strict=True) if found))


def _that_may_pass(given: Column) -> list[tuple[str, ...]]:
    """Values of a column that may be written over, each in all the ways a warehouse writes it."""
    if given.semantic_type is SemanticType.BOOLEAN:
        return [_FALSE]
    if not _STATES & {*names.words(given.name)}:
        return []
    return [(value,) for value in given.values if not _PLACE.fullmatch(value)]


def _by_day(table: Table, states: Sequence[tuple[str, tuple[str, ...]]], probe: Probe) -> Iterator[np.ndarray]:
    """[days] the number of rows, oldest day first, then for each (column, texts) that of the rows that say so."""
    assert table.own_time is not None, "asked only of tables with a time"
    day = exp.Cast(this=time_of(table, table.own_time), to=exp.DataType.build("date"))
    counted: list[exp.Expression] = [exp.Count(this=exp.Star())]
    for name, texts in states:
        text = exp.Lower(this=exp.Cast(this=column(name), to=exp.DataType.build("text")))
        same = exp.In(this=text, expressions=[exp.Literal.string(each.lower()) for each in texts])
        counted.append(exp.Count(this=exp.Case(ifs=[exp.If(this=same, true=exp.Literal.number(1))])))
    select = exp.select(*(exp.alias_(count, f"n{i}") for i, count in enumerate(counted)))
    known = exp.Not(this=exp.Is(this=column(table.own_time), expression=exp.Null()))
    select = select.from_(probe.all_rows(table).subquery("t")).where(known).group_by(day).order_by(day.copy())
    for counts in probe.warehouse.query(select).columns:
        yield np.array(counts.to_pylist(), dtype=np.int64)


def _newest_days(rows: np.ndarray) -> slice:
    """The last days, as many as hold a tenth of the rows."""
    from_here = np.cumsum(rows[::-1])
    return slice(len(rows) - 1 - int(np.searchsorted(from_here, _NEWEST * rows.sum())), None)
