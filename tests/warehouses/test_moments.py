"""Moments beyond Python's calendar in the times of rows: infinity for what never ends, a year typed wrong."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import duckdb
import pyarrow as pa
import pytest
from sqlglot import exp, parse_one

from dbt_rfm.answer.answered import Answer
from dbt_rfm.job import Job, JobTable, JobTest
from dbt_rfm.pipeline import answer
from dbt_rfm.warehouse.base import Warehouse
from dbt_rfm.warehouse.duckdb import DuckDB

FIRST, LAST = datetime.min, datetime.max
BEGAN = datetime(2025, 1, 1)
AT_THE_ENDS = {"infinity": LAST, "-infinity": FIRST, "20000-01-01": LAST}
OF_BC = {"duckdb": "0044-03-15 (BC)", "postgres": "0044-03-15 BC"}
WITHIN = (FIRST, LAST, datetime(2024, 2, 29, 12))


@pytest.fixture(params=["duckdb", "postgres"])
def warehouse(request) -> Iterator[Warehouse]:
    if request.param == "postgres":
        yield request.getfixturevalue("postgres")
        return
    with DuckDB(duckdb.connect(config={"threads": 1})) as warehouse:
        yield warehouse


@pytest.fixture
def shop(warehouse) -> Warehouse:
    """30 customers, of whom the i-th orders every 2 + i % 9 days."""
    days = [(i, k * (2 + i % 9)) for i in range(30) for k in range(150) if k * (2 + i % 9) < 300]
    orders = {
        "order_id": [*range(len(days))],
        "customer_id": [i for i, _ in days],
        "ordered_at": [BEGAN + timedelta(days=day, hours=i) for i, day in days],
    }
    customers = {"customer_id": [*range(30)], "signed_up_at": [BEGAN] * 30, "ends_on": [date(2026, 1, 1)] * 30}
    warehouse.load_temporary("orders", pa.table(orders))
    warehouse.load_temporary("customers", pa.table(customers))
    return warehouse


def test__query__moments_beyond_the_calendar__are_at_its_ends(warehouse):
    days = {"infinity": date.max, "-infinity": date.min}
    moments = {**AT_THE_ENDS, OF_BC[warehouse.dialect]: FIRST} | {str(moment): moment for moment in WITHIN}
    asked = [(text, kind) for kind, texts in (("timestamp", moments), ("date", days)) for text in texts]
    casts = (exp.cast(exp.convert(text), kind).as_(f"c{i}") for i, (text, kind) in enumerate(asked))
    (row,) = warehouse.query(exp.select(*casts)).to_pylist()
    assert [*row.values()] == [*moments.values(), *days.values()]


@pytest.mark.parametrize("moment", ["infinity", "20000-01-01"])
def test__answer__rows_of_a_time_that_never_comes__change_nothing(shop, moment):
    before = answered(shop)
    add(shop, "orders", 9000, 3, moment)

    after = answered(shop)

    assert after.snapshot.features.equals(before.snapshot.features)
    assert after.predictions.equals(before.predictions)
    assert any("later than now" in note for note in after.notes)


@pytest.mark.parametrize("moment", ["-infinity", "1066-10-14"])
def test__answer__customer_who_always_was__is_answered(shop, moment):
    shop.execute(parse_one(f"insert into customers values (77, '{moment}', 'infinity')"))
    add(shop, "orders", 9000, 77, moment)
    add(shop, "orders", 9001, 77, "2025-10-01")

    found = answered(shop)

    assert len(found.predictions) == 31 and 77 in found.predictions["customer_id"].to_pylist()


def add(warehouse: Warehouse, table: str, key: int, customer: int, moment: str) -> None:
    warehouse.execute(parse_one(f"insert into {table} values ({key}, {customer}, '{moment}')"))


def answered(warehouse: Warehouse) -> Answer:
    tables = tuple(
        JobTable(name, f'"{name}"', f"model.shop.{name}", primary_key=(f"{name[:-1]}_id",), event_time=time)
        for name, time in (("customers", "signed_up_at"), ("orders", "ordered_at"))
    )
    to = {"to": "ref('customers')", "field": "customer_id"}
    test = JobTest(
        "relationships", "customer_id", to, "model.shop.orders", ("model.shop.customers", "model.shop.orders")
    )
    query = "PREDICT COUNT(orders.*, 0, 7, days) = 0 FOR EACH customers.customer_id"
    return answer(Job(query, tables, tests=(test,), options={"context_size": 60}), warehouse)
