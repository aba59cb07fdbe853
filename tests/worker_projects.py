"""The shop as a dbt project on a warehouse that a worker serves. Its rows are those of the DuckDB shop."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import duckdb
import yaml
from dbt_projects import REPOSITORY, Project
from postgres_server import Server
from shop_project import CUSTOMERS, ORDERS, PROJECT, SCHEMA, STORES, predict

from dbt_rfm.cli.worker import site_of
from dbt_rfm.project import find_project
from dbt_rfm.worker.bus import Terms
from dbt_rfm.worker.log import Log
from dbt_rfm.worker.loop import Settings, Worker
from dbt_rfm.worker.work import Helpers


class WorkerProject(Project):
    """A project on the target `output` of a profile."""

    def __init__(self, path: Path, output: dict[str, Any], *, worker_output: dict[str, Any] | None = None) -> None:
        """`worker_output`: what the worker connects with, if not with what dbt does."""
        super().__init__(path)
        self.output = output
        self._outputs = {"dev": output, "worker": worker_output or output}

    def set_up(self, *, project: str = PROJECT) -> None:
        """Write the project, load its rows into the warehouse, and build all but predictions."""
        self.write("dbt_project.yml", project)
        self.write("packages.yml", f"packages:\n  - local: {REPOSITORY}\n")
        self.write("profiles.yml", yaml.safe_dump({"shop": {"target": "dev", "outputs": self._outputs}}))
        self.write("models/schema.yml", SCHEMA)
        for name, rows in shop_rows().items():
            self.write(f"models/{name}.sql", f"select * from {{{{ target.schema }}}}.raw_{name}")
            self.load(f"raw_{name}", rows)
        self.write("seeds/stores.csv", STORES)
        assert self.dbt("deps").success
        built = self.dbt("build")
        assert built.success, built.log

    def load(self, table: str, rows: Any) -> None:
        """A table of the target's schema from Arrow rows."""
        with self.open() as warehouse, warehouse._connection.cursor() as cursor:
            cursor.adbc_ingest(table, rows, mode="create", db_schema_name=self.output["schema"])

    def open(self) -> Any:
        return find_project(self.path, profiles_dir=self.path).open()

    def rows(self, sql: str) -> list[tuple]:
        import psycopg2

        names = ("host", "port", "user", "password", "dbname")
        with closing(psycopg2.connect(**{name: self.output[name] for name in names})) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(f"set search_path to {self.output['schema']}")
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def execute(self, sql: str) -> None:
        self.rows(sql)

    @contextmanager
    def worker(self, *, helpers: Helpers | None = None, **settings: Any) -> Iterator[WorkerLog]:
        """A worker in this process while the block runs."""
        log = WorkerLog()
        project = find_project(self.path, profiles_dir=self.path, target="worker")
        terms = settings.pop("terms", Terms())
        worker = Worker(
            [replace(site_of(project, ()), helpers=helpers)],
            Settings(terms=terms, idle=0.2, **settings),
            Log(as_json=True, stream=log),
        )
        thread = threading.Thread(target=worker.run, daemon=True)
        thread.start()
        try:
            yield log
        finally:
            worker.stop()
            thread.join(60)


class WorkerLog(StringIO):
    def events(self, name: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.getvalue().splitlines()]
        return [line for line in lines if line["event"] == name]


@contextmanager
def served_shop(server: Server, path: Path, *, schema: str, rfm: str) -> Iterator[WorkerProject]:
    """A project in a schema of its own on Postgres, where churn, with these options, is served in version 1."""
    project = WorkerProject(path, server.output("postgres", schema=schema))
    project.execute(f"drop schema if exists {schema} cascade; create schema {schema}")
    project.set_up()
    project.write("models/churn.sql", predict(rfm=rfm))
    with project.worker():
        built = project.dbt("run", "--select", "churn")
    assert built.success, built.log
    yield project
    project.execute(f"drop schema {schema} cascade")


def shop_rows() -> dict[str, Any]:
    """customers and orders, computed by DuckDB as the models of the DuckDB shop do."""
    with duckdb.connect() as connection:
        connection.execute(f"create table customers as {CUSTOMERS}")
        orders = ORDERS.replace("{{ ref('customers') }}", "customers")
        return {
            "customers": connection.sql("from customers").to_arrow_table(),
            "orders": connection.sql(orders).to_arrow_table(),
        }
