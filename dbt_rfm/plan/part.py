"""A part of all entities, by lot: whose rows a quick list reads where everybody's are too many.

In: a task of kind LINK that names its entities, how many of the question's rows were known by the anchor, and of how
many entities. Out: a SELECT of keys, those named among them, and the ways along which the rows of a list are read.
Time rule: the lot is an md5 of the key alone, and the size of the part goes by rows known at the anchor, so that no
later row or entity changes who is in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, log2

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.interactions import parts_of
from dbt_rfm.plan.paths import Path, from_path, known_time, top_key
from dbt_rfm.plan.signals import Signal
from dbt_rfm.pql.task import Task
from dbt_rfm.schema.types import Link

QUICK_ROWS = 1_500_000
LEAST_ENTITIES = 10_000  # to learn from, and to tell what goes together
_DIGITS = 8  # of the md5 that are looked at


def known_rows(task: Task, graph: Graph, at: exp.Expression) -> exp.Select:
    """(rows, entities): how many of the rows that a list adds up were known at a moment, and whose."""
    target, _ = parts_of(task)
    path = Path(target.table, target.path)
    known = known_time(graph, path)
    assert known is not None, "the binder saw to it"
    entities = exp.Count(this=exp.Distinct(expressions=[top_key(path)]))
    counted = sql.select(sql.aliased(exp.Count(this=exp.Star()), "rows"), sql.aliased(entities, "entities"))
    query = from_path(graph, path, counted)
    return query.where(exp.LTE(this=known, expression=at), copy=False)


def part_select(task: Task, graph: Graph, *, rows: int, entities: int, seed: int) -> exp.Select | None:
    """(entity): a half, a fourth, … of all, so that they have QUICK_ROWS rows at most, but not fewer than
    LEAST_ENTITIES; None where that is everybody."""
    halvings = min(ceil(log2(max(rows, 1) / QUICK_ROWS)), floor(log2(max(entities, 1) / LEAST_ENTITIES)))
    if halvings <= 0:
        return None
    every = sql.select(sql.aliased(sql.column(task.entity.column.name, "e"), "entity"))
    every = every.from_(graph.read(task.entity.table, "e"), copy=False)
    key = sql.as_text(sql.column("entity", "q"))
    lot = exp.MD5(this=exp.DPipe(this=key, expression=exp.Literal.string(f"|part {seed}")))
    below = exp.Literal.string(f"{16**_DIGITS >> min(halvings, 4 * _DIGITS):0{_DIGITS}x}")
    named = exp.In(this=key.copy(), expressions=[exp.Literal.string(str(i)) for i in task.entity_ids])
    query = sql.select(sql.column("entity", "q")).from_(sql.subquery(every, "q"), copy=False)
    return query.where(exp.or_(exp.LT(this=lot, expression=below), named), copy=False)


def ways_of(task: Task, signals: Sequence[Signal]) -> list[tuple[Link, ...]]:
    """From the rows of the list and of its signals to the entity, each after the ways that it ends with."""
    paths = [parts_of(task)[0].path, *(signal.rows.path for signal in signals)]
    return sorted({path[i:] for path in paths for i in range(len(path) + 1)}, key=len)
