"""Moments that are known before they come are told from those that are written when they come."""

from __future__ import annotations

import pytest

from dbt_rfm.schema.planned import _is_written_over

# A row a day for 400 days, each with a moment ten days after its own.
ROWS = (
    "select i as promotion_id, i % 5 as store_id, timestamp '2024-01-01' + to_days(i::int) as announced_at, "
    "{} as {} from range(400) t(i)"
)
TEN_DAYS_LATER = "timestamp '2024-01-11' + to_days(i::int)"


def shop_with(shop, moment: str, name: str, **declared):
    shop.table("stores", "select range as store_id from range(5)")
    shop.table("promotions", ROWS.format(moment, name), event_time="announced_at", **declared)
    return shop.schema()


def planned(schema) -> list[str]:
    return [c.name for c in schema.table("promotions").columns if c.planned]


def test__moment__as_many_ahead_as_ever__is_planned_and_said(shop):
    schema = shop_with(shop, TEN_DAYS_LATER, "starts_at")

    assert planned(schema) == ["starts_at"]
    assert any("known with their rows before they come: promotions.starts_at;" in note for note in schema.notes)


@pytest.mark.parametrize("known", ["i < 389", "i < 393"])
def test__moment__written_when_it_comes__is_not(shop, known):
    """None of the ten that lie ahead on average is known today, or a few that came after the newest row."""
    assert planned(shop_with(shop, f"case when {known} then {TEN_DAYS_LATER} end", "starts_at")) == []


@pytest.mark.parametrize("name", ["delivered_at", "close_date", "paid_on", "renews_at", "current_period_end"])
def test__moment__that_by_its_name_was_reached_or_moves_on__is_not(shop, name):
    assert _is_written_over(name)
    assert planned(shop_with(shop, TEN_DAYS_LATER, name)) == []


@pytest.mark.parametrize(("known", "found"), [("true", ["closed_at"]), ("i < 389", [])])
def test__moment__declared_a_timestamp__is_planned_by_its_rows_whatever_its_name(shop, known, found):
    columns = {"closed_at": {"meta": {"rfm": {"semantic_type": "timestamp"}}}}
    moment = f"case when {known} then {TEN_DAYS_LATER} end"

    assert planned(shop_with(shop, moment, "closed_at", columns=columns)) == found


def test__table__always_known__is_planned_where_something_lies_ahead(shop):
    shop.table("orders", "select range as order_id, timestamp '2024-01-01' + to_days(range::int) as at from range(9)")
    for name, start in (("holidays", "2023-12-01"), ("past", "2022-12-01")):
        rows = f"select range as {name}_id, timestamp '{start}' + to_days(30 * range::int) as day from range(4)"
        shop.table(name, rows, meta={"rfm": {"time_column": "none"}})
    schema = shop.schema()

    assert [c.name for t in schema.tables for c in t.columns if c.planned and t.name == "holidays"] == ["day"]
    assert not any(c.planned for c in schema.table("past").columns)
