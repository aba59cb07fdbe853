"""How often what an event brings together was together before: a card and a device, a customer and a country.

In: the scope, the table of events, the session table `own` (a row per example with its keys). Out: a block for each
pair of a parent with another parent, or with a category of the event: the number of earlier rows that have both. 0 says
that it is the first time.
Time rule: counted are rows that happened before the event; at the same moment the order is unknown. So the number of
an event hangs on earlier rows alone, and is that of its rank by time among the rows of its pair.

How it stays cheap. Only rows of pairs that an example has are put in order, up to the latest such example, and with
nothing but their time.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.blocks import Block, Names, block
from dbt_rfm.plan.event_groups import own_keys, pairs_seen
from dbt_rfm.plan.row_times import own_time
from dbt_rfm.plan.values import NUMERICAL, Scope
from dbt_rfm.schema.types import Table
from dbt_rfm.snapshot import Feature


def seen_blocks(scope: Scope, names: Names, table: Table, key: str) -> Iterator[Block]:
    """One block per pair."""
    named = own_keys(scope, table)
    for pair in pairs_seen(scope, table):
        query = sql.select().from_(sql.temporary(names.examples, "e"), copy=False)
        same = exp.EQ(this=sql.column("entity", "s"), expression=sql.column("entity", "e"))
        seen = exp.LTE(this=sql.column("t", "s"), expression=sql.column("as_of", "e"))
        sql.join(query, sql.temporary("seen", "s"), sql.every([same, seen]), side="LEFT")
        feature = Feature(f"{table.name}>{pair[0]}+{pair[1]}.seen", NUMERICAL, "parent", table.name)
        example = sql.column("example_id", "e")
        query = query.group_by(example, copy=False)
        made = block(feature.name, query, example.copy(), [(feature, exp.Max(this=sql.column("n", "s")))])
        steps = [
            ("asked", _asked(names, [named[column] for column in pair])),
            ("seen", _seen(scope, table, key, pair)),
        ]
        yield Block(made.name, sql.with_steps(made.select, steps), made.features)


def _asked(names: Names, keys: list[str]) -> exp.Select:
    """The pairs of the examples, each with its latest moment."""
    both = [sql.aliased(sql.column(key), f"g{i}") for i, key in enumerate(keys)]
    query = sql.select(*both, sql.aliased(exp.Max(this=sql.column("as_of")), "latest"))
    return query.from_(sql.temporary(names("own")), copy=False).group_by(*sql.columns(keys), copy=False)


def _seen(scope: Scope, table: Table, key: str, pair: tuple[str, str]) -> exp.Select:
    """(entity, t, n) of each row of these pairs up to then: how many of its pair are earlier."""
    time = own_time(table, "r0")
    assert time is not None, "events have a time"
    keys = sql.columns(pair, "r0")
    order = exp.Order(expressions=[exp.Ordered(this=time.copy(), nulls_first=False)])
    rank = exp.Window(this=exp.Rank(), partition_by=[k.copy() for k in keys], order=order)
    earlier = sql.as_double(exp.Paren(this=exp.Sub(this=rank, expression=exp.Literal.number(1))))
    query = sql.select(
        sql.aliased(sql.column(key, "r0"), "entity"), sql.aliased(time, "t"), sql.aliased(earlier, "n")
    ).from_(scope.graph.read(table, "r0"), copy=False)
    same = [exp.EQ(this=k.copy(), expression=sql.column(f"g{i}", "a")) for i, k in enumerate(keys)]
    by_then = exp.LTE(this=time.copy(), expression=sql.column("latest", "a"))
    return sql.join(query, sql.temporary("asked", "a"), sql.every([*same, by_then]))
