"""The life of a prediction with real dbt-snowflake and a worker on fakesnow, deprecations being errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

pytest.importorskip("dbt.adapters.snowflake", reason="dbt-snowflake is not installed")
pytest.importorskip("fakesnow", reason="fakesnow is not installed")

import duckdb
import snowflake.connector
from fakesnow.cursor import FakeSnowflakeCursor
from shop_project import CHURN, TESTS, predict
from snowflake_project import SnowflakeProject, project_at
from snowflake_server import opened
from worker_projects import shop_rows

from dbt_rfm.cli import main
from dbt_rfm.job import Job, JobTable, JobTest
from dbt_rfm.pipeline import answer
from dbt_rfm.warehouse.duckdb import DuckDB
from dbt_rfm.warehouse.snowflake import Snowflake

pytestmark = pytest.mark.functional

#: Without a dollar, which fakesnow takes for a variable even in a text.
HOSTILE = "it's \\' \"x\"; drop table orders; --"
VALUE = "PREDICT SUM(orders.amount, 0, 30, days) FOR EACH customers.customer_id"
CONTRACT = """
models:
  - name: value
    config:
      contract: {enforced: true}
    columns:
      - {name: customer_id, data_type: "number(38,0)"}
      - {name: anchor_time, data_type: timestamp_ntz}
      - {name: prediction, data_type: float}
      - {name: p10, data_type: float}
      - {name: p50, data_type: float}
      - {name: p90, data_type: "number(20,4)"}
      - {name: model_version, data_type: integer}
      - {name: run_id, data_type: varchar}
      - {name: predicted_at, data_type: timestamp_ntz}
"""


@pytest.fixture(scope="module")
def shop(snowflake_output_of_module, tmp_path_factory) -> Iterator[SnowflakeProject]:
    """A project in the state that the tests before have left it in: they are one story."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Snowflake, "open", opened)
        project = project_at(tmp_path_factory.mktemp("project") / "shop", snowflake_output_of_module)
        with project.worker():
            yield project


def versions(shop: SnowflakeProject, model: str = "churn") -> list[tuple]:
    return shop.rows(
        f"select version, status from {rfm(shop)}.rfm_versions where model_name = '{model}' order by version"
    )


def rfm(shop: SnowflakeProject) -> str:
    """The schema that the worker writes."""
    return f"{shop.output['schema']}_RFM"


def test__build__first__served_without_quotes_and_as_on_duckdb(shop: SnowflakeProject) -> None:
    shop.write("models/churn.sql", predict())
    shop.write("models/churn.yml", TESTS)
    leavers = "{{ config(materialized='view') }} select customer_id from {{ ref('churn') }} where probability > 0.5"
    shop.write("models/leavers.sql", leavers)

    built = shop.dbt("build", "--select", "churn+")

    assert built.success, built.log
    assert "churn version 1 serving" in built.log
    assert versions(shop) == [(1, "serving")]
    rows = shop.rows("select customer_id, probability from churn order by customer_id")
    assert dict(rows) == pytest.approx(dict(answered_by_duckdb()), rel=1e-6)
    assert set(shop.rows(f"select model_version from {rfm(shop)}.churn__history")) == {(1,)}
    assert len(shop.rows(f"select metric from {rfm(shop)}.rfm_metrics where version = 1")) > 3


def test__second_build__and_rollback__one_version_serves(shop: SnowflakeProject) -> None:
    built = shop.dbt("run", "--select", "churn")

    assert built.success, built.log
    assert versions(shop) == [(1, "retired"), (2, "serving")]
    assert set(shop.rows("select model_version from churn")) == {(2,)}

    rolled = shop.dbt("run-operation", "rfm_rollback", "--args", "{model: churn}")

    assert rolled.success, rolled.log
    assert versions(shop) == [(1, "serving"), (2, "retired")]
    assert set(shop.rows("select model_version from churn")) == {(1,)}


def test__failure__message_of_the_worker_in_the_log_and_the_table_stays(shop: SnowflakeProject) -> None:
    before = shop.rows("select customer_id, probability from churn order by customer_id")
    shop.write("models/churn.sql", predict(CHURN.replace("orders.*, 0", "orders.amuont, 0")))

    failed = shop.dbt("build", "--select", "churn+")

    shop.write("models/churn.sql", predict())
    assert not failed.success
    assert failed.results["leavers"] == "skipped"
    assert "amuont" in failed.messages["churn"] and "amount" in failed.messages["churn"]
    assert "Traceback" not in failed.log
    assert shop.rows("select customer_id, probability from churn order by customer_id") == before
    assert versions(shop) == [(1, "serving"), (2, "retired")]


def test__contract__enforced__types_as_declared(shop: SnowflakeProject) -> None:
    shop.write("models/value.sql", predict(VALUE))
    shop.write("models/value.yml", CONTRACT)

    built = shop.dbt("run", "--select", "value")

    assert built.success, built.log
    assert len(shop.rows("select customer_id, prediction, p90 from value")) > 50
    assert versions(shop, "value") == [(1, "serving")]
    described = "select data_type from information_schema.columns where table_name = 'VALUE' and column_name = 'P90'"
    assert shop.rows(described) == [("NUMBER",)]


def test__contract__rows_do_not_fit_its_types__fails_with_no_transaction_left_open(shop: SnowflakeProject) -> None:
    shop.write("models/value.yml", CONTRACT.replace("number(20,4)", "number(4,1)"))
    assert shop.dbt("run", "--select", "value").success
    shop.write("models/value.sql", predict(VALUE.replace("30, days", "360, days")))

    with sessions() as seen:
        built = shop.dbt("run", "--select", "value")

    shop.write("models/value.sql", predict(VALUE))
    assert not built.success and "version 3 serving" not in built.log
    # dbt would hand a session with an open one on to its next model.
    assert seen.failed and not seen.open
    assert versions(shop, "value") == [(1, "retired"), (2, "serving"), (3, "ready")]
    assert set(shop.rows("select model_version from value")) == {(2,)}


def test__name__with_capitals__is_that_of_the_registry_without_them(
    shop: SnowflakeProject, capsys: pytest.CaptureFixture
) -> None:
    shop.write("models/Churn_30D.sql", predict())

    built = shop.dbt("run", "--select", "Churn_30D")

    assert built.success, built.log
    assert "churn_30d version 1 serving" in built.log
    assert versions(shop, "churn_30d") == [(1, "serving")]
    listed = shop.dbt("run-operation", "rfm_versions", "--args", "{model: Churn_30D}")
    assert "serving" in listed.log, listed.log
    assert "serving" in printed(shop, capsys, "versions", "Churn_30D")
    assert "serves version 1 again" in printed(shop, capsys, "rollback", "Churn_30D", "--version", "1")


def test__name__that_needs_quotes__is_refused_before_a_job_is_left(shop: SnowflakeProject) -> None:
    shop.write("models/quoted.sql", predict(config=", alias='Quoted Name'"))
    project = (shop.path / "dbt_project.yml").read_text()
    jobs = f"select count(*) from {rfm(shop)}.rfm_jobs"
    before = shop.rows(jobs)

    named = shop.dbt("run", "--select", "quoted")
    shop.write("dbt_project.yml", project + "quoting: {identifier: true}\n")
    quoting = shop.dbt("run", "--select", "quoted")

    shop.write("dbt_project.yml", project)
    shop.remove("models/quoted.sql")
    assert "Quoted Name needs quotes in Snowflake" in named.messages["quoted"]
    assert "under quoting: in dbt_project.yml" in quoting.messages["quoted"]
    assert shop.rows(jobs) == before


def test__empty__columns_without_rows_and_no_version(shop: SnowflakeProject) -> None:
    built = shop.dbt("run", "--select", "churn", "--empty")

    assert built.success, built.log
    assert shop.rows("select customer_id from churn") == []
    assert versions(shop) == [(1, "serving"), (2, "retired")]


def test__command_line__opens_the_same_warehouse(shop: SnowflakeProject, capsys: pytest.CaptureFixture) -> None:
    assert shop.dbt("parse").success
    assert "customer_id" in printed(shop, capsys, "schema")
    assert "serving" in printed(shop, capsys, "versions", "churn")
    assert "churn serves version 2 again" in printed(shop, capsys, "rollback", "churn", "--version", "2")
    assert set(shop.rows("select model_version from churn")) == {(2,)}
    assert "1 predictions as of" in printed(shop, capsys, "predict", CHURN, "--entity", "2")


def test__hostile_text__of_a_query__stays_a_text(shop: SnowflakeProject) -> None:
    in_jinja = HOSTILE.replace("\\", "\\\\").replace('"', '\\"').replace("'", "''")
    shop.write("models/hostile.sql", predict(f"{CHURN} AND customers.segment != '{in_jinja}'"))

    built = shop.dbt("run", "--select", "hostile")

    assert built.success, built.log
    assert versions(shop, "hostile") == [(1, "serving")]
    rows = dict(shop.rows("select customer_id, probability from hostile"))
    assert rows == pytest.approx(dict(shop.rows("select customer_id, probability from churn")), rel=1e-6)
    [(query,)] = shop.rows(f"select query from {rfm(shop)}.rfm_versions where model_name = 'hostile'")
    assert HOSTILE.replace("'", "''") in query
    assert len(shop.rows("select order_id from orders")) > 1000


def test__registry__refuses_the_change__rows_too_stay_as_they_were(shop: SnowflakeProject) -> None:
    rows = "select * from churn order by customer_id"
    before, served = shop.rows(rows), versions(shop)

    with sessions(refused="served_at =") as seen:
        built = shop.dbt("run", "--select", "churn")

    assert "the lock was not got in time" in built.messages["churn"]
    assert seen.failed and not seen.open
    assert shop.rows(rows) == before
    assert versions(shop) == [*served, (len(served) + 1, "ready")]


def printed(shop: SnowflakeProject, capsys: pytest.CaptureFixture, *arguments: str) -> str:
    """What a command of the command line prints."""
    with pytest.raises(SystemExit) as left:
        main([*arguments, "--project-dir", str(shop.path), "--profiles-dir", str(shop.path)])
    out, err = capsys.readouterr()
    assert not left.value.code, err
    return out


@dataclass
class Seen:
    """What a server has seen of its sessions."""

    failed: int = 0  # statements
    open: set[Any] = field(default_factory=set)  # sessions with a transaction that has not ended


@contextmanager
def sessions(*, refused: str | None = None) -> Iterator[Seen]:
    """Sessions while the block runs; a statement with the text `refused` fails."""
    plain, seen = FakeSnowflakeCursor.execute, Seen()

    def execute(cursor: FakeSnowflakeCursor, command: str, *arguments: Any, **named: Any) -> Any:
        word = command.split(None, 1)[0].upper().strip(";")
        try:
            if refused is not None and refused in command and not command.lower().startswith("execute"):
                raise snowflake.connector.errors.ProgrammingError("the lock was not got in time", errno=625)
            done = plain(cursor, command, *arguments, **named)
        except Exception:
            seen.failed += 1
            raise
        if word == "BEGIN":
            seen.open.add(cursor._conn)
        elif word in ("COMMIT", "ROLLBACK"):
            seen.open.discard(cursor._conn)
        return done

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeSnowflakeCursor, "execute", execute)
        yield seen


def answered_by_duckdb() -> list[tuple]:
    """The same question on the same rows without a worker."""
    with duckdb.connect() as connection:
        for name, rows in shop_rows().items():
            connection.register(f"given_{name}", rows)
            connection.execute(f"create table {name} as from given_{name}")
        connection.execute("create table stores (store_id bigint, kind varchar)")
        connection.execute("insert into stores values (1, 'city'), (2, 'city'), (3, 'mall'), (4, 'online')")
        found = answer(job_of_the_shop(), DuckDB(connection)).predictions
    return sorted(zip(found["customer_id"].to_pylist(), found["probability"].to_pylist(), strict=True))


def job_of_the_shop() -> Job:
    """What the macros say of the shop."""
    times = {"customers": "signed_up_at", "orders": "ordered_at"}
    tables = tuple(
        JobTable(
            f"{name}s", f"{name}s", f"model.shop.{name}s", primary_key=(f"{name}_id",), event_time=times.get(f"{name}s")
        )
        for name in ("customer", "order", "store")
    )
    tests = tuple(
        JobTest(
            "relationships",
            f"{parent}_id",
            {"to": f"ref('{parent}s')", "field": f"{parent}_id"},
            "model.shop.orders",
            (f"model.shop.{parent}s", "model.shop.orders"),
        )
        for parent in ("customer", "store")
    )
    return Job(CHURN, tables, unique_id="model.shop.churn", name="churn", tests=tests, options={"context_size": 60})
