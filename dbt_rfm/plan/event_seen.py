"""How often what an event brings together was together before: a card and a device, a customer and a country.

In: the scope, the table of events, the session table `own` (a row per example with its keys). Out: one block: for each
pair of a parent with another parent, or with a category of the event, the number of earlier rows that have both. 0 says
that it is the first time.
Time rule: counted are rows that happened before the event; at the same moment the order is unknown. So the number of
an event hangs on earlier rows alone, and is that of its rank by time among the rows of its pair.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.blocks import Block, Names, Output, block
from dbt_rfm.plan.event_groups import foreign_keys, shared_columns
from dbt_rfm.plan.row_times import own_time
from dbt_rfm.plan.values import NUMERICAL, Scope
from dbt_rfm.schema.types import Table
from dbt_rfm.snapshot import Feature

MAX_SEEN = 16  # pairs


def seen_blocks(scope: Scope, names: Names, table: Table, key: str) -> Iterator[Block]:
    """One block, none where there is no pair."""
    pairs = _pairs(scope, table)
    if not pairs:
        return
    query = sql.select().from_(sql.temporary(names.examples, "e"), copy=False)
    same = exp.EQ(this=sql.column("entity", "s"), expression=sql.column("entity", "e"))
    seen = exp.LTE(this=sql.column("t", "s"), expression=sql.column("as_of", "e"))
    sql.join(query, sql.temporary("seen", "s"), sql.every([same, seen]), side="LEFT")
    outputs: list[Output] = [
        (
            Feature(f"{table.name}>{one}+{other}.seen", NUMERICAL, "parent", table.name),
            exp.Max(this=sql.column(f"n{i}", "s")),
        )
        for i, (one, other) in enumerate(pairs)
    ]
    example = sql.column("example_id", "e")
    made = block(f"{table.name}.seen", query.group_by(example, copy=False), example.copy(), outputs)
    step = ("seen", _seen(scope, names, table, key, pairs))
    yield Block(made.name, sql.with_steps(made.select, [step]), made.features)


def _pairs(scope: Scope, table: Table) -> list[tuple[str, str]]:
    """Two parents, then a parent and a category."""
    foreign, shared = foreign_keys(scope, table), shared_columns(scope, table)
    both = [(one, other) for i, one in enumerate(foreign) for other in foreign[i + 1 :]]
    both += [(one, category) for category in shared[len(foreign) :] for one in foreign]
    return both[:MAX_SEEN]


def _seen(scope: Scope, names: Names, table: Table, key: str, pairs: list[tuple[str, str]]) -> exp.Select:
    """(entity, t, n0, n1, …) of each row up to the newest example that shares a parent with one."""
    time = own_time(table, "r0")
    assert time is not None, "events have a time"
    query = sql.select(sql.aliased(sql.column(key, "r0"), "entity"), sql.aliased(time, "t"))
    for i, pair in enumerate(pairs):
        keys = sql.columns(pair, "r0")
        order = exp.Order(expressions=[exp.Ordered(this=time.copy(), nulls_first=False)])
        rank = exp.Window(this=exp.Rank(), partition_by=[k.copy() for k in keys], order=order)
        earlier = sql.as_double(exp.Paren(this=exp.Sub(this=rank, expression=exp.Literal.number(1))))
        query = query.select(sql.aliased(sql.when(sql.every(map(sql.given, keys)), earlier), f"n{i}"), copy=False)
    query = query.from_(scope.graph.read(table, "r0"), copy=False)
    own = sql.temporary(names("own"))
    newest = sql.select(exp.Max(this=sql.column("as_of"))).from_(own, copy=False)
    shared = [
        exp.In(
            this=sql.column(name, "r0"),
            query=exp.Subquery(this=sql.select(sql.column(f"k{i}")).from_(own.copy(), copy=False)),
        )
        for i, name in enumerate(foreign_keys(scope, table))
    ]
    met = [exp.LTE(this=time.copy(), expression=exp.Subquery(this=newest)), exp.or_(*shared, copy=False)]
    return query.where(*met, copy=False)
