"""What the rows that point at a row add up to, for a sample of rows. Beside it stands whether a column knows of them.

In: a table, columns of it, and a way of links down to rows that point at it, or at what points at it. Out: the values
of the columns, and for each aggregate over those rows one number per row of the sample. Time rule: rows of all times
are added up, also those after a named anchor, since what is compared with them is of today.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlglot import exp

from dbt_rfm.schema.data_types import Family, family
from dbt_rfm.schema.probe import Probe, column, moment_of, time_of
from dbt_rfm.schema.time_links import Way, timed_ways
from dbt_rfm.schema.types import Column, RelationalSchema, SemanticType, Table

_PARENTS = 2_000  # rows of the sample
_MEASURES = 12  # numbers of the rows below that are added up
_OTHERS: dict[str, type[exp.Expression]] = {"AVG": exp.Avg, "MIN": exp.Min, "MAX": exp.Max}


@dataclass(frozen=True)
class LaterRows:
    """Of each row of a sample: its own values, how many rows lead to it, and what those add up to.

    `sums` grow with what happens (COUNT and SUM, of all rows or of those in a window; the time of the last); of
    `others` (AVG, MIN, MAX) that cannot be said. Both by what they are.
    """

    own: dict[str, list[Any]]
    counts: list[int]
    sums: dict[str, list[float]]
    others: dict[str, list[float | None]]
    apart: list[bool]  # the last of them came more than a day after the row; so taken where a time is not known


def later_rows(
    schema: RelationalSchema, table: Table, own: Sequence[str], way: Way, days: Sequence[int], probe: Probe
) -> LaterRows:
    """`way` leads down: its first link arrives at the table, the next one at the child of the first.

    One query; with `days`, the lengths of windows that end with the newest row there is, one more for that row."""
    below = _Below(schema, table, way)
    sums, others = dict(below.sums(below.windows(days, probe))), dict(below.others())
    began = [time_of(table, table.own_time, "t0")] if table.own_time else []
    values = [column(name, "t0") for name in own]
    last = [] if below.time is None else [exp.Max(this=below.time.copy())]
    asked = [*values, below.count, *began, *last, *sums.values(), *others.values()]
    key = column(way[0].parent_column, "t0")
    groups = [key, *(value for value in values if value != key), *began]
    # Warehouses differ in how they spell the names of such columns, so answers are taken by position.
    query = below.rows(probe).select(*(exp.alias_(e.copy(), f"a{i}") for i, e in enumerate(asked)))
    answers = (c.to_pylist() for c in probe.warehouse.query(query.group_by(*groups)).columns)
    told = {name: next(answers) for name in own}
    counts = [int(n) for n in next(answers)]
    starts = next(answers) if began else [None] * len(counts)
    lasts = next(answers) if last else [None] * len(counts)
    found = {said: [float(value or 0) for value in next(answers)] for said in sums}
    rest = {said: [None if value is None else float(value) for value in next(answers)] for said in others}
    if last:
        found[f"the last of {below.child.name}"] = [_seconds(moment) for moment in lasts]
    apart = [a is None or b is None or b - a > timedelta(days=1) for a, b in zip(starts, lasts, strict=True)]
    return LaterRows(told, counts, found, rest, apart)


class _Below:
    """The rows at the end of a way: joined from the table, t0, down to t1 or t2."""

    def __init__(self, schema: RelationalSchema, table: Table, way: Way) -> None:
        self.child, self._top = schema.table(way[-1].child), table
        self._joins: list[tuple[str, Table, exp.Expression]] = []
        self.time: exp.Expression | None = None
        for i, down in enumerate(way):
            self._join(f"t{i + 1}", schema.table(down.child), (down.child_column, down.parent_column), f"t{i}")
        self.count = exp.Count(this=column(way[-1].child_column, f"t{len(way)}"))
        if self.time is None and self.child.time_link is not None:
            self._join_up(schema, next(timed_ways(schema, self.child.name), ()), f"t{len(way)}")
        # As doubles, since the sum of large decimals is more than a decimal holds.
        names = [c.name for c in self.child.columns if is_measure(c)][:_MEASURES]
        self._measures = {name: _as_double(column(name, f"t{len(way)}")) for name in names}

    def _join_up(self, schema: RelationalSchema, way: Way, below: str) -> None:
        """To what says when a row without a time happened."""
        for i, up in enumerate(way):
            self._join(f"w{i}", schema.table(up.parent), (up.parent_column, up.child_column), below)
            below = f"w{i}"

    def _join(self, alias: str, table: Table, keys: tuple[str, str], other: str) -> None:
        """A row happened at the last time that is met on the way down to it."""
        on = exp.EQ(this=column(keys[0], alias), expression=column(keys[1], other))
        self._joins.append((alias, table, on))
        if table.own_time:
            self.time = time_of(table, table.own_time, alias)

    def rows(self, probe: Probe) -> exp.Select:
        select = exp.Select().from_(probe.all_rows(self._top).limit(_PARENTS).subquery("t0"))
        for alias, table, on in self._joins:
            select = select.join(probe.all_rows(table).subquery(alias), on=on, join_type="left")
        return select

    def windows(self, days: Sequence[int], probe: Probe) -> dict[int, exp.Expression]:
        """By length, whether a row happened in that window before the newest row."""
        timed = [(alias, table) for alias, table, _ in self._joins if table.own_time]
        if not days or not timed:
            return {}
        alias, table = timed[-1]
        last = exp.Max(this=time_of(table, table.own_time or "", alias))
        newest = probe.one(exp.Select(expressions=[last]).from_(probe.all_rows(table).subquery(alias)))[0]
        if newest is None or self.time is None:
            return {}
        lengths = {n: timedelta(days=n) for n in days}
        begins = {n: moment_of(newest - length) for n, length in lengths.items() if newest - datetime.min > length}
        return {n: exp.GT(this=self.time.copy(), expression=begin) for n, begin in begins.items()}

    def sums(self, windows: dict[int, exp.Expression]) -> Iterator[tuple[str, exp.Expression]]:
        yield f"COUNT of {self.child.name}", self.count
        for name, measure in self._measures.items():
            yield f"SUM of {self.child.name}.{name}", exp.Sum(this=measure.copy())
        for days, within in windows.items():
            yield f"COUNT of {self.child.name} of {days} days", exp.Sum(this=_where(within, exp.Literal.number(1)))
            for name, measure in self._measures.items():
                yield f"SUM of {self.child.name}.{name} of {days} days", exp.Sum(this=_where(within, measure))

    def others(self) -> Iterator[tuple[str, exp.Expression]]:
        for name, measure in self._measures.items():
            for word, aggregate in _OTHERS.items():
                yield f"{word} of {self.child.name}.{name}", aggregate(this=measure.copy())


def is_measure(column: Column) -> bool:
    """A number that can be added up; a text may be declared to be one."""
    return column.semantic_type is SemanticType.NUMERICAL and family(column.data_type) in (
        Family.INTEGER,
        Family.NUMBER,
    )


def _as_double(value: exp.Expression) -> exp.Cast:
    return exp.Cast(this=value, to=exp.DataType.build("double"))


def _where(condition: exp.Expression, value: exp.Expression) -> exp.Case:
    return exp.Case(ifs=[exp.If(this=condition.copy(), true=value.copy())])


def _seconds(moment: datetime | None) -> float:
    return -math.inf if moment is None else moment.replace(tzinfo=UTC).timestamp()
