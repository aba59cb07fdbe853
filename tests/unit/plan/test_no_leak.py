"""Whatever happens after an example's anchor, nothing the example is made of moves.

A database is drawn, and a second one that is the same up to a moment: later rows are deleted, changed and added, and
timestamps that lie later are others. Features, past labels and neighbours of every example up to that moment must be
the same to the byte, though other examples stand later and may see what was changed.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from plan_databases import (
    AMOUNT,
    ORDERS_PATH,
    PRICE,
    START,
    Database,
    databases,
    moments,
    same_until,
    shop_schema,
    warehouse_of,
)

from dbt_rfm.collect.snapshots import collect, collect_labelled
from dbt_rfm.errors import DataError
from dbt_rfm.options import Options
from dbt_rfm.pql.ast import Window
from dbt_rfm.pql.delay import Delay
from dbt_rfm.pql.task import BoundAggregation, BoundColumn, BoundComparison, Task
from dbt_rfm.snapshot import Snapshot
from dbt_rfm.task_kind import TaskKind

SCHEMA = shop_schema()
CUSTOMERS, ORDERS = SCHEMA.table("customers"), SCHEMA.table("orders")
FAR = START + timedelta(days=60)
EXAMPLES = st.lists(st.tuples(st.integers(1, 2), moments), min_size=1, max_size=6)
OPTIONS = Options(context_size=50, backtest=False, neighbors=(2, 2))
# No shrinking: the first counterexample names the feature that moved, and a smaller one takes minutes.
slow = settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)


def spent(start: int | None, end: int) -> BoundAggregation:
    return BoundAggregation("SUM", ORDERS, ORDERS.column("amount"), ORDERS_PATH, Window(start, end))


SPENDING = Task(
    "",
    TaskKind.REGRESSION,
    BoundColumn(CUSTOMERS, CUSTOMERS.column("customer_id")),
    spent(0, 5),
    Window(0, 5),
    where=BoundComparison(spent(None, 0), ">=", 0),
)


def labels_of(rows: list[tuple[int, datetime, float]], known_after: timedelta) -> pa.Table:
    """Every row is asked; what may be learnt from is an entity nobody knows, long before."""
    both = [(*row, "query") for row in rows] + [(999, START - timedelta(days=90), 1.0, "context")]
    return labels_with_roles(both, known_after)


def labels_around(cut: datetime, drawn: list[tuple[int, datetime]]) -> pa.Table:
    """Of the examples drawn and of some that stand at the cut and long after it."""
    return labels_of([(*e, 1.0) for e in sorted({*drawn, (1, cut), (2, cut), (1, FAR)})], timedelta(days=5))


def labels_with_roles(
    both: list[tuple[int, datetime, float, str]], known_after: timedelta = timedelta(days=5)
) -> pa.Table:
    times = [row[1] for row in both]
    return pa.table(
        {
            "entity": pa.array([row[0] for row in both], type=pa.int32()),
            "anchor_time": pa.array(times, type=pa.timestamp("us")),
            "label": pa.array([row[2] for row in both], type=pa.float64()),
            "known_at": pa.array([t + known_after for t in times], type=pa.timestamp("us")),
            "split": [row[3] for row in both],
        }
    )


def same(first: Snapshot, second: Snapshot, until: datetime = FAR) -> None:
    """The examples that stand at `until` or before are made of the same."""
    assert first.examples.drop_columns("label").equals(second.examples.drop_columns("label"))
    ids = pa.array([r["example_id"] for r in first.examples.to_pylist() if r["anchor_time"] <= until])
    assert len(ids), "no example to compare"

    def up_to(rows: pa.Table) -> pa.Table:
        return rows.filter(pc.is_in(rows["example_id"], value_set=ids))

    ours, theirs = up_to(first.features), up_to(second.features)
    for name in ours.column_names:
        assert ours[name].equals(theirs[name]), name
    assert first.rows.keys() == second.rows.keys()
    for name, rows in first.rows.items():
        assert up_to(rows).equals(up_to(second.rows[name])), name


@slow
@given(st.data(), databases(), moments, st.lists(st.tuples(st.integers(1, 4), moments), min_size=1, max_size=6))
def test__features__later_rows_and_labels_changed__stay_the_same(
    data: st.DataObject, database: Database, cut: datetime, drawn: list[tuple[int, datetime]]
) -> None:
    later = data.draw(same_until(database, cut))
    examples = sorted({*drawn, (drawn[0][0], cut), (1, FAR), (2, FAR)})
    known = {e for e in examples if e[1] + timedelta(days=5) <= cut}
    first = labels_of([(*e, 1.0) for e in examples], timedelta(days=5))
    second = labels_of([(*e, 1.0 if e in known else -7.0) for e in examples], timedelta(days=5))

    def snapshot(shop: Database, labels: pa.Table) -> Snapshot:
        return collect_labelled(SPENDING, SCHEMA, warehouse_of(shop), OPTIONS, labels=labels, with_rows=True)

    same(snapshot(database, first), snapshot(later, second), until=cut)


@slow
@given(st.data(), databases(), moments, EXAMPLES)
def test__features__rows_without_a_time_on_the_way__are_known_with_the_row_beside_it(
    data: st.DataObject, database: Database, cut: datetime, drawn: list[tuple[int, datetime]]
) -> None:
    """An item seen for its product: its time is that of its order, to which that way does not lead."""
    later = data.draw(same_until(database, cut))
    labels = labels_around(cut, drawn)

    def snapshot(shop: Database) -> Snapshot:
        return collect_labelled(PRICE, SCHEMA, warehouse_of(shop), OPTIONS, labels=labels, with_rows=True)

    same(snapshot(database), snapshot(later), until=cut)


@slow
@given(
    st.data(),
    databases(),
    moments,
    EXAMPLES,
    st.sampled_from([("orders", PRICE), ("products", SPENDING), ("products", SPENDING)]),
)
def test__features__rows_with_a_time_link__are_known_with_what_it_leads_to(
    data: st.DataObject,
    database: Database,
    cut: datetime,
    drawn: list[tuple[int, datetime]],
    asked: tuple[str, Task],
) -> None:
    """Also where another table with a time lies on their way: items by their product, seen for the customer."""
    items_with, task = asked
    later = data.draw(same_until(database, cut, items_with))
    labels = labels_around(cut, drawn)
    schema = shop_schema({"orders": "order_id", "products": "product_id"}[items_with])

    def snapshot(shop: Database) -> Snapshot:
        return collect_labelled(task, schema, warehouse_of(shop), OPTIONS, labels=labels, with_rows=True)

    same(snapshot(database), snapshot(later), until=cut)


@slow
@given(st.data(), databases(), moments)
def test__frozen__rows_and_labels_after_the_cut_changed__move_no_example(
    data: st.DataObject, database: Database, cut: datetime
) -> None:
    """Queries long after the cut, and a context that lags as they do."""
    later = data.draw(same_until(database, cut))
    learnt = [(e, cut - timedelta(days=d), 1.0, "context") for e in (1, 2, 3, 4) for d in (5, 9, 20)]
    asked = [(e, cut + timedelta(days=d), 1.0, "query") for e in (1, 2, 3) for d in (1, 8, 30)]
    known = labels_with_roles(learnt + asked)
    changed = labels_with_roles(learnt + [(e, t, -7.0, role) for e, t, _, role in asked])

    def snapshot(shop: Database, labels: pa.Table) -> Snapshot:
        return collect_labelled(SPENDING, SCHEMA, warehouse_of(shop), OPTIONS, labels=labels, cut=cut, with_rows=True)

    same(snapshot(database, known), snapshot(later, changed), until=cut + timedelta(days=30))


@slow
@given(st.data(), databases(), moments)
def test__late_attribute__changed_while_not_yet_known__changes_nothing(
    data: st.DataObject, database: Database, cut: datetime
) -> None:
    """An order's amount, known three days after it: unknown at its own time, and to other orders until then."""
    orders = [o for o in database["orders"] if o["ordered_at"] is not None and o["ordered_at"] <= cut]
    if not orders:
        return
    later = data.draw(same_until(database, cut))
    not_yet = cut - timedelta(days=3)
    changed = [
        {**o, "amount": data.draw(st.none() | st.just(99.25))} if o["ordered_at"] and o["ordered_at"] > not_yet else o
        for o in later["orders"]
    ]
    asked = [*((o["order_id"], o["ordered_at"], 1.0) for o in orders), (orders[0]["order_id"], FAR, 1.0)]
    labels = labels_of(asked, timedelta(days=3))

    def snapshot(shop: Database) -> Snapshot:
        warehouse, late = warehouse_of(shop), Delay(Window(0, 3))
        return collect_labelled(AMOUNT, SCHEMA, warehouse, OPTIONS, labels=labels, late=late, with_rows=True)

    same(snapshot(database), snapshot({**later, "orders": changed}), until=cut)


@slow
@given(st.data(), databases(), moments)
def test__frozen__rows_after_the_cut_changed__changes_nothing(
    data: st.DataObject, database: Database, cut: datetime
) -> None:
    later = data.draw(same_until(database, cut))
    asked = [(1, cut + timedelta(days=20), 1.0), (2, cut + timedelta(days=2), 1.0)]
    labels = labels_of(asked, timedelta(days=5))

    def snapshot(shop: Database) -> Snapshot:
        return collect_labelled(SPENDING, SCHEMA, warehouse_of(shop), OPTIONS, labels=labels, cut=cut, with_rows=True)

    same(snapshot(database), snapshot(later))


@slow
@given(st.data(), databases(), moments)
def test__collect__rows_after_the_anchor_changed__gives_the_same_snapshot(
    data: st.DataObject, database: Database, anchor: datetime
) -> None:
    later, brief = data.draw(same_until(database, anchor)), data.draw(st.booleans())
    options = replace(OPTIONS, anchor=anchor.isoformat(), backtest=True)

    def outcome(shop: Database) -> Snapshot | str:
        try:
            return collect(SPENDING, SCHEMA, warehouse_of(shop), options, brief=brief)
        except DataError as error:
            return error.problem

    first, second = outcome(database), outcome(later)
    if isinstance(first, str) or isinstance(second, str):
        # Without history there is no snapshot in either; which message depends on later rows only through the start.
        assert isinstance(first, str) and isinstance(second, str)
        return
    same(first, second)
    assert first.examples.equals(second.examples)
    assert first.notes == second.notes
