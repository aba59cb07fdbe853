"""What is known beforehand of the windows of a forecast, worked out by hand; and that nothing else is."""

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
from dbt_rfm.plan.ahead import plan_steps, plans_of
from dbt_rfm.plan.blocks import Names
from dbt_rfm.plan.forecast_features import forecast_plan
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.timeline import seasons

ANCHOR = datetime(2024, 3, 31)
# Store, told at, from, until, discount.
PROMOTIONS = [
    ("a", "2024-03-20", "2024-04-02", "2024-04-09", 0.4),
    ("a", "2024-04-05", "2024-04-14", "2024-04-21", 0.9),  # nobody knows of it at the anchor
    ("a", "2024-03-10", "2024-03-24", "2024-03-31", 0.2),
    ("b", "2024-03-10", "2024-01-02", "2024-01-03", 0.1),  # longer ago than what is compared
]
SCRIPT = """
create table regions as select 'r' as region;
create table stores as select * from (values ('a', 'r'), ('b', 'r'), ('c', null)) as t(name, region);
create table sales as
    select row_number() over () as nr, name as store, timestamp '2023-10-02' + to_days(i::integer) as at, 7.0 as amount
    from stores, range(181) t(i);
create table fairs as select 1 as nr, 'r' as region, timestamp '2024-03-01' as told_at, timestamp '2024-04-10' as day;
create table holidays as select 1 as nr, date '2024-04-01' as day;
create table promotions (
    nr integer, store varchar, told_at timestamp, starts_at timestamp, ends_at timestamp, discount double
);
"""
QUERY = "PREDICT SUM(sales.amount, 0, 7, days) FORECAST 3 TIMEFRAMES FOR EACH stores.name"
PLANNED = {"fairs": ("day",), "holidays": ("day",), "promotions": ("starts_at", "ends_at")}


def shop(promotions: Sequence[tuple] = PROMOTIONS) -> World:
    rows = ", ".join(f"({i}, '{s}', '{t}', '{a}', '{b}', {d})" for i, (s, t, a, b, d) in enumerate(promotions))
    made = world(
        SCRIPT + (f"insert into promotions values {rows}" if rows else ""),
        keys={"regions": "region", "stores": "name"} | dict.fromkeys(("sales", *PLANNED), "nr"),
        times={"sales": "at", "fairs": "told_at", "promotions": "told_at"},
        links=[
            "stores.region -> regions.region",
            "sales.store -> stores.name",
            "fairs.region -> regions.region",
            "promotions.store -> stores.name",
        ],
    )
    tables = []
    for table in made.schema.tables:
        columns = (replace(c, planned=c.name in PLANNED.get(table.name, ())) for c in table.columns)
        tables.append(replace(table, columns=tuple(columns)))
    return World(replace(made.schema, tables=tuple(tables)), made.warehouse)


def told(shop: World) -> dict[tuple[str, datetime, int], dict[str, float]]:
    """By store, anchor and step what is said of plans."""
    options = replace(Options(anchor=ANCHOR.isoformat()), context_size=2000, backtest=False)
    found = collect(shop.bound(QUERY), shop.schema, shop.warehouse, options)
    names = [name for name in found.features.column_names if name.startswith("ahead.")]
    rows = zip(found.examples.to_pylist(), found.features.select(names).to_pylist(), strict=True)
    return {(e["entity"], e["anchor_time"], e["step"]): features for e, features in rows}


def of(found: dict, store: str, name: str, anchor: datetime = ANCHOR) -> list[float]:
    return [found[store, anchor, step][f"ahead.{name}"] for step in (1, 2, 3)]


def test__interval__is_told_by_how_much_of_each_window_it_covers() -> None:
    found = told(shop())

    assert of(found, "a", "promotions") == pytest.approx([5 / 7, 2 / 7, 0])
    assert of(found, "a", "promotions.discount") == pytest.approx([0.4 * 5 / 7, 0.4 * 2 / 7, 0])
    assert of(found, "b", "promotions") == [0, 0, 0]


def test__interval__of_the_past__is_what_that_is_compared_with() -> None:
    found = told(shop())

    assert of(found, "a", "promotions.newest") == [1, 1, 1]
    assert of(found, "a", "promotions.usual") == pytest.approx([1 / 12] * 3)
    assert of(found, "a", "promotions.discount.usual") == pytest.approx([0.2 / 12] * 3)
    assert of(found, "b", "promotions.usual") == [0, 0, 0]


def test__example_of_the_past__knows_what_was_told_by_its_anchor() -> None:
    found = told(shop())

    # Told on 10 March, for the week before the anchor: the third from the 10th, the first from the 24th.
    assert of(found, "a", "promotions", ANCHOR - timedelta(weeks=3)) == [0, 0, 1]
    changed = told(shop([(*PROMOTIONS[2][:1], "2024-03-11", *PROMOTIONS[2][2:])]))
    assert of(changed, "a", "promotions", ANCHOR - timedelta(weeks=3)) == [0, 0, 0]


def test__moment__is_told_by_how_many_fall_into_each_window__for_a_parent_and_for_everybody() -> None:
    found = told(shop())

    assert of(found, "a", "fairs.day") == of(found, "b", "fairs.day") == [0, 1, 0]
    assert of(found, "c", "fairs.day") == [0, 0, 0]  # of no region
    assert of(found, "a", "holidays.day") == of(found, "c", "holidays.day") == [1, 0, 0]


_days = st.integers(-40, 60)
_promotions = st.lists(
    st.tuples(st.sampled_from("ab"), _days, _days, st.integers(0, 20), st.integers(0, 3)), max_size=8
)


def _rows(drawn: Sequence[tuple]) -> list[tuple]:
    def on(days: int) -> str:
        return (ANCHOR + timedelta(days=days)).isoformat()

    return [(store, on(told), on(start), on(start + days), size / 4) for store, told, start, days, size in drawn]


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(_promotions, _promotions, st.sampled_from([0, 7, 21]))
def test__plans__told_after_an_anchor__change_nothing_of_it(
    first: Sequence[tuple], other: Sequence[tuple], before: int
) -> None:
    """Those told later are deleted, changed and added; where they lie may be anywhere, before the anchor too."""
    kept = [row for row in first if row[1] <= -before]
    later = [row for row in other if row[1] > -before]
    ours, theirs = told(shop(_rows(first))), told(shop(_rows(kept + later)))

    cut = ANCHOR - timedelta(days=before)
    known = {key for key in ours if key[1] <= cut}
    assert known and known == {key for key in theirs if key[1] <= cut}
    for key in known:
        assert ours[key] == pytest.approx(theirs[key], abs=1e-9), key


@pytest.mark.parametrize("dialect", DIALECTS)
def test__plans__sql__is_the_golden_text(dialect: str) -> None:
    made = shop()
    graph, task = Graph(made.schema, READS[dialect]), made.bound(QUERY)
    steps = plan_steps(graph, plans_of(task, graph), NAMES, Names("xb"), 3)
    plans = {f"forecast_{s.table.removeprefix('rfm_').removesuffix('_x')}": s.select for s in steps}
    whole = forecast_plan(task, graph, NAMES, Names("xb"), seasons(task.horizon))

    assert_golden({**plans, "forecast_features_ahead": whole.block.select}, dialect)
