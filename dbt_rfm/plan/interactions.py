"""Who had what, when: the rows of a recommendation under names of our own, and the things that may be recommended.

In: a task of kind LINK (its target is LIST_DISTINCT of a foreign key, over a path of links). Out: SELECTs of
`interactions` (entity, item, happened, known, until, n, amounts), of the `catalogue` as of each moment, and of what is
`relevant` to an entity after an anchor.
Time rule: a row is known once every timed table on its path is, and counts until a version on its path ends. An item
is in the catalogue of a moment if its row existed then; before that, rows with the item do not count either. What is
relevant lies in the target's window after the anchor and was known at its end, item included; with EXCLUDE SEEN what
the entity had by the anchor is not relevant to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.blocks import Names
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.labels import inner_condition
from dbt_rfm.plan.paths import Path, event_time, from_path, known_time, top_key, valid_until
from dbt_rfm.plan.row_times import exists_at, own_time, time_of
from dbt_rfm.plan.template import statement
from dbt_rfm.plan.values import NUMERICAL, Scope, Value, values_of
from dbt_rfm.pql.task import BoundAggregation, Ranking, Task
from dbt_rfm.schema.types import SemanticType

MAX_KINDS, MAX_NUMBERS = 3, 3  # attributes of items that are read


@dataclass(frozen=True)
class Catalogue:
    """`select` has at, item, born, then c0, c1, … (categories) and v0, v1, … (numbers), named by these tuples."""

    select: exp.Select
    kinds: tuple[str, ...]
    numbers: tuple[str, ...]


def parts_of(task: Task) -> tuple[BoundAggregation, Ranking]:
    """The target and what it ranks."""
    assert isinstance(task.target, BoundAggregation) and task.ranking is not None, "a recommendation ranks a list"
    return task.target, task.ranking


def amounts_of(task: Task, graph: Graph) -> list[Value]:
    """Numbers of the rows themselves, such as a quantity, that are added up per entity and item."""
    target, _ = parts_of(task)
    values = values_of(Scope(graph), target.table, Path(target.table, target.path).alias(0))
    plain = {c.name for c in target.table.columns}
    return [v for v in values if v.kind == NUMERICAL and v.label in plain][:MAX_NUMBERS]


def interactions_select(task: Task, graph: Graph) -> exp.Select:
    """(entity, item, happened, known, until, n, q0, q1, …): how many rows of that moment, and sums of their amounts.

    `until` null means still valid.
    """
    return rows_select(parts_of(task)[0], graph, amounts_of(task, graph))


def rows_select(rows: BoundAggregation, graph: Graph, amounts: Sequence[Value] = ()) -> exp.Select:
    """The same of any rows that lead to the entity and whose column points at the items."""
    path = Path(rows.table, rows.path, asked=True)
    happened, known = event_time(graph, path), known_time(graph, path)
    assert rows.column is not None and happened is not None and known is not None, "the binder saw to it"
    item = sql.column(rows.column.name, path.alias(0))
    ends = valid_until(graph, path)
    until: exp.Expression = sql.none_of("timestamp")
    if ends:
        until = ends[0] if len(ends) == 1 else exp.Least(this=ends[0], expressions=ends[1:])
    by = {"entity": top_key(path), "item": item, "happened": happened, "known": known, "until": until}
    query = sql.select(*(sql.aliased(e, name) for name, e in by.items()))
    query = from_path(graph, path, query.select(sql.aliased(exp.Count(this=exp.Star()), "n"), copy=False))
    sums = [sql.aliased(exp.Sum(this=v.expression), f"q{j}") for j, v in enumerate(amounts)]
    query = query.select(*sums, copy=False)
    conditions: list[exp.Expression] = [
        sql.given(item),
        sql.given(top_key(path)),
        sql.given(known),
    ]
    if rows.where is not None:
        conditions.append(inner_condition(rows, graph, path, query, known.copy()))
    return query.where(*conditions, copy=False).group_by(*(e.copy() for e in by.values()), copy=False)


def catalogue(task: Task, graph: Graph, names: Names) -> Catalogue:
    """The items that exist at each of the session table `moments`, with a few attributes."""
    ranking = parts_of(task)[1]
    link, table = ranking.link, ranking.items
    values = values_of(Scope(graph), table, "i")
    kinds = [
        (up.child_column, sql.as_text(sql.column(up.child_column, "i"))) for up in graph.schema.parents(table.name)
    ]
    said = {c.name: c.semantic_type for c in table.columns}
    kinds += [(v.label, v.expression) for v in values if said.get(v.label) is SemanticType.CATEGORICAL]
    numbers = [(v.label, v.expression) for v in values if v.kind == NUMERICAL and v.label in said]
    kinds, numbers = kinds[:MAX_KINDS], numbers[:MAX_NUMBERS]
    at, key = sql.column("at", "m"), sql.column(link.parent_column, "i")
    born = own_time(table, "i") or sql.none_of("timestamp")
    query = sql.select(sql.aliased(at, "at"), sql.aliased(key, "item"), sql.aliased(born, "born"))
    columns = [(f"c{j}", e) for j, (_, e) in enumerate(kinds)] + [(f"v{j}", e) for j, (_, e) in enumerate(numbers)]
    query = query.select(*(sql.aliased(e, name) for name, e in columns), copy=False)
    query = query.from_(graph.read(table, "i"), copy=False)
    there = exists_at(table, "i", at.copy())
    sql.join(query, sql.temporary(names("moments"), "m"), sql.every(there) if there else None)
    query = query.where(sql.given(key), copy=False)
    return Catalogue(query, tuple(name for name, _ in kinds), tuple(name for name, _ in numbers))


def listed_select(task: Task, graph: Graph) -> exp.Select:
    """(item, since, until) of every row of the items' table; since null: always there, until null: still."""
    _, ranking = parts_of(task)
    table, nothing = ranking.items, sql.none_of("timestamp")
    since, until = own_time(table, "i"), table.valid_to
    if table.time_column is not None and table.valid_from is not None:
        since = exp.Greatest(this=since, expressions=[time_of(table, table.valid_from, "i")])
    query = sql.select(
        sql.aliased(sql.column(ranking.link.parent_column, "i"), "item"),
        sql.aliased(since if since is not None else nothing, "since"),
        sql.aliased(time_of(table, until, "i") if until is not None else nothing.copy(), "until"),
    )
    query = query.from_(graph.read(table, "i"), copy=False)
    known = sql.given(since) if since is not None else None
    return query if known is None else query.where(known, copy=False)


def relevant_select(task: Task, names: Names) -> exp.Select:
    """(entity, anchor_time, item) for the session table `windows` (anchor_time, opens, closes)."""
    text = _UNSEEN.format(came=_CAME) if parts_of(task)[1].exclude_seen else _CAME
    return statement(text, names, "interactions", "windows", "listed")


_CAME = """
SELECT DISTINCT i.entity, w.anchor_time, i.item
FROM interactions AS i
JOIN windows AS w ON i.happened > w.opens AND i.happened <= w.closes AND i.known <= w.closes
    AND (i.until IS NULL OR i.until > w.closes)
JOIN listed AS l ON l.item = i.item AND (l.since IS NULL OR l.since <= w.closes)
    AND (l.until IS NULL OR l.until > w.closes)
"""
# Looked up is what came, not all that everybody had.
_UNSEEN = """
SELECT r.entity, r.anchor_time, r.item
FROM ({came}) AS r
JOIN interactions AS b ON b.entity = r.entity AND b.item = r.item
GROUP BY r.entity, r.anchor_time, r.item
HAVING COUNT(CASE WHEN b.known <= r.anchor_time AND (b.until IS NULL OR b.until > r.anchor_time) THEN 1 END) = 0
"""
