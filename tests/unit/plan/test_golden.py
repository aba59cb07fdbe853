"""The SQL of a few plans, word for word, in each dialect; see golden_plans.py."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from golden_plans import DIALECTS, NAMES, assert_golden
from plan_databases import ORDERS_PATH, READS, shop_schema
from sqlglot import exp

from dbt_rfm.plan.bounds import bounds_select
from dbt_rfm.plan.children import children_blocks
from dbt_rfm.plan.examples import context_select, known_by
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.labels import labels_select
from dbt_rfm.plan.neighbours import neighbours_plan
from dbt_rfm.plan.past_labels import past_labels_block
from dbt_rfm.plan.sql import timestamp
from dbt_rfm.plan.values import Scope
from dbt_rfm.plan.windows import look_backs
from dbt_rfm.pql.ast import Window
from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.parser import parse
from dbt_rfm.pql.task import BoundAggregation, BoundColumn, BoundComparison, Task
from dbt_rfm.schema.types import RelationalSchema
from dbt_rfm.task_kind import TaskKind

RATIO = r"""
PREDICT SUM(items.quantity WHERE products.category LIKE 'a\_%', 0, 1, months)
/ COUNT_DISTINCT(orders.status, 0, 1, months)
FOR EACH customers.customer_id
WHERE regions.kind CONTAINS 'o''c' AND COUNT(orders.*) * 2 > customers.size
"""


def churn(graph: Graph) -> Task:
    customers, orders = graph.schema.table("customers"), graph.schema.table("orders")
    status = BoundComparison(BoundColumn(orders, orders.column("status")), "!=", "it's lost")

    def count(start: int, end: int, where=None) -> BoundAggregation:
        return BoundAggregation("COUNT", orders, None, ORDERS_PATH, Window(start, end), where)

    return Task(
        "",
        TaskKind.BINARY,
        BoundColumn(customers, customers.column("customer_id")),
        BoundComparison(count(0, 30, status), "=", 0),
        Window(0, 30),
        where=BoundComparison(count(-90, 0), ">", 0),
    )


def with_an_end(schema: RelationalSchema) -> RelationalSchema:
    """Orders are open until they are paid."""
    orders = schema.table("orders")
    columns = tuple(replace(c, ends=c.name == "paid_at") for c in orders.columns)
    tables = tuple(replace(t, columns=columns) if t is orders else t for t in schema.tables)
    return replace(schema, tables=tables)


def plans(graph: Graph) -> dict[str, exp.Expression]:
    scope, windows = Scope(graph), look_backs(Window(0, 30))
    customers = graph.schema.table("customers")
    blocks = {b.name: b.select for b in children_blocks(scope, NAMES, customers, "customer_id", windows, flags=True)}
    known = known_by(timestamp(datetime(2024, 6, 30, 12)))
    lasting = Scope(replace(graph, schema=with_an_end(graph.schema)))
    of_ends = children_blocks(lasting, NAMES, customers, "customer_id", windows, flags=True)
    blocks |= {b.name: b.select for b in of_ends if "paid_at" in b.name}
    return {
        "labels_churn_30d": labels_select(churn(graph), graph, "anchors"),
        "labels_of_a_ratio": labels_select(bind(parse(RATIO), graph.schema), graph, "anchors"),
        "context": context_select(NAMES, TaskKind.BINARY, size=1000, conditions=[known]),
        "bounds": bounds_select(NAMES.examples, windows),
        "children_items": blocks["orders.items"],
        "children_orders": blocks["orders"],
        "children_open": blocks["orders.paid_at.open"],
        "children_ended": blocks["orders.paid_at.ended"],
        "past_labels": past_labels_block(NAMES, TaskKind.BINARY).select,
        "neighbours_orders": neighbours_plan(scope, NAMES, customers, "customer_id", (8,)).rows["orders"],
    }


@pytest.mark.parametrize("dialect", DIALECTS)
def test__plan__sql__is_the_golden_text(dialect: str) -> None:
    assert_golden(plans(Graph(shop_schema(), READS[dialect])), dialect)
