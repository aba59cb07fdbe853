"""The SQL of a recommendation, word for word, in each dialect; see golden_plans.py."""

from __future__ import annotations

from dataclasses import replace

import pytest
from golden_plans import DIALECTS, NAMES, assert_golden
from plan_databases import READS, shop_schema
from sqlglot import exp

from dbt_rfm.plan.candidates import Limits, candidate_steps, history_steps
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.interactions import catalogue, interactions_select, listed_select, relevant_select
from dbt_rfm.plan.pairs import labelled_select, pair_block, pairs_select
from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.parser import parse

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
    return {
        "ranking_interactions": interactions_select(task, graph),
        "ranking_listed": listed_select(task, graph),
        "ranking_catalogue": found.select,
        "ranking_relevant": relevant_select(with_own, NAMES),
        "ranking_relevant_new": relevant_select(task, NAMES),
        **made,
        "ranking_labelled": labelled_select(NAMES),
        "ranking_pairs": pairs_select(NAMES, size=1000, seed=0),
        "ranking_features": pair_block(NAMES, found, ["quantity"], task.horizon).select,
    }


@pytest.mark.parametrize("dialect", DIALECTS)
def test__ranking__sql__is_the_golden_text(dialect: str) -> None:
    assert_golden(plans(READS[dialect]), dialect)
