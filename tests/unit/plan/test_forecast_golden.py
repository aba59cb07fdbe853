"""The SQL of a forecast, word for word, in each dialect, as in test_golden.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from plan_databases import ORDERS_PATH, READS, shop_schema, written
from sqlglot import exp

from dbt_rfm.plan.blocks import Names
from dbt_rfm.plan.forecast_examples import closed_select, context_select, examples_select
from dbt_rfm.plan.forecast_features import forecast_plan
from dbt_rfm.plan.paths import Graph
from dbt_rfm.plan.series import series_select
from dbt_rfm.plan.timeline import seasons
from dbt_rfm.pql.ast import Window
from dbt_rfm.pql.task import BoundAggregation, BoundColumn, Task
from dbt_rfm.task_kind import TaskKind

GOLDEN = Path(__file__).parents[2] / "golden" / "plan"
NAMES, BASES = Names("x"), Names("xb")


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


@pytest.mark.parametrize("dialect", ["duckdb", "snowflake", "postgres"])
@pytest.mark.parametrize(
    "name", ["forecast_series", "forecast_rolled", "forecast_siblings", "forecast_examples", "forecast_features"]
)
def test__forecast__sql__is_the_golden_text(name: str, dialect: str) -> None:
    text = written(plans(Graph(shop_schema(), READS[dialect]))[name], dialect)
    file = GOLDEN / f"{name}.{dialect}.sql"
    if not file.exists():
        file.write_text(text, encoding="utf-8")
        pytest.fail(f"there was no {file.name}; it is written now: read it, and commit it")
    assert text == file.read_text(encoding="utf-8")
