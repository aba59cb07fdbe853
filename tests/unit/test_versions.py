"""A version is published whole or not at all, and the last good one stays served."""

from __future__ import annotations

from datetime import datetime

import duckdb
import pyarrow as pa
import pytest
from sqlglot import parse_one

from dbt_rfm import versions
from dbt_rfm.errors import DataError, ProjectError
from dbt_rfm.job import Contract, JobTarget
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.warehouse.duckdb import DuckDB

TARGET = JobTarget(None, "main", "churn")
ANCHOR = datetime(2024, 1, 1)
PLAIN = Contract()


@pytest.fixture
def warehouse() -> DuckDB:
    return DuckDB(duckdb.connect())


def rows(*probabilities: float, keys: pa.DataType | None = None) -> pa.Table:
    count = len(probabilities)
    return pa.table(
        {
            "customer_id": pa.array(range(1, count + 1), type=keys or pa.int64()),
            "anchor_time": pa.array([ANCHOR] * count, type=pa.timestamp("us")),
            "probability": pa.array(probabilities, type=pa.float64()),
            "prediction": pa.array([p >= 0.5 for p in probabilities]),
        }
    )


def release(run_id: str = "run", kind: TaskKind = TaskKind.BINARY) -> versions.Release:
    return versions.Release(
        run_id=run_id,
        query="PREDICT …",
        kind=kind,
        schema_fingerprint="f",
        rfm_model="rfm 1",
        checkpoint_sha="c",
        snapshot_sha="s",
        anchor_time=ANCHOR,
        package_version="0",
        metrics=(("auroc", 0.8, "backtest", ""), ("auroc", 0.7, "backtest", "entity history")),
        backtest_metric="auroc",
        backtest_value=0.8,
        baseline_value=0.7,
        beats_baseline=True,
    )


def publish(warehouse: DuckDB, table: pa.Table, *, hold: bool = False, contract: Contract = PLAIN, **also) -> int:
    return versions.publish(warehouse, TARGET, table, release(**also), hold=hold, contract=contract)


def fetch(warehouse: DuckDB, text: str) -> list[tuple]:
    return [tuple(row.values()) for row in warehouse.query(parse_one(text)).to_pylist()]


def served(warehouse: DuckDB) -> list[tuple]:
    return fetch(warehouse, "select customer_id, probability, model_version from churn order by 1")


def test__publish__first_version__is_served_and_recorded(warehouse: DuckDB) -> None:
    assert publish(warehouse, rows(0.25, 0.75)) == 1
    assert served(warehouse) == [(1, 0.25, 1), (2, 0.75, 1)]
    listed = versions.list_versions(warehouse, TARGET).to_pylist()
    assert [(v["model_name"], v["version"], v["status"], v["num_rows"]) for v in listed] == [("churn", 1, "serving", 2)]
    metrics = fetch(warehouse, "select metric, value, baseline from rfm_metrics order by baseline")
    assert metrics == [("auroc", 0.8, ""), ("auroc", 0.7, "entity history")]


def test__publish__second_version__retires_the_first_and_keeps_its_rows(warehouse: DuckDB) -> None:
    publish(warehouse, rows(0.25))
    assert publish(warehouse, rows(0.5, 0.75)) == 2
    assert served(warehouse) == [(1, 0.5, 2), (2, 0.75, 2)]
    status = {v["version"]: v["status"] for v in versions.list_versions(warehouse, TARGET).to_pylist()}
    assert status == {1: "retired", 2: "serving"}
    assert fetch(warehouse, "select count(*) from churn__history") == [(3,)]


def test__publish__held_version__leaves_the_served_rows_alone(warehouse: DuckDB) -> None:
    publish(warehouse, rows(0.25))
    publish(warehouse, rows(0.75), hold=True)
    assert served(warehouse) == [(1, 0.25, 1)]
    status = {v["version"]: v["status"] for v in versions.list_versions(warehouse, TARGET).to_pylist()}
    assert status == {1: "serving", 2: "held"}


def test__publish__contract_broken__names_each_column_and_writes_nothing(warehouse: DuckDB) -> None:
    publish(warehouse, rows(0.25))
    contract = Contract(True, (("customer_id", "varchar"), ("churn_score", "double")))
    with pytest.raises(ProjectError) as error:
        publish(warehouse, rows(0.75), contract=contract)
    message = str(error.value)
    assert "churn_score is declared but not produced" in message
    assert "probability is produced but not declared" in message
    assert "customer_id is declared varchar but is int64" in message
    assert served(warehouse) == [(1, 0.25, 1)]
    assert len(versions.list_versions(warehouse, TARGET)) == 1


def test__publish__contract_kept__gives_the_declared_types_in_the_declared_order(warehouse: DuckDB) -> None:
    declared = (
        ("probability", "float"),
        ("customer_id", "integer"),
        ("anchor_time", "date"),
        ("prediction", "boolean"),
        ("model_version", ""),
        ("run_id", "varchar"),
        ("predicted_at", "timestamp"),
    )
    publish(warehouse, rows(0.5), contract=Contract(True, declared))
    described = warehouse.describe("churn")
    assert [(d[0], d[1]) for d in described][:3] == [
        ("probability", "FLOAT"),
        ("customer_id", "INTEGER"),
        ("anchor_time", "DATE"),
    ]


def test__publish__fails_halfway__the_last_version_stays_and_nothing_is_left(
    warehouse: DuckDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(warehouse, rows(0.25))

    def fail(*args: object) -> None:
        raise DataError("the disk is full")

    monkeypatch.setattr(versions, "_insert_release", fail)
    with pytest.raises(DataError):
        publish(warehouse, rows(0.75))
    assert served(warehouse) == [(1, 0.25, 1)]
    assert fetch(warehouse, "select count(*) from churn__history") == [(1,)]


def test__publish__a_view_of_that_name__is_replaced(warehouse: DuckDB) -> None:
    warehouse.execute(parse_one("create view churn as select 1 as x"))
    publish(warehouse, rows(0.25))
    assert served(warehouse) == [(1, 0.25, 1)]


def regression_rows() -> pa.Table:
    return pa.table(
        {
            "customer_id": pa.array([1]),
            "anchor_time": pa.array([ANCHOR], type=pa.timestamp("us")),
            **{name: pa.array([float(i)]) for i, name in enumerate(("prediction", "p10", "p50", "p90"))},
        }
    )


def test__publish__query_of_another_kind__is_refused_and_the_old_one_stays(warehouse: DuckDB) -> None:
    publish(warehouse, rows(0.25))
    with pytest.raises(DataError, match="churn__history keeps prediction as BOOLEAN, and the query now gives DOUBLE"):
        publish(warehouse, regression_rows(), kind=TaskKind.REGRESSION)
    assert served(warehouse) == [(1, 0.25, 1)]


def test__publish__a_column_the_history_lacks__is_added(warehouse: DuckDB) -> None:
    publish(warehouse, rows(0.25).drop_columns(["prediction"]))
    publish(warehouse, rows(0.5))
    assert fetch(warehouse, "select prediction from churn__history order by model_version") == [(None,), (True,)]


def test__rollback__without_a_number__serves_the_one_before(warehouse: DuckDB) -> None:
    publish(warehouse, rows(0.25))
    publish(warehouse, rows(0.5))
    assert versions.rollback(warehouse, TARGET) == 1
    assert served(warehouse) == [(1, 0.25, 1)]
    status = {v["version"]: v["status"] for v in versions.list_versions(warehouse, TARGET).to_pylist()}
    assert status == {1: "serving", 2: "retired"}


def test__rollback__to_a_held_version__serves_it(warehouse: DuckDB) -> None:
    publish(warehouse, rows(0.25))
    publish(warehouse, rows(0.5), hold=True)
    assert versions.rollback(warehouse, TARGET, 2) == 2
    assert served(warehouse) == [(1, 0.5, 2)]


def test__rollback__nothing_to_go_back_to__says_so(warehouse: DuckDB) -> None:
    with pytest.raises(DataError, match="no version of churn was ever published"):
        versions.rollback(warehouse, TARGET)
    publish(warehouse, rows(0.25))
    with pytest.raises(DataError, match="no retired version before 1"):
        versions.rollback(warehouse, TARGET)
    with pytest.raises(DataError, match=r"no version 7\n  Versions: 1\."):
        versions.rollback(warehouse, TARGET, 7)


def test__list_versions__nothing_published__is_empty(warehouse: DuckDB) -> None:
    assert len(versions.list_versions(warehouse, TARGET)) == 0


def test__serve_empty__keeps_columns_and_makes_no_version(warehouse: DuckDB) -> None:
    versions.serve_empty(warehouse, TARGET, rows(0.25), PLAIN)
    assert served(warehouse) == []
    assert len(versions.list_versions(warehouse, TARGET)) == 0
