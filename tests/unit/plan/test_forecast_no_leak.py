"""Whatever happens after an anchor, no step of its forecast moves.

Two databases that are the same up to a moment, as in test_no_leak.py: later rows are deleted, changed and added.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from plan_databases import ORDERS_PATH, START, Database, databases, moments, same_until, shop_schema, warehouse_of

from dbt_rfm.collect.snapshots import collect
from dbt_rfm.errors import DataError
from dbt_rfm.options import Options
from dbt_rfm.pql.ast import Window
from dbt_rfm.pql.task import BoundAggregation, BoundColumn, BoundComparison, Task
from dbt_rfm.snapshot import Snapshot
from dbt_rfm.task_kind import TaskKind

SCHEMA = shop_schema()
CUSTOMERS, ORDERS = SCHEMA.table("customers"), SCHEMA.table("orders")
STEPS = 3
OPTIONS = Options(context_size=10_000, neighbors=(2, 2))
slow = settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)


def total(start: int | None, end: int, unit: str = "days") -> BoundAggregation:
    return BoundAggregation("SUM", ORDERS, ORDERS.column("amount"), ORDERS_PATH, Window(start, end, unit))


def forecast(days: int) -> Task:
    return Task(
        "PREDICT …",
        TaskKind.FORECAST,
        BoundColumn(CUSTOMERS, CUSTOMERS.column("customer_id")),
        total(0, days),
        Window(0, days),
        where=BoundComparison(total(None, 0), ">=", 0),
        timeframes=STEPS,
    )


def outcome(shop: Database, task: Task, anchor: datetime) -> Snapshot | None:
    try:
        return collect(task, SCHEMA, warehouse_of(shop), replace(OPTIONS, anchor=anchor.isoformat()))
    except DataError:
        return None


def same(first: Sequence[object], second: Sequence[object]) -> bool:
    """But for the last digits of a spread: with other rows in a table those of a window may be met in another order."""
    return all(
        a == b or (isinstance(a, float) and isinstance(b, float) and math.isclose(a, b, rel_tol=1e-12))
        for a, b in zip(first, second, strict=True)
    )


@slow
@given(st.data(), databases(), moments, st.sampled_from([1, 2, 5]))
def test__forecast__rows_after_the_anchor_changed__gives_the_same_snapshot(
    data: st.DataObject, database: Database, anchor: datetime, days: int
) -> None:
    later = data.draw(same_until(database, anchor))
    first, second = (outcome(shop, forecast(days), anchor) for shop in (database, later))
    assert (first is None) == (second is None)
    if first is None or second is None:
        return
    assert first.examples.equals(second.examples)
    for name in first.features.column_names:
        assert same(first.features[name].to_pylist(), second.features[name].to_pylist()), name
    assert {name: rows for name, rows in first.rows.items()} == {name: rows for name, rows in second.rows.items()}
    assert notes(first) == notes(second)


def notes(found: Snapshot) -> list[str]:
    """All but the one on the age of the database, which is about rows after the anchor."""
    return [note for note in found.notes if not note.startswith("the newest row")]


@slow
@given(st.data(), databases(), st.integers(0, 50), st.sampled_from([1, 2, 5]))
def test__forecast__rows_after_an_example_s_anchor_changed__leave_its_features(
    data: st.DataObject, database: Database, days_before: int, days: int
) -> None:
    """The example stands at `cut`; the prediction anchor, and what the whole learns from, lie later."""
    anchor = START + timedelta(days=30)
    cut = anchor - timedelta(days=days * (1 + days_before % 4))
    later = data.draw(same_until(database, cut))
    first, second = (outcome(shop, forecast(days), anchor) for shop in (database, later))
    if first is None or second is None:
        return

    def known(found: Snapshot) -> dict[tuple, dict]:
        rows = zip(found.examples.to_pylist(), found.features.drop_columns("example_id").to_pylist(), strict=True)
        return {
            (r["split"], r["entity"], r["anchor_time"], r["step"]): features
            for r, features in rows
            if r["anchor_time"] <= cut
        }

    ours, theirs = known(first), known(second)
    shared = ours.keys() & theirs.keys()
    assert {k for k in ours if k[0] == "context"} == {k for k in theirs if k[0] == "context"}
    for key in shared:
        for name, value in ours[key].items():
            assert same([value], [theirs[key][name]]), (key, name)
