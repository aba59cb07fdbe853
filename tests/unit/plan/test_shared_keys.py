"""By which keys examples are akin: which are told, what is listed of the rows, and that no later row is among them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from golden_plans import DIALECTS, NAMES, assert_golden
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_databases import READS, Database, databases, moments, number_of_each, same_until, shop_schema, warehouse_of
from test_no_leak import EXAMPLES, OPTIONS, labels_around, same, slow

from dbt_rfm.collect.snapshots import collect_labelled
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.shared_keys import MAX_KEYS, shared_keys_blocks
from dbt_rfm.plan.values import Scope
from dbt_rfm.schema.types import RelationalSchema
from dbt_rfm.snapshot import BETWEEN_KEYS, KEYS, Snapshot

SIZE = number_of_each("customers", "size")
T = datetime(2024, 1, 31)


def with_many_values(table: str, column: str) -> RelationalSchema:
    """The shop, where a category has more values than are counted one by one."""
    schema = shop_schema()
    changed = [replace(c, all_values=c.all_values and c.name != column) for c in schema.table(table).columns]
    return replace(
        schema, tables=tuple(replace(t, columns=tuple(changed)) if t.name == table else t for t in schema.tables)
    )


def told(schema: RelationalSchema, table: str, key: str) -> set[str]:
    blocks = shared_keys_blocks(Scope(Graph(schema, "duckdb")), NAMES, schema.table(table), key)
    return {feature.name for block in blocks for feature in block.features}


def test__shared_keys__own_and_of_parents_and_of_children__are_told() -> None:
    assert told(shop_schema(), "customers", "customer_id") == {"customers.region_id", "orders.region_id"}
    assert told(with_many_values("orders", "status"), "customers", "customer_id") == {
        "customers.region_id",
        "orders.region_id",
        "orders.status",
    }
    assert told(shop_schema(), "products", "product_id") == {
        "items.order_id",
        "items>orders.customer_id",
        "items>orders.region_id",
    }
    assert told(shop_schema(), "orders", "order_id") == {
        "orders.customer_id",
        "orders.region_id",
        "orders>customers.region_id",
        "items.product_id",
    }


def collected(database: Database, drawn: list[tuple[int, datetime]], cut: datetime) -> Snapshot:
    schema = with_many_values("orders", "status")
    asked = replace(SIZE, entity=replace(SIZE.entity, table=schema.table("customers")))
    plain = replace(OPTIONS, neighbors=(0,))
    return collect_labelled(asked, schema, warehouse_of(database), plain, labels=labels_around(cut, drawn))


@settings(slow, max_examples=6)
@given(st.data(), databases(), moments, EXAMPLES)
def test__shared_keys__later_rows_changed__stay_the_same(
    data: st.DataObject, database: Database, cut: datetime, drawn: list[tuple[int, datetime]]
) -> None:
    later = data.draw(same_until(database, cut))
    first, second = (collected(shop, drawn, cut) for shop in (database, later))
    assert {f.name for f in first.features_meta if f.kind == KEYS} == {
        "customers.region_id",
        "orders.region_id",
        "orders.status",
    }
    same(first, second, until=cut)


def test__shared_keys__of_many_rows__each_key_once_and_the_newest() -> None:
    order = {"customer_id": 1, "amount": 1.0, "status": "a", "paid_at": None}
    orders = [
        {
            **order,
            "order_id": i,
            "region_id": i % (MAX_KEYS + 10),
            "ordered_at": T.replace(minute=i // 60, second=i % 60),
        }
        for i in range(2 * MAX_KEYS + 20)
    ]
    customer = {"region_id": 7, "created_at": T, "size": 1.0, "segment": "a", "vip": True, "left_at": None}
    database: Database = {
        "regions": [],
        "customers": [{"customer_id": 1, **customer}],
        "orders": orders,
        "items": [],
        "products": [],
    }
    found = collected(database, [], datetime(2024, 2, 1))
    rows = found.examples["entity"].to_pylist()
    listed = found.features["orders.region_id"].to_pylist()[rows.index(1)].split(BETWEEN_KEYS)
    assert sorted(map(int, listed)) == list(range(10, MAX_KEYS + 10)), "the first ten were had the longest ago"
    assert found.features["orders.region_id"].to_pylist()[rows.index(2)] is None


@pytest.mark.parametrize("dialect", DIALECTS)
def test__shared_keys__sql__is_the_golden_text(dialect: str) -> None:
    schema = shop_schema()
    scope = Scope(Graph(schema, READS[dialect]))
    orders = {b.name: b.select for b in shared_keys_blocks(scope, NAMES, schema.table("orders"), "order_id")}
    products = {b.name: b.select for b in shared_keys_blocks(scope, NAMES, schema.table("products"), "product_id")}
    plans = {"shared_keys_own": orders["keys"], "shared_keys_listed": products["items>orders.customer_id"]}
    assert_golden(plans, dialect)
