"""The job that a dbt Python model builds: relations, keys from the manifest, errors without a traceback."""

from __future__ import annotations

import json
import traceback
from pathlib import Path
from types import SimpleNamespace

import pytest

duckdb = pytest.importorskip("duckdb")
pytest.importorskip("dbt.flags", reason="dbt is not installed")

from dbt_rfm import python_model  # noqa: E402
from dbt_rfm.errors import ProjectError, QueryError, RfmError  # noqa: E402

QUERY = "PREDICT COUNT(orders.*, 0, 30, days) FOR EACH customers.id"
DBT = SimpleNamespace(this=SimpleNamespace(database="memory", schema="main", identifier="churn"))


def node(name: str, **more: object) -> dict[str, object]:
    return {
        "name": name,
        "alias": name,
        "resource_type": "model",
        "unique_id": f"model.shop.{name}",
        "package_name": "shop",
        "database": "memory",
        "schema": "main",
        "relation_name": f'"memory"."main"."{name}"',
        "config": {},
        "depends_on": {"nodes": []},
        **more,
    }


MANIFEST = {
    "metadata": {"project_name": "shop"},
    "nodes": {
        "model.shop.customers": node("customers", primary_key=["id"]),
        "model.shop.orders": node("orders", config={"event_time": "at"}),
        "model.shop.churn": node("churn", config={"meta": {"rfm": {"context_size": 50}}}),
        "test.shop.unique": {
            "resource_type": "test",
            "test_metadata": {"name": "unique", "kwargs": {}},
            "column_name": "id",
            "depends_on": {"nodes": ["model.shop.customers"]},
            "config": {"severity": "warn"},
        },
    },
}


@pytest.fixture
def session() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("create table customers as select 1 as id")
    connection.execute("create table orders as select 1 as id, timestamp '2025-01-01' as at")
    return connection


@pytest.fixture
def target_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(python_model, "running_target_path", lambda: tmp_path)
    return tmp_path


def build(session: duckdb.DuckDBPyConnection, orders: object = None, **more: object) -> python_model.Job:
    tables = {
        "people": session.query('select * from "memory"."main"."customers"'),
        "orders": session.query("select * from memory.main.orders") if orders is None else orders,
    }
    arguments = {"labels": None, "options": None, **more}
    return python_model._job(DBT, session, QUERY, tables, arguments["labels"], arguments["options"])


def test__job__manifest_found__tables_bring_what_dbt_knows(
    session: duckdb.DuckDBPyConnection, target_path: Path
) -> None:
    (target_path / "manifest.json").write_text(json.dumps(MANIFEST))

    job = build(session)

    people, orders = job.tables
    assert (people.alias, people.unique_id, people.primary_key) == ("people", "model.shop.customers", ("id",))
    assert people.relation == '"memory"."main"."customers"'
    assert orders.event_time == "at"
    assert [(t.name, t.column, t.severity) for t in job.tests] == [("unique", "id", "WARN")]
    assert (job.name, job.options) == ("churn", {"context_size": 50})


def test__job__options_given__replace_those_of_the_model(session: duckdb.DuckDBPyConnection, target_path: Path) -> None:
    (target_path / "manifest.json").write_text(json.dumps(MANIFEST))

    assert build(session, options={"seed": 7}).options == {"seed": 7}


def test__job__no_manifest__tables_are_bare(session: duckdb.DuckDBPyConnection, target_path: Path) -> None:
    job = build(session)

    assert [(t.alias, t.unique_id) for t in job.tables] == [("people", ""), ("orders", "")]
    assert (job.tests, job.name) == ((), "churn")


def test__job__filtered_relation__is_a_session_view_with_the_keys_of_its_alias(
    session: duckdb.DuckDBPyConnection, target_path: Path
) -> None:
    (target_path / "manifest.json").write_text(json.dumps(MANIFEST))

    job = build(session, orders=session.query("select * from orders").filter("id > 1"))

    assert job.tables[1].unique_id == "model.shop.orders"
    assert session.execute(f"select count(*) from {job.tables[1].relation}").fetchall() == [(0,)]


@pytest.mark.parametrize("more", [{"package_name": "bills"}, {"resource_type": "source"}, {"version": 1}])
def test__job__filtered_relation_with_a_name_of_several__is_the_one_that_ref_means(
    session: duckdb.DuckDBPyConnection, target_path: Path, more: dict[str, object]
) -> None:
    other = node("orders", **{"schema": "other", "unique_id": "other", "latest_version": 2, **more})
    named = {"model.shop.orders": MANIFEST["nodes"]["model.shop.orders"], "other": other}
    for nodes in (named, dict(reversed(named.items()))):
        (target_path / "manifest.json").write_text(json.dumps({**MANIFEST, "nodes": nodes}))

        job = build(session, orders=session.query("select * from orders").filter("id > 1"))

        assert job.tables[1].unique_id == "model.shop.orders"


def test__job__labels__are_read_from_their_relation(session: duckdb.DuckDBPyConnection, target_path: Path) -> None:
    labels = session.query('select * from "memory"."main"."orders"')

    assert build(session, labels=labels).labels == '"memory"."main"."orders"'


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        (["customers"], "tables= takes a mapping"),
        ({}, "tables= takes a mapping"),
        ({"customers": "customers"}, "table customers is a str, expected a DuckDB relation"),
    ],
)
def test__job__bad_tables__says_what_to_pass(
    session: duckdb.DuckDBPyConnection, target_path: Path, tables: object, message: str
) -> None:
    with pytest.raises(ProjectError, match=message):
        python_model._job(DBT, session, QUERY, tables, None, None)


def test__predict__users_error__prints_without_a_traceback(
    session: duckdb.DuckDBPyConnection, target_path: Path
) -> None:
    with pytest.raises(RfmError) as caught:
        python_model.predict(DBT, session, QUERY, {"customers": 1})

    printed = "".join(traceback.format_exception(caught.value))
    assert "Traceback" not in printed and "expected a DuckDB relation" in printed


def test__prediction_failed__query_error__keeps_place_and_pointer() -> None:
    error = QueryError("expected PREDICT", text="PREDCIT x", position=0, length=7, hint="Did you mean PREDICT?")

    failed = python_model.PredictionFailed(error.problem, where=error.where, hint=error.hint)

    assert str(failed) == str(error)
