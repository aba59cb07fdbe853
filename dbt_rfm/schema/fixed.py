"""Plans that are never moved: a booking's `check_in`, and not the end of a contract that is set to its cancellation.

In: a plan (`planned.py`) and its rows. Out: whether its moment may be read before it comes, also to say what becomes of
a row (`Column.fixed`). A plan that is moved when something happens (ended early, extended, cleared, overwritten by what
came true) tells of an old row how it went and of a new one nothing, so a backtest that reads it looks too good.
Forecasts, which add many rows up, bear that.

It is found by time. Of the newest rows hardly any was moved yet, so they must say as often as old ones whatever old
ones say: a span from the row's time to the moment, no moment, a full hour. Old rows come in lots of as many days as the
new ones; a plan is moved if of some stretch the new ones have far less than is usual for lots, which differ by season
too. Too few rows prove nothing: then it is not fixed. Versions of a snapshot are read as they were, and a declared
`semantic_type: timestamp` vouches. What moves few rows only is not found.
Time rule: as that of `planned.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
from sqlglot import exp

from dbt_rfm.schema.probe import Probe, moment_of, seconds_between, time_of
from dbt_rfm.schema.types import Column, Table

EVER, NEVER = datetime(1800, 1, 1), datetime(3000, 1, 1)  # 9999-12-31 and infinity stand for no moment
_LOOK = 2000  # newest rows that say how long a plan usually lies ahead
_YOUNG, _LEAST = 600, 100  # new rows that are wanted, and needed
_YOUNGEST, _OLDEST = 1 / 8, 1 / 2  # their age at most: shares of that usual time
_LOTS, _LEAST_LOTS = 24, 5  # of old rows
_PLACES, _PER_SPAN = 512, 32  # spans are told apart by a share of the usual one
_FREQUENT, _CUTS = 0.02, 12
_SHARE, _DEVIATIONS = 0.8, 4.0  # of what lots have: less is far below them
_PARTS = ("HOUR", "MINUTE", "SECOND")


def is_fixed(table: Table, column: Column, now: datetime, probe: Probe) -> bool:
    """Whether the newest rows say of a plan what old ones do."""
    if not column.inferred or table.valid_from is not None:
        return True
    if table.own_time is None:
        return False
    return _is_alike(_Rows(table, column, now, probe).by_lot())


def _is_alike(counts: np.ndarray) -> bool:
    """counts: [1 + lots, places, grains] of rows; the newest ones, then lots of old ones. Whether the newest ones are
    enough and lack no stretch."""
    newest, lots = counts[0], counts[1:]
    lots = lots[lots.sum(axis=(1, 2)) >= newest.sum() / 2]
    if newest.sum() < _LEAST or len(lots) < _LEAST_LOTS:
        return False
    as_many = newest.sum() / lots.sum(axis=(1, 2))
    stretches = _stretches(lots.sum(axis=0))
    return not any(_is_far_below(newest[s].sum(), lots[:, s].sum(axis=1) * as_many) for s in stretches)


def _is_far_below(count: float, usual: np.ndarray) -> bool:
    """By roots, which chance moves as far for few as for many."""
    roots = 2 * np.sqrt(usual)
    below = roots.mean() - 2 * np.sqrt(count)
    return bool(count <= _SHARE * usual.mean() and below > _DEVIATIONS * max(1.0, roots.std(ddof=1)))


def _stretches(counts: np.ndarray) -> Iterator[np.ndarray]:
    """[places, grains] masks of what old rows have: no moment, each grain, each frequent place, what lies between two
    cuts of equal shares, with and without the frequent places."""
    places, grains = np.arange(counts.shape[0]), np.arange(counts.shape[1])
    rows = counts.sum(axis=1)
    frequent = (rows >= _FREQUENT * rows.sum()) & (places < places[-1])
    some = [places == place for place in (*places[frequent], places[-1])]
    for among in (places < places[-1], ~frequent & (places < places[-1])):
        reached = np.cumsum(np.where(among, rows, 0))
        cuts = [0, *np.unique(1 + np.searchsorted(reached, reached[-1] * np.arange(1, _CUTS) / _CUTS)), places[-1]]
        some += [among & (places >= lo) & (places < hi) for i, lo in enumerate(cuts) for hi in cuts[i + 1 :]]
    yield from (np.broadcast_to(mask[:, None], counts.shape) for mask in some)
    yield from (np.broadcast_to(grains == grain, counts.shape) & (places < places[-1])[:, None] for grain in grains)


@dataclass(frozen=True)
class _Rows:
    """The rows of the table that have come."""

    table: Table
    column: Column
    now: datetime
    probe: Probe

    @cached_property
    def time(self) -> exp.Expression:
        assert self.table.own_time is not None, "asked only of tables with a time"
        return time_of(self.table, self.table.own_time)

    @cached_property
    def moment(self) -> exp.Expression:
        """None where it stands for never."""
        moment = time_of(self.table, self.column.name)
        comes = exp.Between(this=moment, low=moment_of(EVER), high=moment_of(NEVER))
        return exp.Case(ifs=[exp.If(this=comes, true=moment.copy())])

    def by_lot(self) -> np.ndarray:
        """[1 + lots, places, grains]: rows by how long after them the moment lies (the first place: not after, the last
        one: none), and by how much of the day it tells; nothing where none lies ahead."""
        counts = np.zeros((1 + _LOTS, _PLACES + 3, len(_PARTS) + 1))
        until, ages, spans = self._newest()
        ahead = spans[spans > 0]
        if until is None or len(ahead) < _LEAST:
            return counts
        usual = float(np.median(ahead))
        days = float(np.clip(ages[:_YOUNG][-1], usual * _YOUNGEST, usual * _OLDEST))
        first = int(np.ceil(np.quantile(ahead, 0.9) / days))  # most of whose moments have come
        for lot, place, grain, rows in self._counted(until, days, usual / _PER_SPAN, first):
            counts[lot - first + 1 if lot else 0, _PLACES + 2 if place is None else int(place) + 1, grain] += rows
        return counts

    def _newest(self) -> tuple[datetime | None, np.ndarray, np.ndarray]:
        """The time of the newest row, and seconds: the ages of the newest rows beside it, and their spans."""
        query = self._come(self.time, seconds_between(self.time, self.moment))
        query = query.order_by(exp.Ordered(this=self.time.copy(), desc=True)).limit(_LOOK)
        times, spans = (found.to_pylist() for found in self.probe.warehouse.query(query).columns)
        ages = np.array([(times[0] - time).total_seconds() for time in times])
        return times[0] if times else None, ages, np.array([s for s in spans if s is not None])

    def _counted(self, until: datetime, days: float, unit: float, first: int) -> Iterator[tuple]:
        """(lot, place, grain, rows) of the newest lot and of those from the first old one on."""
        lot = exp.Floor(this=_over(seconds_between(self.time, moment_of(until)), days))
        place: exp.Expression = exp.Floor(this=_over(seconds_between(self.time, self.moment), unit))
        place = exp.Least(this=place, expressions=[exp.Literal.number(_PLACES)])
        place = exp.Greatest(this=place, expressions=[exp.Literal.number(-1)])
        known = exp.Not(this=exp.Is(this=self.moment.copy(), expression=exp.Null()))
        rows = self._come(lot, exp.Case(ifs=[exp.If(this=known, true=place)]), self._grain()).subquery("t")
        by = [exp.column(f"a{i}") for i in range(3)]
        query = exp.select(*by, exp.alias_(exp.Count(this=exp.Star()), "a3")).from_(rows)
        last = exp.Literal.number(first + _LOTS - 1)
        old = exp.Between(this=by[0].copy(), low=exp.Literal.number(first), high=last)
        newest = exp.EQ(this=by[0].copy(), expression=exp.Literal.number(0))
        query = query.where(exp.or_(newest, old)).group_by(*(each.copy() for each in by))
        for each in zip(*(found.to_pylist() for found in self.probe.warehouse.query(query).columns), strict=True):
            yield int(each[0]), each[1], int(each[2]), int(each[3])

    def _grain(self) -> exp.Expression:
        """0: a day, then the smallest of hour, minute and second that the moment tells."""
        grain = exp.Case(default=exp.Literal.number(0))
        for number, part in reversed([*enumerate(_PARTS, start=1)]):
            of_moment = exp.Extract(this=exp.var(part), expression=self.moment.copy())
            grain = grain.when(exp.NEQ(this=of_moment, expression=exp.Literal.number(0)), exp.Literal.number(number))
        return grain

    def _come(self, *asked: exp.Expression) -> exp.Select:
        query = exp.select(*(exp.alias_(each.copy(), f"a{i}") for i, each in enumerate(asked)))
        query = query.from_(self.probe.all_rows(self.table).subquery("t"))
        return query.where(exp.LTE(this=self.time.copy(), expression=moment_of(self.now)))


def _over(seconds: exp.Expression, unit: float) -> exp.Expression:
    return exp.Div(this=seconds, expression=exp.Literal.number(f"{max(unit, 1.0):.3f}"))
