"""Labels computed by our plan equal the label tables of the suite, at the same anchors.

Where a definition differs. The f1 tables follow RelBench: they hold only drivers with an event in the window, and only
drivers with an event in the year before the anchor or *later* (no upper bound). Our queries look back only, so labels
are compared on the rows given, without WHERE. For the other databases the rows must be the same too, save that an
entity takes no part before its own row exists: in beer a few users have posts that are older than their account.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from suite_database import FOLDER, load

from dbt_rfm.plan.blocks import Names
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.interactions import interactions_select, listed_select, relevant_select
from dbt_rfm.plan.labels import labels_select
from dbt_rfm.pql.ast import Window
from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.parser import parse
from dbt_rfm.pql.task import BoundAggregation, BoundColumn, BoundComparison, Task
from dbt_rfm.schema.types import RelationalSchema
from dbt_rfm.task_kind import TaskKind

pytestmark = [
    pytest.mark.suite,
    pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no suite of databases at {FOLDER} (set DBT_RFM_SUITE)"),
]


def count(schema: RelationalSchema, table: str, start: int, end: int, where=None) -> BoundAggregation:
    return aggregate(schema, "COUNT", table, None, start, end, where)


def aggregate(schema, function, table, column, start, end, where=None) -> BoundAggregation:
    t = schema.table(table)
    entity = {
        "results": "drivers",
        "qualifying": "drivers",
        "invoices": "customers",
        "posts": "users",
        "votes": "posts",
    }
    parent = entity.get(table)
    links = [k for k in schema.links if k.child == table and (parent is None or k.parent == parent)]
    return BoundAggregation(
        function, t, t.column(column) if column else None, tuple(links[:1]), Window(start, end), where
    )


def on_link(aggregation: BoundAggregation, schema: RelationalSchema, parent: str) -> BoundAggregation:
    link = next(k for k in schema.links if k.child == aggregation.table.name and k.parent == parent)
    return replace(aggregation, path=(link,))


def task_of(name: str, task: str, schema: RelationalSchema) -> Task:
    def entity(table: str) -> BoundColumn:
        t = schema.table(table)
        return BoundColumn(t, t.column(t.primary_key[0]))

    binary, regression = TaskKind.BINARY, TaskKind.REGRESSION
    if (name, task) == ("f1", "driver_dnf"):
        results = schema.table("results")
        retired = BoundComparison(BoundColumn(results, results.column("statusId")), "!=", 1)
        target = BoundComparison(count(schema, "results", 0, 30, retired), ">", 0)
        assuming = BoundComparison(count(schema, "results", 0, 30), ">", 0)
        return Task("", binary, entity("drivers"), target, Window(0, 30), assuming=assuming)
    if (name, task) == ("f1", "driver_top3"):
        target = BoundComparison(aggregate(schema, "MIN", "qualifying", "position", 0, 30), "<=", 3)
        return Task("", binary, entity("drivers"), target, Window(0, 30))
    if (name, task) == ("f1", "driver_position"):
        target = aggregate(schema, "AVG", "results", "positionOrder", 0, 60)
        return Task("", regression, entity("drivers"), target, Window(0, 60))
    if (name, task) == ("maven_market", "customer_churn"):
        ahead, before = (on_link(count(schema, "transactions", *w), schema, "customers") for w in ((0, 30), (-90, 0)))
        target, where = BoundComparison(ahead, "=", 0), BoundComparison(before, ">", 0)
        return Task("", binary, entity("customers"), target, Window(0, 30), where)
    if (name, task) == ("maven_market", "store_sales"):
        target = on_link(aggregate(schema, "SUM", "transactions", "quantity", 0, 7), schema, "stores")
        return Task("", regression, entity("stores"), target, Window(0, 7))
    if name == "online_retail":
        where = BoundComparison(count(schema, "invoices", -90, 0), ">", 0)
        if task == "customer_churn":
            target = BoundComparison(count(schema, "invoices", 0, 30), "=", 0)
            return Task("", binary, entity("customers"), target, Window(0, 30), where)
        target = aggregate(schema, "SUM", "invoices", "total", 0, 30)
        return Task("", regression, entity("customers"), target, Window(0, 30), where)
    if (name, task) == ("beer", "user_engagement"):
        target = BoundComparison(count(schema, "posts", 0, 90), ">", Decimal(0))
        where = BoundComparison(count(schema, "posts", -365, 0), ">", 0)
        return Task("", binary, entity("users"), target, Window(0, 90), where)
    assert (name, task) == ("beer", "post_votes")
    return Task("", regression, entity("posts"), count(schema, "votes", 0, 90), Window(0, 90))


@pytest.mark.parametrize(
    ("name", "task", "same_rows"),
    [
        ("f1", "driver_dnf", False),
        ("f1", "driver_top3", False),
        ("f1", "driver_position", False),
        ("online_retail", "customer_churn", True),
        ("online_retail", "customer_ltv", True),
        ("maven_market", "customer_churn", True),
        ("maven_market", "store_sales", True),
        ("beer", "user_engagement", True),
        ("beer", "post_votes", True),
    ],
)
def test__labels__suite_task__equal_the_given_table(name: str, task: str, same_rows: bool) -> None:
    spec, schema, warehouse, connection = load(name)
    given = FOLDER / name / spec["tasks"][task]["file"]
    connection.execute(f"create table given as select entity, anchor_time, label::double as label from '{given}'")
    anchors = connection.sql("select distinct anchor_time from given").to_arrow_table()
    warehouse.load_temporary("anchors", anchors)
    warehouse.create_temporary("ours", labels_select(task_of(name, task, schema), Graph(schema, "duckdb"), "anchors"))
    both = "from given g full join ours o on g.entity = o.entity and g.anchor_time = o.anchor_time"

    def one(query: str) -> int:
        return connection.execute(query).fetchone()[0]

    table = schema.table(spec["tasks"][task]["entity"].split(".")[0])
    if table.time_column:
        born = f'select "{table.primary_key[0]}" from "{table.name}" where "{table.time_column}" <= anchor_time'
        connection.execute(f"delete from given where entity not in ({born})")
    rows = one("select count(*) from given")
    assert rows > 200
    assert one(f"select count(*) {both} where o.entity is null") == 0
    assert one(f"select count(*) {both} where abs(g.label - o.label::double) > 1e-6") == 0
    if same_rows:
        assert one("select count(*) from ours") == rows


def test__lists__online_retail__equal_the_given_table() -> None:
    """What is relevant by our plan is the suite's list at every anchor; the suite leaves out what was sent back."""
    spec, schema, warehouse, connection = load("online_retail")
    given = FOLDER / "online_retail" / spec["tasks"]["customer_next_products"]["file"]
    connection.execute(f"create table given as select entity, anchor_time, unnest(label) as item from '{given}'")
    query = spec["tasks"]["customer_next_products"]["query"]
    bought = query.replace("stock_code,", "stock_code WHERE invoice_lines.Quantity > 0,")
    task = bind(parse(bought), schema)
    names = Names("t")
    warehouse.create_temporary(names("interactions"), interactions_select(task, Graph(schema, "duckdb")))
    warehouse.create_temporary(names("listed"), listed_select(task, Graph(schema, "duckdb")))
    windows = "select distinct anchor_time, anchor_time as opens, anchor_time + interval 30 day as closes from given"
    connection.execute(f"create temp table {names('windows')} as {windows}")
    warehouse.create_temporary("ours", relevant_select(task, names))

    def one(query: str) -> int:
        return connection.execute(query).fetchone()[0]

    assert one("select count(*) from given") > 100_000
    assert one("select count(*) from given anti join ours using (entity, anchor_time, item)") == 0
    lists = "select distinct entity, anchor_time from given"  # the query's WHERE leaves out who was away for 90 days
    ours = f"select o.* from ours as o semi join ({lists}) as l using (entity, anchor_time)"
    assert one(f"select count(*) from ({ours}) as o anti join given using (entity, anchor_time, item)") == 0
