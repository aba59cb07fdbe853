"""The way from the rows that are aggregated to the entity, along child -> parent links.

In: two tables of the schema. Out: the links of the shortest way, which has to be the only one of its length: where two
links or two tables lead there equally fast, their meanings differ and we do not guess.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from dbt_rfm.pql.ast import Span
from dbt_rfm.pql.scope import Scope, joined
from dbt_rfm.schema.types import Link, RelationalSchema, Table

_SHOWN = 4  # alternatives listed in an error


def path_to(scope: Scope, table: Table, entity: Table, span: Span) -> tuple[Link, ...]:
    """The links from `table` up to `entity`, at least one. Raises QueryError."""
    if table.name == entity.name:
        raise scope.error(*_own_table(scope.schema, table, span))
    hops = _hops_to(scope.schema, entity.name)
    if table.name not in hops:
        raise scope.error(
            f"{table.name} is not linked to {entity.name}: no foreign keys lead from its rows to an entity",
            span,
            _linked(entity.name, hops),
        )
    paths = list(islice(_shortest(scope.schema, table.name, entity.name, hops), _SHOWN))
    if len(paths) > 1:
        ways = joined((way(path) for path in paths), "or")
        raise scope.error(
            f"the way from {table.name} to {entity.name} is ambiguous: {ways}",
            span,
            "Aggregate over a table with one way, or keep one of these links out of the graph.",
        )
    return paths[0]


def is_below(schema: RelationalSchema, table: Table, entity: Table) -> bool:
    """Whether links lead from `table` up to `entity`."""
    return table.name in _hops_to(schema, entity.name)


def way(path: tuple[Link, ...]) -> str:
    """`order_items.order_id -> orders.customer_id -> customers`."""
    return " -> ".join([f"{link.child}.{link.child_column}" for link in path] + [path[-1].parent])


def _own_table(schema: RelationalSchema, table: Table, span: Span) -> tuple[str, Span, str]:
    if any(link.child == link.parent == table.name for link in schema.links):
        return f"a link from {table.name} to itself is not executed yet", span, ""
    name = table.name
    problem = f"{name} is the entity table itself: an aggregation goes over rows that are linked to {name}"
    return problem, span, _linked(name, _hops_to(schema, name))


def _linked(entity: str, hops: dict[str, int]) -> str:
    linked = sorted((name for name in hops if name != entity), key=lambda name: (hops[name], name))
    if linked:
        return f"Linked to {entity}: {joined(linked)}."
    return f"Nothing is linked to {entity}: declare its foreign keys with relationships tests."


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
