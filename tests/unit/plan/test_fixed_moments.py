"""What is told of moments known with their row and never moved, worked out by hand; and that nothing else is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from golden_plans import DIALECTS, NAMES, assert_golden
from hand_worked import World, world
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from plan_databases import READS

from dbt_rfm.collect.snapshots import collect
from dbt_rfm.options import Options
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.own import own_block
from dbt_rfm.plan.upcoming import upcoming_blocks
from dbt_rfm.plan.values import Scope
from dbt_rfm.pql.ast import Window

ANCHOR = datetime(2024, 3, 31)
# Booking, guest, booked at, check in, check out, price; three of each guest to learn from.
BOOKINGS = [
    (1, "a", "2024-03-10", "2024-04-02 15:00", "2024-04-05 12:00", 100.0),
    (2, "a", "2024-03-20", "2024-05-01", "2024-05-03", 50.0),
    (3, "a", "2024-04-01", "2024-04-03", "2024-04-04", 9.0),  # nobody knows of it at the anchor
    (4, "b", "2024-02-01", "2024-03-11", "2024-03-12", 20.0),
    (5, "c", "2024-03-01", "9999-12-31", "2024-03-05", 30.0),
    (6, "d", "2024-03-01", None, "2024-03-05", 30.0),
]
SCRIPT = """
create table guests as select * from (values ('a'), ('b'), ('c'), ('d')) as t(name);
create table stays as
    select row_number() over () as nr, name as guest, timestamp '2023-12-01' + to_days(i::integer) as at
    from guests, range(120) t(i) where name in ('a', 'b');
create table bookings (
    nr integer, guest varchar, booked_at timestamp, check_in timestamp, check_out timestamp, price double, lost boolean
);
"""
GUESTS = "PREDICT COUNT(stays.*, 0, 10, days) > 0 FOR EACH guests.name"
LOST = "PREDICT bookings.lost FOR EACH bookings.nr"


def hotel(bookings: Sequence[tuple] = BOOKINGS, fixed: Sequence[str] = ("check_in", "check_out")) -> World:
    made = world(
        SCRIPT
        + "".join(f"insert into bookings values ({', '.join(map(_literal, row))}, {_lost(row)});" for row in bookings),
        keys={"guests": "name", "stays": "nr", "bookings": "nr"},
        times={"stays": "at", "bookings": "booked_at"},
        links=["stays.guest -> guests.name", "bookings.guest -> guests.name"],
    )
    tables = []
    for table in made.schema.tables:
        columns = (replace(c, planned=c.name in fixed, fixed=c.name in fixed) for c in table.columns)
        tables.append(replace(table, columns=tuple(columns)))
    return World(replace(made.schema, tables=tuple(tables)), made.warehouse)


def _literal(value: object) -> str:
    return "null" if value is None else f"'{value}'"


def _lost(booking: tuple) -> str:
    """Known of those that are learnt from."""
    return "null" if booking[0] < 100 else str(booking[0] % 2 == 0)


def told(hotel: World, query: str = GUESTS) -> dict[tuple, dict]:
    """By entity and anchor what is said of bookings."""
    options = replace(Options(anchor=ANCHOR.isoformat()), context_size=200, backtest=False)
    found = collect(hotel.bound(query), hotel.schema, hotel.warehouse, options)
    names = [name for name in found.features.column_names if name.startswith("bookings.")]
    rows = zip(found.examples.to_pylist(), found.features.select(names).to_pylist(), strict=True)
    return {(e["entity"], e["anchor_time"]): features for e, features in rows}


def of(found: dict, guest: str, name: str, anchor: datetime = ANCHOR) -> float | None:
    return found[guest, anchor][f"bookings.{name}"]


def test__rows_that_point_at_an_entity__what_lies_ahead_is_counted_in_the_window_and_after() -> None:
    found = told(hotel())

    assert of(found, "a", "check_in.ahead.count") == 2
    assert of(found, "a", "check_in.ahead.count.10d") == 1
    assert of(found, "a", "check_in.ahead.price.sum.10d") == 100
    assert of(found, "a", "check_in.ahead.soonest") == 2.625
    assert of(found, "a", "check_in.ahead.last") == 31


def test__rows_that_point_at_an_entity__none_ahead__says_how_long_ago_the_last_was() -> None:
    found = told(hotel())

    assert of(found, "b", "check_in.ahead.count") == 0
    assert of(found, "b", "check_in.ahead.soonest") is None
    assert of(found, "b", "check_in.ahead.last") == -20
    assert of(found, "b", "check_in.ahead.count", ANCHOR - timedelta(days=30)) == 1


@pytest.mark.parametrize("guest", ["c", "d"])
def test__moment__that_stands_for_never_or_is_not_there__does_not_lie_ahead(guest: str) -> None:
    found = told(hotel())

    assert of(found, guest, "check_in.ahead.count") == 0
    assert of(found, guest, "check_in.ahead.last") is None
    assert of(found, guest, "check_in.after.last") is None


def test__rows_that_point_at_an_entity__tell_spans_like_numbers() -> None:
    found = told(hotel())

    assert of(found, "a", "check_in.after.mean.all") == pytest.approx((23.625 + 42) / 2)
    assert of(found, "a", "check_out.after.check_in.last") == 2


def event(found: dict, number: int) -> dict:
    return next(features for (entity, _), features in found.items() if entity == number)


def learnt_from(hotel_rows: Sequence[tuple] = BOOKINGS) -> list[tuple]:
    past = [(100 + i, "b", f"2024-01-{i + 1:02}", f"2024-02-{i + 1:02}", f"2024-02-{i + 3:02}", 1.0) for i in range(9)]
    return [*hotel_rows, *past]


def test__event__is_told_when_its_own_moments_come() -> None:
    row = event(told(hotel(learnt_from()), LOST), 1)

    assert row["bookings.check_in.age"] == -23.625
    assert row["bookings.check_out.after.check_in"] == 2.875
    assert (row["bookings.check_in.weekday"], row["bookings.check_in.hour"]) == (2, 15)


def test__event__moment_that_may_be_moved__is_not_told_before_it_comes() -> None:
    row = event(told(hotel(learnt_from(), fixed=()), LOST), 1)

    assert row["bookings.check_in.age"] is None
    assert not [name for name in row if "after" in name or "weekday" in name]


_days = st.integers(-60, 60)
_bookings = st.lists(st.tuples(st.sampled_from("ab"), _days, _days, st.integers(0, 9), st.integers(0, 3)), max_size=8)


def _rows(drawn: Sequence[tuple], first: int) -> list[tuple]:
    def on(days: int) -> datetime:
        return ANCHOR + timedelta(days=days)

    return [
        (first + i, guest, on(booked), on(start), on(start + days), float(price))
        for i, (guest, booked, start, days, price) in enumerate(drawn)
    ]


@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(_bookings, _bookings, st.sampled_from([0, 10, 30]), st.sampled_from([GUESTS, LOST]))
def test__moments__of_rows_after_an_anchor__change_nothing_of_it(
    first: Sequence[tuple], other: Sequence[tuple], before: int, query: str
) -> None:
    """Rows known later are deleted, changed and added; their moments may lie anywhere, before the anchor too."""
    kept = [row for row in _rows(first, 10) if row[2] <= ANCHOR - timedelta(days=before)]
    later = [row for row in _rows(other, 30) if row[2] > ANCHOR - timedelta(days=before)]
    ours, theirs = told(hotel(learnt_from(_rows(first, 10))), query), told(hotel(learnt_from(kept + later)), query)

    cut = ANCHOR - timedelta(days=before)
    known = {key for key in ours if key[1] <= cut}
    assert known == {key for key in theirs if key[1] <= cut}
    assert known or query == LOST
    for key in known:
        assert ours[key] == pytest.approx(theirs[key], abs=1e-9), key


@pytest.mark.parametrize("dialect", DIALECTS)
def test__moments__sql__is_the_golden_text(dialect: str) -> None:
    schema = hotel().schema
    scope, bookings = Scope(Graph(schema, READS[dialect])), schema.table("bookings")
    own = own_block(scope, NAMES, bookings, "nr", of_events=True)
    ahead, *_ = upcoming_blocks(scope, NAMES, schema.table("guests"), "name", Window(0, 10))
    assert own

    assert_golden({"fixed_own": own.select, "fixed_ahead": ahead.select}, dialect)
