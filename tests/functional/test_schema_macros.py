"""generate_rfm_graph and rfm_relational_schema on real dbt."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
import yaml
from dbt_projects import Project
from shop_project import predict

from dbt_rfm.job import Job
from dbt_rfm.manifest import job_table, job_tests

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


DECLARED = """
version: 2
models:
  - name: visits
    config: {meta: {rfm: {time_column: none}}}
    constraints: [{type: foreign_key, columns: [store_id], to: ref('stores'), to_columns: [store_id]}]
    columns:
      - name: store_id
        config: {meta: {rfm: {semantic_type: id}}}
        data_tests:
          - relationships: {arguments: {to: ref('stores'), field: store_id}, config: {where: 1 = 1, severity: warn}}
sources:
  - name: app
    schema: main
    tables:
      - name: clicks
        config: {meta: {rfm: {time_column: at}}, event_time: at}
        columns:
          - name: customer_id
            data_tests:
              - relationships: {arguments: {to: ref('customers'), field: customer_id}}
snapshots:
  - name: stores_history
    relation: ref('stores')
    config: {unique_key: store_id, strategy: check, check_cols: all, snapshot_meta_column_names: {dbt_valid_to: until}}
"""

# prediction_job itself needs a running model; what it says of tables and tests does not.
PRINT_JOB = """
{% macro print_job() %}
  {% set tables = [] %}
  {% for node in graph.nodes.values() | list + graph.sources.values() | list %}
    {% if node.resource_type in ('model', 'seed', 'snapshot', 'source') %}
      {% do tables.append(dbt_rfm.job_table(node.name, node.relation_name, node)) %}
    {% endif %}
  {% endfor %}
  {% set tests = dbt_rfm.job_tests(tables | map(attribute='unique_id') | list) %}
  {{ print('JOB ' ~ tojson({'version': 1, 'query': '', 'tables': tables, 'tests': tests})) }}
{% endmacro %}
"""


def test__manifest__tables_and_tests__as_the_macros_say(shop: Project, capfd: pytest.CaptureFixture) -> None:
    """The command line and dbt must see the same schema."""
    shop.write("models/visits.sql", "select 1 as store_id")
    shop.write("models/declared.yml", DECLARED)
    shop.write("macros/print_job.sql", PRINT_JOB)
    capfd.readouterr()
    run = shop.dbt("run-operation", "print_job")
    assert run.success, run.log
    (line,) = [line for line in capfd.readouterr().out.splitlines() if line.startswith("JOB ")]
    job = Job.from_json(line.removeprefix("JOB "))
    manifest = json.loads((shop.path / "target" / "manifest.json").read_text())
    nodes = {**manifest["nodes"], **manifest["sources"]}

    assert {t.alias for t in job.tables} == {"customers", "orders", "visits", "stores", "stores_history", "clicks"}
    for table in job.tables:
        assert meaning(table) == meaning(job_table(table.alias, nodes[table.unique_id]))
    ours = [asdict(test) for test in job_tests(manifest, {table.unique_id for table in job.tables})]
    assert sorted(map(asdict, job.tests), key=str) == sorted(ours, key=str)
    assert {test.severity for test in job.tests} == {"ERROR", "WARN"}


def meaning(table) -> dict:
    """What the schema reads of a table; dbt writes more about columns into the manifest than the macros hand on."""
    columns = {
        name: {
            "meta": {**(c.get("meta") or {}), **((c.get("config") or {}).get("meta") or {})},
            "constraints": [constraint["type"] for constraint in c.get("constraints") or []],
        }
        for name, c in table.columns.items()
    }
    constraints = [(c["type"], tuple(c["columns"]), c["to"], tuple(c["to_columns"])) for c in table.constraints]
    return {**asdict(table), "columns": columns, "constraints": constraints}
