"""Rows that happen with what a foreign key leads to: what is sold of a product, by the days of the orders."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pyarrow as pa
import pytest
from plan_databases import START, Database, shop_schema, warehouse_of
from small_schema import ORDERS, schema, table

from dbt_rfm.collect.snapshots import collect
from dbt_rfm.errors import QueryError
from dbt_rfm.options import Options
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.labels import eligible_select, labels_select
from dbt_rfm.plan.paths import Path, event_time, known_time
from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.parser import parse
from dbt_rfm.schema.from_job import label_table

DAY = timedelta(days=1)
SOLD = "PREDICT SUM(items.quantity, 0, 5, days) FOR EACH {}"
NOBODY = {"customer_id": None, "amount": 1.0, "status": None, "paid_at": None}
#: Sold: 1 on the second day, 2 on the fourth, 4 on the tenth; the last item has no order, so nobody knows when.
SHOP: Database = {
    "regions": [{"region_id": 1, "area": None, "kind": None}],
    "customers": [],
    "orders": [
        {"order_id": i, "region_id": 1, "ordered_at": START + day * DAY, **NOBODY}
        for i, day in enumerate((2, 4, 10), start=1)
    ],
    "items": [
        {"item_id": i, "order_id": order_id, "product_id": 1, "quantity": quantity}
        for i, (order_id, quantity) in enumerate(((1, 1), (2, 2), (3, 4), (None, 8)), start=1)
    ],
    "products": [{"product_id": 1, "price": None, "category": None, "launched_at": START + 6 * DAY}],
}


def sold(of: str, anchor: datetime, *, items_with: str) -> list[float]:
    """Labels of the one entity there is."""
    shop = shop_schema(items_with)
    warehouse = warehouse_of(SHOP)
    warehouse.load_temporary("anchors", pa.table({"anchor_time": pa.array([anchor], type=pa.timestamp("us"))}))
    labels = labels_select(bind(parse(SOLD.format(of)), shop), Graph(shop, "duckdb"), "anchors")
    return [row["label"] for row in warehouse.query(labels).to_pylist()]


def test__labels__of_a_product__count_by_the_days_of_orders() -> None:
    anchor = START + 6 * DAY  # the product has to be there to be asked about
    assert sold("products.product_id", anchor, items_with="order_id") == [4.0]


def test__labels__of_a_region_over_orders__count_by_what_the_time_link_leads_to() -> None:
    """Orders lie on the way and have a time of their own; the items came with their product."""
    assert sold("regions.region_id", START + DAY, items_with="order_id") == [3.0]
    assert sold("regions.region_id", START + DAY, items_with="product_id") == [3.0]
    assert sold("regions.region_id", START + 5 * DAY, items_with="order_id") == [4.0]
    assert sold("regions.region_id", START + 5 * DAY, items_with="product_id") == [7.0]


@pytest.mark.parametrize(
    ("items_with", "day", "there"), [("order_id", 5, [1, 2]), ("order_id", 10, [1, 2, 3]), (None, 5, [1, 2, 3, 4])]
)
def test__eligible__rows_with_a_time_link__once_what_it_leads_to_is_there(
    items_with: str | None, day: int, there: list[int]
) -> None:
    """An item asked about is there with its order; the last one has none, and nothing else says when it came."""
    shop, warehouse = shop_schema(items_with), warehouse_of(SHOP)
    anchors = pa.table({"anchor_time": pa.array([START + day * DAY], type=pa.timestamp("us"))})
    warehouse.load_temporary("anchors", anchors)
    task = bind(parse("PREDICT items.quantity FOR EACH items.item_id"), shop)
    found = warehouse.query(eligible_select(task, Graph(shop, "duckdb"), "anchors"))
    assert sorted(found["entity"].to_pylist()) == there


def test__label_table__of_rows_with_a_time_link__no_label_before_they_came() -> None:
    shop, warehouse = shop_schema("order_id"), warehouse_of(SHOP)
    marks = [(item, START + day * DAY, (item + day) % 4 == 0) for item in (1, 2, 3, 4) for day in (3, 5)]
    columns = zip(("item_id", "anchor_time", "risky"), zip(*marks, strict=True), strict=True)
    warehouse.load_temporary("marks", pa.table({name: pa.array(values) for name, values in columns}))
    labels = label_table("marks", warehouse)
    task = bind(parse("PREDICT labels.risky FOR EACH items.item_id"), shop, labels=labels)
    options = Options(anchor=(START + 12 * DAY).isoformat(), horizon="1 day", backtest=False)
    found = collect(task, shop, warehouse, options, labels="marks", with_rows=False).examples.to_pylist()
    learnt = sorted((r["entity"], (r["anchor_time"] - START).days) for r in found if r["split"] == "context")
    assert learnt == [(1, 3), (1, 5), (2, 5)]


def test__labels__window_without_a_time_link__refused_with_the_foreign_keys_that_could_be_it() -> None:
    with pytest.raises(QueryError, match=r"time_column of items to the foreign key that says when: order_id\."):
        bind(parse(SOLD.format("products.product_id")), shop_schema())


def test__labels__over_the_time_link_to_the_entity__refused_where_nothing_else_says_when() -> None:
    shop = shop_schema("product_id")
    with pytest.raises(QueryError, match=r"(?s)there is no time to place rows in a window.*that says when: order_id\."):
        bind(parse(SOLD.format("products.product_id")), shop)


def test__known_time__of_rows_with_a_time__does_not_wait_for_what_a_thing_on_the_way_belongs_to() -> None:
    """Orders of a region, over customers that are said to come with their store, which was opened later."""
    customers = table("customers", customer_id="INTEGER", store_id="INTEGER", region_id="INTEGER")
    company = schema(
        table("stores", time="opened_at", store_id="INTEGER", opened_at="TIMESTAMP"),
        table("regions", region_id="INTEGER"),
        replace(customers, time_link="store_id"),
        ORDERS,
        links={
            "customers.store_id": "stores.store_id",
            "customers.region_id": "regions.region_id",
            "orders.customer_id": "customers.customer_id",
        },
    )
    way = Path(ORDERS, (company.links[2], company.links[1]))
    assert known_time(Graph(company, "duckdb"), way) == event_time(Graph(company, "duckdb"), way)
