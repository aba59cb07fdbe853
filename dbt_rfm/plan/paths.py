"""Rows of a table and what they belong to, along a path of links.

In: a table and the links from it upwards. Out: a FROM with its joins, the key at the top of the path, and the row's
time. Time rule: a row happens at its event time: its own time column; if its table has none, that of the row its time
link leads to, on the path or beside it (order items with their order, also where they are read for their product); the
first one on the path else. It is known once every timed table on its path is. Where neither a time link nor the path
says when, it is known with all timed rows it belongs to. A snapshot table (SCD2) without a time column happens at the
start of its validity; a version counts until its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.row_times import exists_at, latest, time_of, times_of
from dbt_rfm.plan.witnesses import Witness, witnesses_beside
from dbt_rfm.schema.time_links import timed_ways
from dbt_rfm.schema.types import Link, Table


@dataclass(frozen=True)
class Path:
    """`links` lead from `table` to what its rows belong to; at least one. `asked`: that is an entity asked about."""

    table: Table
    links: tuple[Link, ...]
    asked: bool = False

    def alias(self, position: int) -> str:
        return f"r{position}"

    def above(self, position: int) -> tuple[Link, ...] | None:
        """The links from the table at a position up to an entity asked about; None if it is another thing."""
        return self.links[position:] if self.asked else None


def tables_on(graph: Graph, path: Path) -> tuple[Table, ...]:
    """The tables whose rows are read: all but the one at the top, whose key is already in the last link."""
    return (path.table, *(graph.schema.table(link.child) for link in path.links[1:]))


def tables_of_time(graph: Graph, path: Path) -> tuple[Table, ...]:
    """The tables whose times say when a row of the path happened; without any, those that could have."""
    if path.table.own_time is None and path.table.time_link is not None:
        return tuple(graph.schema.table(way[-1].parent) for way in timed_ways(graph.schema, path.table.name))
    on_path = tables_on(graph, path)
    return next(((table,) for table in on_path if table.own_time is not None), on_path)


def times(graph: Graph, path: Path) -> list[exp.Expression]:
    """The times of each timed table on the path and beside it, first when the row happened.

    A version's start comes after its event. What the row's time link leads to beside the path comes before the path.
    """
    on_path: list[exp.Expression] = []
    for i, table in enumerate(tables_on(graph, path)):
        on_path += times_of(table, path.alias(i))
    beside = witnesses(graph, path)
    of_row = [witness.time(graph) for witness in beside if witness.start == path.alias(0)]
    return [*of_row, *on_path, *(witness.time(graph) for witness in beside if witness.start != path.alias(0))]


def witnesses(graph: Graph, path: Path) -> list[Witness]:
    """The timed rows beside the path that its rows belong to.

    What the time link of the row itself leads to. Of tables further up, and of a row without such a link, all they
    belong to, but nothing where a table on the path has a time: orders do not wait for the store of their customer.
    """
    tables = tables_on(graph, path)
    return witnesses_beside(graph, [(table, path.links[i], path.alias(i)) for i, table in enumerate(tables)])


def event_time(graph: Graph, path: Path) -> exp.Expression | None:
    return next(iter(times(graph, path)), None)


def known_time(graph: Graph, path: Path) -> exp.Expression | None:
    """When the row and all it hangs on were known: the latest of its times. Null if one of them is."""
    return latest(times(graph, path))


def valid_until(graph: Graph, path: Path) -> list[exp.Expression]:
    """The ends of validity on the path; null means still valid."""
    return [
        time_of(table, table.valid_to, path.alias(i))
        for i, table in enumerate(tables_on(graph, path))
        if table.valid_to is not None
    ]


def top_key(path: Path) -> exp.Expression:
    return sql.column(path.links[-1].child_column, path.alias(len(path.links) - 1))


def from_path(graph: Graph, path: Path, query: exp.Select) -> exp.Select:
    """`query` with the FROM and the joins of the path; a row with an orphaned link on its way drops out."""
    tables = tables_on(graph, path)
    query = query.from_(graph.read_asked(tables[0], path.above(0), path.alias(0)), copy=False)
    for i, table in enumerate(tables[1:], start=1):
        on = sql.linked(path.links[i - 1], path.alias(i - 1), path.alias(i))
        sql.join(query, graph.read_asked(table, path.above(i), path.alias(i)), on)
    for witness in witnesses(graph, path):
        query = witness.join(graph, query)
    return query


def join_parents(
    graph: Graph, query: exp.Select, start: str, links: Sequence[Link], at: exp.Expression, prefix: str
) -> str:
    """`query` with the parents along `links` from the row aliased `start`, as they were at a moment.

    Gives the alias of the last one: its columns are null where a parent is missing or was not known then.
    """
    alias = start
    for i, link in enumerate(links):
        table, parent = graph.schema.table(link.parent), f"{prefix}_{i}"
        key = sql.linked(link, alias, parent)
        conditions = [key, *(c.copy() for c in exists_at(table, parent, at))]
        sql.join(query, graph.read(table, parent), sql.every(conditions), side="LEFT")
        alias = parent
    return alias
