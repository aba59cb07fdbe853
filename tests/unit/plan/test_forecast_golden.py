"""The SQL of a forecast, word for word, in each dialect; see golden_plans.py."""

from __future__ import annotations

import pytest
from golden_plans import DIALECTS, NAMES, assert_golden
from plan_databases import ORDERS_PATH, READS, shop_schema
from sqlglot import exp

from dbt_rfm.plan.blocks import Names
from dbt_rfm.plan.forecast_examples import closed_select, context_select, examples_select
from dbt_rfm.plan.forecast_features import forecast_plan
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.series import series_select
from dbt_rfm.plan.timeline import seasons
from dbt_rfm.pql.ast import Window
from dbt_rfm.pql.task import BoundAggregation, BoundColumn, Task
from dbt_rfm.task_kind import TaskKind

BASES = Names("xb")


def spending(graph: Graph) -> Task:
    customers, orders = graph.schema.table("customers"), graph.schema.table("orders")
    week = Window(0, 7, "days")
    return Task(
        "",
        TaskKind.FORECAST,
        BoundColumn(customers, customers.column("customer_id")),
        BoundAggregation("SUM", orders, orders.column("amount"), ORDERS_PATH, week),
        week,
        timeframes=4,
    )


def plans(graph: Graph) -> dict[str, exp.Expression]:
    task = spending(graph)
    found = seasons(task.horizon)
    plan = forecast_plan(task, graph, NAMES, BASES, found)
    context = context_select(NAMES, until=0, since=-60, steps=4, size=1000, entities=500, seed=0)
    tested = closed_select(NAMES, at=-4, steps=4, entities=500, seed=0)
    return {
        "forecast_series": series_select(task, graph, NAMES("windows"), [(task.horizon, NAMES("starts0"))]),
        "forecast_rolled": {step.table: step.select for step in plan.steps}[NAMES("rolled")],
        "forecast_siblings": {step.table: step.select for step in plan.steps}[NAMES("siblings0")],
        "forecast_examples": examples_select(NAMES, [("context", context), ("backtest", tested)]),
        "forecast_features": plan.block.select,
    }


@pytest.mark.parametrize("dialect", DIALECTS)
def test__forecast__sql__is_the_golden_text(dialect: str) -> None:
    assert_golden(plans(Graph(shop_schema(), READS[dialect])), dialect)
