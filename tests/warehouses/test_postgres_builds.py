"""The life of a prediction on a real Postgres server: real dbt on one side, a worker on the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from postgres_server import Server
from shop_project import CHURN, TESTS, predict
from worker_projects import WorkerProject

pytestmark = pytest.mark.functional

# Every customer always has the same label, so the entity's own history foresees it fully and nothing can beat it.
LABELS = """
select customer_id, cast(month as timestamp) as anchor_time, customer_id % 2 = 0 as is_even
from {{ ref('customers') }}
cross join generate_series(date '2024-10-01', date '2025-05-01', interval '1 month') as t(month)
"""
EVEN = "PREDICT labels.is_even FOR EACH customers.customer_id"
WORSE = "'context_size': 60, 'horizon': '30 days', 'on_worse': '%s'"

CONTRACT = """
models:
  - name: churn_contract
    description: Who'll leave within a month
    config:
      contract: {enforced: true}
      persist_docs: {relation: true, columns: true}
      grants: {select: [reader]}
    columns:
      - {name: customer_id, data_type: integer, description: Key of the customer}
      - {name: probability, data_type: "numeric(6, 4)"}
      - {name: prediction, data_type: boolean}
      - {name: anchor_time, data_type: timestamp}
      - {name: model_version, data_type: integer}
      - {name: run_id, data_type: varchar}
      - {name: predicted_at, data_type: timestamp}
"""


@pytest.fixture(scope="module")
def shop(postgres_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProject]:
    """A project in the state that the tests before have left it in: they are one story."""
    project = WorkerProject(
        tmp_path_factory.mktemp("project") / "shop", postgres_server.output("postgres", schema="shop")
    )
    project.execute("create schema shop; create role reader")
    project.set_up()
    with project.worker():
        yield project
    project.execute("drop schema shop cascade; drop role reader")


def versions(shop: WorkerProject, model: str = "churn") -> list[tuple]:
    return shop.rows(f"select version, status from rfm_versions where model_name = '{model}' order by version")


class TestBuild:
    def test__build__first__one_row_per_active_customer_and_what_is_downstream(self, shop: WorkerProject) -> None:
        shop.write("models/churn.sql", predict())
        shop.write("models/churn.yml", TESTS)
        leavers = "{{ config(materialized='view') }} select customer_id from {{ ref('churn') }} where probability > 0.5"
        shop.write("models/leavers.sql", leavers)

        built = shop.dbt("build", "--select", "churn+")

        assert built.success, built.log
        assert built.results["churn"] == built.results["leavers"] == "success"
        assert "churn version 1 serving" in built.log
        described = "select column_name, data_type from information_schema.columns where table_name = 'churn'"
        assert [r[0] for r in shop.rows(f"{described} and table_schema = 'shop' order by ordinal_position")] == [
            *("customer_id", "anchor_time", "probability", "prediction", "model_version", "run_id", "predicted_at")
        ]
        since = "timestamp '2025-06-30' - interval '60 days'"
        active = f"select count(distinct customer_id) from orders where ordered_at > {since}"
        assert shop.rows("select count(*) from churn") == shop.rows(active)
        assert versions(shop) == [(1, "serving")]

    def test__second_build__views_on_the_table__see_the_new_rows(self, shop: WorkerProject) -> None:
        shop.execute("create schema elsewhere; create view elsewhere.dashboard as select model_version from shop.churn")

        built = shop.dbt("run", "--select", "churn")

        assert built.success, built.log
        assert shop.rows("select distinct model_version from elsewhere.dashboard") == [(2,)]
        assert versions(shop) == [(1, "retired"), (2, "serving")]
        assert shop.rows("select count(*) from rfm_metrics where version = 2 and metric = 'auroc'") == [(3,)]

    def test__rollback__operation__serves_the_one_before(self, shop: WorkerProject) -> None:
        first = shop.rows("select customer_id, probability from churn__history where model_version = 1 order by 1")

        rolled = shop.dbt("run-operation", "rfm_rollback", "--args", "{model: churn}")

        assert rolled.success, rolled.log
        assert "churn serves version 1 again" in rolled.log
        assert shop.rows("select customer_id, probability from churn order by 1") == first
        assert shop.rows("select distinct model_version from elsewhere.dashboard") == [(1,)]
        assert versions(shop) == [(1, "serving"), (2, "retired")]

    def test__versions__operation__prints_a_row_per_version(self, shop: WorkerProject) -> None:
        log = shop.dbt("run-operation", "rfm_versions", "--args", "{model: churn}").log

        rows = [line.split() for line in log.splitlines() if line.startswith("churn")]
        assert [row[:3] for row in rows] == [["churn", "2", "retired"], ["churn", "1", "serving"]]

    def test__failure__workers_message_in_the_log_and_the_table_stays(self, shop: WorkerProject) -> None:
        before = shop.rows("select * from churn order by customer_id")
        shop.write("models/churn.sql", predict(CHURN.replace("orders.*, 0", "orders.amuont, 0")))

        failed = shop.dbt("build", "--select", "churn+")

        shop.write("models/churn.sql", predict())
        assert not failed.success
        assert failed.results["churn"] == "error" and failed.results["leavers"] == "skipped"
        assert "amuont" in failed.messages["churn"] and "amount" in failed.messages["churn"]
        assert "Traceback" not in failed.log
        assert shop.rows("select * from churn order by customer_id") == before
        assert versions(shop) == [(1, "serving"), (2, "retired")]

    def test__empty__columns_without_rows_and_no_version(self, shop: WorkerProject) -> None:
        built = shop.dbt("run", "--select", "churn", "--empty")

        assert built.success, built.log
        assert shop.rows("select count(*) from churn") == [(0,)]
        assert versions(shop) == [(1, "serving"), (2, "retired")]
        left = "select count(*) from information_schema.tables where table_name like '%tmp'"
        assert shop.rows(left) == [(0,)]

    def test__other_columns__a_view_would_be_lost__is_refused_by_name(self, shop: WorkerProject) -> None:
        shop.write(
            "models/churn.sql", predict("PREDICT SUM(orders.amount, 0, 30, days) FOR EACH customers.customer_id")
        )
        shop.execute("drop table churn__history; delete from rfm_versions where model_name = 'churn'")

        refused = shop.dbt("run", "--select", "churn")

        assert not refused.success
        assert "dashboard, leavers would be lost" in refused.messages["churn"]
        assert shop.rows("select count(*) from elsewhere.dashboard") == [(0,)]
        assert versions(shop) == [(1, "ready")]
        shop.execute("drop schema elsewhere cascade; drop view leavers")
        assert shop.dbt("run", "--select", "churn").success
        assert versions(shop) == [(1, "ready"), (2, "serving")]


class TestHeldBack:
    def test__first_version__held__serves_nothing(self, shop: WorkerProject) -> None:
        shop.write("models/even_labels.sql", LABELS)
        shop.write("models/even.sql", predict(EVEN, rfm=WORSE % "hold", arguments=", labels=ref('even_labels')"))

        built = shop.dbt("run", "--select", "even_labels", "even")

        assert built.success, built.log
        assert "even version 1 held back" in built.log
        assert shop.rows("select count(*) from information_schema.tables where table_name = 'even'") == [(0,)]
        assert versions(shop, "even") == [(1, "held")]

    def test__warn__is_published_and_a_later_one_held__leaves_it_served(self, shop: WorkerProject) -> None:
        shop.write("models/even.sql", predict(EVEN, rfm=WORSE % "warn", arguments=", labels=ref('even_labels')"))
        warned = shop.dbt("run", "--select", "even")
        shop.write("models/even.sql", predict(EVEN, rfm=WORSE % "hold", arguments=", labels=ref('even_labels')"))

        built = shop.dbt("run", "--select", "even")

        assert warned.success and "DOES NOT BEAT" in warned.log
        assert built.success and "even version 3 held back" in built.log
        assert shop.rows("select distinct model_version from even") == [(2,)]
        assert versions(shop, "even") == [(1, "held"), (2, "serving"), (3, "held")]


class TestContract:
    def test__contract_docs_grants__are_on_the_table_and_stay(self, shop: WorkerProject) -> None:
        shop.write("models/churn_contract.sql", predict())
        shop.write("models/churn_contract.yml", CONTRACT)
        facts = (
            "select attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum),"
            " obj_description(attrelid), has_table_privilege('reader', attrelid, 'select') from pg_attribute"
            " where attrelid = 'shop.churn_contract'::regclass and attnum > 0 order by attnum limit 2"
        )
        said = ("Who'll leave within a month", True)
        expected = [
            ("customer_id", "integer", "Key of the customer", *said),
            ("probability", "numeric(6,4)", None, *said),
        ]

        assert shop.dbt("run", "--select", "churn_contract").success
        assert [(*r[:2], r[2] or None, *r[3:]) for r in shop.rows(facts)] == expected
        assert shop.dbt("run", "--select", "churn_contract").success
        assert shop.dbt("run-operation", "rfm_rollback", "--args", "{model: churn_contract}").success
        assert [(*r[:2], r[2] or None, *r[3:]) for r in shop.rows(facts)] == expected
        assert shop.rows("select distinct model_version from churn_contract") == [(1,)]

    def test__contract__broken__says_all_columns_and_makes_no_version(self, shop: WorkerProject) -> None:
        before = shop.rows("select * from churn_contract order by customer_id")
        shop.write("models/churn_contract.yml", CONTRACT.replace("name: probability", "name: chance"))

        failed = shop.dbt("run", "--select", "churn_contract")

        shop.write("models/churn_contract.yml", CONTRACT)
        assert not failed.success
        assert "probability is produced but not declared" in failed.messages["churn_contract"]
        assert "chance is declared but not produced" in failed.messages["churn_contract"]
        assert shop.rows("select * from churn_contract order by customer_id") == before
        assert len(versions(shop, "churn_contract")) == 2


class TestFeatures:
    def test__hooks__all_kinds_run_and_the_worker_sees_what_the_first_did(self, shop: WorkerProject) -> None:
        shop.execute("create table shop.hooks (said text)")
        hooks = (
            ", pre_hook=\"insert into shop.hooks values ('pre')\", post_hook=\"insert into shop.hooks values ('post')\""
        )
        shop.write("models/hooked.sql", predict(config=hooks))

        assert shop.dbt("run", "--select", "hooked").success
        assert shop.rows("select said from hooks") == [("pre",), ("post",)]

    def test__two_predictions_at_once__both_are_served(self, shop: WorkerProject) -> None:
        value = "PREDICT SUM(orders.amount, 0, 30, days) FOR EACH customers.customer_id"
        shop.write("models/value_v1.sql", predict(value))
        shop.write("models/value_v2.sql", predict(value.replace("30", "60")))
        shop.write("models/value.yml", "models:\n  - {name: value, latest_version: 2, versions: [{v: 1}, {v: 2}]}\n")

        built = shop.dbt("run", "--select", "value", "--threads", "2")

        assert built.success, built.log
        assert versions(shop, "value_v1") == versions(shop, "value_v2") == [(1, "serving")]

    def test__name__with_no_room_for_its_history__is_refused_before_a_job_is_left(self, shop: WorkerProject) -> None:
        fits, too_long = "p" * 54, "q" * 55
        shop.write(f"models/{fits}.sql", predict())
        shop.write(f"models/{too_long}.sql", predict())

        built = shop.dbt("run", "--select", fits, too_long)
        again = shop.dbt("run", "--select", fits)

        assert built.results[fits] == "success" and again.success, built.log + again.log
        assert "at most 54 characters" in built.messages[too_long]
        assert shop.rows("select count(*) from rfm_jobs where node_id like '%qqq%'") == [(0,)]

    def test__history__in_other_case__is_that_of_another_prediction(self, shop: WorkerProject) -> None:
        shop.execute('create table shop."HOOKED__history" (other int)')

        built = shop.dbt("run", "--select", "hooked")

        assert built.success, built.log
        assert shop.rows("select distinct model_version from hooked") == [(2,)]

    def test__other_target__with_the_same_rfm_schema__is_warned_of(self, shop: WorkerProject) -> None:
        before = shop.dbt("run", "--select", "hooked")
        shop.execute(
            "insert into rfm_jobs (job_id, node_id, target, status) "
            """values ('of prod', 'model.shop.hooked', '"postgres"."prod"."hooked"', 'done')"""
        )

        built = shop.dbt("run", "--select", "hooked")

        shop.execute("delete from rfm_jobs where job_id = 'of prod'")
        assert built.success and "share the history" not in before.log
        assert '"shop"."hooked" and "postgres"."prod"."hooked" share the history' in built.log

    @pytest.mark.parametrize("kind", ["view", "materialized_view"])
    def test__view_in_the_way__is_replaced(self, shop: WorkerProject, kind: str) -> None:
        shop.execute("drop table if exists was_view")
        shop.write("models/was_view.sql", f"{{{{ config(materialized='{kind}') }}}} select 1 as nothing")
        assert shop.dbt("run", "--select", "was_view").success
        shop.write("models/was_view.sql", predict())

        built = shop.dbt("run", "--select", "was_view")

        assert built.success, built.log
        made = "select table_type from information_schema.tables where table_name = 'was_view'"
        assert shop.rows(made) == [("BASE TABLE",)]

    def test__command_line__opens_the_same_warehouse(self, shop: WorkerProject, capsys: pytest.CaptureFixture) -> None:
        from dbt_rfm.cli import main

        def printed(*arguments: str) -> str:
            with pytest.raises(SystemExit) as left:
                main([*arguments, "--project-dir", str(shop.path), "--profiles-dir", str(shop.path)])
            out, err = capsys.readouterr()
            assert not left.value.code, err
            return out

        shop.dbt("parse")
        assert "customer_id" in printed("schema")
        assert "serving" in printed("versions", "churn_contract")
        assert "churn_contract serves version 2 again" in printed("rollback", "churn_contract", "--version", "2")
        assert "Asks for:" in printed("check", CHURN)
        assert "1 predictions as of" in printed("predict", CHURN, "--entity", "2")
