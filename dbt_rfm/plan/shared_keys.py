"""By what an example is akin to others: the keys it has, and the keys that its rows have.

In: the scope, the entity. Out: blocks whose features are lists of keys as text (`snapshot.KEYS`): the foreign keys of
the entity and of its parents (the supplier of the product, the holding of the account), the other foreign keys of its
children and of what those belong to (the orders a product was in, the customers who bought it), and categories of its
children with too many values to be counted one by one (titles of contacts). What is known of the others with the same
keys is for the model to find out among its labelled examples: no label is read here.
Time rule: as of each example, as in `own.py` and `children.py`. Of many keys the newest count.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.blocks import Block, Names, Output, block
from dbt_rfm.plan.children import link_label
from dbt_rfm.plan.paths import Path, from_path, join_parents, known_time, top_key, valid_until
from dbt_rfm.plan.row_times import exists_at, still_valid
from dbt_rfm.plan.values import Scope
from dbt_rfm.schema.types import Link, SemanticType, Table
from dbt_rfm.snapshot import BETWEEN_KEYS, KEYS, Feature

MAX_KEYS = 50  # of one example in one list
MAX_LISTS = 8  # of keys of children


def shared_keys_blocks(scope: Scope, names: Names, table: Table, key: str) -> Iterator[Block]:
    own = _own_keys(scope, names, table, key)
    if own is not None:
        yield own
    downs = [down for down in scope.graph.schema.children(table.name) if down.parent_column == key]
    lists = [told for down in downs for told in _lists(scope, down)]
    yield from (_list_block(scope, names, told) for told in lists[:MAX_LISTS])


def _own_keys(scope: Scope, names: Names, table: Table, key: str) -> Block | None:
    """The foreign keys of the entity's row and of its parents' rows."""
    schema, at = scope.graph.schema, sql.column("as_of", "e")
    query = sql.select().from_(sql.temporary(names.examples, "e"), copy=False)
    on = [exp.EQ(this=sql.column(key, "o"), expression=sql.column("entity", "e")), *exists_at(table, "o", at)]
    sql.join(query, scope.graph.read_asked(table, (), "o"), sql.every(on), side="LEFT")
    outputs = [_key(link, "o", table.name) for link in schema.parents(table.name)]
    for i, link in enumerate(schema.parents(table.name)):
        further = [up for up in schema.parents(link.parent) if up.parent != table.name]
        if further:
            alias = join_parents(scope.graph, query, "o", (link,), at, f"p{i}")
            outputs += [_key(up, alias, f"{link_label(schema, link)}>{link.parent}") for up in further]
    if not outputs:
        return None
    query = query.group_by(sql.column("example_id", "e"), copy=False)
    return block("keys", query, sql.column("example_id", "e"), outputs)


def _key(link: Link, alias: str, label: str) -> Output:
    key = exp.Max(this=sql.as_text(sql.column(link.child_column, alias)))
    return Feature(f"{label}.{link.child_column}", KEYS, "key", link.child), key


@dataclass(frozen=True)
class _List:
    """What is listed of the entity's children: a column of theirs, or of the table that `up` leads to from them."""

    down: Link
    up: tuple[Link, ...]
    column: str


def _lists(scope: Scope, down: Link) -> Iterator[_List]:
    schema, child = scope.graph.schema, scope.graph.schema.table(down.child)
    for other in schema.parents(child.name):
        if other != down:
            yield _List(down, (), other.child_column)
            further = [up for up in schema.parents(other.parent) if up.parent not in (down.parent, down.child)]
            yield from (_List(down, (other,), up.child_column) for up in further)
    foreign = {link.child_column for link in schema.parents(child.name)}
    for column in scope.columns(child):
        if column.semantic_type is SemanticType.CATEGORICAL and not column.all_values and column.name not in foreign:
            yield _List(down, (), column.name)


def _list_block(scope: Scope, names: Names, told: _List) -> Block:
    query = sql.select().from_(sql.temporary(names.examples, "e"), copy=False)
    on = [
        exp.EQ(this=sql.column("example_id", "l"), expression=sql.column("example_id", "e")),
        exp.LTE(this=sql.column("place", "l"), expression=sql.literal(MAX_KEYS)),
    ]
    sql.join(query, sql.subquery(_placed(_rows(scope, names, told)), "l"), sql.every(on), side="LEFT")
    listed = sql.column("listed", "l")
    together = exp.GroupConcat(
        this=exp.Order(this=listed, expressions=[exp.Ordered(this=listed.copy(), nulls_first=False)]),
        separator=exp.Literal.string(BETWEEN_KEYS),
    )
    some = exp.Nullif(this=together, expression=exp.Literal.string(""))  # Snowflake lists nothing as an empty text
    ways = "".join(f">{link.parent}" for link in told.up)
    name = f"{link_label(scope.graph.schema, told.down)}{ways}.{told.column}"
    query = query.group_by(sql.column("example_id", "e"), copy=False)
    return block(name, query, sql.column("example_id", "e"), [(Feature(name, KEYS, "key", told.down.child), some)])


def _rows(scope: Scope, names: Names, told: _List) -> exp.Select:
    """(example_id, listed, newest): each key once, with the time of its newest row."""
    graph = scope.graph
    path = Path(graph.schema.table(told.down.child), (told.down,), asked=True)
    at, time, example = sql.column("as_of", "e"), known_time(graph, path), sql.column("example_id", "e")
    rows = from_path(graph, path, sql.select(example))
    on: list[exp.Expression] = [exp.EQ(this=top_key(path), expression=sql.column("entity", "e"))]
    on += [exp.LTE(this=time, expression=at)] if time is not None else []
    on += [still_valid(until, at.copy()) for until in valid_until(graph, path)]
    sql.join(rows, sql.temporary(names.examples, "e"), sql.every(on))
    listed = sql.as_text(sql.column(told.column, join_parents(graph, rows, path.alias(0), told.up, at, "p")))
    newest: exp.Expression = exp.Max(this=time.copy()) if time is not None else sql.none_of("timestamp")
    rows = rows.select(sql.aliased(listed, "listed"), sql.aliased(newest, "newest"), copy=False)
    return rows.where(sql.given(listed), copy=False).group_by(example.copy(), listed.copy(), copy=False)


def _placed(rows: exp.Select) -> exp.Select:
    order = [exp.Ordered(this=sql.column("newest", "d"), desc=True, nulls_first=False)]
    order.append(exp.Ordered(this=sql.column("listed", "d"), nulls_first=False))
    by = [sql.column("example_id", "d")]
    place = exp.Window(this=exp.RowNumber(), partition_by=by, order=exp.Order(expressions=order))
    placed = sql.select(*sql.columns(("example_id", "listed"), "d"), sql.aliased(place, "place"))
    return placed.from_(sql.subquery(rows, "d"), copy=False)
