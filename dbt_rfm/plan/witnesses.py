"""Witnesses: timed rows that say when a row without a time of its own was known.

In: rows of tables, each with the link it is read along. Out: the timed rows to join, and the time of each.
Time rule: a row with a time link goes by what that leads to. One without goes by all timed rows it belongs to, but by
none where a table it is read with has a time: orders do not wait for the store of their customer. A row with several
witnesses is known with the last of them: one that points at nothing leaves that to the others; an orphan never is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.row_times import own_time
from dbt_rfm.schema.time_links import timed_ways
from dbt_rfm.schema.types import Link, Table


@dataclass(frozen=True)
class Witness:
    """A timed row that says when a row without a time was known: `links` lead up to it from the row aliased `start`.

    `alone`: no other one does, or the time link says that this one does.
    """

    start: str
    links: tuple[Link, ...]
    prefix: str
    alone: bool

    def alias(self, position: int) -> str:
        return f"{self.prefix}_{position}"

    def join(self, graph: Graph, query: exp.Select) -> exp.Select:
        below = self.start
        for i, link in enumerate(self.links):
            sql.join(query, self._read(graph, i), sql.linked(link, below, self.alias(i)), side="LEFT")
            below = self.alias(i)
        return query

    def time(self, graph: Graph) -> exp.Expression:
        """When the row was known. Of one that points at nothing another witness says; an orphan is never known."""
        found = own_time(graph.schema.table(self.links[-1].parent), self.alias(len(self.links) - 1))
        assert found is not None, "links lead up to a timed table"
        for i in () if self.alone else reversed(range(len(self.links))):
            below = self.start if i == 0 else self.alias(i - 1)
            missing = exp.Is(this=sql.column(self.links[i].child_column, below), expression=exp.Null())
            found = exp.Case(ifs=[exp.If(this=missing, true=sql.timestamp(sql.BEGINNING))], default=found)
        return found

    def _read(self, graph: Graph, position: int) -> exp.Expression:
        """The rows of the parent; of one with versions, its first one."""
        link, alias = self.links[position], self.alias(position)
        parent = graph.schema.table(link.parent)
        if parent.valid_from is None:
            return graph.read(parent, alias)
        named = parent.time_column or parent.valid_from
        key, first = sql.column(link.parent_column, "v"), exp.Min(this=sql.column(named, "v"))
        query = sql.select(sql.aliased(key, link.parent_column), sql.aliased(first, named))
        query = query.from_(graph.read(parent, "v"), copy=False).group_by(key.copy(), copy=False)
        return sql.subquery(query, alias)


def witnesses_beside(graph: Graph, rows: Sequence[tuple[Table, Link, str]]) -> list[Witness]:
    """Of rows of tables, each with the link it is read along and its alias; the first is the one that is read."""
    timed, row = any(table.own_time for table, _, _ in rows), rows[0][0]
    found = [
        (alias, up, table.time_link is not None)
        for table, link, alias in rows
        if not table.own_time and (not timed or (table is row and row.time_link))
        for up in timed_ways(graph.schema, table.name, (link,))
    ]
    return [Witness(alias, up, f"k{i}", told or len(found) == 1) for i, (alias, up, told) in enumerate(found)]


def witnesses_of(graph: Graph, link: Link, alias: str) -> list[Witness]:
    """Of rows of the link's child, aliased `alias`, that are read for its parent."""
    return witnesses_beside(graph, [(graph.schema.table(link.child), link, alias)])


def witnesses_of_own(graph: Graph, table: Table, alias: str) -> list[Witness]:
    """Of rows of the table, aliased `alias`, that are read for themselves: what their time link leads to."""
    if table.own_time is not None or table.time_link is None:
        return []
    ways = enumerate(timed_ways(graph.schema, table.name))
    return [Witness(alias, up, f"k{i}", alone=True) for i, up in ways]
