"""The demo shop with what it lacks (a key of several columns, versions of rows, times with a zone), for any warehouse.

One query per kind of task, and per construct that is SQL of its own. DuckDB has the world first; `copied` brings it to
another warehouse, where dbt would have written the names without quotes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlglot import exp

from dbt_rfm.demo import shop
from dbt_rfm.job import Job, JobTable, JobTest
from dbt_rfm.plan import sql
from dbt_rfm.warehouse.base import Warehouse
from dbt_rfm.warehouse.duckdb import DuckDB

_RAW = ("customers", "orders", "order_items", "products", "stores", "support_tickets")
_MORE = {
    "orders": """
        select o.* exclude (amount_cents), cast(amount_cents / 100.0 as decimal(12, 2)) as amount from raw_orders as o
    """,
    "support_tickets": """
        select t.* replace (timezone('UTC', opened_at) as opened_at), opened_at + to_days(9) as due_at,
            case when solved <= newest then timezone('UTC', solved) end as solved_at
        from raw_support_tickets as t, (select max(ordered_at) as newest from raw_orders),
            lateral (select opened_at + to_hours(cast(ticket_id * 37 % 400 as integer)) as solved)
    """,
    "customers": 'select * exclude (birth_year), birth_year as "Birth Year" from raw_customers',
    "lines": """
        select order_id, 'line ' || k as line_no, cast(order_id % 7 + k as integer) as quantity,
            case when order_id % 3 > 0 then (order_id + k) % 4 = 0 end as is_returned
        from raw_orders, range(1, 3) as t(k) where order_id % 10 = 0
    """,
    "plans": """
        select customer_id, ['free', 'pro', 'it''s "all"'][1 + (customer_id + v) % 3] as plan,
            timestamp '2024-01-01' + to_days(cast(customer_id % 50 + 100 * v as integer)) as dbt_valid_from,
            case when v = 0 then timestamp '2024-01-01' + to_days(cast(customer_id % 50 + 100 as integer)) end
                as dbt_valid_to,
            md5(customer_id || '|' || v) as dbt_scd_id
        from raw_customers, range(2) as t(v)
    """,
    "promotions": """
        select 100 * store_id + k as promotion_id, store_id, newest + to_days(cast(-10 - 21 * k as integer)) as told_at,
            newest + to_days(cast(30 - 21 * k as integer)) as starts_at,
            newest + to_days(cast(35 - 21 * k + store_id % 3 as integer)) as ends_at, (k + store_id) % 4 / 4 as discount
        from raw_stores, (select max(ordered_at) as newest from raw_orders), range(20) as t(k)
    """,
    "bookings": """
        select 8 * order_id + k as booking_id, customer_id,
            ordered_at + to_minutes(cast(11 * k as integer)) as booked_at,
            date_trunc('day', ordered_at)
                + to_hours(cast(63 + 24 * ((order_id * 31 + k * 13) % 47) as integer)) as visit_at,
            case when visit_at <= newest then order_id % 3 = 0 end as has_come
        from raw_orders, range(8) as t(k), (select max(ordered_at) as newest from raw_orders)
    """,
    "returns": """
        select order_id as return_id, order_id, ordered_at + to_hours(cast(order_id % 90 as integer)) as returned_at
        from raw_orders where order_id % 5 = 0
    """,
    "letters": """
        select ticket_id as letter_id, customer_id, timezone('UTC', opened_at) as written_at,
            case when ticket_id % 7 > 0 then
                ['Refund', 'Возврат №', 'Où est', '返品 of'][1 + ticket_id % 4] || ' ' || ticket_id
                || ['', ' it''s "late"', ' please', repeat(' \\é', 300)][1 + ticket_id % 5 % 4]
            end as subject,
            case when ticket_id % 3 > 0 then ticket_id % 4 = 0 end as is_urgent
        from raw_support_tickets
    """,
    "known": """
        select customer_id, timestamp '2024-04-01' + to_months(cast(m as integer)) as anchor_time,
            cast((customer_id * (m + 3)) % 11 as double) as label
        from raw_customers, range(3) as t(m)
    """,
}
_KEYS = {
    "customers": ("customer_id",),
    "orders": ("order_id",),
    "order_items": ("order_item_id",),
    "products": ("product_id",),
    "stores": ("store_id",),
    "support_tickets": ("ticket_id",),
    "letters": ("letter_id",),
    "lines": ("order_id", "line_no"),
    "promotions": ("promotion_id",),
    "bookings": ("booking_id",),
    "returns": ("return_id",),
}
_TIMES = {
    "customers": "signed_up_at",
    "orders": "ordered_at",
    "stores": "opened_at",
    "products": "launched_at",
    "support_tickets": "opened_at",
    "letters": "written_at",
    "promotions": "told_at",
    "bookings": "booked_at",
    "returns": "returned_at",
}
_LINKS = (
    ("orders", "customer_id", "customers"),
    ("orders", "store_id", "stores"),
    ("order_items", "order_id", "orders"),
    ("order_items", "product_id", "products"),
    ("support_tickets", "customer_id", "customers"),
    ("letters", "customer_id", "customers"),
    ("lines", "order_id", "orders"),
    ("returns", "order_id", "orders"),
    ("plans", "customer_id", "customers"),
    ("promotions", "store_id", "stores"),
    ("bookings", "customer_id", "customers"),
)
TABLES = (*_RAW, "lines", "plans", "promotions", "bookings", "returns", "letters", "known")


@dataclass(frozen=True)
class Question:
    query: str
    tables: str  # of the graph; fewer take less time
    options: dict[str, Any] = field(default_factory=dict)
    labels: bool = False


QUESTIONS = {
    "binary": Question(
        "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH customers.customer_id "
        "WHERE COUNT(orders.*, -90, 0, days) > 0",
        "customers orders order_items products",
    ),
    "regression": Question(
        "PREDICT SUM(orders.amount, 0, 60, days) FOR EACH customers.customer_id", "customers orders support_tickets"
    ),
    "ratio": Question(
        "PREDICT SUM(orders.amount, 0, 1, months) / COUNT(orders.* WHERE orders.device LIKE '%\\_%' OR "
        "orders.device != 'it''s', 0, 1, months) FOR EACH customers.customer_id "
        "WHERE customers.region CONTAINS 't' AND LAST(plans.plan) != 'free'",
        "customers orders plans",
    ),
    "demand": Question(
        "PREDICT SUM(order_items.quantity, 0, 30, days) FOR EACH products.product_id", "products order_items orders"
    ),
    "multiclass": Question(
        "PREDICT LAST(orders.device, 0, 30, days) FOR EACH customers.customer_id", "customers orders stores"
    ),
    "forecast": Question(
        "PREDICT SUM(orders.amount, 0, 7, days) FORECAST 3 TIMEFRAMES FOR EACH stores.store_id",
        "stores orders promotions",
    ),
    "ranking": Question(
        "PREDICT LIST_DISTINCT(order_items.product_id, 0, 30, days) RANK TOP 5 FOR EACH customers.customer_id",
        "customers orders order_items products",
    ),
    "unseen": Question(
        "PREDICT LIST_DISTINCT(order_items.product_id WHERE order_items.quantity > 1, 0, 30, days) RANK TOP 5 "
        "EXCLUDE SEEN FOR EACH customers.customer_id",
        "customers orders order_items products",
    ),
    "event": Question(
        "PREDICT orders.discount_percent > 0 FOR EACH orders.order_id",
        "customers orders stores returns support_tickets",
        {"label_delay": "3 days"},
    ),
    "planned event": Question(
        "PREDICT bookings.has_come FOR EACH bookings.booking_id",
        "bookings customers",
        {"label_delay": "visit_at + 2 hours"},
    ),
    "planned": Question(
        "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH customers.customer_id", "customers orders bookings"
    ),
    "imputation": Question("PREDICT products.brand FOR EACH products.product_id", "products order_items orders"),
    "composite": Question("PREDICT lines.is_returned FOR EACH lines.(order_id, line_no)", "lines orders customers"),
    "texts": Question("PREDICT letters.is_urgent FOR EACH letters.letter_id", "letters customers"),
    "newest texts": Question(
        "PREDICT COUNT(letters.*, 0, 30, days) = 0 FOR EACH customers.customer_id", "customers letters"
    ),
    "labels": Question(
        "PREDICT labels.label FOR EACH customers.customer_id", "customers orders", {"horizon": "20 days"}, labels=True
    ),
}


def in_duckdb(folder: Path) -> DuckDB:
    shop.write(folder, num_customers=60)
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("set timezone = 'UTC'")
    for file in folder.rglob("*.parquet"):
        connection.execute(f"create view {file.stem} as from '{file}'")
    for name in TABLES:
        connection.execute(f"create table {name} as {_MORE.get(name, f'from raw_{name}')}")
    return DuckDB(connection)


def copied(world: DuckDB, other: Warehouse) -> None:
    for name in TABLES:
        other.load_temporary("copied", world.query(exp.select("*").from_(sql.temporary(name))))
        rows = exp.select("*").from_(sql.temporary("copied"))
        other.execute(exp.Create(this=sql.temporary(name), kind="TABLE", expression=rows))
        other.execute(exp.Drop(tables=[sql.temporary("copied")], kind="TABLE"))


def job(question: Question, relation: Callable[[str], str], **options: Any) -> Job:
    """The job of a question; `relation` gives a table as dbt would render it."""

    def unique_id(name: str) -> str:
        return f"{'snapshot' if name == 'plans' else 'model'}.shop.{name}"

    names = question.tables.split()
    tables = [
        JobTable(
            alias=name,
            relation=relation(name),
            unique_id=unique_id(name),
            resource_type="snapshot" if name == "plans" else "model",
            primary_key=_KEYS.get(name, ()),
            event_time=_TIMES.get(name),
            snapshot_columns={"dbt_valid_from": "dbt_valid_from", "dbt_valid_to": "dbt_valid_to"}
            if name == "plans"
            else {},
        )
        for name in names
    ]
    tests = [
        JobTest(
            "relationships",
            column,
            {"to": f"ref('{parent}')", "field": _KEYS[parent][0]},
            unique_id(child),
            (unique_id(parent), unique_id(child)),
            severity="WARN",
        )
        for child, column, parent in _LINKS
        if {child, parent} <= set(names)
    ]
    return Job(
        question.query,
        tuple(tables),
        unique_id="model.shop.asked",
        name="asked",
        tests=tuple(tests),
        options={"context_size": 80, **question.options, **options},
        labels=relation("known") if question.labels else None,
    )


def assert_alike(got: Sequence[tuple], wanted: Sequence[tuple]) -> None:
    """To a millionth of the largest number: the network's numbers have 24 bits, and how batches of another size round
    depends on the processor."""
    assert len(got) == len(wanted) > 12
    largest = max(abs(value) for row in wanted for value in row if isinstance(value, float))
    for one, other in zip(zip(*got, strict=True), zip(*wanted, strict=True), strict=True):
        is_number = isinstance(one[0], float)
        assert one == (pytest.approx(other, rel=0, abs=1e-6 * largest) if is_number else other)
