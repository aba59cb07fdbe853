"""The form of a prediction without its rows, by kind of question: no model is loaded and no row is read."""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pytest
from small_schema import schema, table

from dbt_rfm.answer.empty_rows import empty_rows
from dbt_rfm.options import Options
from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.parser import parse
from dbt_rfm.versions.history import KIND_COLUMNS
from dbt_rfm.warehouse.duckdb import DuckDB

SHOP = schema(
    table("customers", customer_id="INTEGER", tier="VARCHAR"),
    table("products", product_id="VARCHAR"),
    table(
        "orders",
        time="ordered_at",
        order_id="INTEGER",
        customer_id="INTEGER",
        product_id="VARCHAR",
        ordered_at="TIMESTAMP",
    ),
    links={"orders.customer_id": "customers.customer_id", "orders.product_id": "products.product_id"},
)
QUESTIONS = [
    "COUNT(orders.*, 0, 30, days) = 0",
    "COUNT(orders.*, 0, 30, days)",
    "customers.tier",
    "COUNT(orders.*, 0, 7, days) FORECAST 3 TIMEFRAMES",
    "LIST_DISTINCT(orders.product_id, 0, 30, days) RANK TOP 3",
]


@pytest.fixture(scope="module")
def warehouse() -> DuckDB:
    connection = duckdb.connect()
    for each in SHOP.tables:
        connection.execute(f"create table {each.name} ({', '.join(f'{c.name} {c.data_type}' for c in each.columns)})")
    return DuckDB(connection)


@pytest.mark.parametrize("target", QUESTIONS)
def test__empty_rows__each_kind__has_the_columns_of_the_prediction_and_no_row(warehouse: DuckDB, target: str) -> None:
    task = bind(parse(f"PREDICT {target} FOR EACH customers.customer_id"), SHOP)
    rows = empty_rows(task, warehouse, Options())
    item = ["product_id"] if task.ranking is not None else []
    assert rows.column_names == ["customer_id", "anchor_time", *item, *KIND_COLUMNS[task.kind]]
    assert rows.num_rows == 0 and rows.schema.field("customer_id").type == pa.int32()
    assert not item or rows.schema.field("product_id").type == pa.string()


@pytest.mark.parametrize("target", QUESTIONS)
def test__empty_rows__reasons_asked_for__are_a_column_where_there_are_any(warehouse: DuckDB, target: str) -> None:
    task = bind(parse(f"PREDICT {target} FOR EACH customers.customer_id"), SHOP)
    columns = empty_rows(task, warehouse, Options(reasons=5)).column_names
    assert (columns[-1] == "reasons") == (task.ranking is None and task.timeframes is None)
