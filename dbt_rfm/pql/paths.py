"""The way from the rows that are aggregated to the entity, and from rows to their parents, along child -> parent links.

In: two tables of the schema, and the foreign keys that VIA names. Out: the links of the shortest way through these,
which has to be the only one of its length: where two links or two tables lead there equally fast, their meanings differ
and we do not guess, but say how to choose.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from dbt_rfm.pql.ast import ColumnRef, Span
from dbt_rfm.pql.scope import Scope, joined
from dbt_rfm.schema.types import Link, RelationalSchema, Table

_SHOWN = 4  # alternatives listed in an error


def path_to(scope: Scope, table: Table, entity: Table, span: Span, via: Sequence[ColumnRef] = ()) -> tuple[Link, ...]:
    """The links from `table` up to `entity`, at least one, through those named. Raises QueryError."""
    path: tuple[Link, ...] = ()
    at = table
    for ref in via:
        link = _link_of(scope, ref)
        child = scope.schema.table(link.child)
        if child.name != at.name:
            path += _only_way(scope, at, child, ref.span)
        path, at = (*path, link), scope.schema.table(link.parent)
    if at.name != entity.name:
        return path + _only_way(scope, at, entity, span)
    return path or (_to_itself(scope, table, span),)


def parent_path(scope: Scope, start: Table, parent: Table, ref: ColumnRef, along: tuple[Link, ...]) -> tuple[Link, ...]:
    """The links from `start` up to `parent`; where there are several ways, the one that `along` takes."""
    taken = [along[: i + 1] for i, link in enumerate(along) if link.parent == parent.name]
    if taken:
        return taken[0]
    return _only_way(scope, start, parent, ref.span, choose=False)


def is_below(schema: RelationalSchema, table: Table, entity: Table) -> bool:
    """Whether links lead from `table` up to `entity`."""
    return table.name in _hops_to(schema, entity.name)


def ways_up(schema: RelationalSchema, table: Table, entity: Table) -> tuple[tuple[Link, ...], ...]:
    """The shortest ways of links from `table` up to `entity`, all of one length; none to itself."""
    hops = _hops_to(schema, entity.name)
    if table.name not in hops or table.name == entity.name:
        return ()
    return tuple(islice(_shortest(schema, table.name, entity.name, hops), _SHOWN))


def way(path: tuple[Link, ...]) -> str:
    """`order_items.order_id -> orders.customer_id -> customers`."""
    return " -> ".join([f"{link.child}.{link.child_column}" for link in path] + [path[-1].parent])


def _only_way(scope: Scope, table: Table, entity: Table, span: Span, *, choose: bool = True) -> tuple[Link, ...]:
    """The shortest way between two tables, if it is the only one of its length."""
    hops = _hops_to(scope.schema, entity.name)
    if table.name not in hops:
        one, hint = (
            ("an entity", _linked(entity.name, hops)) if choose else ("one row of it", _above(scope.schema, table))
        )
        problem = f"{table.name} is not linked to {entity.name}: no foreign keys lead from its rows to {one}"
        raise scope.error(problem, span, hint)
    paths = list(islice(_shortest(scope.schema, table.name, entity.name, hops), _SHOWN))
    if len(paths) > 1:
        ways = joined((way(path) for path in paths), "or")
        problem = f"the way from {table.name} to {entity.name} is ambiguous: {ways}"
        raise scope.error(
            problem, span, _how_to_choose(paths) if choose else "Keep one of these links out of the graph."
        )
    return paths[0]


def _how_to_choose(paths: Sequence[tuple[Link, ...]]) -> str:
    """`Choose one: … VIA transfers.sender_id`, at the first link in which the ways differ."""
    apart = next(i for i in range(len(paths[0])) if len({path[i] for path in paths}) > 1)
    first = paths[0][apart]
    start = paths[0][0].child
    return f"Choose one by a foreign key: COUNT({start}.* VIA {first.child}.{first.child_column}, …)."


def _link_of(scope: Scope, ref: ColumnRef) -> Link:
    """The link that leaves through the column."""
    table = scope.table(ref)
    column = scope.column(ref, table)
    links = scope.schema.parents(table.name)
    for link in links:
        if link.child_column == column.name:
            return link
    known = joined(link.child_column for link in links) if links else "none, declare relationships tests"
    hint = f"Foreign keys of {table.name}: {known}."
    raise scope.error(f"{table.name}.{column.name} is no foreign key of the graph", ref.span, hint)


def _to_itself(scope: Scope, table: Table, span: Span) -> Link:
    """The link from rows of the entity table to other rows of it: employees.manager_id -> employees."""
    schema, name = scope.schema, table.name
    links = [link for link in schema.parents(name) if link.parent == name]
    if len(links) == 1:
        return links[0]
    if links:
        ways = joined((f"{name}.{link.child_column}" for link in links), "or")
        hint = f"Choose one by a foreign key: COUNT({name}.* VIA {name}.{links[0].child_column}, …)."
        raise scope.error(f"{name} has several links to itself: {ways}", span, hint)
    problem = f"{name} is the entity table itself: an aggregation goes over rows that are linked to {name}"
    raise scope.error(problem, span, _linked(name, _hops_to(schema, name)))


def _linked(entity: str, hops: dict[str, int]) -> str:
    linked = sorted((name for name in hops if name != entity), key=lambda name: (hops[name], name))
    if linked:
        return f"Linked to {entity}: {joined(linked)}."
    return f"Nothing is linked to {entity}: declare its foreign keys with relationships tests."


def _above(schema: RelationalSchema, table: Table) -> str:
    found = [t.name for t in schema.tables if t.name != table.name and table.name in _hops_to(schema, t.name)]
    return f"Its rows lead to: {joined(found)}." if found else f"{table.name} has no foreign keys."


def _hops_to(schema: RelationalSchema, entity: str) -> dict[str, int]:
    """Links between each table and the entity, for those that have a way up to it."""
    hops, frontier = {entity: 0}, [entity]
    while frontier:
        below = {link.child for name in frontier for link in schema.children(name)}
        frontier = sorted(below - hops.keys())
        hops |= dict.fromkeys(frontier, max(hops.values()) + 1)
    return hops


def _shortest(schema: RelationalSchema, table: str, entity: str, hops: dict[str, int]) -> Iterator[tuple[Link, ...]]:
    if table == entity:
        yield ()
        return
    for link in schema.parents(table):
        if hops.get(link.parent) == hops[table] - 1:
            for rest in _shortest(schema, link.parent, entity, hops):
                yield (link, *rest)
