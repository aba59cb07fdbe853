"""Rows of a table and what they belong to, along a path of links.

In: a table and the links from it upwards. Out: a FROM with its joins, the key at the top of the path, and the row's
time. Time rule: a row happens at its event time: its own time column; if its table has none, that of the row its time
link leads to, on the path or beside it (order items with their order, also where they are read for their product); the
first one on the path else. It is known once every timed table on its path is. Where neither a time link nor the path
says when, it is known with all timed rows it belongs to. A snapshot table (SCD2) without a time column happens at the
start of its validity; a version counts until its end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.schema.time_links import timed_ways
from dbt_rfm.schema.types import Link, RelationalSchema, Table


@dataclass(frozen=True)
class Graph:
    """The schema and how to read relations that dbt rendered for this warehouse.

    `asked`: session tables of the rows that belong to the entities asked about (`plan/asked.py`), by the links that
    lead from such a row up to its entity. `numbers`: the column of such a table that numbers the rows of a key by time
    and primary key.
    """

    schema: RelationalSchema
    dialect: str
    asked: Mapping[tuple[Link, ...], str] = field(default_factory=dict)
    numbers: Mapping[tuple[Link, ...], str] = field(default_factory=dict)

    def read(self, table: Table, alias: str) -> exp.Expression:
        return sql.relation(table, alias, self.dialect)

    def read_asked(self, table: Table, links: tuple[Link, ...] | None, alias: str) -> exp.Expression:
        """Rows of the table that `links` lead from to an entity asked about, and maybe others; all for None."""
        stored = self.asked.get(links) if links is not None else None
        return self.read(table, alias) if stored is None else sql.temporary(stored, alias)

    def number(self, links: tuple[Link, ...] | None, alias: str) -> exp.Expression | None:
        """The number of a row that `read_asked` gives, if its table has one."""
        stored = self.numbers.get(links) if links is not None else None
        return None if stored is None else sql.column(stored, alias)


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


def own_time(table: Table, alias: str) -> exp.Expression | None:
    """When a row of the table happened, None if its table has no time."""
    return None if table.own_time is None else time_of(table, table.own_time, alias)


def in_time(table: Table, alias: str) -> list[exp.Expression]:
    """What puts the rows of a table in order: time, if it has one, then its primary key."""
    time = own_time(table, alias)
    return [*([] if time is None else [time]), *sql.columns(table.primary_key, alias)]


def time_of(table: Table, named: str, alias: str) -> exp.Expression:
    return sql.as_timestamp(sql.column(named, alias), table.column(named).data_type)


def times(graph: Graph, path: Path) -> list[exp.Expression]:
    """The times of each timed table on the path and beside it, first when the row happened.

    A version's start comes after its event. What the row's time link leads to beside the path comes before the path.
    """
    on_path: list[exp.Expression] = []
    for i, table in enumerate(tables_on(graph, path)):
        named = dict.fromkeys(name for name in (table.time_column, table.valid_from) if name is not None)
        on_path += [time_of(table, name, path.alias(i)) for name in named]
    beside = witnesses(graph, path)
    of_row = [witness.time(graph) for witness in beside if witness.start == path.alias(0)]
    return [*of_row, *on_path, *(witness.time(graph) for witness in beside if witness.start != path.alias(0))]


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
            on = exp.EQ(
                this=sql.column(link.parent_column, self.alias(i)), expression=sql.column(link.child_column, below)
            )
            sql.join(query, self._read(graph, i), on, side="LEFT")
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


def witnesses(graph: Graph, path: Path) -> list[Witness]:
    """The timed rows beside the path that its rows belong to.

    What the time link of the row itself leads to. Of tables further up, and of a row without such a link, all they
    belong to, but nothing where a table on the path has a time: orders do not wait for the store of their customer.
    """
    tables = tables_on(graph, path)
    return _witnesses(graph, [(table, path.links[i], path.alias(i)) for i, table in enumerate(tables)])


def witnesses_of(graph: Graph, link: Link, alias: str) -> list[Witness]:
    """The same for rows of the link's child, aliased `alias`, that are read for its parent."""
    return _witnesses(graph, [(graph.schema.table(link.child), link, alias)])


def _witnesses(graph: Graph, rows: Sequence[tuple[Table, Link, str]]) -> list[Witness]:
    timed, row = any(table.own_time for table, _, _ in rows), rows[0][0]
    found = [
        (alias, up, table.time_link is not None)
        for table, link, alias in rows
        if not table.own_time and (not timed or (table is row and row.time_link))
        for up in timed_ways(graph.schema, table.name, (link,))
    ]
    return [Witness(alias, up, f"k{i}", told or len(found) == 1) for i, (alias, up, told) in enumerate(found)]


def event_time(graph: Graph, path: Path) -> exp.Expression | None:
    return next(iter(times(graph, path)), None)


def known_time(graph: Graph, path: Path) -> exp.Expression | None:
    """When the row and all it hangs on were known: the latest of its times. Null if one of them is."""
    return latest(times(graph, path))


def latest(times: Sequence[exp.Expression]) -> exp.Expression | None:
    if len(times) < 2:
        return times[0] if times else None
    return exp.Greatest(this=times[0], expressions=[*times[1:]])


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
        link = path.links[i - 1]
        on = exp.EQ(
            this=sql.column(link.parent_column, path.alias(i)),
            expression=sql.column(link.child_column, path.alias(i - 1)),
        )
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
        key = exp.EQ(this=sql.column(link.parent_column, parent), expression=sql.column(link.child_column, alias))
        conditions = [key, *(c.copy() for c in exists_at(table, parent, at))]
        sql.join(query, graph.read(table, parent), sql.every(conditions), side="LEFT")
        alias = parent
    return alias


def still_valid(until: exp.Expression, at: exp.Expression) -> exp.Expression:
    return exp.Paren(this=exp.or_(exp.Is(this=until, expression=exp.Null()), exp.GT(this=until.copy(), expression=at)))


def exists_at(table: Table, alias: str, at: exp.Expression) -> list[exp.Expression]:
    """Conditions under which a row of the table exists at a moment: its time has come, its validity lasts."""
    conditions: list[exp.Expression] = []
    since = own_time(table, alias)
    if since is not None:
        conditions.append(exp.LTE(this=since, expression=at))
    if table.valid_from is not None and table.time_column is not None:
        conditions.append(exp.LTE(this=time_of(table, table.valid_from, alias), expression=at.copy()))
    if table.valid_to is not None:
        conditions.append(still_valid(time_of(table, table.valid_to, alias), at.copy()))
    return conditions
