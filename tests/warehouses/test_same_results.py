"""`dbt build` on DuckDB and on Postgres, each as users run it: the same tables of predictions, to 1e-6."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from dbt_projects import PROFILE, REPOSITORY, Project
from postgres_server import Server
from shop_project import CHURN, CUSTOMERS, ORDERS, PROJECT, SCHEMA, STORES, predict
from worker_projects import WorkerProject

pytestmark = pytest.mark.functional

QUERIES = {
    "churn": CHURN,
    "spending": "PREDICT SUM(orders.amount, 0, 30, days) FOR EACH customers.customer_id",
    "store_weeks": "PREDICT SUM(orders.amount, 0, 7, days) FORECAST 2 TIMEFRAMES FOR EACH stores.store_id",
    "stores_for_you": "PREDICT LIST_DISTINCT(orders.store_id, 0, 30, days) RANK TOP 2 FOR EACH customers.customer_id",
}
WITH_REASONS = "spending"
_OF_THE_RUN = ("run_id", "predicted_at")


@pytest.fixture(scope="module")
def on_duckdb(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("duckdb") / "shop")
    project.write("dbt_project.yml", PROJECT)
    project.write("packages.yml", f"packages:\n  - local: {REPOSITORY}\n")
    project.write("profiles.yml", PROFILE)
    project.write("models/customers.sql", CUSTOMERS)
    project.write("models/orders.sql", ORDERS)
    project.write("models/schema.yml", SCHEMA)
    project.write("seeds/stores.csv", STORES)
    assert project.dbt("deps").success
    return _built(project)


@pytest.fixture(scope="module")
def on_postgres(postgres_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    output = postgres_server.output("postgres", schema="same_results")
    project = WorkerProject(tmp_path_factory.mktemp("postgres") / "shop", output)
    project.execute("create schema same_results")
    project.set_up()
    with project.worker():
        yield _built(project)
    project.execute("drop schema same_results cascade")


def _built(project: Project) -> Project:
    for name, query in QUERIES.items():
        more = ", 'reasons': 9" * (name == WITH_REASONS)
        project.write(f"models/{name}.sql", predict(query, rfm=f"'context_size': 60{more}"))
    built = project.dbt("build")
    assert built.success, built.log
    return project


@pytest.mark.parametrize("name", QUERIES)
def test__build__on_postgres__rows_of_duckdb(name: str, on_duckdb: Project, on_postgres: Project) -> None:
    columns = _columns(on_duckdb, name)
    assert _columns(on_postgres, name) == columns
    shown = ", ".join(columns)
    wanted, got = (sorted(map(_parted, p.rows(f"select {shown} from {name}"))) for p in (on_duckdb, on_postgres))
    assert [row[0] for row in got] == [row[0] for row in wanted]
    told = [row for row in wanted if any("orders." in text for text in row[0])]
    assert len(told) == (9 if name == WITH_REASONS else 0)
    numbers = [number for row in wanted for number in row[1]]
    assert [number for row in got for number in row[1]] == pytest.approx(numbers, rel=1e-6, abs=1e-9)
    assert numbers


@pytest.mark.parametrize("name", QUERIES)
def test__backtest__on_postgres__figures_of_duckdb(name: str, on_duckdb: Project, on_postgres: Project) -> None:
    figures = f"select metric, baseline, split, value from rfm_metrics where model_name = '{name}' order by 1, 2, 3"
    wanted, got = sorted(on_duckdb.rows(figures)), sorted(on_postgres.rows(figures))
    assert [row[:3] for row in got] == [row[:3] for row in wanted]
    # A logarithm enlarges the rounding of a probability near 0 or 1.
    assert [row[3] for row in got] == pytest.approx([row[3] for row in wanted], rel=1e-6, abs=1e-6)
    assert wanted


def _parted(row: tuple) -> tuple[list[str], list[float]]:
    """What has to be equal, and the numbers that may differ by rounding; of reasons both."""
    reasons = [r for v in row if str(v).startswith("[") for r in json.loads(v)]
    values = [v for v in row if not str(v).startswith("[")] + [r[part] for r in reasons for part in sorted(r)]
    return [str(v) for v in values if not isinstance(v, float)], [v for v in values if isinstance(v, float)]


def _columns(project: Project, name: str) -> list[str]:
    listed = f"select column_name from information_schema.columns where table_name = '{name}'"
    return [row[0] for row in project.rows(f"{listed} order by ordinal_position") if row[0] not in _OF_THE_RUN]
