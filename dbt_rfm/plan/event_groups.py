"""What an event shares with others: a parent, a category, two parents, a parent and a category; and what is known
of rows below the other events of its parents, such as the chargebacks of the card's payments.

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
from dbt_rfm.plan.row_times import exists_at
from dbt_rfm.plan.values import CATEGORICAL, NUMERICAL, Scope, Value, capped, column_value, values_of
from dbt_rfm.schema.types import Link, SemanticType, Table

MAX_OWN_NUMBERS = 8  # of the event, compared with those of its groups
MAX_CATEGORIES = 4  # of the event, which make groups of their own
MAX_PAIRS = 6
MAX_BELOW = 6  # groups of rows below events
MAX_SEEN = 16  # pairs of which only is told how often they were there


@dataclass(frozen=True)
class Group:
    """Rows of `table` whose `columns` are those of the event: the event's own table, or another child of its parent.

    With `through` the columns are those of the event that a row points at.
    """

    label: str
    table: Table
    columns: tuple[str, ...]
    keys: tuple[str, ...]  # columns of the session table `own` that they are compared with
    parent: str = ""  # of a group by one parent: its name
    through: Link | None = None


def groups(scope: Scope, table: Table) -> Iterator[Group]:
    schema = scope.graph.schema
    key = own_keys(scope, table)
    ups = schema.parents(table.name)
    for up in ups:
        for down in schema.children(up.parent):
            child = schema.table(down.child)
            if down.parent_column != up.parent_column or not _happens(child):
                continue
            label = f"{link_label(schema, up)}>{up.parent}<{link_label(schema, down)}"
            parent = up.parent if child.name == table.name else ""
            yield Group(label, child, (down.child_column,), (key[up.child_column],), parent or label)
    yield from _below(scope, table, key)
    foreign, categories = foreign_keys(scope, table), _categories(scope, table)
    for name in categories:
        yield Group(f"{table.name}>{name}", table, (name,), (key[name],))
    pairs = [(a, b) for i, a in enumerate(foreign) for b in (*foreign[i + 1 :], *categories)]
    for a, b in pairs[:MAX_PAIRS]:
        yield Group(f"{table.name}>{a}+{b}", table, (a, b), (key[a], key[b]))


def _below(scope: Scope, table: Table, key: dict[str, str]) -> Iterator[Group]:
    """Rows that point at the events of each parent."""
    schema = scope.graph.schema
    downs = [d for d in schema.children(table.name) if d.child != table.name and _happens(schema.table(d.child))]
    pairs = [(up, down) for up in schema.parents(table.name) for down in downs]
    for up, down in pairs[:MAX_BELOW]:
        label = f"{link_label(schema, up)}>{up.parent}<{table.name}<{link_label(schema, down)}"
        yield Group(label, schema.table(down.child), (up.child_column,), (key[up.child_column],), label, down)


def _happens(table: Table) -> bool:
    """Whether its rows have a time and no end."""
    return table.own_time is not None and table.valid_to is None


def own_step(scope: Scope, names: Names, table: Table, key: str) -> Step:
    """(example_id, anchor_time, as_of, k0 …, x0 …): keys and numbers of each example's own row."""
    example = sql.column("example_id", "e")
    query = sql.select(example, *(sql.aliased(exp.Max(this=sql.column(c, "e")), c) for c in ("anchor_time", "as_of")))
    for column, named in own_keys(scope, table).items():
        query = query.select(sql.aliased(sql.the_one(sql.column(column, "o")), named), copy=False)
    for i, value in enumerate(own_numbers(scope, table, "o")):
        query = query.select(sql.aliased(exp.Max(this=value.expression), f"x{i}"), copy=False)
    query = query.from_(sql.temporary(names.examples, "e"), copy=False)
    same = exp.EQ(this=sql.column(key, "o"), expression=sql.column("entity", "e"))
    on = [same, *exists_at(table, "o", sql.column("as_of", "e"))]
    sql.join(query, scope.graph.read_asked(table, (), "o"), sql.every(on), side="LEFT")
    return Step(names("own"), query.group_by(example.copy(), copy=False))


def own_keys(scope: Scope, table: Table) -> dict[str, str]:
    """Columns that events share, by what `own` calls them: foreign keys, the first categories, what makes pairs."""
    paired = [name for pair in pairs_seen(scope, table) for name in pair]
    columns = dict.fromkeys([*foreign_keys(scope, table), *_categories(scope, table), *paired])
    return {column: f"k{i}" for i, column in enumerate(columns)}


def foreign_keys(scope: Scope, table: Table) -> list[str]:
    return list(dict.fromkeys(link.child_column for link in scope.graph.schema.parents(table.name)))


def pairs_seen(scope: Scope, table: Table) -> list[tuple[str, str]]:
    """Two parents, then a parent and a category. None for a quick answer: each is a sort of rows."""
    if scope.brief:
        return []
    foreign, shared = foreign_keys(scope, table), shared_columns(scope, table)
    both = [(one, other) for i, one in enumerate(foreign) for other in foreign[i + 1 :]]
    both += [(one, category) for category in shared[len(foreign) :] for one in foreign]
    return both[:MAX_SEEN]


def shared_columns(scope: Scope, table: Table) -> list[str]:
    """The same without a limit, categories of many values first: a place is new more often than a type."""
    categories = [c for c in scope.columns(table) if c.semantic_type is SemanticType.CATEGORICAL]
    by_values = sorted(categories, key=lambda c: (c.all_values, -len(c.values)))
    return list(dict.fromkeys([*foreign_keys(scope, table), *(c.name for c in by_values)]))


def _categories(scope: Scope, table: Table) -> list[str]:
    foreign = foreign_keys(scope, table)
    plain = (c for c in scope.columns(table) for v in column_value(c, "o") if v.kind == CATEGORICAL)
    return [c.name for c in plain if c.name not in foreign][:MAX_CATEGORIES]


def own_numbers(scope: Scope, table: Table, alias: str) -> list[Value]:
    found = [v for v in values_of(scope, table, alias) if v.kind == NUMERICAL]
    return capped(found)[:MAX_OWN_NUMBERS]
