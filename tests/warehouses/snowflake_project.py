"""The shop as a dbt project on fakesnow: real dbt-snowflake on one side, a worker on the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlglot
from snowflake_server import opened
from sqlglot import exp
from worker_projects import WorkerProject

from dbt_rfm.plan import sql

#: What is deprecated is an error, what the worker writes is in a schema of its own, and fakesnow has no system$wait.
PROJECT = """
name: shop
version: "1.0"
profile: shop
model-paths: [models]
flags:
  warn_error_options: {error: [Deprecations]}
vars:
  dbt_rfm_graph: [customers, orders, stores]
  dbt_rfm_schema: SCHEMA_rfm
  dbt_rfm_claim_timeout: 60
  dbt_rfm_wait_sql: select pg_sleep({s})
models:
  shop:
    +materialized: table
"""


class SnowflakeProject(WorkerProject):
    def load(self, table: str, rows: Any) -> None:
        with self.open() as warehouse:
            warehouse.load_temporary("loaded", rows)
            copy = exp.select("*").from_(sql.temporary("loaded"))
            warehouse.execute(exp.Create(this=sql.temporary(table), kind="TABLE", expression=copy))

    def open(self) -> Any:
        return opened(self.output)

    def rows(self, text: str) -> list[tuple]:
        """As somebody in Snowflake asks: names without quotes."""
        with self.open() as warehouse:
            found = warehouse.query(sqlglot.parse_one(text, dialect="snowflake"))
        return list(zip(*(column.to_pylist() for column in found.columns), strict=True))

    def execute(self, text: str) -> None:
        command, rest = text.split(" ", 1)
        with self.open() as warehouse:
            warehouse.execute(exp.Command(this=command, expression=rest))


def project_at(path: Path, output: dict[str, Any]) -> SnowflakeProject:
    project = SnowflakeProject(path, {**output, "connect_retries": 0})
    project.set_up(project=PROJECT.replace("SCHEMA", output["schema"].lower()))
    return project
