"""Labels and features of a forecast by hand: two shops in one region and a third alone, eight weeks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from hand_worked import World, world

from dbt_rfm.collect.snapshots import collect
from dbt_rfm.options import Options
from dbt_rfm.snapshot import Snapshot

A = datetime(2024, 3, 1)
WEEK = timedelta(days=7)
FORECAST = "PREDICT SUM(sales.amount, 0, 7, days) FORECAST 3 TIMEFRAMES FOR EACH shops.shop_id"
# What each shop sold in the windows -8 … -1, window -1 being the week that ends with A.
SOLD = {1: [1, 2, 3, 4, 5, 6, 7, 8], 2: [10, 0, 10, 0, 10, 0, 10, 0], 3: [5, 5, 5, 5, 5, 5, 5, 50]}


@pytest.fixture(scope="module")
def shops() -> Iterator[World]:
    rows = [
        (shop, A - WEEK * (8 - k) + timedelta(days=day), amount / 2)
        for shop, amounts in SOLD.items()
        for k, amount in enumerate(amounts)
        for day in (1, 7)  # the second sale lies on the window's end, which belongs to it
        if amount
    ]
    values = ", ".join(f"({i}, {shop}, timestamp '{at}', {amount})" for i, (shop, at, amount) in enumerate(rows))
    made = world(
        f"""
        create table regions(region_id int);
        insert into regions values (1), (2);
        create table shops(shop_id int, region_id int);
        insert into shops values (1, 1), (2, 1), (3, 2);
        create table sales(sale_id int, shop_id int, sold_at timestamp, amount double);
        insert into sales values {values}, (900, 1, timestamp '2024-03-30', 999)
        """,
        keys={"regions": "region_id", "shops": "shop_id", "sales": "sale_id"},
        times={"sales": "sold_at"},
        links=["shops.region_id -> regions.region_id", "sales.shop_id -> shops.shop_id"],
    )
    yield made


def collected(shops: World, query: str = FORECAST, **options: Any) -> Snapshot:
    given = {"anchor": str(A), "context_size": 1000, **options}
    return collect(shops.bound(query), shops.schema, shops.warehouse, Options(**given), with_rows=False)


def examples(found: Snapshot, split: str) -> dict[tuple, dict]:
    """(shop, windows before A at which it stands, step) -> the example with its features."""
    beside = found.features.drop_columns("example_id").to_pylist()
    return {
        (r["entity"], (A - r["anchor_time"]) // WEEK, r["step"]): r | beside[i]
        for i, r in enumerate(found.examples.to_pylist())
        if r["split"] == split
    }


def test__context__labels__are_those_of_the_shifted_windows(shops: World) -> None:
    found = examples(collected(shops), "context")
    expected = {
        (shop, ago, step): SOLD[shop][8 - ago + step - 1]
        for shop in SOLD
        for ago in range(1, 9)
        for step in (1, 2, 3)
        if step <= ago  # the window had closed by A
    }
    del expected[(1, 8, 1)], expected[(2, 8, 1)], expected[(3, 8, 1)]  # the window begins before the first sale
    for key in [k for k in expected if k[1] == 8]:
        del expected[key]
    assert {key: row["label"] for key, row in found.items()} == expected


def test__query__every_shop_and_step__with_the_window_it_means(shops: World) -> None:
    found = examples(collected(shops), "query")
    assert set(found) == {(shop, 0, step) for shop in SOLD for step in (1, 2, 3)}
    assert (found[1, 0, 2]["forecast_from"], found[1, 0, 2]["forecast_until"]) == (A + WEEK, A + 2 * WEEK)
    assert all(row["label"] is None for row in found.values())


def test__backtest__newest_anchor_whose_windows_closed__learns_from_before(shops: World) -> None:
    found = collected(shops)
    tested = examples(found, "backtest")
    assert {key: row["label"] for key, row in tested.items()} == {
        (shop, 3, step): SOLD[shop][4 + step] for shop in SOLD for step in (1, 2, 3)
    }
    assert max(r["forecast_until"] for r in examples(found, "backtest_context").values()) == A - 3 * WEEK


def test__features__levels__are_those_of_the_anchor_at_every_step(shops: World) -> None:
    found = examples(collected(shops), "query")
    for step in (1, 2, 3):
        row = found[1, 0, step]
        assert [row[f"series.lag{k}"] for k in range(1, 5)] == [8, 7, 6, 5]
        assert (row["series.mean4"], row["series.lowest"], row["series.highest"]) == (6.5, 2, 8)
        assert (row["series.mean"], row["series.count"]) == (5, 7)
        assert (row["step"], row["window.month"]) == (step, 3)
    then = examples(collected(shops), "context")[1, 3, 2]
    assert (then["series.lag1"], then["series.mean4"]) == (5, 3.5)


def test__features__groups__are_ratios_to_the_group_s_own_mean(shops: World) -> None:
    row = examples(collected(shops), "query")[3, 0, 1]
    everybody = [sum(SOLD[s][k] for s in SOLD) / 3 for k in range(1, 8)]
    assert row["everybody.mean12"] == pytest.approx(sum(everybody) / 7)
    assert row["everybody.newest"] == pytest.approx(everybody[-1] / (sum(everybody) / 7))
    region = [(SOLD[1][k] + SOLD[2][k]) / 2 for k in range(1, 8)]
    sibling = examples(collected(shops), "query")[2, 0, 1]
    assert sibling["shops>regions.newest"] == pytest.approx(region[-1] / (sum(region) / 7))
    assert sibling["shops>regions.trend"] == pytest.approx(sum(region[-4:]) / 4 / (sum(region) / 7))


def test__labels__count_and_sum__add_up_to_the_one_window_over_the_horizon(shops: World) -> None:
    for target in ("SUM(sales.amount, 0, {}, days)", "COUNT(sales.*, 0, {}, days)"):
        steps = f"PREDICT {target.format(7)} FORECAST 3 TIMEFRAMES FOR EACH shops.shop_id"
        tested = examples(collected(shops, steps), "backtest")
        whole = shops.labels(f"PREDICT {target.format(21)} FOR EACH shops.shop_id", A - 3 * WEEK)
        assert {shop: sum(tested[shop, 3, step]["label"] for step in (1, 2, 3)) for shop in SOLD} == whole


def test__seasons__daily__take_the_same_weekday_of_the_last_closed_week(shops: World) -> None:
    query = "PREDICT COUNT(sales.*, 0, 1, days) FORECAST 9 TIMEFRAMES FOR EACH shops.shop_id"
    found = collected(shops, query)
    beside = found.features.to_pylist()
    rows = [r | beside[i] for i, r in enumerate(found.examples.to_pylist()) if r["split"] == "query"]
    sales = {at: 1 for at in (1, 7)}  # the days of a week (anchor, anchor + 7] on which a shop sells
    week = {r["step"]: r["series.week"] for r in rows if r["entity"] == 1}
    assert week == {step: sales.get((step - 1) % 7 + 1, 0) for step in range(1, 10)}
    near = {r["step"]: r["series.week.near"] for r in rows if r["entity"] == 1}
    assert near[7] is None, "the neighbour of the newest closed window has not closed"
    assert near[6] == pytest.approx(1 / 3)


def test__where__is_that_of_the_anchor_not_of_the_window(shops: World) -> None:
    found = collected(shops, f"{FORECAST} WHERE SUM(sales.amount, -7, 0, days) > 0")
    assert {key[0] for key in examples(found, "query")} == {1, 3}
    context = examples(found, "context")
    assert context[2, 3, 1]["label"] == 0, "what comes in the window is no condition"
    assert not any(key[0] == 2 and SOLD[2][8 - key[1] - 1] == 0 for key in context)


def test__avg__undefined_window__is_no_example_and_no_lag(shops: World) -> None:
    query = "PREDICT AVG(sales.amount, 0, 7, days) FORECAST 2 TIMEFRAMES FOR EACH shops.shop_id"
    found = collected(shops, query)
    assert (2, 1, 1) not in examples(found, "context")
    row = examples(found, "query")[2, 0, 1]
    assert (row["series.lag1"], row["series.lag2"]) == (None, 5)


def test__months__from_the_end_of_a_month__miss_no_day(shops: World) -> None:
    query = "PREDICT COUNT(sales.*, 0, 1, months) FORECAST 1 TIMEFRAMES FOR EACH shops.shop_id"
    found = collected(shops, query, anchor="2024-03-31", backtest=False)
    rows = found.examples.to_pylist()
    windows = {(str(r["forecast_from"].date()), str(r["forecast_until"].date())) for r in rows}
    assert windows == {("2024-02-29", "2024-03-31"), ("2024-01-31", "2024-02-29"), ("2024-03-31", "2024-04-30")}
    labels = {r["forecast_from"].month: r["label"] for r in rows if r["entity"] == 1}
    assert labels[1] == 8, "two sales a week"
    assert labels[2] == 2, "one on 1 March, one on 30 March: a month counted from 29 February would end before it"
