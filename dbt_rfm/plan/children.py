"""Rows that point at the entity, directly (children) and through one table in between (grandchildren).

In: the schema, the entity table. Out: one block per link and per pair of links. A child without a time of its own takes
it from the table in between (order_items happen at their order's time).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.blocks import Block, Names
from dbt_rfm.plan.lasting import lasting_blocks
from dbt_rfm.plan.paths import Path
from dbt_rfm.plan.summary import Detail, Summary
from dbt_rfm.plan.summary_block import summary_block
from dbt_rfm.plan.values import Scope
from dbt_rfm.plan.windows import LookBack
from dbt_rfm.schema.types import Link, RelationalSchema, Table


def children_blocks(
    scope: Scope, names: Names, table: Table, key: str, windows: tuple[LookBack, ...], *, flags: bool
) -> Iterator[Block]:
    """Children in full detail, grandchildren with fewer windows; with `flags` how many rows have each value, and which
    of a child's rows are open or have ended."""
    schema = scope.graph.schema
    far = Detail(_few(windows), spread=False, newest=1, parents=1, flags=flags)
    for path in paths_down(schema, table, key):
        near = len(path.links) == 1
        detail = Detail(windows, flags=flags, texts=True) if near else far
        label = ".".join(link_label(schema, link) for link in reversed(path.links))
        summary = Summary(label, "child", path, keyed_by_entity(names), detail, names.bounds)
        yield summary_block(scope, summary)
        if near and flags and not scope.brief:
            yield from lasting_blocks(scope, summary, windows)


def paths_down(schema: RelationalSchema, table: Table, key: str) -> Iterator[Path]:
    """Paths from children and grandchildren to the entity's key, children first."""
    near = [
        Path(schema.table(k.child), (k,), asked=True) for k in schema.children(table.name) if k.parent_column == key
    ]
    yield from near
    for path in near:
        for link in schema.children(path.table.name):
            if link.child != table.name and link.child != path.table.name:
                yield replace(path, table=schema.table(link.child), links=(link, *path.links))


def link_label(schema: RelationalSchema, link: Link) -> str:
    """The child's name, with its column where it points at the same parent twice."""
    same = [k for k in schema.links if (k.child, k.parent) == (link.child, link.parent)]
    return link.child if len(same) == 1 else f"{link.child}({link.child_column})"


def keyed_by_entity(names: Names) -> exp.Select:
    query = sql.select(
        sql.column("example_id"),
        sql.aliased(sql.column("entity"), "key"),
        sql.column("anchor_time"),
        sql.column("as_of"),
    )
    return query.from_(sql.temporary(names.examples), copy=False)


def _few(windows: tuple[LookBack, ...]) -> tuple[LookBack, ...]:
    return windows[1:2] + windows[-1:]
