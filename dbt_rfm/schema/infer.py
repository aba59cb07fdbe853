"""Keys and links that nobody declared, from names, types and data.

In: draft tables with what is declared. Out: a key for tables without one, a parent for columns without one. A name only
nominates: a key must be unique and not null over all rows, and at least `FOUND` of a child's sampled values must be in
the parent (real foreign keys have orphans). Where two parents fit equally well, none is taken. Every inference is
marked and noted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace

from dbt_rfm.schema import names
from dbt_rfm.schema.combined import CombinedLink
from dbt_rfm.schema.data_types import Family, comparable, family
from dbt_rfm.schema.probe import Probe
from dbt_rfm.schema.types import Column, Link, Table

FOUND = 0.9
_KEY_FAMILIES = frozenset({Family.INTEGER, Family.STRING, Family.UUID})
# Whole numbers with gaps often arrive as floating point.
_POINTER_FAMILIES = _KEY_FAMILIES | {Family.NUMBER}
# What a row calls the row of its own table that it hangs on.
_SELF = frozenset({"parent", "reply", "manager", "supervisor", "referrer", "referred", "root", "previous"})
# From here up a name alone is enough where there are no rows to ask.
_SURE = 80


@dataclass(frozen=True)
class Inferred:
    tables: tuple[Table, ...]
    links: tuple[Link, ...]
    notes: tuple[str, ...]


def infer(
    tables: Sequence[Table], declared: Sequence[Link], probe: Probe, *, combined: Sequence[CombinedLink] = ()
) -> Inferred:
    """Fill in keys first, since links point at keys. `combined`: the declared foreign keys of several columns."""
    taken = {(link.child, link.child_column) for link in declared}
    # A part of a foreign key leads where the whole leads, and on from there: a short cut of its own would be a second
    # way to the same row, past the parent that may be what has a time.
    taken |= {(link.child, column) for link in combined for column in link.columns}
    keyed = [_with_key(table, declared, probe) for table in tables]
    found = [link for table in keyed for link in _links_of(table, keyed, taken, probe)]
    notes = []
    keys = [f"{table.name}.{table.primary_key[0]}" for table in keyed if table.primary_key_inferred]
    if keys:
        notes.append(f"primary keys inferred, unique and not null in the data: {', '.join(keys)}")
    if found:
        notes.append(f"links inferred from names and values, no test declares them: {', '.join(map(str, found))}")
    return Inferred(tuple(keyed), tuple(found), tuple(notes))


# --- primary keys


def _with_key(table: Table, declared: Sequence[Link], probe: Probe) -> Table:
    if table.primary_key:
        return table
    scores = {column.name: _key_score(table, column, declared, i) for i, column in enumerate(table.columns)}
    ranked = sorted((name for name, score in scores.items() if score), key=lambda name: -scores[name])
    spreads = probe.keys(table, ranked)
    for name in ranked:
        sure_enough = spreads[name].rows or scores[name] >= _SURE
        if spreads[name].is_key and sure_enough:
            return replace(table, primary_key=(name,), primary_key_inferred=True)
    return table


def _key_score(table: Table, column: Column, declared: Sequence[Link], position: int) -> int:
    """How much the name says that the column is the key of its table; 0 for no candidate.

    orders.id 100, orders.order_id 90, a declared link's target 85, order_items.item_id 60, qualifying.qualify_id 50,
    a text named like its table (countries.country) 40, the first column when it is named like a key
    (products.stock_code) 30.
    """
    if family(column.data_type) not in _KEY_FAMILIES:
        return 0
    if any((link.parent, link.parent_column) == (table.name, column.name) for link in declared):
        return 85
    like_id, like_code = names.ends_like_id(column.name), names.ends_like_code(column.name)
    if not (like_id or like_code):
        return 40 if _is_named_like(column, table) else 0
    stem, own = names.stem(column.name), names.entity_words(table.name)
    if not stem:
        return 100
    if stem == own:
        return 90 if like_id else 80
    if own[-len(stem) :] == stem or own[: len(stem)] == stem:
        return 60
    if _shared_start(stem[0], own[0]) >= 5:
        return 50
    return 30 if position == 0 else 0


def _is_named_like(column: Column, table: Table) -> bool:
    return family(column.data_type) is Family.STRING and names.stem(column.name) == names.entity_words(table.name)


def _shared_start(left: str, right: str) -> int:
    return next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))


# --- links


def _links_of(table: Table, tables: Sequence[Table], taken: Set[tuple[str, str]], probe: Probe) -> Iterator[Link]:
    for column in table.columns:
        if (table.name, column.name) in taken or family(column.data_type) not in _POINTER_FAMILIES:
            continue
        candidates = {parent.name: _link_score(table, column, parent) for parent in tables}
        fitting = {
            name: score
            for name, score in candidates.items()
            if score and _holds(table, column, _named(tables, name), score, probe)
        }
        best = [name for name, score in fitting.items() if score == max(fitting.values())]
        if len(best) == 1:
            yield Link(table.name, column.name, best[0], _named(tables, best[0]).primary_key[0])


def _link_score(table: Table, column: Column, parent: Table) -> int:
    """How much the name says that `column` points at the key of `parent`; 0 for no candidate.

    orders.customer_id -> customers 100, reviews.stock_code -> products.stock_code and meters.site -> sites.site 90,
    posts.owner_user_id -> users 60, posts.parent_id -> posts 50.
    """
    if len(parent.primary_key) != 1:
        return 0
    key = parent.column(parent.primary_key[0])
    if not comparable(column.data_type, key.data_type):
        return 0
    is_own_key = table.primary_key == (column.name,)
    stem, entity = names.stem(column.name), names.entity_words(parent.name)
    if parent.name != table.name and parent.relation == table.relation:
        return 0  # one table under two aliases
    if parent.name == table.name:
        return 50 if not is_own_key and names.ends_like_id(column.name) and set(stem) & _SELF else 0
    like_key = names.ends_like_id(column.name) or names.ends_like_code(column.name)
    same_name = names.words(column.name) == names.words(key.name)
    if not stem or not (like_key or (same_name and _is_named_like(key, parent))):
        return 0
    if is_own_key and stem == names.entity_words(table.name):
        return 0
    if stem == entity and like_key:
        return 100
    if same_name and not is_own_key:
        return 90
    if is_own_key or not names.ends_like_id(column.name):
        return 0
    key_stem = names.stem(key.name)
    tails = [tail for tail in (entity, key_stem) if tail]
    return 60 if any(stem[-len(tail) :] == tail for tail in tails) else 0


def _holds(table: Table, column: Column, parent: Table, score: int, probe: Probe) -> bool:
    sampled, found = probe.found_in_parent(table, column.name, parent, parent.primary_key[0])
    return found >= FOUND * sampled if sampled else score >= _SURE


def _named(tables: Iterable[Table], name: str) -> Table:
    return next(table for table in tables if table.name == name)
