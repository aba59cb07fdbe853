"""Moments that end their row: `tickets.solved_at`, `subscriptions.cancelled_at`, `rentals.returned_at`.

In: a RelationalSchema with its times and plans. Out: the same with such columns marked, `Column.ends`, and a note that
names them. Such a moment is written once, when it comes, and is missing until then, so that as of any anchor a row is
known to be open or to have ended. A column is one if its name says so or `semantic_type: timestamp` is declared, if it
does not lie before the row's time, and if its rows end today as they always did, give or take a factor of three:
- of the rows open a tenth of the table's days ago, as large a share has ended since as of those open a tenth earlier.
  Where the moment is overwritten (`seen_at`) hardly a row ended long ago, and all lately;
- as many rows are without an end now as were open then. Where there are none (a table of finished trips), they were not
  there while they lasted;
- of the ends in the newest tenth of the days a quarter came in its newest quarter. Where there are few, ends are
  written later and dated back.
Time rule: all rows are looked at, also those after a named anchor, since the column is of today.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlglot import exp

from dbt_rfm.schema import names
from dbt_rfm.schema.planned import newest_moment
from dbt_rfm.schema.probe import Probe, moment_of, naive_utc, time_of
from dbt_rfm.schema.times import says_when
from dbt_rfm.schema.types import Column, RelationalSchema, SemanticType, Table

#: What ends a row once and for all. What happens again and again (seen, renewed, billed, contacted) is no end: of an
#: earlier anchor the last one tells who came back.
_ENDS = {
    *("end", "ended", "ends", "stop", "stopped", "finish", "finished", "complete", "completed", "completion", "done"),
    *("close", "closed", "solved", "resolved", "settled", "decided", "approved", "rejected", "accepted", "declined"),
    *("cancel", "cancelled", "canceled", "cancellation", "terminated", "termination", "churned", "left", "expired"),
    *("return", "returned", "deliver", "delivered", "delivery", "shipped", "arrived", "received", "fulfilled"),
    *("pay", "paid", "payment", "repaid", "cleared", "refunded", "redeemed", "discharged", "released", "converted"),
    *("deleted", "removed", "deactivated", "disabled", "archived", "lost", "won", "signed", "confirmed", "picked"),
}
_ROWS = 20  # that have ended, at least
_NOT_BEFORE = 0.95  # of them that end at their time or later
_STRETCHES, _PARTS = 10, 4  # that the table's days are cut into, and the newest of them
_AS_EVER = 3.0  # times as many or as few
_NOISE = 3.0  # standard deviations of a count


def with_ends(schema: RelationalSchema, probe: Probe) -> tuple[RelationalSchema, list[str]]:
    """The schema with the columns marked, and a note about them."""
    candidates = {t.name: columns for t in schema.tables if (columns := [c for c in t.columns if _may_be(t, c)])}
    now = newest_moment(schema, probe) if candidates else None
    if now is None:
        return schema, []
    ends = {name: _ends(schema.table(name), columns, now, probe) for name, columns in candidates.items()}
    told = [f"{table}.{name}" for table, found in ends.items() for name in found]
    if not told:
        return schema, []
    tables = tuple(
        replace(t, columns=tuple(replace(c, ends=c.name in ends.get(t.name, ())) for c in t.columns))
        for t in schema.tables
    )
    note = f"taken for the ends of their rows, which are open until then: {', '.join(told)}; "
    return replace(schema, tables=tables), [note + "meta.rfm.ignore leaves one out"]


def _may_be(table: Table, given: Column) -> bool:
    if table.time_column in (None, given.name) or table.valid_from is not None:
        return False
    said = not given.inferred or bool(_ENDS & {*names.words(given.name)})
    moment = given.semantic_type is SemanticType.TIMESTAMP and says_when(given.name)
    return moment and said and not (given.planned or given.hindsight or given.made_of)


def _ends(table: Table, columns: Sequence[Column], now: datetime, probe: Probe) -> list[str]:
    """The names of those columns that end their row; two looks at the table."""
    first, filled = _filled(table, [c.name for c in columns], now, probe)
    kept = [name for name, found in filled.items() if found.in_order]
    if first is None or not kept:
        return []
    counts = _counts(table, kept, now, (now - first) / _STRETCHES, probe)
    return [name for name in kept if _goes_on(*counts[name])]


@dataclass(frozen=True)
class _Filled:
    """Of the rows that have ended by now: how many there are, how many not before their time, how many after it."""

    ended: int
    not_before: int
    after: int

    @property
    def in_order(self) -> bool:
        return self.after >= _ROWS and self.not_before >= _NOT_BEFORE * self.ended


def _filled(
    table: Table, ends: Sequence[str], now: datetime, probe: Probe
) -> tuple[datetime | None, dict[str, _Filled]]:
    """The first moment of the table, and what its columns hold. A date is compared with the day of the row's time."""
    assert table.time_column is not None, "asked only of tables with a time"
    time, until = time_of(table, table.time_column), moment_of(now)
    day = exp.Cast(this=exp.Cast(this=time.copy(), to=exp.DataType.build("date")), to=exp.DataType.build("timestamp"))
    asked: list[exp.Expression] = [exp.Min(this=time.copy())]
    for name in ends:
        end = time_of(table, name)
        start = day if table.column(name).data_type.upper() == "DATE" else time
        ended = exp.LTE(this=end, expression=until.copy())
        for also in (None, exp.GTE(this=end.copy(), expression=start.copy()), exp.GT(this=end.copy(), expression=time)):
            asked.append(_number(exp.And(this=ended, expression=also) if also is not None else ended))
    first, *counts = _ask(table, asked, now, probe)
    threes = [_Filled(*map(int, three)) for three in zip(*[iter(counts)] * 3, strict=True)]
    return None if first is None else naive_utc(first), dict(zip(ends, threes, strict=True))


def _counts(
    table: Table, ends: Sequence[str], now: datetime, stretch: timedelta, probe: Probe
) -> dict[str, Sequence[int]]:
    """By column: rows without an end; open a stretch ago, and of these ended since; the same of two stretches ago;
    ended in the newest stretch, and in its newest part."""
    assert table.time_column is not None, "asked only of tables with a time"
    asked: list[exp.Expression] = []
    for name in ends:
        end, time = time_of(table, name), time_of(table, table.time_column)
        asked.append(_number(exp.Is(this=end, expression=exp.Null())))
        for ago in (1, 2):
            then, until = now - ago * stretch, now - (ago - 1) * stretch
            is_open = _is_open(time, end, then)
            since = exp.LTE(this=end.copy(), expression=moment_of(until))
            asked += [_number(is_open), _number(exp.And(this=is_open, expression=since))]
        come = exp.LTE(this=end.copy(), expression=moment_of(now))
        for since_when in (now - stretch, now - stretch / _PARTS):
            later = exp.GT(this=end.copy(), expression=moment_of(since_when))
            asked.append(_number(exp.And(this=come, expression=later)))
    counts = iter(map(int, _ask(table, asked, now, probe)))
    return dict(zip(ends, zip(*[counts] * 7, strict=True), strict=True))


def _goes_on(without: int, ago: int, ended: int, before: int, ended_before: int, newest: int, part: int) -> bool:
    """
    >>> _goes_on(100, 90, 60, 80, 50, 400, 90), _goes_on(100, 90, 60, 80, 50, 400, 9)
    (True, False)
    >>> _goes_on(0, 1000, 1000, 980, 40, 1000, 300), _goes_on(500, 900, 450, 880, 20, 500, 400)
    (False, False)
    """
    usual = ago * ended_before / before if before else 0.0
    return _is_as_ever(ended, usual) and _is_as_ever(without, ago) and _is_as_ever(part, newest / _PARTS)


def _is_as_ever(found: int, usual: float) -> bool:
    least, most = usual / _AS_EVER, usual * _AS_EVER
    return least - _NOISE * math.sqrt(least) <= found <= most + _NOISE * math.sqrt(most + 1)


def _is_open(time: exp.Expression, end: exp.Expression, at: datetime) -> exp.Expression:
    begun = exp.LTE(this=time.copy(), expression=moment_of(at))
    never = exp.Is(this=end.copy(), expression=exp.Null())
    later = exp.GT(this=end.copy(), expression=moment_of(at))
    return exp.And(this=begun, expression=exp.Paren(this=exp.Or(this=never, expression=later)))


def _number(condition: exp.Expression) -> exp.Expression:
    return exp.Count(this=exp.Case(ifs=[exp.If(this=condition.copy(), true=exp.Literal.number(1))]))


def _ask(table: Table, asked: Sequence[exp.Expression], now: datetime, probe: Probe) -> list:
    """Aggregates over the rows that had begun by now."""
    assert table.time_column is not None, "asked only of tables with a time"
    query = exp.Select(expressions=[exp.alias_(e, f"a{i}") for i, e in enumerate(asked)])
    query = query.from_(probe.all_rows(table).subquery("t"))
    begun = exp.LTE(this=time_of(table, table.time_column), expression=moment_of(now))
    return probe.one(query.where(begun))
