"""A job from a manifest: the same tables and tests that the dbt macros would send."""

from __future__ import annotations

import pytest

from dbt_rfm.errors import ProjectError
from dbt_rfm.manifest import job_from_manifest, query_tables, tables_argument

QUERY = "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH customers.customer_id"


def node(name: str, kind: str = "model", **more) -> dict:
    return {
        "unique_id": f"{kind}.shop.{name}",
        "resource_type": kind,
        "name": name,
        "package_name": "shop",
        "relation_name": f'"db"."main"."{name}"',
        "config": {"materialized": "table"},
        **more,
    }


def source(group: str, name: str, **more) -> dict:
    return node(name, "source", unique_id=f"source.shop.{group}.{name}", source_name=group, **more)


def relationship(child: str, column: str, parent: str, field: str = "id", **config) -> dict:
    return {
        "unique_id": f"test.shop.{child}_{column}_{parent}",
        "resource_type": "test",
        "package_name": "shop",
        "column_name": column,
        "attached_node": child,
        "depends_on": {"nodes": [parent, child]},
        "config": {"severity": "ERROR", "where": None, **config},
        "test_metadata": {
            "name": "relationships",
            "namespace": None,
            "kwargs": {"column_name": column, "to": f"ref('{parent.split('.')[-1]}')", "field": field},
        },
    }


def manifest(*nodes: dict) -> dict:
    return {
        "metadata": {"project_name": "shop"},
        "nodes": {n["unique_id"]: n for n in nodes if n["resource_type"] != "source"},
        "sources": {n["unique_id"]: n for n in nodes if n["resource_type"] == "source"},
    }


@pytest.fixture
def shop() -> dict:
    return manifest(
        node("customers"),
        node("orders"),
        node("order_items"),
        node("stores", "seed"),
        node("islands"),
        node("churn", config={"materialized": "prediction"}),
        node("hidden", relation_name=None, config={"materialized": "ephemeral"}),
        source("app", "events"),
        relationship("model.shop.orders", "customer_id", "model.shop.customers"),
        relationship("model.shop.order_items", "order_id", "model.shop.orders"),
        relationship("model.shop.orders", "store_id", "seed.shop.stores"),
        relationship("model.shop.churn", "customer_id", "model.shop.customers"),
    )


def aliases(job) -> list[str]:
    return [table.alias for table in job.tables]


def test__tables__nothing_given__everything_that_links_reach(shop):
    job = job_from_manifest(shop, QUERY)
    assert aliases(job) == ["orders", "customers", "order_items", "stores"]
    assert {t.unique_id for t in job.tables} >= {"seed.shop.stores", "model.shop.order_items"}


@pytest.mark.parametrize(
    ("query", "graph", "argument"),
    [
        (QUERY, ["customers"], ""),
        (QUERY.replace("orders", "events"), ["customers", "orders"], "tables=['app.events']"),
        (QUERY.replace("orders", "events"), {"events": "app.events", "customers": "customers"}, ""),
        (QUERY.replace("orders", "Events"), ["customers"], "tables={'Events': 'app.events'}"),
        (QUERY, None, "tables=['order_items', 'stores']"),
    ],
)
def test__tables_argument__names_what_predict_would_not_find_by_itself(shop, query, graph, argument):
    job = job_from_manifest(shop, query, graph=graph)
    assert tables_argument(shop, job, graph) == argument


def test__tables_argument__older_version_of_a_model__is_named_with_it():
    versions = [
        node("visits", unique_id=f"model.shop.visits.v{v}", version=v, latest_version=2, alias=f"visits_v{v}")
        for v in (1, 2)
    ]
    project = manifest(*versions, node("customers"))
    job = job_from_manifest(project, QUERY.replace("orders", "visits_v1"), graph=["customers"])
    assert tables_argument(project, job, ["customers"]) == "tables=['visits.v1']"


def test__tables__given__those_and_the_querys(shop):
    assert aliases(job_from_manifest(shop, QUERY, tables=["stores"])) == ["stores", "orders", "customers"]


def test__tables__graph_then_tables_then_query(shop):
    job = job_from_manifest(shop, QUERY, graph=["customers", "islands"], tables={"events": "app.events"})
    assert aliases(job) == ["customers", "islands", "events", "orders"]


def test__tables__mapping__aliases(shop):
    job = job_from_manifest(shop, "PREDICT buyers.segment FOR EACH buyers.id", tables={"buyers": "customers"})
    assert [(t.alias, t.unique_id) for t in job.tables] == [("buyers", "model.shop.customers")]


def test__tables__same_table_twice__once(shop):
    assert aliases(job_from_manifest(shop, QUERY, graph=["orders"], tables=["orders", "customers"])) == [
        "orders",
        "customers",
    ]


def test__tables__alias_for_two__refused(shop):
    with pytest.raises(ProjectError, match=r'two tables have the alias orders: "db"."main"."orders" and .*"stores"'):
        job_from_manifest(shop, QUERY, graph=["orders"], tables={"orders": "stores"})


def test__tables__unknown__candidate(shop):
    with pytest.raises(ProjectError, match=r"source order\n  Did you mean orders"):
        job_from_manifest(shop, QUERY.replace("orders", "order"))


def test__tables__nearly_an_alias_of_the_graph__is_the_candidate(shop):
    with pytest.raises(ProjectError, match=r"source client\n  Did you mean clients"):
        job_from_manifest(shop, QUERY.replace("customers", "client"), graph={"clients": "customers"})


def test__tables__text_in_place_of_a_list__refused(shop):
    with pytest.raises(ProjectError, match="expected a list of tables"):
        job_from_manifest(shop, QUERY, graph="orders")


def test__tables__ephemeral__says_what_to_set(shop):
    with pytest.raises(ProjectError, match=r"hidden is ephemeral(.|\n)*view or table"):
        job_from_manifest(shop, QUERY, tables=["hidden"])


def test__names__source__by_group_or_alone(shop):
    for name in ("app.events", "events"):
        job = job_from_manifest(shop, QUERY, tables=[name])
        assert (job.tables[0].alias, job.tables[0].resource_type) == ("events", "source")


def test__names__source_in_front_of_its_table__says_how_a_query_names_it(shop):
    with pytest.raises(
        ProjectError, match=r"app is a source: in a query its tables are written alone, such as events\."
    ):
        job_from_manifest(shop, QUERY.replace("orders.", "app.events."))


def test__names__model_before_the_source_of_the_same_name():
    both = manifest(node("orders"), source("app", "orders"))
    job = job_from_manifest(both, "PREDICT orders.x FOR EACH orders.id")
    assert job.tables[0].unique_id == "model.shop.orders"


def test__names__two_sources__asked_back():
    both = manifest(source("app", "orders"), source("erp", "orders"))
    with pytest.raises(
        ProjectError, match=r"orders may be any of source\.shop\.app\.orders, source\.shop\.erp\.orders"
    ):
        job_from_manifest(both, "PREDICT orders.x FOR EACH orders.id")


def test__names__versions__the_latest():
    versions = [
        node("orders", unique_id=f"model.shop.orders.v{v}", version=v, latest_version=2, relation_name=f"orders_v{v}")
        for v in (1, 2, 3)
    ]
    job = job_from_manifest(manifest(*versions), "PREDICT orders.x FOR EACH orders.id")
    assert job.tables[0].relation == "orders_v2"


def test__names__two_versions_side_by_side__have_names_of_their_own():
    both = manifest(
        *(
            node(
                "orders", unique_id=f"model.shop.orders.v{v}", version=v, latest_version=2, relation_name=f"orders_{v}"
            )
            for v in (1, 2)
        )
    )
    query = "PREDICT COUNT(orders_v1.*, 0, 1) FOR EACH orders.id"
    for graph in (["orders", "orders.v1"], None):
        job = job_from_manifest(both, query, graph=graph)
        relations = {table.alias: (table.relation, table.unique_id) for table in job.tables}
        assert relations == {
            "orders": ("orders_2", "model.shop.orders.v2"),
            "orders_v1": ("orders_1", "model.shop.orders.v1"),
        }


def test__query_tables__a_key_of_several_columns__names_its_table():
    assert query_tables("PREDICT COUNT(orders.*, 0, 1) FOR EACH lines.(order_id, line)") == ["orders", "lines"]


def test__names__the_projects_own_before_a_packages():
    other = node("orders", unique_id="model.other.orders", package_name="other")
    job = job_from_manifest(manifest(other, node("orders")), "PREDICT orders.x FOR EACH orders.id")
    assert job.tables[0].unique_id == "model.shop.orders"


def test__tests__of_the_tables_without_those_on_predictions(shop):
    job = job_from_manifest(shop, QUERY, tables=["orders"])
    assert [(t.attached_node, t.column) for t in job.tests] == [
        ("model.shop.orders", "customer_id"),
        ("model.shop.order_items", "order_id"),
        ("model.shop.orders", "store_id"),
    ]
    assert job.tests[0].kwargs["field"] == "id"


def test__tests__arguments_where_and_severity__read():
    test = relationship("model.shop.orders", "customer_id", "model.shop.customers", where="x > 1", severity="warn")
    kwargs = test["test_metadata"]["kwargs"]
    test["test_metadata"]["kwargs"] = {"column_name": "customer_id", "arguments": {"field": kwargs["field"]}}
    (read,) = job_from_manifest(manifest(node("customers"), node("orders"), test), QUERY).tests
    assert (read.where, read.severity, read.kwargs["field"]) == ("x > 1", "WARN", "id")


def test__reach__foreign_key_constraint__followed():
    child = node("orders", constraints=[{"type": "foreign_key", "columns": ["c"], "to": "ref('customers')"}])
    job = job_from_manifest(manifest(node("customers"), child), "PREDICT customers.x FOR EACH customers.id")
    assert aliases(job) == ["customers", "orders"]


def test__table__everything_the_schema_needs__taken_over():
    snapshot = node(
        "customers",
        "snapshot",
        columns={"id": {"name": "id"}},
        primary_key=["id"],
        config={
            "materialized": "snapshot",
            "meta": {"rfm": {"time_column": "none"}},
            "event_time": "at",
            "snapshot_meta_column_names": {"dbt_valid_to": "until"},
        },
    )
    (table,) = job_from_manifest(manifest(snapshot), "PREDICT customers.x FOR EACH customers.id").tables
    assert table.relation == '"db"."main"."customers"'
    assert (table.primary_key, table.event_time) == (("id",), "at")
    assert table.meta == {"rfm": {"time_column": "none"}}
    others = ("dbt_valid_from", "dbt_scd_id", "dbt_updated_at", "dbt_is_deleted")
    assert table.snapshot_columns == {name: name for name in others} | {"dbt_valid_to": "until"}


def test__labels__relation_of_the_table_and_not_part_of_the_graph(shop):
    job = job_from_manifest(shop, "PREDICT labels.y FOR EACH customers.id", labels="islands")
    assert job.labels == '"db"."main"."islands"'
    assert "labels" not in aliases(job) and "islands" not in aliases(job)


def test__query_tables__texts_comments_and_quotes():
    query = "PREDICT COUNT(`order items`.*, 0, 1, days) -- gone.away\nFOR EACH a.id WHERE a.x = 'b.c' AND a.y > 1.5"
    assert query_tables(query) == ["order items", "a"]
