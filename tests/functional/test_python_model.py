"""`dbt_rfm.predict` in a dbt Python model: the same keys, history and versions as a SQL prediction."""

from __future__ import annotations

import pytest
from dbt_projects import Project
from shop_project import CHURN, predict

pytestmark = pytest.mark.functional

MODEL = """
def model(dbt, session):
    dbt.config(materialized="table", meta={{"rfm": {{"context_size": 60}}}})
    import dbt_rfm

    tables = {{"customers": dbt.ref("customers"), "orders": {orders}, "stores": dbt.ref("stores")}}
    return dbt_rfm.predict(dbt, session, "{query}", tables=tables{arguments})
"""


def python_model(query: str = CHURN, orders: str = 'dbt.ref("orders")', arguments: str = "") -> str:
    return MODEL.format(query=query, orders=orders, arguments=arguments)


class TestPythonModel:
    def test__predict__same_query__same_rows_as_the_sql_model(self, shop: Project) -> None:
        shop.write("models/churn.sql", predict())
        shop.write("models/churn_py.py", python_model())

        built = shop.dbt("run", "--select", "churn", "churn_py")

        assert built.success, built.log
        assert "churn_py version 1 serving" in built.log and built.log.count("backtest on") == 2
        columns = "customer_id, anchor_time, probability, prediction, model_version"
        rows = f"select {columns} from %s order by customer_id"
        assert shop.rows(rows % "churn_py") == shop.rows(rows % "churn")
        registry = "select schema_fingerprint, snapshot_sha is null, kind from rfm_versions where model_name = '%s'"
        assert shop.rows(registry % "churn_py") == shop.rows(registry % "churn")

    def test__second_run__history__holds_both_versions(self, shop: Project) -> None:
        built = shop.dbt("run", "--select", "churn_py")

        assert built.success, built.log
        assert shop.rows("select distinct model_version from churn_py__history order by 1") == [(1,), (2,)]
        assert shop.rows("select distinct model_version from churn_py") == [(2,)]

    def test__rollback__python_model__serves_the_version_before(self, shop: Project) -> None:
        rolled = shop.dbt("run-operation", "rfm_rollback", "--args", "{model: churn_py}")

        assert rolled.success, rolled.log
        assert shop.rows("select distinct model_version from churn_py") == [(1,)]

    def test__var_dbt_rfm_schema__history_and_versions_are_found_there(self, shop: Project) -> None:
        kept = ("--vars", "{dbt_rfm_schema: kept here}")

        built = shop.dbt("run", "--select", "churn_py", *kept)

        assert built.success, built.log
        listed = shop.dbt("run-operation", "rfm_versions", *kept).log
        assert listed.count("churn_py") == listed.count("serving") == 1
        assert len(shop.rows('select * from "kept here".churn_py__history')) > 10

    def test__filtered_relation__alias__still_finds_its_keys(self, shop: Project) -> None:
        shop.write("models/large.py", python_model(orders='dbt.ref("orders").filter("amount > 20")'))

        built = shop.dbt("run", "--select", "large")

        assert built.success, built.log
        active = "select count(distinct customer_id) from orders where amount > 20 and ordered_at > "
        newest = "(select max(ordered_at) from orders where amount > 20)"
        assert shop.rows("select count(*) from large") == shop.rows(f"{active}{newest} - interval 60 day")

    def test__labels__relation__replaces_the_target(self, shop: Project) -> None:
        shop.write(
            "models/late.sql",
            "select customer_id, cast(m as timestamp) as anchor_time, hash(customer_id + epoch(m)) % 3 = 0 as is_late "
            "from {{ ref('customers') }}, "
            "generate_series(date '2024-10-01', date '2025-05-01', interval 1 month) as t(m)",
        )
        options = ", labels=dbt.ref('late'), options={'context_size': 60, 'horizon': '30 days'}"
        query = "PREDICT labels.is_late FOR EACH customers.customer_id"
        shop.write("models/late_py.py", python_model(query, arguments=options))

        built = shop.dbt("run", "--select", "late", "late_py")

        assert built.success, built.log
        assert shop.rows("select count(*) from late_py") == [(80,)]

    @pytest.mark.parametrize(
        ("model", "words"),
        [
            (python_model(CHURN.replace("PREDICT", "PREDCIT")), ["PREDCIT", "line 1"]),
            (python_model(CHURN.replace("orders.*, 0", "orders.amuont, 0")), ["amuont", "amount"]),
            (python_model(CHURN.replace("orders.*, 0", "tickets.*, 0")), ["tickets"]),
            (python_model(orders='"orders"'), ["table orders is a str", 'dbt.ref("orders")']),
            (python_model(arguments=", options={'on_wrose': 'hold'}"), ["on_wrose", "on_worse"]),
        ],
    )
    def test__bad_input__python_model__one_message(self, shop: Project, model: str, words: list[str]) -> None:
        before = shop.rows("select * from churn_py order by customer_id")
        shop.write("models/churn_py.py", model)

        failed = shop.dbt("run", "--select", "churn_py")

        message = failed.messages["churn_py"]
        assert failed.results == {"churn_py": "error"}
        assert "Traceback" not in message and "PredictionFailed" in message
        for word in words:
            assert word in message
        assert shop.rows("select * from churn_py order by customer_id") == before
