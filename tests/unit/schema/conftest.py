"""Hand-built jobs over an in-memory DuckDB."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pytest

from dbt_rfm.job import Job, JobTable, JobTest
from dbt_rfm.schema.from_job import schema_from_job
from dbt_rfm.schema.types import RelationalSchema
from dbt_rfm.warehouse.duckdb import DuckDB


@dataclass
class Shop:
    """A project in the making: create tables, declare things, then ask for the schema."""

    connection: duckdb.DuckDBPyConnection = field(default_factory=duckdb.connect)
    tables: list[JobTable] = field(default_factory=list)
    tests: list[JobTest] = field(default_factory=list)

    @property
    def warehouse(self) -> DuckDB:
        return DuckDB(self.connection)

    def table(self, name: str, select: str, **declared: Any) -> str:
        """A table with rows and its dbt node; returns the node's unique id."""
        self.connection.execute(f'create or replace table "{name}" as {select}')
        given = {"alias": name, "relation": f'"memory"."main"."{name}"', "unique_id": f"model.shop.{name}", **declared}
        self.tables.append(JobTable(**given))
        return given["unique_id"]

    def test(self, name: str, on: str, column: str | None, depends_on: Sequence[str] = (), **more: Any) -> None:
        node = f"model.shop.{on}"
        self.tests.append(
            JobTest(
                **{"name": name, "column": column, "attached_node": node, "depends_on": depends_on or (node,), **more}
            )
        )

    def key(self, on: str, column: str, **more: Any) -> None:
        for name in ("unique", "not_null"):
            self.test(name, on, column, **more)

    def relationship(self, child: str, column: str, parent: str, field: str, **more: Any) -> None:
        nodes = tuple(dict.fromkeys((f"model.shop.{parent}", f"model.shop.{child}")))
        arguments = {"to": f"ref('{parent}')", "field": field}
        self.test("relationships", child, column, **{"depends_on": nodes, "kwargs": arguments, **more})

    def job(self) -> Job:
        return Job(query="", tables=tuple(self.tables), tests=tuple(self.tests))

    def schema(self, **options: Any) -> RelationalSchema:
        return schema_from_job(self.job(), self.warehouse, **options)


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture(scope="session")
def make_shop() -> Callable[[], Shop]:
    """For hypothesis, which needs a new one per example."""
    return Shop


@pytest.fixture
def declared_shop(shop: Shop) -> Shop:
    """customers <- orders, everything declared, no surprises in the rows."""
    shop.table("customers", "select range as customer_id, 'city ' || range % 3 as city from range(20)")
    shop.table(
        "orders",
        "select range as order_id, range % 20 as customer_id, "
        "timestamp '2025-01-01' + to_days(range::int) as ordered_at, range * 1.5 as total from range(100)",
        event_time="ordered_at",
    )
    shop.key("customers", "customer_id")
    shop.key("orders", "order_id")
    shop.relationship("orders", "customer_id", "customers", "customer_id")
    return shop
