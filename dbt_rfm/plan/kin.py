"""Rows that share a parent: the entity's siblings, and the recent history of those its newest rows belong to.

Siblings: the other children of the entity's own parents (the terminal's other transactions, the region's other stores).
Co-parents: for each child link, the other parents of the entity's newest child row (the team a driver drove for last),
and what their children did lately.
Time rule: as of each example. Rows of the entity's own table at the very moment of the example do not count, nor does
the entity's own row: at an event's own time the order of simultaneous events is unknown. Columns known late are read in
blocks of their own that look back from that much earlier.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.blocks import Block, Names, Step
from dbt_rfm.plan.children import link_label
from dbt_rfm.plan.paths import Path, from_path, known_time, top_key, valid_until
from dbt_rfm.plan.row_times import exists_at, own_time, still_valid
from dbt_rfm.plan.summary import Detail, Summary
from dbt_rfm.plan.summary_block import summary_block
from dbt_rfm.plan.values import Scope, delayed_values
from dbt_rfm.plan.windows import LookBack
from dbt_rfm.schema.types import Link, Table

MAX_CO_PARENT_BLOCKS = 12


def sibling_blocks(
    scope: Scope, names: Names, table: Table, key: str, windows: tuple[LookBack, ...]
) -> Iterator[Block]:
    """One block per (parent link of the entity, child link of that parent), and one per column known late."""
    schema = scope.graph.schema
    detail = Detail(windows, sums=False, spread=False, newest=1, categories=False, parents=0)
    for up in schema.parents(table.name):
        for down in schema.children(up.parent):
            if down.parent_column != up.parent_column:
                continue
            label = f"{link_label(schema, up)}>{up.parent}<{link_label(schema, down)}"
            child, same = schema.table(down.child), down.child == table.name
            path = Path(child, (down,))
            keyed = _keyed_by_parent(scope, names, table, key, up)
            strict = same and own_time(child, "r0") is not None
            summary = Summary(label, "parent", path, keyed, detail, names.bounds, exclude_self=same, strict=strict)
            yield summary_block(scope, summary)
            for delay, value in delayed_values(scope, child, path.alias(0)):
                assert not delay.column, "outcomes that are known by a moment of their row are those of events"
                late = _looking_back_from(keyed, delay.span.end, delay.span.unit)
                named = f"{label}@{delay.span.end}{delay.span.unit[0]}"
                yield summary_block(scope, replace(summary, name=named, keyed=late, bounds=None, only=(value,)))


def newest_parents_steps(scope: Scope, names: Names, table: Table, key: str) -> Iterator[tuple[Step, Link, list[Link]]]:
    """For each child link: a session table of (example_id, key0, key1, …), the other parents of the newest row."""
    schema, taken = scope.graph.schema, {table.name}
    for i, down in enumerate(k for k in schema.children(table.name) if k.parent_column == key):
        others = [k for k in schema.parents(down.child) if k != down and k.parent not in taken]
        if own_time(schema.table(down.child), "r0") is None or not others:
            continue
        taken |= {k.parent for k in others}
        yield Step(names(f"newest{i}"), _newest_row(scope, names, down, others)), down, others


def co_parent_blocks(
    scope: Scope, names: Names, step: Step, down: Link, others: list[Link], windows: tuple[LookBack, ...]
) -> Iterator[Block]:
    """What the children of the newest row's other parents did lately."""
    schema = scope.graph.schema
    detail = Detail(windows[1:], sums=False, spread=False, newest=0, categories=False, parents=0)
    for i, other in enumerate(others):
        for link in schema.children(other.parent):
            child = schema.table(link.child)
            if own_time(child, "r0") is None or link.parent_column != other.parent_column:
                continue
            label = f"{link_label(schema, down)}>{other.parent}<{link_label(schema, link)}"
            keyed = _keyed_by_newest(names, step, i)
            yield summary_block(scope, Summary(label, "co-parent", Path(child, (link,)), keyed, detail, names.bounds))


def _keyed_by_parent(scope: Scope, names: Names, table: Table, key: str, up: Link) -> exp.Select:
    at = sql.column("as_of", "e")
    query = sql.select(
        sql.column("example_id", "e"),
        sql.aliased(sql.the_one(sql.column(up.child_column, "o")), "key"),
        *(sql.aliased(exp.Max(this=sql.column(c, "e")), c) for c in ("anchor_time", "as_of")),
        sql.aliased(sql.the_one(sql.column("entity", "e")), "self"),
    )
    query = query.from_(sql.temporary(names.examples, "e"), copy=False)
    on = [exp.EQ(this=sql.column(key, "o"), expression=sql.column("entity", "e")), *exists_at(table, "o", at)]
    sql.join(query, scope.graph.read_asked(table, (), "o"), sql.every(on), side="LEFT")
    return query.group_by(sql.column("example_id", "e"), copy=False)


def _looking_back_from(keyed: exp.Select, number: int, unit: str) -> exp.Select:
    """`keyed` with its times moved into the past."""
    moved = [sql.aliased(sql.later(sql.column(c, "k"), -number, unit), c) for c in ("anchor_time", "as_of")]
    query = sql.select(*sql.columns(("example_id", "key", "self"), "k"), *moved)
    return query.from_(sql.subquery(keyed.copy(), "k"), copy=False)


def _newest_row(scope: Scope, names: Names, down: Link, others: list[Link]) -> exp.Select:
    """(example_id, key0, key1, …) of the newest visible row of each example's entity.

    As in the summaries, rows are numbered in time and the largest number among those visible is found over cells.
    """
    path = Path(scope.graph.schema.table(down.child), (down,), asked=True)
    keys = [f"key{i}" for i in range(len(others))]
    steps = [
        ("numbered", _numbered(scope, names, path, others)),
        ("cells", _newest_in_cells(names)),
        ("newest", _newest_of_examples(names)),
    ]
    query = sql.select(sql.column("example_id", "e"), *sql.columns(keys, "n"))
    query = query.from_(sql.temporary("newest", "e"), copy=False)
    on = [
        exp.EQ(this=sql.column("key", "n"), expression=sql.column("entity", "e")),
        exp.EQ(this=sql.column("seq", "n"), expression=sql.column("seq", "e")),
        *(still_valid(sql.column(f"until{i}", "n"), sql.column("as_of", "e")) for i in _until(scope, path)),
    ]
    return sql.with_steps(sql.join(query, sql.temporary("numbered", "n"), sql.every(on)), steps)


def _numbered(scope: Scope, names: Names, path: Path, others: list[Link]) -> exp.Select:
    time = known_time(scope.graph, path)
    assert time is not None, f"{path.table.name} has no time"
    told = path.table.primary_key or [k.child_column for k in others]
    order = [time, *sql.columns(told, path.alias(0))]
    query = sql.select(
        sql.aliased(top_key(path), "key"),
        sql.aliased(time.copy(), "t"),
        sql.aliased(sql.numbered([top_key(path)], order), "seq"),
        *(sql.aliased(sql.column(k.child_column, path.alias(0)), f"key{i}") for i, k in enumerate(others)),
        *(sql.aliased(until, f"until{i}") for i, until in enumerate(valid_until(scope.graph, path))),
    )
    query = from_path(scope.graph, path, query)
    entities = sql.select(sql.column("entity")).from_(sql.temporary(names.examples), copy=False)
    seen = [
        exp.In(this=top_key(path), query=exp.Subquery(this=entities)),
        sql.given(time),
    ]
    return query.where(*seen, copy=False)


def _newest_in_cells(names: Names) -> exp.Select:
    time, key, hi = sql.column("t", "r"), sql.column("key", "r"), sql.column("hi", "b")
    newest = [sql.aliased(exp.Max(this=sql.column(c, "r")), c) for c in ("t", "seq")]
    query = sql.select(key, *newest).from_(sql.temporary("numbered", "r"), copy=False)
    sql.join_windows(query, sql.temporary(names.bounds, "b"), time, sql.column("lo", "b"), hi)
    return query.group_by(key.copy(), hi.copy(), copy=False)


def _newest_of_examples(names: Names) -> exp.Select:
    by = sql.columns(("example_id", "entity", "as_of"), "e")
    query = sql.select(*by, sql.aliased(exp.Max(this=sql.column("seq", "c")), "seq"))
    query = query.from_(sql.temporary(names.examples, "e"), copy=False)
    on = [
        exp.EQ(this=sql.column("key", "c"), expression=sql.column("entity", "e")),
        exp.LTE(this=sql.column("t", "c"), expression=sql.column("as_of", "e")),
    ]
    sql.join(query, sql.temporary("cells", "c"), sql.every(on))
    return query.group_by(*(c.copy() for c in by), copy=False)


def _until(scope: Scope, path: Path) -> range:
    return range(len(valid_until(scope.graph, path)))


def _keyed_by_newest(names: Names, step: Step, i: int) -> exp.Select:
    query = sql.select(
        sql.column("example_id", "e"),
        sql.aliased(sql.column(f"key{i}", "n"), "key"),
        *sql.columns(("anchor_time", "as_of"), "e"),
    )
    query = query.from_(sql.temporary(names.examples, "e"), copy=False)
    on = exp.EQ(this=sql.column("example_id", "n"), expression=sql.column("example_id", "e"))
    return sql.join(query, sql.temporary(step.table, "n"), on, side="LEFT")
