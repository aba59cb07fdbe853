"""The tables change between two builds: the prediction keeps being served and says what changed."""

from __future__ import annotations

import pytest
from dbt_projects import Project
from shop_project import predict

pytestmark = pytest.mark.functional


class TestSchemaChanges:
    def test__build__first_and_unchanged__says_nothing_of_the_schema(self, shop: Project) -> None:
        shop.write("models/churn_now.sql", predict())
        for _ in range(2):
            built = shop.dbt("run", "--select", "churn_now")
            assert built.success and "the schema is not that" not in built.log

    def test__build__column_renamed__is_told_and_served(self, shop: Project) -> None:
        orders = (shop.path / "models/orders.sql").read_text()
        shop.write("models/orders.sql", f"select * exclude (amount), amount as total from ({orders})")

        built = shop.dbt("run", "--select", "orders churn_now")

        assert built.success, built.log
        assert (
            "the schema is not that of version 2: orders.amount is gone and orders.total of the same kind is there"
            in built.log
        )
        assert shop.rows("select distinct model_version from churn_now") == [(3,)]

    def test__build__column_and_table_added_and_a_column_dropped__are_told_and_served(self, shop: Project) -> None:
        orders = (shop.path / "models/orders.sql").read_text()
        shop.write("models/orders.sql", f"select * exclude (total), order_id % 3 as priority from ({orders})")
        shop.write("models/visits.sql", "select 1 as visit_id, 1 as customer_id, timestamp '2025-01-01' as visited_at")
        shop.write("models/churn_now.sql", predict(arguments=", tables=['visits']"))
        shop.write("models/visits.yml", VISITS)

        built = shop.dbt("run", "--select", "orders visits churn_now")

        assert built.success, built.log
        (line,) = [line for line in built.log.splitlines() if "the schema is not that of version 3" in line]
        assert "table visits is new" in line
        assert shop.rows("select distinct model_version from churn_now") == [(4,)]


VISITS = """
models:
  - name: visits
    config: {event_time: visited_at}
    columns:
      - {name: visit_id, data_tests: [unique, not_null]}
      - {name: customer_id, data_tests: [{relationships: {arguments: {to: ref('customers'), field: customer_id}}}]}
"""
