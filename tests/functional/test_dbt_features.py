"""What dbt promises of any model and a custom materialization has to keep by itself."""

from __future__ import annotations

import pytest
from dbt_projects import Project
from shop_project import PROJECT, TESTS, predict

from dbt_rfm.job import JobTarget
from dbt_rfm.versions import history
from dbt_rfm.warehouse.duckdb import DuckDB

pytestmark = pytest.mark.functional

VALUE = "PREDICT SUM(orders.amount, 0, 30, days) FOR EACH customers.customer_id"

CONTRACT = """
models:
  - name: churn_contract
    description: Who will leave within a month
    config:
      contract: {enforced: true}
      persist_docs: {relation: true, columns: true}
    columns:
      - {name: customer_id, data_type: integer, description: Key of the customer}
      - {name: probability, data_type: "decimal(6, 4)"}
      - {name: prediction, data_type: boolean}
      - {name: anchor_time, data_type: timestamp}
      - {name: model_version, data_type: integer}
      - {name: run_id, data_type: varchar}
      - {name: predicted_at, data_type: timestamp}
"""

PYTHON = """
def model(dbt, session):
    dbt.config(materialized="table")
    import dbt_rfm

    tables = {"customers": dbt.ref("customers"), "orders": dbt.ref("orders")}
    query = "PREDICT COUNT(orders.*, 0, 30, days) FOR EACH customers.customer_id"
    return dbt_rfm.predict(dbt, session, query, tables=tables)
"""

UNIT_TEST = """
unit_tests:
  - name: of_a_prediction
    model: churn
    given: [{input: ref('customers'), rows: [{customer_id: 1}]}]
    expect: {rows: [{customer_id: 1}]}
"""

PEOPLE = """
snapshots:
  - name: people
    relation: ref('customers')
    config:
      unique_key: customer_id
      strategy: timestamp
      updated_at: signed_up_at
      hard_deletes: new_record
      dbt_valid_to_current: "cast('9999-12-31' as timestamp)"
      snapshot_meta_column_names: {dbt_valid_to: until, dbt_is_deleted: gone}
    columns: [{name: customer_id, data_tests: [not_null]}]
models:
  - name: purchases
    config: {event_time: ordered_at}
    columns:
      - name: customer_id
        data_tests: [{relationships: {arguments: {to: ref('people'), field: customer_id}}}]
"""

VERSIONS = """
models:
  - name: value
    latest_version: 2
    versions: [{v: 1}, {v: 2}]
"""


class TestContract:
    def test__contract__fits__order_and_types_are_the_declared_ones(self, shop: Project) -> None:
        shop.write("models/churn_contract.sql", predict())
        shop.write("models/churn_contract.yml", CONTRACT)

        built = shop.dbt("run", "--select", "churn_contract")

        assert built.success, built.log
        described = shop.rows("select column_name, column_type from (describe churn_contract)")
        assert described[:3] == [
            ("customer_id", "INTEGER"),
            ("probability", "DECIMAL(6,4)"),
            ("prediction", "BOOLEAN"),
        ]

    def test__persist_docs__relation_and_columns__are_comments(self, shop: Project) -> None:
        assert shop.rows("select comment from duckdb_tables() where table_name = 'churn_contract'") == [
            ("Who will leave within a month",)
        ]
        comments = "select comment from duckdb_columns() where table_name = 'churn_contract' and column_name = "
        assert shop.rows(comments + "'customer_id'") == [("Key of the customer",)]

    def test__rollback__contract__types_and_comments_stay(self, shop: Project) -> None:
        assert shop.dbt("run", "--select", "churn_contract").success
        columns = "select column_name, data_type, comment from duckdb_columns() where table_name = 'churn_contract'"
        before = shop.rows(columns)

        assert shop.dbt("run-operation", "rfm_rollback", "--args", "{model: churn_contract}").success

        assert shop.rows("select distinct model_version from churn_contract") == [(1,)]
        assert shop.rows(columns) == before
        with DuckDB.open(shop.database, read_only=False) as warehouse:
            history.rollback(warehouse, JobTarget("shop", "main", "churn_contract"), 2)
        assert shop.rows("select distinct model_version from churn_contract") == [(2,)]
        assert shop.rows(columns) == before

    def test__contract__broken__says_all_columns_and_keeps_the_table(self, shop: Project) -> None:
        before = shop.rows("select * from churn_contract order by customer_id")
        shop.write("models/churn_contract.yml", CONTRACT.replace("name: probability", "name: chance"))

        failed = shop.dbt("run", "--select", "churn_contract")

        assert not failed.success
        assert "probability is produced but not declared" in failed.messages["churn_contract"]
        assert "chance is declared but not produced" in failed.messages["churn_contract"]
        assert "Traceback" not in failed.log
        assert shop.rows("select * from churn_contract order by customer_id") == before
        assert shop.rows("select count(*) from rfm_versions where model_name = 'churn_contract'") == [(2,)]


class TestFeatures:
    def test__versions_and_threads__two_predictions_at_once__both_published(self, shop: Project) -> None:
        shop.write("models/value_v1.sql", predict(VALUE))
        shop.write("models/value_v2.sql", predict(VALUE.replace("30", "60")))
        shop.write("models/value.yml", VERSIONS)

        built = shop.dbt("run", "--select", "value", "--threads", "2")

        assert built.success, built.log
        assert shop.rows("select model_name, version, kind from rfm_versions order by 1") == [
            ("value_v1", 1, "regression"),
            ("value_v2", 1, "regression"),
        ]
        assert shop.rows("select count(*) from value_v1__history") == shop.rows("select count(*) from value_v2")
        assert shop.rows("select count(*) from value_v1 where not (p10 <= p50 and p50 <= p90)") == [(0,)]

    def test__hooks__all_four__run_in_order(self, shop: Project) -> None:
        hooks = (
            ", pre_hook=[before_begin('create or replace table hooked (step int)'), 'insert into hooked values (1)']"
            ", post_hook=['insert into hooked select 2 from {{ this }} limit 1', "
            "after_commit('insert into hooked values (3)')]"
            ", grants={'select': ['someone']}"
        )
        shop.write("models/churn.sql", predict(config=hooks))

        built = shop.dbt("run", "--select", "churn")

        assert built.success, built.log
        assert shop.rows("select step from hooked order by rowid") == [(1,), (2,), (3,)]

    def test__empty__prediction__no_rows_and_no_version(self, shop: Project) -> None:
        columns = shop.rows("select column_name, column_type from (describe churn)")

        built = shop.dbt("run", "--select", "churn", "--empty")

        assert built.success, built.log
        assert shop.rows("select count(*) from churn") == [(0,)]
        assert shop.rows("select column_name, column_type from (describe churn)") == columns
        assert shop.rows("select version from rfm_versions where model_name = 'churn'") == [(1,)]
        assert shop.rows("select distinct model_version from churn__history") == [(1,)]

    def test__full_refresh__history__is_kept(self, shop: Project) -> None:
        built = shop.dbt("run", "--select", "churn", "--full-refresh")

        assert built.success, built.log
        assert shop.rows("select distinct model_version from churn__history order by 1") == [(1,), (2,)]
        assert shop.rows("select distinct model_version from churn") == [(2,)]

    def test__view_in_the_way__prediction__replaces_it(self, shop: Project) -> None:
        shop.write("models/churn.sql", "{{ config(materialized='view') }} select 1 as nothing")
        assert shop.dbt("run", "--select", "churn", "--full-refresh").success
        shop.write("models/churn.sql", predict())
        shop.write("models/leavers.sql", "select customer_id from {{ ref('churn') }}")

        built = shop.dbt("run", "--select", "churn+")

        assert built.success, built.log
        assert shop.rows("select table_type from information_schema.tables where table_name = 'churn'") == [
            ("BASE TABLE",)
        ]

    def test__defer__tables_not_built_here__are_read_where_they_are(self, shop: Project) -> None:
        state = shop.path / "state"
        state.mkdir()
        (state / "manifest.json").write_text((shop.path / "target" / "manifest.json").read_text())
        profile = (shop.path / "profiles.yml").read_text()
        shop.write("profiles.yml", profile.replace("      threads", "      schema: scratch\n      threads"))

        built = shop.dbt("run", "--select", "churn", "--defer", "--state", str(state))

        shop.write("profiles.yml", profile)
        assert built.success, built.log
        assert shop.rows("select count(*) from scratch.churn") == shop.rows("select count(*) from main.churn")
        tables = "select table_name from information_schema.tables where table_schema = 'scratch' order by 1"
        assert shop.rows(tables) == [("churn",), ("churn__history",), ("rfm_metrics",), ("rfm_versions",)]

    def test__source__dotted_name__is_part_of_the_graph(self, shop: Project) -> None:
        shop.execute(
            "create table tickets as select order_id as ticket_id, customer_id, ordered_at as opened_at "
            "from orders where order_id % 7 = 0"
        )
        shop.write(
            "models/sources.yml",
            "sources:\n  - name: desk\n    schema: main\n    tables:\n      - name: tickets\n        columns:\n"
            "          - {name: ticket_id, data_tests: [unique, not_null]}\n"
            "          - name: customer_id\n            data_tests:\n              - relationships:\n"
            "                  arguments: {to: ref('customers'), field: customer_id}\n",
        )
        query = "PREDICT COUNT(tickets.*, 0, 30, days) FOR EACH customers.customer_id"
        shop.write("models/complaints.sql", predict(query, arguments=", tables=['desk.tickets']"))

        built = shop.dbt("run", "--select", "complaints")

        assert built.success, built.log
        assert shop.rows("select count(*) > 0 from complaints") == [(True,)]
        parents = shop.dbt("ls", "--select", "+complaints", "--resource-types", "source").value
        assert parents == ["source:shop.desk.tickets"]


class TestGrownProject:
    """What comes with continuous integration, several targets and macros of one's own."""

    def test__empty__predictions_never_built__build_and_pass_their_tests(self, shop: Project) -> None:
        shop.write("models/churn.sql", predict())
        shop.write("models/churn.yml", TESTS)
        shop.write("models/orders_ahead.py", PYTHON)

        built = shop.dbt("build", "--select", "churn", "orders_ahead", "--empty")

        assert built.success, built.log
        assert "churn built without rows (--empty)" in built.log and "beats_baseline" in built.log
        assert shop.rows("select (select count(*) from churn), (select count(*) from orders_ahead)") == [(0, 0)]
        columns = [name for (name,) in shop.rows("select column_name from (describe orders_ahead)")]
        marks = ["model_version", "run_id", "predicted_at"]
        assert columns == ["customer_id", "anchor_time", "prediction", "p10", "p50", "p90", *marks]
        kept = "table_name in ('rfm_versions', 'churn__history', 'orders_ahead__history')"
        assert shop.rows(f"select table_name from information_schema.tables where {kept}") == []

    def test__sample__leaves_nobody_to_predict_for__says_that_it_was_the_sample(self, shop: Project) -> None:
        sampled = shop.dbt("run", "--select", "churn", "--sample", "{'start': '2020-01-01', 'end': '2020-02-01'}")

        assert "table customers has no rows" in sampled.messages["churn"]
        assert "dbt ran with --sample" in sampled.messages["churn"]

    def test__unit_test__of_a_prediction__says_what_to_test_instead(self, shop: Project) -> None:
        shop.write("models/unit.yml", UNIT_TEST)

        tested = shop.dbt("test", "--select", "churn,test_type:unit")

        shop.remove("models/unit.yml")
        assert not tested.success
        assert "a unit test runs SQL, and churn holds a predictive query" in tested.messages["of_a_prediction"]

    def test__macro_arguments__checked_by_dbt__are_of_types_it_knows(self, shop: Project) -> None:
        shop.write("dbt_project.yml", f"{PROJECT}\nflags: {{validate_macro_args: true}}\n")

        parsed = shop.dbt("--warn-error", "parse", "--no-partial-parse")

        shop.write("dbt_project.yml", PROJECT)
        assert parsed.success, parsed.log

    def test__cancel_jobs__on_a_target_without_workers__is_a_hook_that_does_nothing(self, shop: Project) -> None:
        shop.write("dbt_project.yml", f'{PROJECT}\non-run-end: "{{{{ dbt_rfm.rfm_cancel_jobs() }}}}"\n')

        built = shop.dbt("run", "--select", "customers")

        shop.write("dbt_project.yml", PROJECT)
        assert built.success, built.log

    def test__same_name_in_two_schemas__one_registry__is_refused_before_anything_is_written(
        self, shop: Project
    ) -> None:
        shop.write("models/churn_elsewhere.sql", predict(config=", alias='churn', schema='elsewhere'"))

        built = shop.dbt("run", "--select", "churn_elsewhere", "--vars", "{dbt_rfm_schema: kept}")

        shop.remove("models/churn_elsewhere.sql")
        assert "both have a prediction churn" in built.messages["churn_elsewhere"]
        assert shop.rows("select schema_name from information_schema.schemata where schema_name = 'kept'") == []

    def test__snapshot__deletions_as_rows__who_was_deleted_is_not_asked_about(self, shop: Project) -> None:
        shop.write("snapshots/people.yml", PEOPLE)
        shop.write("models/purchases.sql", "select order_id, customer_id, ordered_at from {{ ref('orders') }}")
        query = "PREDICT COUNT(purchases.*, 0, 90, days) = 0 FOR EACH people.customer_id"
        shop.write("models/silent.sql", predict(query, rfm="'context_size': 60, 'anchor': 'now'"))
        assert shop.dbt("build", "--select", "people", "purchases").success
        shop.execute("delete from customers where customer_id <= 5")
        assert shop.dbt("snapshot", "--select", "people").success

        built = shop.dbt("run", "--select", "silent")

        assert built.success, built.log
        assert shop.rows("select count(*) from people where customer_id <= 5 and gone = 'True'") == [(5,)]
        assert shop.rows("select min(customer_id), count(*) from silent") == [(6, 75)]
