"""What nobody declared: names nominate, the data decides, everything is marked."""

from __future__ import annotations

from datetime import datetime

import pytest


def links(schema) -> list[str]:
    return [str(link) for link in schema.links]


@pytest.mark.parametrize("column", ["id", "order_id", "orderId", "ORDER_ID", "order_key", "order_no"])
def test__key__named_for_its_table__inferred(shop, column):
    shop.table("orders", f"select range as {column}, range % 3 as status_id from range(10)")
    schema = shop.schema()
    table = schema.table("orders")
    assert (table.primary_key, table.primary_key_inferred) == ((column,), True)
    assert any(f"primary keys inferred, unique and not null in the data: orders.{column}" in n for n in schema.notes)


@pytest.mark.parametrize("values", ["range // 2", "nullif(range, 3)"])
def test__key__not_unique_or_null__not_inferred(shop, values):
    shop.table("orders", f"select {values} as order_id from range(10)")
    schema = shop.schema()
    assert schema.table("orders").primary_key == ()
    assert "no primary key, declared or found in the data: orders" in schema.notes


def test__key__declared__left_alone(shop):
    shop.table("orders", "select range as id, range as order_no from range(10)")
    shop.key("orders", "order_no")
    table = shop.schema().table("orders")
    assert (table.primary_key, table.primary_key_inferred) == (("order_no",), False)


def test__key__empty_table__only_a_sure_name(shop):
    shop.table("orders", "select 1 as order_id where false")
    shop.table("products", "select 'x' as stock_code where false")
    schema = shop.schema()
    assert schema.table("orders").primary_key == ("order_id",)
    assert schema.table("products").primary_key == ()


def test__key__measure_named_like_nothing__not_inferred(shop):
    shop.table("orders", "select range as total from range(10)")
    assert shop.schema().table("orders").primary_key == ()


@pytest.mark.parametrize(
    ("parent", "key", "child_column"),
    [
        ("customers", "customer_id", "customer_id"),
        ("customers", "id", "customer_id"),
        ("customers", "id", "customerId"),
        ("stg_customers", "id", "customer_id"),
        ("customers", "CUSTOMER_ID", "customer_id"),
        ("users", "id", "owner_user_id"),
        ("products", "stock_code", "stock_code"),
        ("categories", "id", "category_id"),
    ],
)
def test__link__named_after_the_parent__inferred(shop, parent, key, child_column):
    shop.table(parent, f"select range as {key} from range(10)")
    shop.table("orders", f"select range as order_id, range % 10 as {child_column} from range(30)")
    schema = shop.schema()
    assert links(schema) == [f"orders.{child_column} -> {parent}.{key}"]
    assert schema.links[0].inferred
    assert any("links inferred from names and values" in note for note in schema.notes)


def test__link__texts_named_like_the_parent__inferred(shop):
    shop.table("sites", "select 's' || range as site, range % 3 as floors from range(10)")
    shop.table("meters", "select range as meter_id, 's' || range % 10 as site from range(40)")
    schema = shop.schema()
    assert schema.table("sites").primary_key == ("site",) and links(schema) == ["meters.site -> sites.site"]
    assert schema.table("meters").column("site").semantic_type == "categorical"


def test__link__numbers_named_like_a_table__not_inferred(shop):
    shop.table("floors", "select range as floor, range % 3 as rooms from range(10)")
    shop.table("meters", "select range as meter_id, range % 10 as floor from range(40)")
    assert links(shop.schema()) == []


def test__link__parent_id__the_table_itself(shop):
    shop.table("posts", "select range as id, nullif(range // 2, 0) as parent_id from range(10)")
    assert links(shop.schema()) == ["posts.parent_id -> posts.id"]


@pytest.mark.parametrize(("orphans", "linked"), [(1, True), (2, False)])
def test__link__orphans__up_to_a_tenth(shop, orphans, linked):
    shop.table("users", "select range as id from range(10)")
    shop.table(
        "posts", f"select range as id, case when range < {orphans} then -1 else range end as user_id from range(10)"
    )
    assert links(shop.schema()) == (["posts.user_id -> users.id"] if linked else [])


def test__link__floating_point_with_gaps__inferred(shop):
    shop.table("users", "select range as id from range(10)")
    shop.table("posts", "select range as id, nullif(range, 3)::double as user_id from range(10)")
    assert links(shop.schema()) == ["posts.user_id -> users.id"]


def test__link__types_that_do_not_compare__not_inferred(shop):
    shop.table("users", "select range as id from range(10)")
    shop.table("posts", "select range as id, range::varchar as user_id from range(10)")
    assert links(shop.schema()) == []


def test__link__declared_for_the_column__left_alone(shop):
    shop.table("users", "select range as id from range(10)")
    shop.table("members", "select range as member_id from range(10)")
    shop.table("posts", "select range as id, range as user_id from range(10)")
    shop.key("users", "id")
    shop.relationship("posts", "user_id", "members", "member_id")
    assert links(shop.schema()) == ["posts.user_id -> members.member_id"]


def test__link__two_parents_fit_equally__none_taken(shop):
    for name in ("stg_users", "dim_users"):
        shop.table(name, "select range as id from range(10)")
    shop.table("posts", "select range as id, range as user_id from range(10)")
    assert links(shop.schema()) == []


def test__link__one_to_one_extension__points_at_its_base(shop):
    shop.table("customers", "select range as customer_id from range(10)")
    shop.table("customer_profiles", "select range as customer_id from range(8)")
    assert links(shop.schema()) == ["customer_profiles.customer_id -> customers.customer_id"]


def test__link__numbers_that_happen_to_be_found__not_linked(shop):
    shop.table("users", "select range as id from range(100)")
    shop.table("posts", "select range as id, range % 5 as score, range % 7 as user_rank from range(50)")
    assert links(shop.schema()) == []


def test__as_of__rows_later_than_it__change_nothing(shop):
    shop.table("users", "select range as id from range(10)")
    rows = "select range as id, range as user_id, timestamp '2025-01-01' + to_days(range::int) as at from range(10)"
    shop.table("posts", rows, event_time="at")
    before = shop.schema(as_of=datetime(2025, 1, 31))
    for late in range(30):
        shop.connection.execute(f"insert into posts values ({late % 2}, 999, timestamp '2025-02-01')")
    assert shop.schema(as_of=datetime(2025, 1, 31)) == before
    assert shop.schema() != before


def test__as_of__snapshot__the_versions_valid_then(shop):
    shop.table(
        "customers",
        "select * from (values (1, timestamp '2025-01-01', timestamp '2025-03-01'), (2, timestamp '2025-01-01', null), "
        "(1, timestamp '2025-03-01', null), (2, timestamp '2025-04-01', null)) "
        "t(customer_id, dbt_valid_from, dbt_valid_to)",
        resource_type="snapshot",
    )
    assert shop.schema(as_of=datetime(2025, 2, 1)).table("customers").primary_key == ("customer_id",)
    assert shop.schema(as_of=datetime(2025, 3, 1)).table("customers").primary_key == ("customer_id",)
    assert shop.schema().table("customers").primary_key == ()


def test__link__part_of_a_declared_key_of_several_columns__leads_where_the_whole_leads(shop):
    """A short cut from the lines to the account would pass by the invoice, which alone says when they were known."""
    columns = ["account_id", "invoice_no"]
    key = {"type": "primary_key", "columns": columns}
    of_invoice = {"type": "foreign_key", "columns": columns, "to": "ref('invoices')", "to_columns": columns}
    shop.table("accounts", "select range as account_id from range(3)")
    shop.table("invoices", "select range // 3 as account_id, range % 3 as invoice_no from range(9)", constraints=(key,))
    shop.table(
        "lines", "select range // 3 as account_id, range % 3 as invoice_no from range(9)", constraints=(of_invoice,)
    )
    assert links(shop.schema()) == [
        "invoices.account_id -> accounts.account_id",
        "lines.account_id, invoice_no -> invoices.account_id, invoice_no",
    ]
