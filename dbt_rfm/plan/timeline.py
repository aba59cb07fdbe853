"""The windows of a forecast: one after the other, before and after the prediction anchor.

In: the prediction anchor A, the target's window h, the data's start. Out: a `Timeline` of edges A + k h, counted from A
by the calendar, so that months neither drift nor leave gaps; window i is (edge i, edge i + 1], so the last closed one
is window -1 and step s of A is window s - 1. Seen from an earlier anchor, edge j, step s is window j + s - 1.
Seasons are how many windows ago the same time of the day, week or year was. Time rule: the calendar of a window is
known beforehand, everything else about it only at its end.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyarrow as pa

from dbt_rfm.errors import DataError
from dbt_rfm.plan.anchors import shifted
from dbt_rfm.pql.ast import UNIT_SECONDS, Window
from dbt_rfm.pql.windows import seconds_of

_DAY, _WEEK, _YEAR = UNIT_SECONDS["days"], UNIT_SECONDS["weeks"], 52 * UNIT_SECONDS["weeks"]
_LEAST_IN_YEAR = 4  # a year of fewer windows tells no season


@dataclass(frozen=True)
class Season:
    name: str  # day | week | year
    windows: int  # so many windows ago the season was the same


@dataclass(frozen=True)
class Timeline:
    anchor: datetime
    horizon: Window
    first: int  # the oldest window, negative
    edges: tuple[datetime, ...]  # from edge `first` to the end of the last step

    @classmethod
    def of(cls, anchor: datetime, horizon: Window, *, steps: int, start: datetime, limit: int) -> Timeline:
        """At most `limit` windows before the anchor, none of them starting before `start`; `steps` after it."""
        after = [shifted(anchor, k * horizon.end, horizon.unit) for k in range(steps + 1)]
        before: list[datetime] = []
        for k in range(1, limit + 1):
            try:
                moment = shifted(anchor, -k * horizon.end, horizon.unit)
            except DataError:  # the calendar begins there
                break
            if moment < start:
                break
            before.append(moment)
        return cls(anchor, horizon, -len(before), (*reversed(before), *after))

    def edge(self, j: int) -> datetime:
        return self.edges[j - self.first]

    @property
    def closed(self) -> range:
        """The windows that have ended by the anchor."""
        return range(self.first, 0)

    def by_length(self) -> dict[Window, list[int]]:
        """The closed windows by length: one length, but for months, which have up to four in days."""
        if self.horizon.unit != "months":
            return {Window(0, self.horizon.end, self.horizon.unit): list(self.closed)}
        found: dict[Window, list[int]] = {}
        for i in self.closed:
            days = (self.edge(i + 1) - self.edge(i)).days
            found.setdefault(Window(0, days, "days"), []).append(i)
        return found


def seasons(horizon: Window) -> tuple[Season, ...]:
    """The seasons that windows of this length can tell, the shortest first.

    A week of windows that do not divide it is the least number of weeks that they do; a year is 52 weeks, the same
    weekdays, or 12 months.
    """
    if horizon.unit == "months":
        return (Season("year", 12 // math.gcd(12, horizon.end)),) if 12 // math.gcd(12, horizon.end) > 1 else ()
    length = seconds_of(horizon)
    found = []
    for name, period in (("day", _DAY), ("week", _WEEK)):
        if length < period:
            found.append(Season(name, period // math.gcd(period, length)))
    in_year = round(_YEAR / length)
    if in_year >= _LEAST_IN_YEAR:
        found.append(Season("year", in_year))
    return tuple({s.windows: s for s in found if s.windows > 1}.values())


def windows_table(timeline: Timeline) -> pa.Table:
    """(i, start_at, end_at) of every window, and its calendar, told at its middle."""
    last = len(timeline.edges) - 1 + timeline.first
    rows = [_window_row(i, timeline.edge(i), timeline.edge(i + 1)) for i in range(timeline.first, last)]
    schema = pa.schema(
        [
            ("i", pa.int64()),
            ("start_at", pa.timestamp("us")),
            ("end_at", pa.timestamp("us")),
            *((name, pa.float64()) for name in CALENDAR),
            ("weekday", pa.string()),
            ("hour", pa.float64()),
        ]
    )
    return pa.Table.from_pylist(rows, schema=schema)


CALENDAR = ("month", "quarter", "day", "week", "weekend", "days")
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def _window_row(i: int, start: datetime, end: datetime) -> dict[str, object]:
    length = end - start
    middle = start + length / 2
    return {
        "i": i,
        "start_at": start,
        "end_at": end,
        "month": middle.month,
        "quarter": (middle.month + 2) // 3,
        "day": middle.day,
        "week": middle.isocalendar().week,
        "weekend": _weekend_share(start, end),
        "days": length / timedelta(days=1),
        "weekday": _WEEKDAYS[middle.weekday()] if length <= timedelta(days=1) else None,
        "hour": float(middle.hour) if length < timedelta(days=1) else None,
    }


def _weekend_share(start: datetime, end: datetime) -> float:
    """The share of (start, end] that lies in Saturdays and Sundays."""
    weekend, moment = timedelta(), start
    whole_weeks = (end - start) // timedelta(weeks=1)
    moment += whole_weeks * timedelta(weeks=1)
    while moment < end:
        midnight = datetime(moment.year, moment.month, moment.day) + timedelta(days=1)
        until = min(midnight, end)
        if moment.weekday() >= 5:
            weekend += until - moment
        moment = until
    return (weekend + whole_weeks * timedelta(days=2)) / (end - start)


def steps_table(steps: int, found: tuple[Season, ...]) -> pa.Table:
    """(step, back0, round0, back1, …): season k of a step is `back` windows before the anchor's edge, after `round`
    windows have gone by; the same season of the newest round that had ended."""
    numbers = range(1, steps + 1)
    columns: dict[str, list[int]] = {"step": list(numbers)}
    for k, season in enumerate(found):
        rounds = [((s - 1) // season.windows + 1) * season.windows for s in numbers]
        columns[f"back{k}"] = [r - (s - 1) for s, r in zip(numbers, rounds, strict=True)]
        columns[f"round{k}"] = rounds
    return pa.table({name: pa.array(values, type=pa.int64()) for name, values in columns.items()})
