from __future__ import annotations

from datetime import datetime

import pytest

from dbt_rfm.plan.timeline import Season, Timeline, seasons, steps_table, windows_table
from dbt_rfm.pql.ast import Window

A = datetime(2024, 6, 30, 12)


def timeline(number: int, unit: str, *, steps: int = 2, start: datetime = datetime(2024, 1, 1)) -> Timeline:
    return Timeline.of(A, Window(0, number, unit), steps=steps, start=start, limit=100)


def test__timeline__weeks__lie_end_to_end_around_the_anchor() -> None:
    found = timeline(1, "weeks", start=datetime(2024, 6, 10))
    assert found.edges == (datetime(2024, 6, 16, 12), datetime(2024, 6, 23, 12), A, *after(7, 14))
    assert (found.edge(-2), found.edge(0), found.closed) == (datetime(2024, 6, 16, 12), A, range(-2, 0))


def after(*days: int) -> list[datetime]:
    return [datetime(2024, 7, day, 12) for day in days]


def test__timeline__months__are_counted_from_the_anchor_and_leave_no_gap() -> None:
    found = timeline(1, "months")
    assert [found.edge(j).strftime("%m-%d") for j in range(found.first, 3)] == [
        *("01-30", "02-29", "03-30", "04-30", "05-30"),
        *("06-30", "07-30", "08-30"),
    ]
    assert found.by_length() == {
        Window(0, 30, "days"): [-5, -4, -2],
        Window(0, 31, "days"): [-3, -1],
    }


def test__timeline__no_room_before_the_anchor__has_no_closed_window() -> None:
    assert not timeline(1, "weeks", start=datetime(2024, 6, 24)).closed


@pytest.mark.parametrize(
    ("number", "unit", "expected"),
    [
        (1, "hours", [("day", 24), ("week", 168), ("year", 8736)]),
        (6, "hours", [("day", 4), ("week", 28), ("year", 1456)]),
        (1, "days", [("week", 7), ("year", 364)]),
        (2, "days", [("week", 7), ("year", 182)]),
        (7, "days", [("year", 52)]),
        (1, "weeks", [("year", 52)]),
        (1, "months", [("year", 12)]),
        (3, "months", [("year", 4)]),
        (12, "months", []),
        (200, "days", []),
    ],
)
def test__seasons__length_of_window__which_come_round(number: int, unit: str, expected: list) -> None:
    assert seasons(Window(0, number, unit)) == tuple(Season(*each) for each in expected)


def test__steps__beyond_a_season__take_the_newest_round_that_had_ended() -> None:
    rows = steps_table(9, (Season("week", 7),)).to_pylist()
    assert [r["back0"] for r in rows] == [7, 6, 5, 4, 3, 2, 1, 7, 6]
    assert [r["round0"] for r in rows] == [7] * 7 + [14] * 2


def test__windows__days__tell_their_weekday_by_the_middle() -> None:
    rows = {r["i"]: r for r in windows_table(timeline(1, "days", start=datetime(2024, 6, 25))).to_pylist()}
    friday_noon_to_saturday_noon = rows[-2]
    assert friday_noon_to_saturday_noon["start_at"] == datetime(2024, 6, 28, 12)
    assert friday_noon_to_saturday_noon["weekday"] == "saturday"
    assert friday_noon_to_saturday_noon["weekend"] == 0.5
    assert (rows[-1]["weekend"], rows[0]["weekend"], rows[1]["weekend"]) == (1.0, 0.5, 0.0)


def test__windows__weeks_and_months__tell_the_calendar_of_their_middle() -> None:
    week = windows_table(timeline(7, "days")).to_pylist()[-1]
    assert (week["weekday"], week["month"], week["day"]) == (None, 7.0, 11.0)
    assert week["weekend"] == pytest.approx(2 / 7)
    (march,) = [r for r in windows_table(timeline(1, "months")).to_pylist() if r["i"] == -3]
    assert (march["month"], march["quarter"], march["days"]) == (4.0, 2.0, 31.0)
