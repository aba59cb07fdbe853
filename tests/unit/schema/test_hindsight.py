"""Columns that know of later rows are found by what the data say: no feature reads them, a query may name them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from dbt_rfm.plan.blocks import Names
from dbt_rfm.plan.features import derived_of
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.neighbours import neighbours_plan
from dbt_rfm.plan.values import Scope
from dbt_rfm.pql.attributes import seen_schema
from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.hindsight import notes_on_hindsight
from dbt_rfm.pql.parser import parse
from dbt_rfm.schema.fingerprint import fingerprint

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


def hindsight(schema, table: str = "customers") -> list[str]:
    return [c.name for c in schema.table(table).columns if c.hindsight]


@pytest.mark.parametrize(
    ("name", "aggregate", "said"),
    [
        ("number_of_orders", "count(*)", "COUNT of orders"),
        ("lifetime_value", "sum(amount)", "SUM of orders.amount"),
        ("averageOrder", "avg(amount)", "AVG of orders.amount"),
        ("order_max", "max(amount)", "MAX of orders.amount"),
    ],
)
def test__total__of_later_rows__found_and_said(shop, name, aggregate, said):
    schema = shop_with(shop, f"{OF_ORDERS.format(aggregate)} as {name}").schema()
    assert hindsight(schema) == [name]
    assert any(f"customers.{name} ({said});" in note for note in schema.notes)


def test__total__before_a_named_anchor__found_all_the_same(shop):
    """The column is of today, whatever the anchor."""
    schema = shop_with(shop, f"{OF_ORDERS.format('count(*)')} as orders").schema(as_of=datetime(2025, 2, 1))
    assert hindsight(schema) == ["orders"]


def test__total__of_rows_that_happen_with_another_parent__found(shop):
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
    assert hindsight(schema, "products") == ["units_sold"]


def test__total__of_rows_that_come_with_it__none(shop):
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
    assert hindsight(shop.schema(), "orders") == []


@pytest.mark.parametrize(
    "column",
    [
        "range * 13 % 11 as total_points",
        "range % 3 = 0 as is_active",
        "case range % 4 when 0 then 'gold' else 'none' end as tier",
        "range % 5 as recency_score",
        "'name ' || range as last_name",
    ],
)
def test__column__of_which_no_row_knows__none(shop, column):
    schema = shop_with(shop, column).schema()
    assert hindsight(schema) == []
    assert not any("no feature reads" in note for note in schema.notes)


def test__total__declared__taken_for_a_fact(shop):
    declared = {"columns": {"orders": {"meta": {"rfm": {"semantic_type": "numerical"}}}}}
    assert hindsight(shop_with(shop, f"{OF_ORDERS.format('count(*)')} as orders", **declared).schema()) == []


def test__total__beside_a_text_that_is_declared_a_number__found(shop):
    numbers = {"columns": {"weight": {"meta": {"rfm": {"semantic_type": "numerical"}}}}}
    shop.table("orders", ORDERS.replace(" from range", ", '1.5 kg' as weight from range"), **numbers)
    shop.table("customers", CUSTOMERS.format(f"{OF_ORDERS.format('count(*)')} as orders"), event_time="joined_at")
    assert hindsight(shop.schema()) == ["orders"]


def test__total__in_a_snapshot__as_it_was_at_each_anchor(shop):
    shop.table("orders", ORDERS)
    total = f"{OF_ORDERS.format('count(*)')} as orders, timestamp '2024-12-01' as dbt_valid_from"
    shop.table(
        "customers",
        f"select range as customer_id, {total}, null::timestamp as dbt_valid_to from range(40)",
        resource_type="snapshot",
    )
    assert hindsight(shop.schema()) == []


# --- grades of what happened later

BUYERS = (
    "select i as order_id, ((i * 7919) % 1009) % (20 + i % 80) as customer_id, "
    "timestamp '2025-01-01' + to_hours((i * 9)::int) as ordered_at, "
    "(i * 7 % 50)::decimal(10, 2) as amount, 'state ' || i % 3 as state from range(500) t(i)"
)
MART = (
    "with o as (select customer_id, count(*) as n, sum(amount) as spent, max(ordered_at) as last_at, "
    "count(*) filter (where ordered_at > timestamp '2025-07-06' - interval 90 day) as n90, "
    "arg_max(state, ordered_at) as last_state from orders group by 1) "
    "select c.range as customer_id, timestamp '2024-12-01' as joined_at, {} "
    "from range(120) c left join o on customer_id = c.range"
)


def mart_with(shop, column: str):
    shop.table("orders", BUYERS)
    shop.table("customers", MART.format(column), event_time="joined_at")
    return shop


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("coalesce(last_at > timestamp '2025-05-20', false) as is_active", "by the last of orders"),
        ("case when last_at is null then 'lead' when last_at < '2025-05-20' then 'lost' else 'active' end as status",
         "by the last of orders"),
        ("case when n > 5 then 'returning' else 'new' end as customer_type", "by COUNT of orders"),
        ("case when spent > 180 then 'gold' when spent > 60 then 'silver' else 'none' end as tier",
         "by SUM of orders.amount"),
        ("ntile(5) over (order by last_at nulls first) as r_score", "by the last of orders"),
        ("date_diff('day', last_at, timestamp '2025-07-10') as days_since_purchase", "by the last of orders"),
        ("coalesce(n90, 0) as orders_90d", "COUNT of orders of 90 days"),
        ("last_state as last_order_state", "of the last of orders"),
    ],
)  # fmt: skip
def test__grade__of_what_happened_later__found_and_said(shop, column, said):
    schema = mart_with(shop, column).schema()
    name = column.rsplit(" ", 1)[1]
    assert hindsight(schema) == [name]
    assert any(f"customers.{name} ({said})" in note for note in schema.notes)


def test__total__of_the_rows_below_the_rows_below__found(shop):
    shop.table("orders", BUYERS)
    shop.table("order_items", "select i as order_item_id, i % 500 as order_id, i % 4 as quantity from range(1200) t(i)")
    bought = "(select sum(quantity) from order_items i join orders o using (order_id) where o.customer_id = range)"
    shop.table(
        "customers",
        f"select range as customer_id, timestamp '2024-12-01' as joined_at, {bought} as items_bought from range(97)",
        event_time="joined_at",
    )
    assert hindsight(shop.schema()) == ["items_bought"]


def test__rows_below__numbers_too_large_to_be_added_up_as_decimals__no_error(shop):
    huge = "99999999999999999999999999999999999999::decimal(38, 0) as wei"
    shop.table("orders", BUYERS.replace(" from range", f", {huge} from range"))
    shop.table("customers", MART.format("n as number_of_orders"), event_time="joined_at")
    assert hindsight(shop.schema()) == ["number_of_orders"]


@pytest.mark.parametrize("name", ["sales_2024_y", "total_20241231_d", "orders_99999999999w"])
def test__name__of_digits_that_are_no_window__no_error(shop, name):
    assert hindsight(mart_with(shop, f"c.range % 7 as {name}").schema()) == []


def test__window__that_would_begin_before_the_calendar__none(shop):
    shop.table("orders", BUYERS.replace("timestamp '2025-01-01'", "timestamp '0001-01-01'"))
    shop.table("customers", "select range as customer_id, range % 7 as orders_365d from range(97)")
    assert hindsight(shop.schema()) == []


# --- what it means to a plan


def test__features_and_rows__column_of_hindsight__not_read(shop):
    schema = mart_with(shop, "n as number_of_orders").schema()
    scope = Scope(Graph(schema, "duckdb"))
    names = [c.name for c in scope.columns(schema.table("customers"))]
    assert "number_of_orders" not in names
    assert "amount" in [c.name for c in scope.columns(schema.table("orders"))]
    rows = neighbours_plan(scope, Names("t"), schema.table("customers"), "customer_id", (4,)).rows["customers"]
    assert "number_of_orders" not in rows.sql()


def test__query__column_of_hindsight__predicted_or_asked_for_with_a_note(shop):
    schema = mart_with(shop, "n > 5 as is_loyal").schema()
    assert hindsight(schema) == ["is_loyal"]
    asked = bind(
        parse("PREDICT COUNT(orders.*, 0, 30, days) FOR EACH customers.customer_id WHERE customers.is_loyal = true"),
        schema,
    )
    assert "customers.is_loyal as of today" in notes_on_hindsight(asked)[0]
    predicted = bind(parse("PREDICT customers.is_loyal FOR EACH customers.customer_id"), schema)
    assert notes_on_hindsight(predicted) == []


def test__fingerprint__column_of_hindsight__no_part_of_it(shop):
    schema = mart_with(shop, "n as number_of_orders").schema()
    customers = schema.table("customers")
    without = replace(customers, columns=tuple(c for c in customers.columns if not c.hindsight))
    assert fingerprint(schema) == fingerprint(replace(schema, tables=(schema.table("orders"), without)))


STATES = (
    "select i as order_id, i % 30 as customer_id, timestamp '2025-01-01' + to_days((i // 2)::int) as ordered_at, {} "
    "from range(400) t(i)"
)


def orders_with(shop, select: str, **declared):
    shop.table("orders", STATES.format(select), event_time="ordered_at", **declared)
    return shop


def test__state__of_the_newest_rows_only__passes(shop):
    """Orders that are placed now were placed in the past too, and are written over."""
    status = (
        "case when i < 12 then 'lost' when i > 385 or i = 40 then 'placed' else ['done', 'returned'][i % 2 + 1] end"
    )
    schema = orders_with(shop, f"{status} as status, i < 390 as is_paid").schema()
    assert hindsight(schema, "orders") == ["status", "is_paid"]
    assert any("orders.status (a state that passes), orders.is_paid (a state that passes);" in n for n in schema.notes)


@pytest.mark.parametrize(
    "columns",
    [
        "['placed', 'done', 'returned'][i % 3 + 1] as status",  # at all times
        "case when i > 385 then 'video' else 'web' end as channel",  # new in the world
        "i > 385 as is_express",
        "case when i > 396 then 'placed' else 'done' end as status",  # too few to say
        "case when i < 14 then 'legacy' else 'done' end as status",  # of the oldest
        "case when i > 385 then 'TX' else ['CA', 'WA'][i % 2 + 1] end as state",  # a place
    ],
)
def test__state__that_stays__is_read(shop, columns):
    assert hindsight(orders_with(shop, columns).schema(), "orders") == []


def test__state_that_passes__with_a_table_of_states__leads_nowhere(shop):
    """That a row of today's open states is reached tells as much as the state."""
    shop.table("states", "select unnest(['placed', 'done']) as status, unnest([true, false]) as is_open")
    shop.key("states", "status")
    shop.relationship("orders", "status", "states", "status")
    shop.table("customers", "select range as customer_id from range(30)")
    shop.key("customers", "customer_id")
    shop.relationship("orders", "customer_id", "customers", "customer_id")
    schema = orders_with(shop, "case when i > 385 then 'placed' else 'done' end as status").schema()
    assert hindsight(schema, "orders") == ["status"] and len(schema.links) == 2
    task = bind(parse("PREDICT COUNT(orders.*, 0, 30, days) FOR EACH customers.customer_id"), schema)
    assert [link.child_column for link in seen_schema(schema, task).links] == ["customer_id"]


def test__state__of_rows_of_one_day__tells_nothing(shop):
    rows = STATES.replace("(i // 2)::int", "0").format("case when i > 385 then 'placed' else 'done' end as status")
    shop.table("orders", rows, event_time="ordered_at")
    assert hindsight(shop.schema(), "orders") == []


def test__state__said_to_be_a_fact__is_read(shop):
    declared = {"columns": {"status": {"meta": {"rfm": {"semantic_type": "categorical"}}}}}
    status = "case when i > 385 then 'placed' else 'done' end as status"
    assert hindsight(orders_with(shop, status, **declared).schema(), "orders") == []


def test__state_that_passes__asked_for__is_no_feature(shop):
    shop.table("customers", "select range as customer_id from range(30)")
    shop.key("customers", "customer_id")
    shop.relationship("orders", "customer_id", "customers", "customer_id")
    status = "case when i > 385 then 'placed' else 'done' end as status"
    schema = orders_with(shop, f"{status}, i % 2 = 0 as is_gift").schema()
    asked = "PREDICT COUNT(orders.* WHERE orders.{}, 0, 30, days) FOR EACH customers.customer_id"
    of_status, of_gift = (bind(parse(asked.format(c)), schema) for c in ("status = 'done'", "is_gift = true"))
    orders = schema.table("orders")
    derived = [Scope(Graph(schema, "duckdb"), derived=derived_of(t)).derived_of(orders) for t in (of_status, of_gift)]
    assert [len(d) for d in derived] == [0, 1]
