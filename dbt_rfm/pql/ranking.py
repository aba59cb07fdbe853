"""RANK TOP k: which of the linked rows come next, the likeliest first.

In: the query and its target as bound. Out: a `Ranking`, or a QueryError. The target is LIST_DISTINCT of a foreign key
(order_items.product_id): its window's values are what the prediction is held against, and the rows of the table that
the key points at are what may be recommended. EXCLUDE SEEN leaves out, of both, what the entity had before its anchor.
"""

from __future__ import annotations

from dbt_rfm.pql import ast
from dbt_rfm.pql.scope import Scope, joined
from dbt_rfm.pql.task import BoundAggregation, BoundTarget, Ranking
from dbt_rfm.schema.types import Link

LISTED = "LIST_DISTINCT"
MAX_RANKED, RANKED = 1000, 10  # at most, and where the query names no number


def ranking_of(scope: Scope, query: ast.Query, target: BoundTarget) -> Ranking | None:
    """What is ranked; None for a query of another kind. Raises QueryError."""
    problem = query.problem
    ranked = problem is not None and problem.kind == "RANK"
    listed = isinstance(target, BoundAggregation) and target.function == LISTED
    if not ranked and not listed:
        return None
    if not isinstance(target, BoundAggregation) or not listed:
        hint = "Write PREDICT LIST_DISTINCT(order_items.product_id, 0, 30, days) RANK TOP 10 FOR EACH …"
        raise scope.error(
            "RANK needs a target that lists something: LIST_DISTINCT of a foreign key", _span(query), hint
        )
    if problem is None or not ranked:
        hint = "Say how many to recommend: LIST_DISTINCT(…) RANK TOP 10."
        raise scope.error("LIST_DISTINCT is predicted as a ranking", target.span, hint)
    number = RANKED if problem.number is None else problem.number
    if number > MAX_RANKED:
        raise scope.error(f"RANK TOP takes at most {MAX_RANKED}, got {number}", problem.span)
    link = _link(scope, query, target)
    return Ranking(link, scope.schema.table(link.parent), number, problem.exclude_seen)


def _link(scope: Scope, query: ast.Query, target: BoundAggregation) -> Link:
    """The foreign key that is listed: one that leads to things, not back to the entity."""
    assert isinstance(query.target, ast.Aggregation), "the target was bound from one"
    span, table = query.target.column.span, target.table
    foreign = [link for link in scope.schema.parents(table.name) if link != target.path[0]]
    name = f"{table.name}.{target.column.name if target.column is not None else '*'}"
    found = [link for link in foreign if target.column is not None and link.child_column == target.column.name]
    if len(found) == 1:
        return found[0]
    if len(found) > 1:
        ways = joined((link.parent for link in found), "and")
        raise scope.error(f"{name} points at more than one table: {ways}", span, "Keep one of these links.")
    if target.column is not None and target.column.name == target.path[0].child_column:
        problem = f"{name} leads to the entity itself ({target.path[0]}), so there is nothing to rank"
    else:
        problem = f"{name} is no foreign key, so there is no table of things to rank"
    listed = joined((f"{link.child}.{link.child_column}" for link in foreign), "or") if foreign else ""
    hint = f"Foreign keys of {table.name}: {listed}." if foreign else f"{table.name} has no other foreign key."
    raise scope.error(problem, span, hint)


def _span(query: ast.Query) -> ast.Span:
    return query.problem.span if query.problem is not None else query.target.span
