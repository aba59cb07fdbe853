"""The raw rows kept beside an example: how many, which, and what of them is shown."""

from __future__ import annotations

from datetime import datetime, timedelta

import pyarrow as pa
from hand_worked import world
from plan_databases import START, Database, shop_schema, warehouse_of

from dbt_rfm.plan.blocks import Names
from dbt_rfm.plan.bounds import bounds_select
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.neighbours import neighbours_plan
from dbt_rfm.plan.values import Scope
from dbt_rfm.plan.windows import look_backs
from dbt_rfm.schema.types import RelationalSchema
from dbt_rfm.warehouse.duckdb import DuckDB

SCHEMA = shop_schema()
T = START + timedelta(days=20)


def order(order_id: int, days_before: float, customer_id: int | None = 1, paid_at: datetime | None = None) -> dict:
    row = {"order_id": order_id, "customer_id": customer_id, "region_id": None, "amount": 1.0, "status": None}
    return {**row, "ordered_at": T - timedelta(days=days_before), "paid_at": paid_at}


def customer(customer_id: int, region_id: int | None = 1) -> dict:
    row = {"customer_id": customer_id, "region_id": region_id, "created_at": START, "size": None}
    return {**row, "segment": "x", "vip": None, "left_at": T + timedelta(days=1)}


def neighbours(database: Database, *, sizes: tuple[int, ...] = (2, 1), hidden: frozenset = frozenset()) -> dict:
    shop = {"regions": [], "customers": [customer(1)], "orders": [], "items": [], "products": [], **database}
    return around_customer(warehouse_of(shop), SCHEMA, sizes, hidden)


def around_customer(
    warehouse: DuckDB, schema: RelationalSchema, sizes: tuple[int, ...], hidden: frozenset = frozenset()
) -> dict:
    names, scope = Names("t"), Scope(Graph(schema, "duckdb"), hidden)
    moment = pa.array([T], type=pa.timestamp("us"))
    example = {"example_id": pa.array([0]), "entity": pa.array([1], type=pa.int32()), "anchor_time": moment}
    warehouse.load_temporary(names.examples, pa.table({**example, "as_of": moment}))
    warehouse.create_temporary(names.bounds, bounds_select(names.examples, look_backs(None)))
    plan = neighbours_plan(scope, names, schema.table("customers"), "customer_id", sizes)
    for step in plan.steps:
        warehouse.create_temporary(step.table, step.select)
    return {name: warehouse.query(select).to_pylist() for name, select in plan.rows.items()}


def test__neighbours__newest_visible_children__as_many_as_asked() -> None:
    orders = [order(1, 5), order(2, 3), order(4, 0), order(3, 0), order(5, -1), order(6, 1, customer_id=2)]
    found = neighbours({"orders": orders})["orders"]
    assert [r["order_id"] for r in found if r["hop"] == 1] == [3, 4], "two at the anchor; the later one is unseen"


def test__neighbours__two_hops__lead_down_and_up() -> None:
    items = [{"item_id": i, "order_id": 1, "product_id": 1, "quantity": i} for i in (1, 2)]
    product = {"product_id": 1, "price": 2.0, "category": None, "launched_at": START}
    found = neighbours({"orders": [order(1, 1)], "items": items, "products": [product]})
    assert [(r["hop"], r["link"], r["item_id"]) for r in found["items"]] == [(2, "<orders<items", 2)]
    assert "products" not in found, "three links away"


def test__neighbours__siblings__are_there_and_the_own_row_is_not_among_them() -> None:
    region = {"region_id": 1, "area": 1.0, "kind": None}
    found = neighbours({"regions": [region], "customers": [customer(1), customer(2), customer(3, 2)]}, sizes=(2, 5))
    assert [(r["hop"], r["customer_id"]) for r in found["customers"]] == [(0, 1), (2, 2)]


def test__neighbours__timestamp_after_the_anchor__is_null() -> None:
    orders = [order(1, 2, paid_at=T), order(2, 1, paid_at=T + timedelta(seconds=1))]
    found = neighbours({"orders": orders})
    assert [r["paid_at"] for r in found["orders"]] == [T, None]
    assert found["customers"][0]["left_at"] is None


def test__neighbours__hidden_column__is_left_out() -> None:
    found = neighbours({}, hidden=frozenset({("customers", "segment")}))
    assert "segment" not in found["customers"][0] and found["customers"][0]["customer_id"] == 1


def test__neighbours__columns_of_an_rfm_analysis__are_shown_as_they_are() -> None:
    """Recency, frequency, monetary: such marts have columns that begin as the package's own names do."""
    orders = "select i as order_id, 1 as customer_id, 'k' || i as rfm_key, -i as rfm_seq, i as rfm_time"
    shop = world(
        f"create table customers as select 1 as customer_id, 7 as rfm_self; "
        f"create table orders as {orders}, timestamp '{START}' as ordered_at from range(3) as t(i)",
        keys={"customers": "customer_id", "orders": "order_id"},
        times={"orders": "ordered_at"},
        links=["orders.customer_id -> customers.customer_id"],
    )
    found = around_customer(shop.warehouse, shop.schema, (2, 1))
    assert [(r["order_id"], r["rfm_key"], r["rfm_seq"], r["rfm_time"]) for r in found["orders"]] == [
        (1, "k1", -1, 1),
        (2, "k2", -2, 2),
    ]
    assert found["customers"][0]["rfm_self"] == 7
