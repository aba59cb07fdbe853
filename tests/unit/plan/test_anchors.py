"""Where anchors stand, and which windows look back from them."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

import pytest

from dbt_rfm.errors import DataError
from dbt_rfm.plan.anchors import grid, shifted
from dbt_rfm.plan.windows import look_backs
from dbt_rfm.pql.ast import Window


def test__grid__days__steps_back_to_the_start_and_includes_it() -> None:
    start = datetime(2024, 1, 2)
    found = grid(datetime(2024, 1, 31), 10, "days", start=start, limit=60)
    assert found == [datetime(2024, 1, 21), datetime(2024, 1, 11)]
    assert grid(datetime(2024, 1, 22), 10, "days", start=start, limit=60)[-1] == start


def test__grid__months__count_from_the_anchor_and_do_not_drift() -> None:
    found = grid(datetime(2024, 5, 31, 12), 1, "months", start=datetime(2024, 1, 1), limit=60)
    assert [m.day for m in found] == [30, 31, 29, 31]
    assert {m.hour for m in found} == {12}


@pytest.mark.parametrize("day", [28, 29, 30, 31])
def test__grid__months__every_window_is_closed_at_the_anchor_after_it(day: int) -> None:
    anchor = datetime(2024, 3, day)
    moments = [anchor, *grid(anchor, 1, "months", start=datetime(2022, 1, 1), limit=60)]
    assert all(shifted(older, 1, "months") <= newer for newer, older in pairwise(moments))


def test__grid__limit__keeps_the_newest() -> None:
    found = grid(datetime(2024, 1, 31), 1, "days", start=datetime(2000, 1, 1), limit=3)
    assert found == [datetime(2024, 1, 30), datetime(2024, 1, 29), datetime(2024, 1, 28)]


def test__shifted__outside_the_calendar__is_a_data_error() -> None:
    with pytest.raises(DataError, match="outside the calendar"):
        shifted(datetime(2024, 1, 1), -40_000, "months")


@pytest.mark.parametrize(
    ("horizon", "expected"),
    [
        (Window(0, 30), ["30d", "90d", "365d", "all"]),
        (Window(7, 14), ["14d", "42d", "168d", "all"]),
        (Window(0, 1, "months"), ["1mo", "3mo", "12mo", "all"]),
        (Window(0, 6, "hours"), ["6h", "18h", "72h", "all"]),
        (None, ["1d", "7d", "30d", "all"]),
    ],
)
def test__look_backs__follow_the_horizon(horizon: Window | None, expected: list[str]) -> None:
    assert [str(w) for w in look_backs(horizon)] == expected
