"""Columns that add up rows which came later are found by what the data say, and left out."""

from __future__ import annotations

from datetime import datetime

import pytest

ORDERS = (
    "select i as order_id, i % 30 as customer_id, timestamp '2025-01-01' + to_days(i::int) as ordered_at, "
    "(i * 7 % 50)::decimal(10, 2) as amount from range(200) t(i)"
)
CUSTOMERS = (
    "select range as customer_id, timestamp '2024-12-01' as joined_at, (range * 3 % 7)::int as number_of_children, {} "
    "from range(40)"
)
OF_ORDERS = "(select {} from orders o where o.customer_id = range)"


def shop_with(shop, totals: str, **declared):
    shop.table("orders", ORDERS)
    shop.table("customers", CUSTOMERS.format(totals), event_time="joined_at", **declared)
    return shop


def columns(schema, table: str = "customers") -> list[str]:
    return [c.name for c in schema.table(table).columns]


@pytest.mark.parametrize(
    ("name", "aggregate", "said"),
    [
        ("number_of_orders", "count(*)", "COUNT of orders"),
        ("lifetime_value", "sum(amount)", "SUM of orders.amount"),
        ("averageOrder", "avg(amount)", "AVG of orders.amount"),
        ("order_max", "max(amount)", "MAX of orders.amount"),
    ],
)
def test__total__of_later_rows__left_out_and_said(shop, name, aggregate, said):
    schema = shop_with(shop, f"{OF_ORDERS.format(aggregate)} as {name}").schema()
    assert columns(schema) == ["customer_id", "joined_at", "number_of_children"]
    assert schema.table("customers").left_out == (name,)
    assert any(f"customers.{name} ({said});" in note for note in schema.notes)


def test__total__before_a_named_anchor__found_all_the_same(shop):
    """The column is of today, whatever the anchor."""
    schema = shop_with(shop, f"{OF_ORDERS.format('count(*)')} as orders").schema(as_of=datetime(2025, 2, 1))
    assert "orders" not in columns(schema)


def test__total__of_rows_that_happen_with_another_parent__left_out(shop):
    shop.table("orders", ORDERS)
    shop.table(
        "order_items",
        "select i as order_item_id, i % 200 as order_id, i % 30 as product_id, i % 4 as quantity from range(600) t(i)",
    )
    sold = "(select sum(quantity) from order_items i where i.product_id = range)"
    shop.table(
        "products", f"select range as product_id, {sold} as units_sold, range * 2.5 as list_price from range(30)"
    )
    schema = shop.schema()
    assert schema.table("order_items").time_link == "order_id"
    assert columns(schema, "products") == ["product_id", "list_price"]


def test__total__of_rows_that_come_with_it__stays(shop):
    """An order's amount is that of its items, and known with it."""
    shop.table(
        "order_items",
        "select i as order_item_id, i % 100 as order_id, i * 1.5 as price, "
        "timestamp '2025-01-01' + to_days((i % 100)::int) as sold_at from range(300) t(i)",
    )
    total = "(select sum(price) from order_items i where i.order_id = range)"
    shop.table(
        "orders",
        f"select range as order_id, {total} as total_amount, "
        "timestamp '2025-01-01' + to_days(range::int) as ordered_at from range(100)",
    )
    assert "total_amount" in columns(shop.schema(), "orders")


def test__total__of_which_no_row_knows__stays(shop):
    schema = shop_with(shop, "range * 13 % 11 as total_points").schema()
    assert columns(schema)[-2:] == ["number_of_children", "total_points"]
    assert schema.table("customers").left_out == ()


def test__total__declared__stays(shop):
    declared = {"columns": {"orders": {"meta": {"rfm": {"semantic_type": "numerical"}}}}}
    assert "orders" in columns(shop_with(shop, f"{OF_ORDERS.format('count(*)')} as orders", **declared).schema())


def test__total__beside_a_text_that_is_declared_a_number__found(shop):
    numbers = {"columns": {"weight": {"meta": {"rfm": {"semantic_type": "numerical"}}}}}
    shop.table("orders", ORDERS.replace(" from range", ", '1.5 kg' as weight from range"), **numbers)
    shop.table("customers", CUSTOMERS.format(f"{OF_ORDERS.format('count(*)')} as orders"), event_time="joined_at")
    assert "orders" not in columns(shop.schema())


def test__total__in_a_snapshot__stays(shop):
    shop.table("orders", ORDERS)
    total = f"{OF_ORDERS.format('count(*)')} as orders, timestamp '2024-12-01' as dbt_valid_from"
    shop.table(
        "customers",
        f"select range as customer_id, {total}, null::timestamp as dbt_valid_to from range(40)",
        resource_type="snapshot",
    )
    assert "orders" in columns(shop.schema())
