"""generate_rfm_graph and rfm_relational_schema on real dbt."""

from __future__ import annotations

import pytest
import yaml
from conftest import Project, predict

pytestmark = pytest.mark.functional

METRICS = """
version: 2
models:
  - name: customer_metrics
    columns:
      - {name: customer_id, data_tests: [unique, not_null]}
  - name: visits
    columns:
      - name: store_id
        constraints: [{type: foreign_key, to: ref('stores'), to_columns: [store_id]}]
  - name: churn
    columns:
      - name: customer_id
        data_tests:
          - unique
          - not_null
          - relationships: {arguments: {to: ref('customers'), field: customer_id}}
  - name: note
sources:
  - name: app
    schema: main
    tables:
      - name: orders
        columns:
          - name: customer_id
            data_tests:
              - relationships: {arguments: {to: ref('customers'), field: customer_id}}
"""


@pytest.fixture(scope="class")
def wide_shop(shop: Project) -> Project:
    """The shop with a mart, a foreign key constraint, a source, a prediction and a model that carries nothing."""
    shop.write("models/customer_metrics.sql", "select customer_id, count(*) as n from {{ ref('orders') }} group by 1")
    shop.write("models/visits.sql", "{{ config(materialized='view') }} select 1 as store_id")
    shop.write("models/note.sql", "select 'x' as text")
    shop.write("models/churn.sql", predict())
    shop.write("models/metrics.yml", METRICS)
    return shop


def generated(project: Project, capfd: pytest.CaptureFixture, *arguments: str) -> tuple[dict, str]:
    """(the YAML it printed, as it is and read)."""
    capfd.readouterr()
    run = project.dbt("run-operation", "generate_rfm_graph", *arguments)
    assert run.success, run.log
    printed = capfd.readouterr().out
    text = printed[printed.index("vars:") :]
    return yaml.safe_load(text), text


class TestGenerateGraph:
    def test__shop__its_linked_tables(self, shop: Project, capfd: pytest.CaptureFixture) -> None:
        read, _ = generated(shop, capfd)
        assert read == {"vars": {"dbt_rfm_graph": ["customers", "orders", "stores"]}}

    def test__wide_shop__links_of_every_kind_and_no_prediction(
        self, wide_shop: Project, capfd: pytest.CaptureFixture
    ) -> None:
        read, text = generated(wide_shop, capfd)
        # Two tables are called orders, so the list becomes a mapping.
        assert read["vars"]["dbt_rfm_graph"] == {
            "customers": "customers",
            "orders": "orders",
            "stores": "stores",
            "visits": "visits",
            "app_orders": "app.orders",
        }
        assert "# with a key but no link: customer_metrics" in text
        assert "churn" not in text and "note" not in text

    def test__models__only_those(self, wide_shop: Project, capfd: pytest.CaptureFixture) -> None:
        read, _ = generated(wide_shop, capfd, "--args", "{models: [orders, customers]}")
        assert read == {"vars": {"dbt_rfm_graph": ["customers", "orders"]}}
        read, _ = generated(wide_shop, capfd, "--args", "{models: app.orders}")
        assert read == {"vars": {"dbt_rfm_graph": ["app.orders"]}}

    def test__models__unknown_name__says_what_is_known(self, wide_shop: Project) -> None:
        run = wide_shop.dbt("run-operation", "generate_rfm_graph", "--args", "{models: [order]}")
        assert not run.success
        assert "no model, seed, snapshot or source order" in run.log
        assert "Known: app.orders, customer_metrics, customers" in run.log

    def test__nothing_declared__says_what_to_declare(self, shop: Project) -> None:
        shop.remove("models/schema.yml")
        for name in ("churn.sql", "metrics.yml"):
            shop.remove(f"models/{name}")
        run = shop.dbt("run-operation", "generate_rfm_graph")
        assert not run.success
        assert "Add unique, not_null and relationships tests" in run.log


class TestRelationalSchema:
    def test__off__unless_asked_for(self, shop: Project) -> None:
        assert "rfm_relational_schema" not in shop.dbt("ls", "--quiet").log

    def test__on__one_row_per_column_and_link(self, shop: Project) -> None:
        run = shop.dbt("run", "--select", "rfm_relational_schema", "--vars", "{dbt_rfm_python_models: true}")
        assert run.success, run.log
        rows = shop.rows(
            "select table_name, column_name, semantic_type, is_primary_key, is_time_column, parent_table, "
            "link_declared_by from rfm_relational_schema where table_name <> 'customers'"
        )
        assert rows == [
            ("orders", "order_id", "id", True, False, None, None),
            ("orders", "customer_id", "id", False, False, "customers", "relationships test"),
            ("orders", "store_id", "id", False, False, "stores", "relationships test"),
            ("orders", "amount", "numerical", False, False, None, None),
            ("orders", "ordered_at", "timestamp", False, True, None, None),
            ("stores", "store_id", "id", True, False, None, None),
            ("stores", "kind", "categorical", False, False, None, None),
        ]

    def test__graph_with_a_typo__one_message_with_a_candidate(self, shop: Project) -> None:
        given = "{dbt_rfm_python_models: true, dbt_rfm_graph: [customers, order]}"
        run = shop.dbt("run", "--select", "rfm_relational_schema", "--vars", given)
        assert not run.success
        assert "no model, seed, snapshot or source order" in run.messages["rfm_relational_schema"]
        assert "Did you mean orders?" in run.messages["rfm_relational_schema"]
        assert "Traceback" not in run.messages["rfm_relational_schema"]
