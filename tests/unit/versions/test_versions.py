"""A version is published whole or not at all, and the last good one stays served."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import duckdb
import pyarrow as pa
import pytest
from sqlglot import exp, parse_one

from dbt_rfm.errors import DataError, ProjectError
from dbt_rfm.job import Contract, JobTarget
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.versions import history, registry
from dbt_rfm.versions.registry import SERVING, Release, list_versions
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


def release(run_id: str = "run", kind: TaskKind = TaskKind.BINARY) -> Release:
    return Release(
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


def publish(
    warehouse: DuckDB,
    table: pa.Table | exp.Table,
    *,
    kind: TaskKind = TaskKind.BINARY,
    hold: bool = False,
    contract: Contract = PLAIN,
    **also,
) -> int:
    return history.publish(warehouse, TARGET, table, release(kind=kind), hold=hold, contract=contract, **also)


def fetch(warehouse: DuckDB, text: str) -> list[tuple]:
    return [tuple(row.values()) for row in warehouse.query(parse_one(text)).to_pylist()]


def served(warehouse: DuckDB) -> list[tuple]:
    return fetch(warehouse, "select customer_id, probability, model_version from churn order by 1")


def test__publish__first_version__is_served_and_recorded(warehouse: DuckDB) -> None:
    assert publish(warehouse, rows(0.25, 0.75)) == 1
    assert served(warehouse) == [(1, 0.25, 1), (2, 0.75, 1)]
    listed = list_versions(warehouse, TARGET).to_pylist()
    assert [(v["model_name"], v["version"], v["status"], v["num_rows"]) for v in listed] == [("churn", 1, "serving", 2)]
    metrics = fetch(warehouse, "select metric, value, baseline from rfm_metrics order by baseline")
    assert metrics == [("auroc", 0.8, ""), ("auroc", 0.7, "entity history")]


def test__publish__second_version__retires_the_first_and_keeps_its_rows(warehouse: DuckDB) -> None:
    publish(warehouse, rows(0.25))
    assert publish(warehouse, rows(0.5, 0.75)) == 2
    assert served(warehouse) == [(1, 0.5, 2), (2, 0.75, 2)]
    status = {v["version"]: v["status"] for v in list_versions(warehouse, TARGET).to_pylist()}
    assert status == {1: "retired", 2: "serving"}
    assert fetch(warehouse, "select count(*) from churn__history") == [(3,)]


def test__publish__held_version__leaves_the_served_rows_alone(warehouse: DuckDB) -> None:
    publish(warehouse, rows(0.25))
    publish(warehouse, rows(0.75), hold=True)
    assert served(warehouse) == [(1, 0.25, 1)]
    status = {v["version"]: v["status"] for v in list_versions(warehouse, TARGET).to_pylist()}
    assert status == {1: "serving", 2: "held"}


def test__publish__contract_broken__names_each_column_and_writes_nothing(warehouse: DuckDB) -> None:
    publish(warehouse, rows(0.25))
    contract = Contract(True, (("customer_id", "varchar"), ("churn_score", "double")))
    with pytest.raises(ProjectError) as error:
        publish(warehouse, rows(0.75), contract=contract)
    message = str(error.value)
    assert "churn_score is declared but not produced" in message
    assert "probability is produced but not declared" in message
    assert "customer_id is declared varchar but is BIGINT" in message
    assert served(warehouse) == [(1, 0.25, 1)]
    assert len(list_versions(warehouse, TARGET)) == 1


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

    monkeypatch.setattr(registry, "record", fail)
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


def test__publish__ready__is_in_the_history_and_the_last_version_serves_on(warehouse: DuckDB) -> None:
    publish(warehouse, rows(0.25))
    assert publish(warehouse, rows(0.75), serving=history.Serving.READY) == 2
    assert served(warehouse) == [(1, 0.25, 1)]
    listed = {v["version"]: (v["status"], v["served_at"]) for v in list_versions(warehouse, TARGET).to_pylist()}
    assert listed[1][0] == "serving"
    assert listed[2] == ("ready", None)
    assert fetch(warehouse, "select probability from churn__history where model_version = 2") == [(0.75,)]


def test__publish__ready_but_worse__is_held(warehouse: DuckDB) -> None:
    publish(warehouse, rows(0.75), hold=True, serving=history.Serving.READY)
    assert fetch(warehouse, "select status from rfm_versions") == [("held",)]


def test__publish__from_a_table_of_the_warehouse__copies_its_rows(warehouse: DuckDB) -> None:
    warehouse.load_temporary("answers", rows(0.25, 0.75))
    assert publish(warehouse, exp.to_table("answers")) == 1
    assert served(warehouse) == [(1, 0.25, 1), (2, 0.75, 1)]
    assert fetch(warehouse, "select num_rows from rfm_versions") == [(2,)]
    assert fetch(warehouse, "select count(*) from answers") == [(2,)]


def test__publish__a_home_of_its_own__keeps_registry_and_history_there(warehouse: DuckDB) -> None:
    warehouse.execute(parse_one("create schema rfm"))
    home = JobTarget(None, "rfm", "churn")
    publish(warehouse, rows(0.25), home=home)
    publish(warehouse, rows(0.5), home=home)
    assert served(warehouse) == [(1, 0.5, 2)]
    tables = fetch(warehouse, "select table_schema, table_name from information_schema.tables order by 1, 2")
    assert tables == [("main", "churn"), ("rfm", "churn__history"), ("rfm", "rfm_metrics"), ("rfm", "rfm_versions")]
    assert history.rollback(warehouse, TARGET, home=home) == 1
    assert served(warehouse) == [(1, 0.25, 1)]


def test__publish__settle_raises__nothing_is_written(warehouse: DuckDB) -> None:
    publish(warehouse, rows(0.25))

    def lost(number: int, status: str) -> None:
        assert (number, status) == (2, SERVING)
        raise DataError("the job belongs to another worker")

    with pytest.raises(DataError, match="another worker"):
        publish(warehouse, rows(0.75), settle=lost)
    assert served(warehouse) == [(1, 0.25, 1)]
    assert fetch(warehouse, "select count(*) from churn__history") == [(1,)]
    assert len(list_versions(warehouse, TARGET)) == 1


class DDLEndsTransactions(DuckDB):
    """As Snowflake: a CREATE inside a transaction commits it, so there must be none."""

    transactional_ddl = False
    inside = False

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with super().transaction():
            self.inside = True
            try:
                yield
            finally:
                self.inside = False

    def execute(self, sql: exp.Expression) -> None:
        assert not (self.inside and isinstance(sql, exp.Create | exp.Alter | exp.Drop)), sql
        super().execute(sql)


def test__publish__ddl_ends_transactions__only_rows_move_inside_one() -> None:
    warehouse = DDLEndsTransactions(duckdb.connect())
    publish(warehouse, rows(0.25).drop_columns(["prediction"]), serving=history.Serving.READY)
    publish(warehouse, rows(0.75), serving=history.Serving.READY)
    found = fetch(warehouse, "select probability, prediction, model_version from churn__history order by 3")
    assert found == [(0.25, None, 1), (0.75, True, 2)]


def test__rollback__without_a_number__serves_the_one_before(warehouse: DuckDB) -> None:
    publish(warehouse, rows(0.25))
    publish(warehouse, rows(0.5))
    assert history.rollback(warehouse, TARGET) == 1
    assert served(warehouse) == [(1, 0.25, 1)]
    status = {v["version"]: v["status"] for v in list_versions(warehouse, TARGET).to_pylist()}
    assert status == {1: "serving", 2: "retired"}


def test__rollback__to_a_held_version__serves_it(warehouse: DuckDB) -> None:
    publish(warehouse, rows(0.25))
    publish(warehouse, rows(0.5), hold=True)
    assert history.rollback(warehouse, TARGET, 2) == 2
    assert served(warehouse) == [(1, 0.5, 2)]


def test__rollback__nothing_to_go_back_to__says_so(warehouse: DuckDB) -> None:
    with pytest.raises(DataError, match="no version of churn was ever published"):
        history.rollback(warehouse, TARGET)
    publish(warehouse, rows(0.25))
    with pytest.raises(DataError, match="no retired version before 1"):
        history.rollback(warehouse, TARGET)
    with pytest.raises(DataError, match=r"no version 7\n  Versions: 1\."):
        history.rollback(warehouse, TARGET, 7)


def test__rollback__only_version_held_back__says_which_may_be_named(warehouse: DuckDB) -> None:
    publish(warehouse, rows(0.5), hold=True)
    with pytest.raises(DataError, match=r"churn serves no version yet\n  Name one with its number: 1 \(held\)\."):
        history.rollback(warehouse, TARGET)


def test__rollback__rows_deleted_from_the_history__refused_and_the_table_stays(warehouse: DuckDB) -> None:
    publish(warehouse, rows(0.25))
    publish(warehouse, rows(0.5))
    warehouse.execute(parse_one("delete from churn__history where model_version = 1"))
    with pytest.raises(DataError, match="rows of churn version 1 are gone from churn__history"):
        history.rollback(warehouse, TARGET)
    assert served(warehouse) == [(1, 0.5, 2)]


def test__list_versions__nothing_published__is_empty(warehouse: DuckDB) -> None:
    assert len(list_versions(warehouse, TARGET)) == 0


def test__serve_empty__keeps_columns_and_makes_no_version(warehouse: DuckDB) -> None:
    history.serve_empty(warehouse, TARGET, rows(0.25), PLAIN)
    assert served(warehouse) == []
    assert len(list_versions(warehouse, TARGET)) == 0
