"""Snapshots of forecasts: their bundle, who is asked, and what goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from small_schema import schema, table

from dbt_rfm.collect import forecast
from dbt_rfm.collect.snapshots import collect
from dbt_rfm.errors import DataError
from dbt_rfm.evaluate.backtest import backtest
from dbt_rfm.model import load_model
from dbt_rfm.model.prediction_rows import prediction_rows
from dbt_rfm.model.step import run_step
from dbt_rfm.options import Options
from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.parser import parse
from dbt_rfm.snapshot import Snapshot, read_bundle, write_bundle
from dbt_rfm.warehouse.duckdb import DuckDB

A = datetime(2024, 7, 1)
SCHEMA = schema(
    table("shops", shop_id="INTEGER"),
    table("sales", time="sold_at", sale_id="INTEGER", shop_id="INTEGER", sold_at="TIMESTAMP", amount="DOUBLE"),
    links={"sales.shop_id": "shops.shop_id"},
)
FORECAST = "PREDICT SUM(sales.amount, 0, 1, days) FORECAST 7 TIMEFRAMES FOR EACH shops.shop_id"


@pytest.fixture()
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """Six shops, 100 days; shop i sells 10 i a day, twice that on Saturdays, nothing on Sundays."""
    connection = duckdb.connect(config={"threads": 1})
    connection.execute(
        """
        create table shops as select i::int as shop_id from range(1, 7) t(i);
        create table sales as
            select row_number() over ()::int as sale_id, i::int as shop_id, moment as sold_at,
                (10 * i * case dayofweek(moment) when 6 then 2 else 1 end)::double as amount
            from range(1, 7) t(i),
                (select timestamp '2024-07-01' - to_days(k::int) - interval 6 hours as moment from range(100) s(k))
            where dayofweek(moment) != 0
        """
    )
    yield connection
    connection.close()


def snapshot(connection: duckdb.DuckDBPyConnection, query: str = FORECAST, **options: Any) -> Snapshot:
    given = {"anchor": str(A), "context_size": 300, **options}
    task = replace(bind(parse(query), SCHEMA), entity_ids=given.pop("entity_ids", ()))
    return collect(task, SCHEMA, DuckDB(connection), Options(**given))


def test__forecast__weekly_pattern__is_found_and_beats_every_baseline(connection, tmp_path: Path) -> None:
    found = snapshot(connection)
    model = load_model("rfm", "cpu", {"context_size": 300})
    step = run_step(found, model, seed=0)
    rows = prediction_rows(found, step.query)
    assert rows.column_names == [
        *("shop_id", "anchor_time", "step", "forecast_from", "forecast_until"),
        *("prediction", "p10", "p50", "p90"),
    ]
    assert len(rows) == 6 * 7
    by_step = {(r["shop_id"], r["step"]): r["p50"] for r in rows.to_pylist()}
    # A is a Monday, so step 6 ends with Saturday and step 7 with Sunday.
    assert by_step[6, 6] > 1.4 * by_step[6, 3] > 1.4 * 30
    assert by_step[6, 7] < 0.5 * by_step[6, 3]
    test = backtest(found, step.backtest)
    assert test is not None and test.rows == 42
    assert test.metrics["wape"] < test.baselines["last value"]["wape"]
    assert test.baselines["seasonal naive"]["wape"] == 0.0, "weeks are alike to the cent"

    write_bundle(found, tmp_path / "bundle")
    again = read_bundle(tmp_path / "bundle")
    repeated = run_step(again, model, seed=0)
    assert prediction_rows(again, repeated.query).equals(rows)
    assert backtest(again, repeated.backtest) == test


def test__forecast__bundle__keeps_the_newest_rows_of_each_anchor(connection) -> None:
    found = snapshot(connection)
    examples = {r["example_id"]: r for r in found.examples.to_pylist()}
    sales = found.rows["sales"].to_pylist()
    assert sales
    assert all(r["sold_at"] <= examples[r["example_id"]]["anchor_time"] for r in sales)
    assert all(r["shop_id"] == examples[r["example_id"]]["entity"] for r in sales if r["hop"] == 1)


def test__forecast__entities_named__are_asked_alone_and_learn_from_all(connection) -> None:
    found = snapshot(connection, entity_ids=("3",))
    rows = found.examples.to_pylist()
    assert {r["entity"] for r in rows if r["split"] == "query"} == {3}
    assert {r["entity"] for r in rows if r["split"] == "context"} == set(range(1, 7))


def test__forecast__context__has_as_many_examples_of_each_step(connection) -> None:
    counts: dict[int, int] = {}
    for row in snapshot(connection, context_size=140).examples.to_pylist():
        if row["split"] == "context":
            counts[row["step"]] = counts.get(row["step"], 0) + 1
    assert counts == dict.fromkeys(range(1, 8), 20)


def test__forecast__longer_than_the_history__says_what_is_extrapolated(connection) -> None:
    found = snapshot(connection, FORECAST.replace("7 TIME", "120 TIME"), context_size=500)
    assert any("beyond step 99" in note for note in found.notes), found.notes
    assert any("no backtest" in note for note in found.notes), found.notes
    assert sum(r["split"] == "query" for r in found.examples.to_pylist()) == 6 * 120


def test__forecast__no_shop__says_so(connection) -> None:
    connection.execute("delete from shops")
    with pytest.raises(DataError, match="shops has no rows"):
        snapshot(connection)


def test__forecast__no_sale__says_so(connection) -> None:
    connection.execute("delete from sales")
    with pytest.raises(DataError, match="no history"):
        snapshot(connection)


def test__forecast__window_longer_than_the_history__says_so(connection) -> None:
    with pytest.raises(DataError, match="no window of 365 days to learn from"):
        snapshot(connection, FORECAST.replace("0, 1, days", "0, 365, days"))
    with pytest.raises(DataError, match="no window of 1 day to learn from"):
        snapshot(connection, anchor="2024-03-01")


def test__forecast__nobody_passes_where__is_an_error_without_context_and_a_note_without_query(connection) -> None:
    with pytest.raises(DataError, match="gives a value to learn from"):
        snapshot(connection, f"{FORECAST} WHERE COUNT(sales.*, -7, 0, days) > 999")
    found = snapshot(connection, f"{FORECAST} WHERE COUNT(sales.*, -1, 0, days) > 0")  # A follows a Sunday
    assert any("the forecast is empty" in note for note in found.notes)
    assert prediction_rows(found, None).num_rows == 0


def test__forecast__more_rows_than_anyone_can_use__says_how_to_ask_for_less(connection, monkeypatch) -> None:
    monkeypatch.setattr(forecast, "MAX_ASKED", 41)
    with pytest.raises(DataError, match="42 rows, the limit is 41"):
        snapshot(connection)
