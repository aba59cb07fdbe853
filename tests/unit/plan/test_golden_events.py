"""The SQL of an attribute of events, word for word, in each dialect; see golden_plans.py."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from golden_plans import DIALECTS, NAMES, assert_golden
from plan_databases import READS, shop_schema
from sqlglot import exp

from dbt_rfm.plan.event_groups import own_step
from dbt_rfm.plan.event_history import history_blocks
from dbt_rfm.plan.event_labels import event_labels_select, unknown_events_select
from dbt_rfm.plan.event_outcome import outcome_of
from dbt_rfm.plan.event_seen import seen_blocks
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.own import own_block
from dbt_rfm.plan.values import Scope
from dbt_rfm.plan.windows import look_backs
from dbt_rfm.pql.ast import Window
from dbt_rfm.pql.delay import Delay
from dbt_rfm.pql.task import BoundColumn, BoundComparison, Task
from dbt_rfm.task_kind import TaskKind


def plans(graph: Graph) -> dict[str, exp.Expression]:
    """The amount of an order, known 36 hours after it or two days after it was paid, and its status."""
    orders, delay = graph.schema.table("orders"), Delay(Window(0, 36, "hours"))
    by_then = Delay(Window(0, 2), "paid_at")
    task = Task(
        "",
        TaskKind.REGRESSION,
        BoundColumn(orders, orders.column("order_id")),
        BoundColumn(orders, orders.column("amount")),
        None,
        where=BoundComparison(BoundColumn(orders, orders.column("status")), "=", "it's lost"),
        of_events=True,
    )
    scope, at = Scope(graph, frozenset({("orders", "amount")})), datetime(2024, 6, 30, 12)
    blocks = {b.name: b.select for b in history_blocks(scope, NAMES, orders, look_backs(None), outcome_of(task, delay))}
    blocks |= {
        b.name: b.select for b in history_blocks(scope, NAMES, orders, look_backs(None), outcome_of(task, by_then))
    }
    state = replace(task, kind=TaskKind.MULTICLASS, target=BoundColumn(orders, orders.column("status")), where=None)
    told = outcome_of(state, delay, ["paid", "it's lost"])
    hidden = Scope(graph, frozenset({("orders", "status")}))
    classes = {b.name: b.select for b in history_blocks(hidden, NAMES, orders, look_backs(None), told)}
    customers = graph.schema.table("customers")
    blocks |= {b.name: b.select for b in history_blocks(Scope(graph), NAMES, customers, look_backs(None), None)}
    own, (seen, *_) = own_block(scope, NAMES, orders, "order_id"), seen_blocks(scope, NAMES, orders, "order_id")
    assert own
    return {
        "events_labels": event_labels_select(task, graph, at, delay),
        "events_unknown": unknown_events_select(task, graph, at, delay),
        "events_labels_by_moment": event_labels_select(task, graph, at, by_then),
        "events_unknown_by_moment": unknown_events_select(task, graph, at, by_then),
        "events_known_by_moment": blocks["orders>customers<orders@paid_at+2d"],
        "events_own": own_step(scope, NAMES, orders, "order_id").select,
        "events_of_customer": blocks["orders>customers<orders"],
        "events_known_of_customer": blocks["orders>customers<orders@36h"],
        "events_known_classes_of_customer": classes["orders>customers<orders@36h"],
        "events_below": blocks["customers>regions<customers<orders"],
        "events_seen": seen.select,
        "events_row": own.select,
    }


@pytest.mark.parametrize("dialect", DIALECTS)
def test__event_plan__sql__is_the_golden_text(dialect: str) -> None:
    assert_golden(plans(Graph(shop_schema(), READS[dialect])), dialect)
