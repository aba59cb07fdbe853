"""Who passes WHERE at a moment, and what a window closed by then says, do not depend on what happens later.

The databases are those of test_no_leak.py: the same up to a moment, other rows and other times after it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from plan_databases import Database, databases, moments, same_until, shop_schema, warehouse_of

from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.labels import eligible_select, labels_select
from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.parser import parse

SCHEMA = shop_schema()
GRAPH = Graph(SCHEMA, "duckdb")
C = "FOR EACH customers.customer_id"
slow = settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
WHERE = [
    "COUNT(orders.*) / COUNT(orders.*, -5, 0) >= 1",
    "regions.area > COUNT(items.*) - 2",
    "customers.size + regions.area > 2 OR regions.kind STARTS WITH 'o'",
    "COUNT(items.* WHERE products.price > 2 OR orders.status LIKE 'o%') > 0",
    "SUM(orders.amount WHERE regions.area < 5 OR customers.size > 1) >= MAX(orders.amount, -1, 0, weeks) * 2",
    "COUNT(orders.* WHERE orders.paid_at IS NULL) > 0 OR customers.left_at IS NULL",
    "MAX(orders.paid_at) > LAST(orders.ordered_at) OR customers.left_at < MIN(orders.paid_at, -9, 0)",
    "COUNT(customers.* WHERE customers.vip = TRUE OR regions.area > 1) > 1",
]
TARGETS = [
    "COUNT(orders.*, 0, 5) > COUNT(orders.* WHERE regions.area > 1, -INF, 0)",
    "SUM(orders.amount, 0, 5) / COUNT(items.* WHERE products.price > 0, 0, 5)",
    "COUNT_DISTINCT(items.product_id WHERE products.category = 'a' OR products.category IS NULL, 0, 5)",
    "COUNT(orders.* WHERE orders.paid_at > orders.ordered_at OR customers.left_at IS NULL, 0, 5)",
    "LAST(orders.amount) - FIRST(orders.amount WHERE customers.size > 0, 0, 5)",
]


def found(database: Database, select, anchor: datetime) -> list[dict]:
    warehouse = warehouse_of(database)
    warehouse.load_temporary("anchors", pa.table({"anchor_time": pa.array([anchor], type=pa.timestamp("us"))}))
    return sorted(warehouse.query(select).to_pylist(), key=lambda row: row["entity"])


@pytest.mark.parametrize("condition", WHERE)
@slow
@given(data=st.data(), database=databases(), cut=moments)
def test__where__later_rows_changed__lets_the_same_pass(
    condition: str, data: st.DataObject, database: Database, cut: datetime
) -> None:
    entity = "FOR EACH regions.region_id" if "COUNT(customers" in condition else C
    task = bind(parse(f"PREDICT COUNT(orders.*, 0, 5) {entity} WHERE {condition}"), SCHEMA)
    select = eligible_select(task, GRAPH, "anchors")
    later = data.draw(same_until(database, cut))
    assert found(database, select, cut) == found(later, select, cut)


@pytest.mark.parametrize("target", TARGETS)
@slow
@given(data=st.data(), database=databases(), cut=moments)
def test__labels__rows_after_the_window_changed__stay_the_same(
    target: str, data: st.DataObject, database: Database, cut: datetime
) -> None:
    select = labels_select(bind(parse(f"PREDICT {target} {C}"), SCHEMA), GRAPH, "anchors")
    later, anchor = data.draw(same_until(database, cut)), cut - timedelta(days=5)
    assert found(database, select, anchor) == found(later, select, anchor)
