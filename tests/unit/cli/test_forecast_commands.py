"""Forecasts on the command line."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

WEEKLY = "PREDICT SUM(orders.amount, 0, 7, days) FORECAST 3 TIMEFRAMES FOR EACH customers.customer_id"

pytestmark = pytest.mark.usefixtures("averages")


@pytest.fixture
def ask(command, project: Path):
    return lambda *arguments: command(*arguments, "--project-dir", project)


def test__predict__forecast__prints_each_step_of_the_entity_asked_for(ask) -> None:
    code, shown, _ = ask("predict", WEEKLY, "--entity", "7", "--csv")
    rows = list(csv.DictReader(io.StringIO(shown)))
    assert code == 0
    assert [(r["customer_id"], r["step"]) for r in rows] == [("7", "1"), ("7", "2"), ("7", "3")]
    assert rows[0]["forecast_until"] == rows[1]["forecast_from"]


def test__evaluate__forecast__stands_beside_the_simple_forecasts(ask) -> None:
    code, shown, _ = ask("evaluate", WEEKLY, "--json")
    found = json.loads(shown)
    assert code == 0
    assert (found["kind"], found["rows"]) == ("forecast", 180)
    assert set(found["metrics"]) == {"wape", "mae", "pinball", "coverage", "total_wape"}
    assert {"last value", "entity mean"} <= set(found["baselines"])


def test__evaluate__forecast__prints_a_table(ask) -> None:
    code, shown, _ = ask("evaluate", WEEKLY)
    assert code == 0 and "last value" in shown and "coverage" in shown


def test__predict__too_many_timeframes__one_message_that_points_at_them(ask) -> None:
    code, _, error = ask("predict", WEEKLY.replace("3 TIME", "2000 TIME"))
    assert code != 0 and "at most 1000 timeframes" in error and "Traceback" not in error
