"""What an event shares with others: a parent, a category, two parents, a parent and a category.

In: the scope, the table of events. Out: the groups whose earlier rows say something about an event, and the session
table `own` with each example's own keys and numbers, by which it is put into its groups and compared with them.
Time rule: an example's own row counts if it existed at `as_of`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.blocks import Names, Step
from dbt_rfm.plan.children import link_label
from dbt_rfm.plan.row_times import exists_at, own_time
from dbt_rfm.plan.values import CATEGORICAL, NUMERICAL, Scope, Value, capped, column_value, values_of
from dbt_rfm.schema.types import Table

MAX_OWN_NUMBERS = 8  # of the event, compared with those of its groups
MAX_CATEGORIES = 4  # of the event, which make groups of their own
MAX_PAIRS = 6


@dataclass(frozen=True)
class Group:
    """Rows of `table` whose `columns` are those of the event: the event's own table, or another child of its parent."""

    label: str
    table: Table
    columns: tuple[str, ...]
    keys: tuple[str, ...]  # columns of the session table `own` that they are compared with
    parent: str = ""  # of a group by one parent: its name


def groups(scope: Scope, table: Table) -> Iterator[Group]:
    schema = scope.graph.schema
    columns = _key_columns(scope, table)
    key = {column: f"k{i}" for i, column in enumerate(columns)}
    ups = schema.parents(table.name)
    for up in ups:
        for down in schema.children(up.parent):
            child = schema.table(down.child)
            if down.parent_column != up.parent_column or own_time(child, "r0") is None or child.valid_to is not None:
                continue
            label = f"{link_label(schema, up)}>{up.parent}<{link_label(schema, down)}"
            parent = up.parent if child.name == table.name else ""
            yield Group(label, child, (down.child_column,), (key[up.child_column],), parent or label)
    categories = columns[len(dict.fromkeys(up.child_column for up in ups)) :]
    for name in categories:
        yield Group(f"{table.name}>{name}", table, (name,), (key[name],))
    foreign = columns[: len(columns) - len(categories)]
    pairs = [(a, b) for i, a in enumerate(foreign) for b in (*foreign[i + 1 :], *categories)]
    for a, b in pairs[:MAX_PAIRS]:
        yield Group(f"{table.name}>{a}+{b}", table, (a, b), (key[a], key[b]))


def own_step(scope: Scope, names: Names, table: Table, key: str) -> Step:
    """(example_id, anchor_time, as_of, k0 …, x0 …): keys and numbers of each example's own row."""
    example = sql.column("example_id", "e")
    query = sql.select(example, *(sql.aliased(exp.Max(this=sql.column(c, "e")), c) for c in ("anchor_time", "as_of")))
    for i, column in enumerate(_key_columns(scope, table)):
        query = query.select(sql.aliased(sql.the_one(sql.column(column, "o")), f"k{i}"), copy=False)
    for i, value in enumerate(own_numbers(scope, table, "o")):
        query = query.select(sql.aliased(exp.Max(this=value.expression), f"x{i}"), copy=False)
    query = query.from_(sql.temporary(names.examples, "e"), copy=False)
    same = exp.EQ(this=sql.column(key, "o"), expression=sql.column("entity", "e"))
    on = [same, *exists_at(table, "o", sql.column("as_of", "e"))]
    sql.join(query, scope.graph.read_asked(table, (), "o"), sql.every(on), side="LEFT")
    return Step(names("own"), query.group_by(example.copy(), copy=False))


def _key_columns(scope: Scope, table: Table) -> list[str]:
    """Columns that events share: foreign keys, then the first categories."""
    foreign = dict.fromkeys(link.child_column for link in scope.graph.schema.parents(table.name))
    return [*foreign, *_categories(scope, table)]


def _categories(scope: Scope, table: Table) -> list[str]:
    plain = (c for c in scope.columns(table) for v in column_value(c, "o") if v.kind == CATEGORICAL)
    return [c.name for c in plain][:MAX_CATEGORIES]


def own_numbers(scope: Scope, table: Table, alias: str) -> list[Value]:
    found = [v for v in values_of(scope, table, alias) if v.kind == NUMERICAL]
    return capped(found)[:MAX_OWN_NUMBERS]
