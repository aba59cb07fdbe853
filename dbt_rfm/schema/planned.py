"""Moments that were known before they came: `promotions.starts_at`, `invoices.due_at`, `bookings.check_in`.

In: a RelationalSchema with its times. Out: the same with such columns marked, `Column.planned`, those that are never
moved `Column.fixed` (`fixed.py`), and notes that name them. Most moments beside a row's time are written when they
come: an order's `delivered_at` lies after its time too, but nobody knew it then. They are told apart by what lies ahead
today. In the steady state as many rows are between their time and the later moment now as were on average before; of a
moment that is written when it comes there are none. A column is planned if at the newest event at least half as many
rows as on average have it ahead. What a name says to be done (`closed_at`, `paid_on`) or to move on (`next_billing_on`,
`current_period_end`, which tell who stayed) is none, since it is written over; but a declared `semantic_type:
timestamp` vouches for it. Of a table that is always known it is enough that something lies ahead.
Time rule: all rows are looked at, also those after a named anchor, since the column is of today. When a row was known
is the plan's business (plan/ahead.py, plan/own.py, plan/upcoming.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlglot import exp

from dbt_rfm.schema import names
from dbt_rfm.schema.fixed import is_fixed
from dbt_rfm.schema.probe import Probe, moment_of, naive_utc, seconds_between, time_of
from dbt_rfm.schema.types import Column, RelationalSchema, SemanticType, Table

_DONE = {"paid", "sent", "done", "left", "won", "lost", "close", "actual", "real", "birth", "birthday", "dob"}
_MOVED = {"next", "upcoming", "current", "renew", "renews", "renewal", "eta"}  # on and on, for those who stay
_INTENDED = {"scheduled", "planned", "promised", "booked", "reserved", "needed", "required"}
_IN_USE = timedelta(days=7)
_ENOUGH = 0.5  # of the rows that were ahead on average


def with_plans(schema: RelationalSchema, probe: Probe) -> tuple[RelationalSchema, list[str]]:
    """The schema with the columns marked, and a note about them."""
    open_columns = {t.name: found for t in schema.tables if (found := [c for c in t.columns if _may_be(t, c)])}
    now = newest_moment(schema, probe) if open_columns else None
    if now is None:
        return schema, []
    told: list[str] = []
    moved: list[str] = []
    tables = []
    for table in schema.tables:
        planned = _planned(table, open_columns.get(table.name, ()), now, probe)
        fixed = [name for name in planned if is_fixed(table, table.column(name), now, probe)]
        told += [f"{table.name}.{name}" for name in planned]
        moved += [f"{table.name}.{name}" for name in planned if name not in fixed]
        columns = tuple(replace(c, planned=c.name in planned, fixed=c.name in fixed) for c in table.columns)
        tables.append(replace(table, columns=columns) if planned else table)
    if not told:
        return schema, []
    note = f"taken for plans, known with their rows before they come: {', '.join(told)}; meta.rfm.ignore leaves one out"
    return replace(schema, tables=tuple(tables)), [note, *_on_moved(moved)]


def _on_moved(columns: Sequence[str]) -> Iterator[str]:
    if columns:
        yield (
            "plans that forecasts alone read ahead, since old rows tell what new ones do not, as if they were moved "
            f"later, or since too few rows tell: {', '.join(columns)}; meta.rfm.semantic_type: timestamp on the column "
            "says that it is never moved"
        )


def _may_be(table: Table, given: Column) -> bool:
    times = (table.time_column, table.valid_from, table.valid_to)
    if given.semantic_type is not SemanticType.TIMESTAMP or given.name in times or given.hindsight or given.made_of:
        return False
    return table.time_link is None and (not given.inferred or not _is_written_over(given.name))


def _is_written_over(name: str) -> bool:
    """
    >>> [_is_written_over(n) for n in ("delivered_at", "closeDate", "next_billing_on", "ends_at", "scheduled_for")]
    [True, True, True, False, False]
    """
    words = {*names.words(name)}
    return bool(words & (_DONE | _MOVED)) or any(w.endswith("ed") and w not in _INTENDED for w in words)


def newest_moment(schema: RelationalSchema, probe: Probe) -> datetime | None:
    """The newest moment that a row of the graph happened at and that has come; where that was lately, today's."""
    today = naive_utc(datetime.now(UTC))
    come = moment_of(today)
    found = []
    for table in schema.tables:
        if table.own_time is None:
            continue
        time = time_of(table, table.own_time)
        query = exp.Select(expressions=[exp.alias_(exp.Max(this=time), "newest")])
        query = query.from_(probe.all_rows(table).subquery("t"))
        found.append(probe.one(query.where(exp.LTE(this=time.copy(), expression=come.copy())))[0])
    newest = max((moment for moment in found if moment is not None), default=None)
    # A database that is in use may know of moments since its newest event: what came up to now is no plan.
    return today if newest is not None and newest > today - _IN_USE else newest


def _planned(table: Table, columns: Sequence[Column], now: datetime, probe: Probe) -> list[str]:
    """The names of those columns that are plans; one look at the table."""
    counts = _counts(table, columns, now, probe) if columns else {}
    return [name for name, found in counts.items() if _is_steady(*found)]


def _is_steady(ahead: float, usual: float) -> bool:
    return ahead > 0 and ahead >= _ENOUGH * usual


def _counts(table: Table, columns: Sequence[Column], now: datetime, probe: Probe) -> dict[str, tuple[float, float]]:
    """By column, how many rows have it ahead at the newest event, and how many had it on average until then.

    The average is the time that all rows have had it ahead, over the time that there are rows.
    """
    until, time = moment_of(now), time_of(table, table.own_time) if table.own_time else None
    asked: list[exp.Expression] = [] if time is None else [seconds_between(exp.Min(this=time.copy()), until)]
    for each in columns:
        moment = time_of(table, each.name)
        is_ahead: exp.Expression = exp.GT(this=moment, expression=until.copy())
        asked.append(exp.Count(this=exp.Case(ifs=[exp.If(this=is_ahead, true=exp.Literal.number(1))])))
        if time is not None:
            later = exp.GT(this=moment.copy(), expression=time.copy())
            reached = exp.Case(ifs=[exp.If(this=is_ahead.copy(), true=until.copy())], default=moment.copy())
            asked.append(exp.Sum(this=exp.Case(ifs=[exp.If(this=later, true=seconds_between(time.copy(), reached))])))
    query = exp.Select(expressions=[exp.alias_(e, f"a{i}") for i, e in enumerate(asked)])
    query = query.from_(probe.all_rows(table).subquery("t"))
    if time is not None:
        query = query.where(exp.LTE(this=time.copy(), expression=until.copy()))
    answers = [float(value or 0) for value in probe.one(query)]
    if time is None:
        return {c.name: (n, 0.0) for c, n in zip(columns, answers, strict=True)}
    span, *rest = answers
    pairs = zip(rest[::2], rest[1::2], strict=True)
    return {c.name: (n, total / max(span, 1.0)) for c, (n, total) in zip(columns, pairs, strict=True)}
