"""Rows without a time: the foreign key that says when they happened, declared, the only one, or told by the data."""

from __future__ import annotations

from datetime import datetime

import pytest

from dbt_rfm.errors import ProjectError

ORDERS = (
    "select range as order_id, range % 9 as customer_id, timestamp '2025-01-01' + to_days(range::int) as ordered_at "
    "from range(50)"
)
ITEMS = "select range as order_item_id, range % 50 as order_id, range % 5 as product_id from range(100)"


def products(launched: str) -> str:
    return f"select range as product_id, {launched} as launched_at from range(5)"


def shop_of_items(shop, launched: str, **declared):
    shop.table("orders", ORDERS)
    shop.table("products", products(launched))
    shop.table("order_items", ITEMS, **declared)
    return shop


def of_items(schema) -> tuple[str | None, bool]:
    table = schema.table("order_items")
    return table.time_link, table.time_column_inferred


def test__time_link__only_one_timed_parent__is_it(shop):
    shop.table("orders", ORDERS)
    shop.table("products", "select range as product_id from range(5)")
    shop.table("order_items", ITEMS)
    shop.table("customers", "select range as customer_id from range(9)")
    shop.table("refunds", "select 1 as refund_id, 1 as order_item_id")
    schema = shop.schema()
    assert of_items(schema) == ("order_id", True)
    assert schema.table("refunds").time_link == "order_item_id"


def test__time_link__a_thing_that_events_point_at__is_no_part_of_its_parent(shop):
    """Customers do not happen when their store is opened; items named after their order do, though refunds follow."""
    shop.table("stores", "select 1 as store_id, date '2020-01-01' as opened_on")
    shop.table("customers", "select range as customer_id, 1 as store_id, range as region_id from range(20)")
    shop.table("orders", "select range as order_id, range % 20 as customer_id, now() as ordered_at from range(50)")
    shop.table("order_items", ITEMS)
    shop.table("refunds", "select 1 as refund_id, 1 as order_item_id, now() as refunded_at")
    schema = shop.schema()
    assert schema.parents("customers") and schema.table("customers").time_link is None
    assert schema.table("order_items").time_link == "order_id"


def test__time_link__what_belongs_to_a_thing__did_not_happen_with_it(shop):
    """A wish was not made when the customer signed up."""
    shop.table("customers", "select range as customer_id, date '2025-01-01' + range::int as joined_on from range(9)")
    shop.table("products", "select range as product_id from range(5)")
    shop.table("wishes", "select range as wish_id, range % 9 as customer_id, range % 5 as product_id from range(100)")
    schema = shop.schema()
    assert len(schema.parents("wishes")) == 2 and schema.table("wishes").time_link is None


def test__time_link__two_timed_parents__the_later_one(shop):
    schema = shop_of_items(shop, "timestamp '2020-01-01'").schema()
    assert of_items(schema) == ("order_id", True)
    known = "no time column, so their rows are known with the row they belong to: order_items with orders"
    assert known in schema.notes


def test__time_link__neither_is_clearly_the_later__none_and_both_are_said(shop):
    schema = shop_of_items(shop, "timestamp '2025-01-25'").schema()
    assert of_items(schema) == (None, False)
    known = "no time column, so their rows are known with the row they belong to: order_items with orders and products"
    assert known in schema.notes


def test__time_link__rows_after_the_anchor__do_not_choose(shop):
    """Products that came after the anchor would make it unclear."""
    shop_of_items(shop, "case when range = 0 then timestamp '2020-01-01' else timestamp '2026-01-01' end")
    assert shop.schema().table("order_items").time_link is None
    assert shop.schema(as_of=datetime(2025, 6, 1)).table("order_items").time_link == "order_id"


def test__time_link__a_parent_with_versions__by_its_first_one(shop):
    shop.table("orders", ORDERS)
    shop.table(
        "products",
        "select i % 5 as product_id, timestamp '2020-01-01' + to_years((i // 5)::int * 4) as dbt_valid_from, "
        "null::timestamp as dbt_valid_to from range(20) t(i)",
        resource_type="snapshot",
    )
    shop.table("order_items", ITEMS)
    shop.relationship("order_items", "product_id", "products", "product_id")
    assert shop.schema().table("order_items").time_link == "order_id"


def test__time_link__empty_tables__can_be_asked_all_the_same(shop):
    shop.table("orders", ORDERS + " where false")
    shop.table("products", products("timestamp '2025-01-01'") + " where false")
    shop.table("order_items", ITEMS + " where false")
    for column, parent in (("order_id", "orders"), ("product_id", "products")):
        shop.key(parent, column)
        shop.relationship("order_items", column, parent, column)
    assert shop.schema().table("order_items").time_link is not None


@pytest.mark.parametrize(
    "declared",
    [
        {"meta": {"rfm": {"time_column": "PRODUCT_ID"}}},
        {"columns": {"product_id": {"meta": {"rfm": {"time_column": True}}}}},
    ],
)
def test__time_link__declared__comes_before_the_data(shop, declared):
    assert of_items(shop_of_items(shop, "timestamp '2020-01-01'", **declared).schema()) == ("product_id", False)


def test__time_link__declared_but_no_foreign_key__refused(shop):
    shop_of_items(shop, "timestamp '2020-01-01'", meta={"rfm": {"time_column": "order_item_id"}})
    message = r"order_items\.order_item_id is BIGINT, expected a date or a timestamp, or a foreign key to a table that"
    with pytest.raises(ProjectError, match=message):
        shop.schema()


def test__time_link__declared_and_ignored__refused(shop):
    meta = {"meta": {"rfm": {"time_column": "order_id"}}, "columns": {"order_id": {"meta": {"rfm": {"ignore": True}}}}}
    with pytest.raises(ProjectError, match=r"ignore is set on order_id, which is the key or the time of order_items"):
        shop_of_items(shop, "timestamp '2020-01-01'", **meta).schema()
