"""Which texts a question reads the words of.

In: the scope and the entity's table. Out: columns (table, column): of the entity's own row first, then of the rows it
points at, then of the rows that point at it, whose newest is read; a few, because each brings many words.
"""

from __future__ import annotations

from collections.abc import Iterator

from dbt_rfm.plan.values import Scope
from dbt_rfm.schema.types import SemanticType, Table

MAX_TEXTS = 4


def texts_read(scope: Scope, table: Table) -> frozenset[tuple[str, str]]:
    texts = (
        (each.name, column.name)
        for each in _tables(scope, table)
        for column in scope.columns(each)
        if column.semantic_type is SemanticType.TEXT
    )
    return frozenset(list(dict.fromkeys(texts))[:MAX_TEXTS])


def _tables(scope: Scope, table: Table) -> Iterator[Table]:
    schema = scope.graph.schema
    near = [schema.table(link.parent) for link in schema.parents(table.name)]
    yield table
    yield from near
    yield from (schema.table(link.parent) for parent in near for link in schema.parents(parent.name))
    yield from (schema.table(link.child) for link in schema.children(table.name))
