"""Plans that are never moved are told from those that are, and from those of which too little is known."""

from __future__ import annotations

import pytest

# Thirty bookings a day for 400 days, each for 2 to 41 days later, at a full hour.
BOOKED = "timestamp '2024-01-01' + to_minutes(48 * i::int)"
CHECK_IN = f"date_trunc('day', {BOOKED}) + to_days((2 + i * 7919 % 40)::int) + to_hours(15)"
LATER = f"{BOOKED} + to_days((1 + i * 31 % 37)::int)"
NOW = "timestamp '2025-02-04'"
ROWS = f"select i as booking_id, i % 50 as guest_id, {BOOKED} as booked_at, {{}} as {{}} from range({{}}) t(i)"


def hotel_with(shop, moment: str, name: str = "check_in", rows: int = 12000, **declared):
    shop.table("guests", "select range as guest_id from range(50)")
    shop.table("bookings", ROWS.format(moment, name, rows), **{"event_time": "booked_at", **declared})
    return shop.schema()


def fixed(schema) -> list[str]:
    return [c.name for c in schema.table("bookings").columns if c.fixed]


def planned(schema) -> list[str]:
    return [c.name for c in schema.table("bookings").columns if c.planned]


def noted(schema) -> bool:
    return any("forecasts alone read ahead" in note for note in schema.notes)


def test__plan__new_rows_say_what_old_ones_say__is_fixed(shop):
    schema = hotel_with(shop, CHECK_IN)

    assert fixed(schema) == ["check_in"]
    assert not noted(schema)


@pytest.mark.parametrize(
    ("when", "becomes"),
    [
        (f"i % 10 < 2 and {LATER} <= {NOW}", "null"),  # cleared when cancelled
        (f"i % 10 < 2 and {LATER} <= {NOW}", LATER),  # set to the cancellation
        (f"i % 10 < 2 and {CHECK_IN} <= {NOW}", f"{CHECK_IN} + to_days(60)"),  # extended when it came
        (f"{CHECK_IN} <= {NOW}", f"{CHECK_IN} + to_minutes((i % 59)::int)"),  # overwritten by what came true
        (f"i % 2 = 0 and {CHECK_IN} <= {NOW}", f"{NOW} + to_days((i * 31 % 30)::int)"),  # moved on for who stays
    ],
)
def test__plan__that_is_moved_when_something_happens__is_left_to_forecasts_and_said(shop, when, becomes):
    schema = hotel_with(shop, f"case when {when} then {becomes} else {CHECK_IN} end")

    assert planned(schema) == ["check_in"]
    assert fixed(schema) == [] and noted(schema)


def test__plan__with_few_rows__is_not_fixed(shop):
    few = "timestamp '2024-01-01' + to_minutes(1440 * i::int) + to_days((2 + i * 7919 % 40)::int)"
    schema = hotel_with(shop, few, rows=400)

    assert planned(schema) == ["check_in"] and fixed(schema) == []


def test__plan__declared_a_timestamp__is_vouched_for(shop):
    columns = {"check_in": {"meta": {"rfm": {"semantic_type": "timestamp"}}}}
    moved = f"case when i % 10 < 2 and {CHECK_IN} <= {NOW} then null else {CHECK_IN} end"

    assert fixed(hotel_with(shop, moved, columns=columns)) == ["check_in"]


def test__plan__with_a_rush_every_summer__is_fixed(shop):
    """Seasons differ from one another more than what is new differs from all of them."""
    season = f"(case when month({BOOKED}) in (6, 7, 8) then 2 else 1 end)"
    moment = f"date_trunc('day', {BOOKED}) + to_days((2 + {season} * (i * 7919 % 40))::int)"

    assert fixed(hotel_with(shop, moment)) == ["check_in"]
