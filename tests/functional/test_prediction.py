"""The life of a prediction model under dbt: built, listed, versioned, held back, rolled back."""

from __future__ import annotations

import pytest
from dbt_projects import Project
from shop_project import CHURN, predict

pytestmark = pytest.mark.functional

# Every customer always has the same label, so the entity's own history foresees it fully and nothing can beat it.
LABELS = """
select customer_id, cast(month as timestamp) as anchor_time, customer_id % 2 = 0 as is_even
from {{ ref('customers') }}, generate_series(date '2024-10-01', date '2025-05-01', interval 1 month) as t(month)
"""
EVEN = "PREDICT labels.is_even FOR EACH customers.customer_id"


class TestPrediction:
    def test__build__prediction__one_row_per_active_customer(self, shop: Project) -> None:
        shop.write("models/churn.sql", predict())
        shop.write("models/leavers.sql", "select customer_id from {{ ref('churn') }} where probability > 0.5")

        built = shop.dbt("build", "--select", "churn+")

        assert built.success, built.log
        assert built.results == {"churn": "success", "leavers": "success"}
        names = [r[0] for r in shop.rows("select column_name from (describe churn)")]
        assert names == [
            "customer_id",
            "anchor_time",
            "probability",
            "prediction",
            "model_version",
            "run_id",
            "predicted_at",
        ]
        active = (
            "select count(distinct customer_id) from orders where ordered_at > timestamp '2025-06-30' - interval 60 day"
        )
        assert shop.rows("select count(*), count(distinct customer_id) from churn") == shop.rows(
            f"select n, n from ({active}) as t(n)"
        )

    def test__build__prediction__says_its_backtest_in_one_line(self, shop: Project) -> None:
        built = shop.dbt("run", "--select", "churn")

        (line,) = [line for line in built.log.splitlines() if "backtest on" in line]
        assert "auroc" in line and "churn version 2 serving" in line

    def test__second_run__history__holds_both_versions(self, shop: Project) -> None:
        rows = shop.rows("select count(*) from churn")[0][0]

        assert shop.rows("select model_version, count(*) from churn__history group by all order by 1") == [
            (1, rows),
            (2, rows),
        ]
        assert shop.rows("select distinct model_version from churn") == [(2,)]
        assert shop.rows("select version, status from rfm_versions order by version") == [
            (1, "retired"),
            (2, "serving"),
        ]
        assert shop.rows("select count(*) from rfm_metrics where version = 2 and metric = 'auroc'") == [(3,)]

    def test__ls__ancestors__are_all_tables_of_the_graph(self, shop: Project) -> None:
        listed = shop.dbt("ls", "--select", "+churn", "--resource-types", "model", "seed", "--output", "name")

        assert sorted(listed.value) == ["churn", "customers", "orders", "stores"]

    def test__rollback__no_version__serves_the_one_before(self, shop: Project) -> None:
        first = shop.rows("select customer_id, probability from churn__history where model_version = 1 order by 1")

        rolled = shop.dbt("run-operation", "rfm_rollback", "--args", "{model: churn}")

        assert rolled.success, rolled.log
        assert "churn serves version 1 again" in rolled.log
        assert shop.rows("select customer_id, probability from churn order by 1") == first
        assert shop.rows("select distinct model_version from churn") == [(1,)]
        assert shop.rows("select version, status from rfm_versions order by version") == [
            (1, "serving"),
            (2, "retired"),
        ]

    def test__rollback__operation_and_python__do_the_same(self, shop: Project) -> None:
        from dbt_rfm.job import JobTarget
        from dbt_rfm.versions import history
        from dbt_rfm.warehouse.duckdb import DuckDB

        def state() -> list[tuple]:
            served = shop.rows("select * from churn order by customer_id")
            columns = shop.rows("select column_name, column_type from (describe churn)")
            return [*served, *columns, *shop.rows("select version, status from rfm_versions order by version")]

        assert shop.dbt("run-operation", "rfm_rollback", "--args", "{model: churn, version: 2}").success
        by_operation = state()
        assert shop.dbt("run-operation", "rfm_rollback", "--args", "{model: churn, version: 1}").success
        with DuckDB.open(shop.database, read_only=False) as warehouse:
            history.rollback(warehouse, JobTarget("shop", "main", "churn"), 2)

        assert state() == by_operation

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ("{model: chrun}", "no model is named chrun"),
            ("{model: churn, version: 9}", "churn has no version 9"),
            ("{model: orders}", "no version of orders was ever published"),
            ("{model: churn, version: 1}", "churn serves version 1 again"),
            ("{model: churn}", "churn has no retired version before 1"),
        ],
    )
    def test__rollback__arguments__one_message(self, shop: Project, arguments: str, message: str) -> None:
        assert message in shop.dbt("run-operation", "rfm_rollback", "--args", arguments).log

    def test__versions__operation__prints_a_row_per_version(self, shop: Project) -> None:
        log = shop.dbt("run-operation", "rfm_versions").log

        rows = [line.split() for line in log.splitlines() if line.startswith("churn")]
        assert [row[:3] for row in rows] == [["churn", "2", "retired"], ["churn", "1", "serving"]]

    def test__worse_than_baseline__warn__is_published_and_said(self, shop: Project) -> None:
        shop.write("models/even_labels.sql", LABELS)
        options = "'context_size': 60, 'horizon': '30 days', 'on_worse': '%s'"
        arguments = ", labels=ref('even_labels')"
        shop.write("models/even.sql", predict(EVEN, rfm=options % "warn", arguments=arguments))

        built = shop.dbt("run", "--select", "even_labels", "even")

        assert built.success, built.log
        assert "even version 1 serving" in built.log and "DOES NOT BEAT" in built.log

    def test__worse_than_baseline__hold__leaves_the_served_version(self, shop: Project) -> None:
        options = "'context_size': 60, 'horizon': '30 days', 'on_worse': 'hold'"
        shop.write("models/even.sql", predict(EVEN, rfm=options, arguments=", labels=ref('even_labels')"))

        built = shop.dbt("run", "--select", "even")

        assert built.success, built.log
        assert "even version 2 held back" in built.log
        assert shop.rows("select distinct model_version from even") == [(1,)]
        assert shop.rows("select status from rfm_versions where model_name = 'even' order by version") == [
            ("serving",),
            ("held",),
        ]

    def test__first_version__held__serves_nothing(self, shop: Project) -> None:
        options = "'context_size': 60, 'horizon': '30 days', 'on_worse': 'hold'"
        shop.write("models/even_too.sql", predict(EVEN, rfm=options, arguments=", labels=ref('even_labels')"))

        built = shop.dbt("run", "--select", "even_too")

        assert built.success, built.log
        assert "even_too version 1 held back" in built.log
        assert shop.rows("select count(*) from information_schema.tables where table_name = 'even_too'") == [(0,)]

    def test__failure__last_good_table__stays_served(self, shop: Project) -> None:
        before = shop.rows("select * from churn order by customer_id")
        shop.write("models/churn.sql", predict(CHURN.replace("orders.*, 0", "orders.amuont, 0")))

        failed = shop.dbt("build", "--select", "churn+")

        assert not failed.success
        assert failed.results == {"churn": "error", "leavers": "skipped"}
        assert "amuont" in failed.messages["churn"] and "amount" in failed.messages["churn"]
        assert shop.rows("select * from churn order by customer_id") == before


class TestSchemaForWhatIsKept:
    def test__build__var_dbt_rfm_schema__keeps_registry_and_history_there(self, shop: Project) -> None:
        shop.write("models/churn.sql", predict())
        kept = ("--vars", "{dbt_rfm_schema: rfm}")

        assert shop.dbt("run", "--select", "churn", *kept).success
        assert shop.dbt("run", "--select", "churn", *kept).success
        back = shop.dbt("run-operation", "rfm_rollback", "--args", "{model: churn}", *kept)

        assert "churn serves version 1 again" in back.log
        assert shop.rows("select distinct model_version from churn") == [(1,)]
        assert shop.rows(
            "select table_name from information_schema.tables where table_schema = 'rfm' order by table_name"
        ) == [("churn__history",), ("rfm_metrics",), ("rfm_versions",)]

    def test__rollback__to_rows_that_somebody_deleted__refused_and_the_table_stays(self, shop: Project) -> None:
        shop.execute("delete from rfm.churn__history where model_version = 2")

        arguments = ("--args", "{model: churn, version: 2}", "--vars", "{dbt_rfm_schema: rfm}")
        refused = shop.dbt("run-operation", "rfm_rollback", *arguments)

        assert "the rows of churn version 2 are gone from churn__history" in refused.log
        assert shop.rows("select distinct model_version from churn") == [(1,)]

    @pytest.mark.parametrize("scope", ["shop", "dbt_rfm"])
    def test__var_dbt_rfm_schema__in_a_scope__is_that_of_models_and_of_operations(
        self, shop: Project, scope: str
    ) -> None:
        scoped = ("--vars", f"{{{scope}: {{dbt_rfm_schema: of_{scope}}}}}")

        assert shop.dbt("run", "--select", "churn", *scoped).success

        assert shop.rows(f"select version from of_{scope}.rfm_versions") == [(1,)]
        assert "serving" in shop.dbt("run-operation", "rfm_versions", *scoped).log
