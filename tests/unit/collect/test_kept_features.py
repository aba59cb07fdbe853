"""What predictions of one run share: the same numbers as without, and less to compute."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from small_schema import ORDERS, schema, table
from sqlglot import exp

from dbt_rfm.answer import run_memory
from dbt_rfm.collect.kept_features import KeptFeatures
from dbt_rfm.collect.snapshots import collect
from dbt_rfm.job import Job, JobTable
from dbt_rfm.options import Options
from dbt_rfm.pipeline import understand
from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.parser import parse
from dbt_rfm.snapshot import Snapshot
from dbt_rfm.warehouse.duckdb import DuckDB

SCHEMA = schema(
    table("customers", customer_id="INTEGER"),
    ORDERS,
    links={"orders.customer_id": "customers.customer_id"},
)
COUNT = "PREDICT COUNT(orders.*, 0, 30, days) FOR EACH customers.customer_id"
SPENT = "PREDICT SUM(orders.amount, 0, 30, days) FOR EACH customers.customer_id"


class Watched(DuckDB):
    """Counts the queries whose result holds features."""

    blocks = 0

    def query(self, sql: exp.Expression) -> pa.Table:
        found = super().query(sql)
        self.blocks += "f0" in found.column_names
        return found


@pytest.fixture()
def warehouse() -> Iterator[Watched]:
    connection = duckdb.connect(config={"threads": 1})
    connection.execute("CREATE TABLE customers AS SELECT i::INTEGER AS customer_id FROM range(1, 41) t(i)")
    connection.execute(
        "CREATE TABLE orders AS SELECT (i * 1000 + k)::INTEGER AS order_id, i::INTEGER AS customer_id, "
        "TIMESTAMP '2024-07-01' - to_days((i * k)::INTEGER) AS ordered_at, (i % 7)::DOUBLE AS amount "
        "FROM range(1, 41) t(i), range(0, 400) s(k) WHERE i * k < 400"
    )
    yield Watched(connection)
    connection.close()


def asked(warehouse: DuckDB, query: str, kept: KeptFeatures | None = None, **options: object) -> Snapshot:
    task = bind(parse(query), SCHEMA)
    return collect(task, SCHEMA, warehouse, Options(context_size=60, **options), with_rows=True, kept=kept)  # type: ignore[arg-type]


def same(first: Snapshot, second: Snapshot) -> None:
    assert first.examples.equals(second.examples)
    assert first.features_meta == second.features_meta
    assert first.features.equals(second.features)
    assert {n: t.equals(second.rows[n]) for n, t in first.rows.items()} == dict.fromkeys(first.rows, True)


@pytest.mark.parametrize(
    ("query", "options"),
    [
        (SPENT, {}),  # the same examples
        (SPENT, {"seed": 1}),  # others in the context
        (f"{SPENT} WHERE COUNT(orders.*, -30, 0, days) > 2", {}),  # fewer are asked
        (SPENT, {"anchor": "2024-06-15"}),  # nobody at the same moment
        (SPENT.replace("30, days", "14, days"), {}),  # other windows
        ("PREDICT COUNT(orders.* WHERE orders.amount > 3, 0, 30, days) FOR EACH customers.customer_id", {}),
    ],
)
def test__kept__second_prediction__is_what_it_would_have_been(
    warehouse: Watched, query: str, options: dict[str, object]
) -> None:
    kept = KeptFeatures()
    same(asked(warehouse, COUNT), asked(warehouse, COUNT, kept))
    same(asked(warehouse, query, **options), asked(warehouse, query, kept, **options))
    same(asked(warehouse, COUNT), asked(warehouse, COUNT, kept))


def test__kept__same_examples__are_not_computed_again(warehouse: Watched) -> None:
    kept = KeptFeatures()
    asked(warehouse, COUNT, kept)
    before = warehouse.blocks
    asked(warehouse, SPENT, kept)
    assert warehouse.blocks - before == 2, "past labels and the rate over everybody, which are the task's own"


def test__kept__too_large__is_not_kept(warehouse: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dbt_rfm.collect.kept_features.MAX_BYTES", 10)
    kept = KeptFeatures()
    asked(warehouse, COUNT, kept)
    before = warehouse.blocks
    asked(warehouse, COUNT, kept)
    assert warehouse.blocks == 2 * before


def test__kept__past_labels__stay_those_of_the_task(warehouse: Watched) -> None:
    kept = KeptFeatures()
    counted, spent = asked(warehouse, COUNT, kept), asked(warehouse, SPENT, kept)
    first, second = (s.features["past.lag1"].drop_null().to_pylist() for s in (counted, spent))
    assert first != second


# --- the run


def job(invocation: str) -> Job:
    tables = (
        JobTable("customers", "customers", "customers", primary_key=("customer_id",)),
        JobTable("orders", "orders", "orders", primary_key=("order_id",), event_time="ordered_at"),
    )
    return Job(query=COUNT, tables=tables, invocation_id=invocation)


def test__run__same_invocation__reads_the_schema_once(warehouse: Watched) -> None:
    first, second = understand(job("a"), warehouse), understand(job("a"), warehouse)
    assert first.schema.tables[1] is second.schema.tables[1]
    assert understand(job("b"), warehouse).schema.tables[1] is not first.schema.tables[1]


def test__run__no_invocation__keeps_nothing(warehouse: Watched) -> None:
    assert run_memory.run_of(job("")) is None
    first, second = understand(job(""), warehouse), understand(job(""), warehouse)
    assert first.schema.tables[1] is not second.schema.tables[1]


def test__run__next_run__drops_the_one_before() -> None:
    first = run_memory.run_of(job("a"))
    assert first is not None and run_memory.run_of(job("a")) is first
    second = run_memory.run_of(job("b"))
    assert second is not first
    assert run_memory.run_of(job("a")) is not first


def test__run__another_graph__is_another_key() -> None:
    wider = Job(query=COUNT, tables=(*job("a").tables, JobTable("x", "x")), invocation_id="a")
    assert run_memory.graph_key(wider) != run_memory.graph_key(job("a"))
    assert run_memory.graph_key(job("b")) == run_memory.graph_key(job("a"))


def test__examples__moments__are_compared_to_the_microsecond(warehouse: Watched) -> None:
    kept = KeptFeatures()
    asked(warehouse, COUNT, kept, anchor="2024-06-15")
    moved = asked(warehouse, COUNT, kept, anchor="2024-06-15 00:00:00.000001")
    assert pc.max(moved.examples["anchor_time"]).as_py() == datetime(2024, 6, 15, 0, 0, 0, 1)
    same(asked(warehouse, COUNT, anchor="2024-06-15 00:00:00.000001"), moved)
