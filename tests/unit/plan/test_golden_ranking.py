"""The SQL of a recommendation, word for word, in each dialect; see golden_plans.py."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
from golden_plans import DIALECTS, NAMES, assert_golden
from plan_databases import READS, shop_schema
from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.candidates import Limits, candidate_steps, history_steps
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.interactions import (
    Catalogue,
    catalogue,
    interactions_select,
    listed_select,
    relevant_select,
    rows_select,
)
from dbt_rfm.plan.pairs import labelled_select, pair_block, pairs_select
from dbt_rfm.plan.part import QUICK_ROWS, known_rows, part_select
from dbt_rfm.plan.signals import signal_steps, signals_of
from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.parser import parse
from dbt_rfm.pql.task import Task

QUERY = (
    "PREDICT LIST_DISTINCT(items.product_id WHERE items.quantity > 0, 0, 30, days) RANK TOP 12 EXCLUDE SEEN "
    "FOR EACH customers.customer_id"
)


def plans(dialect: str) -> dict[str, exp.Expression]:
    graph = Graph(shop_schema(), dialect)
    task = bind(parse(QUERY), graph.schema)
    assert task.ranking is not None and task.horizon is not None
    found = catalogue(task, graph, NAMES)
    steps = history_steps(NAMES, len(found.kinds), 1)
    steps += candidate_steps(NAMES, Limits.of(100, 12), len(found.kinds), exclude_seen=True)
    made = {f"ranking_{step.table.removeprefix('rfm_').removesuffix('_x')}": step.select for step in steps}
    with_own = replace(task, ranking=replace(task.ranking, exclude_seen=False))
    part = part_select(replace(task, entity_ids=(7,)), graph, rows=9 * QUICK_ROWS, entities=10**9, seed=0)
    assert part is not None
    return {
        "ranking_known": known_rows(task, graph, sql.timestamp(datetime(2024, 3, 1))),
        "ranking_part": part,
        "ranking_interactions": interactions_select(task, graph),
        "ranking_listed": listed_select(task, graph),
        "ranking_catalogue": found.select,
        "ranking_relevant": relevant_select(with_own, NAMES),
        "ranking_relevant_new": relevant_select(task, NAMES),
        **made,
        "ranking_labelled": labelled_select(NAMES),
        "ranking_pairs": pairs_select(NAMES, size=1000, seed=0),
        "ranking_features": pair_block(NAMES, found, ["quantity"], task.horizon).select,
        **signals(task, graph, found),
    }


def signals(task: Task, graph: Graph, found: Catalogue) -> dict[str, exp.Expression]:
    """All rows of the items are a signal beside those of a quantity."""
    (signal,) = signals_of(task, graph)
    made = {f"ranking_{s.table.removeprefix('rfm_').removesuffix('_x')}": s.select for s in signal_steps(NAMES, 0)}
    kinds, limits = len(found.kinds), Limits.of(100, 12, 1)
    (*_, candidates) = candidate_steps(NAMES, limits, kinds, exclude_seen=False, signals=1)
    return {
        "ranking_signal0": rows_select(signal.rows, graph),
        **made,
        "ranking_candidates_seen": candidates.select,
        "ranking_features_seen": pair_block(NAMES, found, [], task.horizon, [signal.label]).select,
    }


@pytest.mark.parametrize("dialect", DIALECTS)
def test__ranking__sql__is_the_golden_text(dialect: str) -> None:
    assert_golden(plans(READS[dialect]), dialect)
