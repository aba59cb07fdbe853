"""A small dbt project as dbt leaves it behind: dbt_project.yml, profiles.yml, target/manifest.json and a database."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pytest
from asking import Double

from dbt_rfm.cli import main
from dbt_rfm.model.interface import FeatureTable, Predictions
from dbt_rfm.task_kind import TaskKind

CUSTOMERS = 60


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One project for all tests that only read it."""
    return _make_project(tmp_path_factory.mktemp("shop"))


@pytest.fixture
def own_project(tmp_path: Path) -> Path:
    """A project that a test may change."""
    return _make_project(tmp_path)


def _make_project(folder: Path) -> Path:
    (folder / "dbt_project.yml").write_text("name: shop\nprofile: shop\nvars: {dbt_rfm_graph: [customers, orders]}\n")
    (folder / "profiles.yml").write_text(
        "shop: {target: dev, outputs: {dev: {type: duckdb, path: shop.duckdb, schema: main}}}\n"
    )
    (folder / "target").mkdir()
    (folder / "target" / "manifest.json").write_text(json.dumps(_manifest()))
    with duckdb.connect(str(folder / "shop.duckdb")) as database:
        database.execute(
            f"create table customers as select i as customer_id, timestamp '2024-01-01' as signed_up_at, "
            f"['north', 'south'][1 + i % 2] as region from range({CUSTOMERS}) r(i)"
        )
        # Customers order every 9 to 68 days: whoever waits long between orders often skips a window of 30 days.
        database.execute(
            "create table orders as select row_number() over () as order_id, i as customer_id, "
            "timestamp '2024-01-02' + to_days(cast(k * (9 + i) as integer)) as ordered_at, "
            f"cast(10 + i as double) as amount from range({CUSTOMERS}) r(i), range(40) s(k) where k * (9 + i) < 360"
        )
    return folder


def _manifest() -> dict:
    columns = {"customers": "customer_id", "orders": "order_id"}
    nodes = {f"model.shop.{name}": _model(name) for name in columns}
    nodes["model.shop.churn"] = _model("churn") | {"config": {"materialized": "prediction"}}
    for table, column in columns.items():
        for test in ("unique", "not_null"):
            nodes[f"test.shop.{test}_{table}"] = _test(test, table, column, {}, [table])
    arguments = {"to": "ref('customers')", "field": "customer_id"}
    nodes["test.shop.link"] = _test("relationships", "orders", "customer_id", arguments, ["customers", "orders"])
    return {"metadata": {"project_name": "shop"}, "nodes": nodes, "sources": {}}


def _model(name: str) -> dict:
    times = {"customers": "signed_up_at", "orders": "ordered_at"}
    return {
        "unique_id": f"model.shop.{name}",
        "resource_type": "model",
        "package_name": "shop",
        "name": name,
        "alias": name,
        "database": "shop",
        "schema": "main",
        "relation_name": f'"shop"."main"."{name}"',
        "columns": {},
        "config": {"materialized": "table", "event_time": times.get(name)},
    }


def _test(name: str, table: str, column: str, arguments: dict, depends_on: list[str]) -> dict:
    return {
        "resource_type": "test",
        "test_metadata": {"name": name, "kwargs": {"column_name": column, **arguments}},
        "column_name": column,
        "attached_node": f"model.shop.{table}",
        "depends_on": {"nodes": [f"model.shop.{each}" for each in depends_on]},
        "config": {"severity": "ERROR"},
    }


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command line; gives its exit code, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main([str(a) for a in arguments])
        shown = capfd.readouterr()
        return int(left.value.code or 0), shown.out, shown.err

    return run


class Averages(Double):
    """A model without weights: predicts the context's average, whatever is asked."""

    name = version = "averages"

    def predict(
        self, context: FeatureTable, labels: np.ndarray, query: FeatureTable, kind: TaskKind, classes, **_: object
    ) -> Predictions:
        mean = np.full(query.num_rows, labels.mean())
        if kind == TaskKind.REGRESSION:
            return Predictions(kind, (), mean=mean, levels=(0.1, 0.9), quantiles=np.stack([mean, mean], axis=1))
        return Predictions(kind, classes, probabilities=np.stack([1 - mean, mean], axis=1))


@pytest.fixture
def averages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands predict with `Averages`."""
    for place in ("dbt_rfm.pipeline.load_model", "dbt_rfm.model.load_model"):
        monkeypatch.setattr(place, lambda *_: Averages())
