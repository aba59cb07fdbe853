"""The entity of a query: a table's key, of one column or of several.

In: the query and its scope. Out: the column that tells entities apart, or a QueryError that says what the key is. A key
of several columns, FOR EACH order_items.(order_id, line_no), is one column behind the schema (`schema/combined.py`):
`schema_for` has to have been asked for the schema.
"""

from __future__ import annotations

from dbt_rfm.errors import QueryError
from dbt_rfm.pql import ast
from dbt_rfm.pql.scope import Scope
from dbt_rfm.pql.task import BoundColumn
from dbt_rfm.schema.combined import combined_name, with_combined_key
from dbt_rfm.schema.types import Column, RelationalSchema, SemanticType, Table


def schema_for(query: ast.Query, schema: RelationalSchema, dialect: str) -> RelationalSchema:
    """The schema that the query is to be bound against: its entity's key of several columns is one column there."""
    named = query.entity.table.casefold()
    tables = [t for t in schema.tables if t.name == query.entity.table] or [
        t for t in schema.tables if t.name.casefold() == named
    ]
    if not query.key or len(tables) != 1 or tables[0].combined or not _is_key(query.key, tables[0]):
        return schema  # the binder says what is wrong, if anything is
    return with_combined_key(schema, tables[0].name, dialect)


def bind_entity(scope: Scope, query: ast.Query) -> BoundColumn:
    """Raises QueryError."""
    ref = query.entity
    table = scope.table(ref)
    if query.key:
        return _combined_key(scope, query, table)
    column = scope.column(ref, table)
    name, key = f"{table.name}.{column.name}", table.primary_key
    if not key:
        hint = f"Add the tests unique and not_null to {name}, or a primary key constraint."
        raise scope.error(f"{table.name} has no primary key, so {name} names no single row", ref.span, hint)
    several = table.combined or (key if len(key) > 1 else ())
    if several:
        hint = f"Write FOR EACH {table.name}.({combined_name(several)})."
        raise scope.error(f"the key of {table.name} has several columns: {combined_name(several)}", ref.span, hint)
    if column.name != key[0]:
        problem = f"{name} is not the key of {table.name}: the key is {key[0]}"
        raise scope.error(problem, ref.span, _rather(scope, table, column))
    return BoundColumn(table, column, ref.span)


def _rather(scope: Scope, table: Table, column: Column) -> str:
    """What to write instead of a column that is no key: the key it points at, or how to ask for groups of rows."""
    name, key = f"{table.name}.{column.name}", named_key(table)
    for link in scope.schema.parents(table.name):
        if link.child_column == column.name:
            return (
                f"Write FOR EACH {link.parent}.{link.parent_column}, which {column.name} points at, or FOR EACH {key}."
            )
    if column.semantic_type is SemanticType.CATEGORICAL:
        groups = f"make a model with one row per {column.name} and point a relationships test of {name} at it"
        return f"Write FOR EACH {key}. To ask about each {column.name}, {groups}."
    return f"Write FOR EACH {key}."


def _combined_key(scope: Scope, query: ast.Query, table: Table) -> BoundColumn:
    named = [scope.column(part, table).name for part in query.key]
    if table.combined and set(named) == set(table.combined) and len(named) == len(table.combined):
        return BoundColumn(table, table.column(combined_name(table.combined)), query.entity.span)
    raise _not_the_key(scope, query, table, combined_name(named))


def _not_the_key(scope: Scope, query: ast.Query, table: Table, named: str) -> QueryError:
    key, span = table.combined or table.primary_key, query.entity.span
    if not key:
        hint = "Declare it: the test unique_combination_of_columns, or a primary key constraint."
        return scope.error(f"{table.name} has no primary key, so ({named}) names no single row", span, hint)
    problem = f"({named}) is not the key of {table.name}: the key is {combined_name(key)}"
    return scope.error(problem, span, f"Write FOR EACH {named_key(table)}.")


def named_key(table: Table) -> str:
    """`stores.store_id`, `lines.(order_id, line_no)`, of a table that has a key."""
    key = table.combined or table.primary_key
    return f"{table.name}.{f'({combined_name(key)})' if len(key) > 1 else key[0]}"


def _is_key(key: tuple[ast.ColumnRef, ...], table: Table) -> bool:
    return sorted(part.column.casefold() for part in key) == sorted(name.casefold() for name in table.primary_key)
