"""Two roles on a real server: dbt's owns the tables, the worker's reads the graph and writes in the rfm schema only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from fault_helpers import until
from postgres_server import Server
from shop_project import PROJECT, predict
from worker_projects import WorkerProject

pytestmark = pytest.mark.functional

#: As docs/operations.md tells it; a test compares.
GRANTS = """
create role dbt_runner login;
create role rfm_worker login;
create schema analytics authorization dbt_runner;
create schema rfm authorization rfm_worker;
grant usage, create on schema rfm to dbt_runner;
grant usage on schema analytics to rfm_worker;
alter default privileges for role dbt_runner in schema analytics grant select on tables to rfm_worker;
alter default privileges for role dbt_runner in schema rfm
    grant select, insert, update, delete on tables to rfm_worker;
alter default privileges for role rfm_worker in schema rfm
    grant select, insert, update, delete on tables to dbt_runner;
"""
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
KEY = "customers.customer_id"
HOSTILE = "it's \\' $rfm$ \"x\"; drop table orders; --"


@pytest.fixture(scope="module")
def shop(postgres_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProject]:
    admin = WorkerProject(tmp_path_factory.mktemp("admin"), postgres_server.output("postgres", schema="public"))
    admin.execute("create database least_rights")
    admin.output["dbname"] = "least_rights"
    for statement in GRANTS.strip().removesuffix(";").split(";\n"):
        admin.execute(statement)
    output = postgres_server.output("least_rights", schema="analytics", user="dbt_runner")
    worker = postgres_server.output("least_rights", schema="analytics", user="rfm_worker")
    project = WorkerProject(tmp_path_factory.mktemp("project") / "shop", output, worker_output=worker)
    project.set_up(project=PROJECT.replace("vars:", "vars:\n  dbt_rfm_schema: rfm"))
    with project.worker():
        yield project
    admin.output["dbname"] = "postgres"
    admin.execute("drop database least_rights with (force)")
    admin.execute("drop role dbt_runner, rfm_worker")


def as_worker(shop: WorkerProject, sql: str) -> None:
    WorkerProject(shop.path, {**shop.output, "user": "rfm_worker"}).execute(sql)


def test__docs__show_the_grants_that_were_tested() -> None:
    assert GRANTS.strip() in OPERATIONS.read_text()


class TestRights:
    def test__build__two_versions_and_a_rollback__all_of_it_works(self, shop: WorkerProject) -> None:
        shop.write("models/churn.sql", predict())

        first = shop.dbt("build", "--select", "churn")
        second = shop.dbt("build", "--select", "churn")
        rolled = shop.dbt("run-operation", "rfm_rollback", "--args", "{model: churn}")

        assert first.success and second.success, first.log + second.log
        assert rolled.success, rolled.log
        assert shop.rows("select distinct model_version from churn") == [(1,)]
        assert shop.rows("select version, status from rfm.rfm_versions order by 1") == [(1, "serving"), (2, "retired")]
        assert shop.dbt("run", "--select", "churn", "--empty").success
        assert shop.dbt("run-operation", "rfm_versions").success

    def test__tables__are_where_they_belong(self, shop: WorkerProject) -> None:
        found = shop.rows(
            "select schemaname, tablename, tableowner from pg_tables where tableowner like '%r_%' order by 1, 2"
        )
        tables = {(schema, name): owner for schema, name, owner in found if schema in ("analytics", "rfm")}

        assert tables["analytics", "churn"] == "dbt_runner"
        assert tables["rfm", "churn__history"] == tables["rfm", "rfm_versions"] == "rfm_worker"
        assert not [name for schema, name in tables if schema == "analytics" and "rfm" in name]

    @pytest.mark.parametrize(
        "sql",
        [
            "delete from analytics.churn",
            "update analytics.orders set amount = 0",
            "drop table analytics.customers",
            "create table analytics.mine (x int)",
            "create schema mine",
            "create table public.mine (x int)",
        ],
    )
    def test__worker__outside_the_rfm_schema__may_change_nothing(self, shop: WorkerProject, sql: str) -> None:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            as_worker(shop, sql)

    def test__grant_missing__one_message_says_which(self, shop: WorkerProject) -> None:
        shop.execute("revoke select on analytics.orders from rfm_worker")

        failed = shop.dbt("run", "--select", "churn")

        shop.execute("grant select on analytics.orders to rfm_worker")
        assert not failed.success
        assert "permission denied for table orders" in failed.messages["churn"]
        assert "Grant rfm_worker" in failed.messages["churn"] and "docs/operations.md" in failed.messages["churn"]

    def test__grant_missing__on_the_jobs__the_worker_says_so_instead_of_waiting(self, shop: WorkerProject) -> None:
        shop.execute("revoke all on rfm.rfm_jobs from rfm_worker")

        with shop.worker() as log:
            until(lambda: log.events("right_missing"))

        shop.execute("grant select, insert, update, delete on rfm.rfm_jobs to rfm_worker")
        assert "permission denied for table rfm_jobs" in log.events("right_missing")[0]["reason"]


class TestHostileNames:
    def test__texts__of_query_job_and_names__stay_texts(self, shop: WorkerProject) -> None:
        in_jinja = HOSTILE.replace("\\", "\\\\").replace('"', '\\"').replace("'", "''")
        asks = "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH " + KEY
        in_query = f"{asks} WHERE customers.segment != '{in_jinja}'"
        alias = "who's in; drop table orders; --"
        shop.write("models/hostile.sql", predict(in_query, config=f', alias="{alias}"'))

        built = shop.dbt("run", "--select", "hostile")

        assert built.success, built.log
        assert shop.rows(f'select count(*) > 0 from analytics."{alias}"') == [(True,)]
        ((query,),) = shop.rows("select query from rfm.rfm_versions where model_name like 'who%'")
        assert HOSTILE.replace("'", "''") in query
        assert shop.dbt("run", "--select", "hostile").success
        assert shop.rows("select count(*) > 1000 from orders") == [(True,)]

    def test__column__named_like_an_attack__is_a_column(self, shop: WorkerProject) -> None:
        name = "x'; drop table orders; --"
        shop.write("models/orders.sql", f'select o.*, amount as "{name}" from analytics.raw_orders as o')
        shop.write(
            "models/attacked.sql", predict(f"PREDICT SUM(orders.`{name}`, 0, 30, days) FOR EACH customers.customer_id")
        )

        built = shop.dbt("run", "--select", "orders", "attacked")

        assert built.success, built.log
        assert shop.rows("select count(*) > 0 from attacked") == [(True,)]
        assert shop.rows("select count(*) > 1000 from orders") == [(True,)]
