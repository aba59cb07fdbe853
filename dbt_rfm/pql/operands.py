"""Aggregations of a query bound to rows: which table, which column, which way to the entity, which window.

In: an aggregation as written and the table of the entity. Out: a BoundAggregation, or a QueryError that says why it has
no meaning: a column that cannot be summed, a table that is not linked, a window without a time to place rows in.
"""

from __future__ import annotations

from dbt_rfm.pql import ast
from dbt_rfm.pql.conditions import Leaf, bind_condition
from dbt_rfm.pql.paths import parent_path, path_to
from dbt_rfm.pql.scope import Scope, of_type
from dbt_rfm.pql.task import BoundAggregation, BoundColumn
from dbt_rfm.pql.windows import Place, check_window
from dbt_rfm.schema.data_types import Family, family
from dbt_rfm.schema.types import Column, Link, SemanticType, Table

_OF_NUMBERS = ("SUM", "AVG", "MIN", "MAX")
_OF_TIMES = ("MIN", "MAX")  # and FIRST and LAST, which take every type


def bind_aggregation(scope: Scope, aggregation: ast.Aggregation, entity: Table, place: Place) -> BoundAggregation:
    """Raises QueryError."""
    function, window = aggregation.function, aggregation.window or ast.Window(None, 0, span=aggregation.span)
    table = scope.table(aggregation.column)
    column = None if aggregation.column.column == "*" else scope.column(aggregation.column, table)
    _check_column(scope, aggregation, table, column)
    check_window(scope, window, place)
    path = path_to(scope, table, entity, aggregation.column.span, aggregation.via)
    _check_time(scope, table, path, window)
    where = aggregation.where
    return BoundAggregation(
        function=function,
        table=table,
        column=column,
        path=path,
        window=window,
        where=bind_condition(scope, where, lambda leaf: _row_column(scope, leaf, table, path)) if where else None,
        span=aggregation.span,
    )


def _row_column(scope: Scope, leaf: Leaf, table: Table, path: tuple[Link, ...]) -> BoundColumn:
    """What the WHERE inside an aggregation looks at: a column of the aggregated table or of parents of its rows."""
    if isinstance(leaf, ast.Aggregation):
        raise scope.error("an aggregation inside an aggregation is not executed", leaf.span)
    owner = scope.table(leaf)
    column = scope.column(leaf, owner)
    up = parent_path(scope, table, owner, leaf, path) if owner.name != table.name else ()
    return BoundColumn(owner, column, leaf.span, up)


def _check_column(scope: Scope, aggregation: ast.Aggregation, table: Table, column: Column | None) -> None:
    function, span = aggregation.function, aggregation.column.span
    if column is None:
        if function != "COUNT":
            raise scope.error(f"{function} needs a column, got {table.name}.*", span)
        return
    name, kind = f"{table.name}.{column.name}", column.semantic_type
    if function in _OF_NUMBERS:
        if function in _OF_TIMES and family(column.data_type) is Family.TIME:
            return
        if kind is SemanticType.ID or family(column.data_type) not in (Family.INTEGER, Family.NUMBER):
            hint = (
                "" if kind is SemanticType.ID else f"Count rows instead: COUNT({table.name}.* WHERE {name} = …, 0, 30)."
            )
            problem = f"{function} needs a numerical column, {name} is {of_type(kind)} ({column.data_type})"
            raise scope.error(problem, span, hint)
    elif function != "COUNT" and family(column.data_type) is Family.OTHER:
        raise scope.error(f"{function} of {name} is not possible: its type is {column.data_type}", span)


def _check_time(scope: Scope, table: Table, path: tuple[Link, ...], window: ast.Window) -> None:
    """A row needs a time to be in a window or not: its own, of a table on its way to the entity, or by a time link."""
    if window.start is None and window.end == 0:
        return  # "ever so far" holds for all rows that are known
    on_the_way = [table, *(scope.schema.table(link.child) for link in path[1:])]
    beside = any(t.time_link not in (None, link.child_column) for t, link in zip(on_the_way, path, strict=True))
    if not beside and not any(t.own_time for t in on_the_way):
        names = " nor ".join(t.name for t in on_the_way)
        has = f"neither {names} has a" if len(on_the_way) > 1 else f"{names} has no"
        keys = [k.child_column for k in scope.schema.parents(table.name) if k != path[0] and _has_time(scope, k.parent)]
        hint = f"Set event_time or meta.rfm.time_column on {table.name}."
        if keys:
            hint = f"Set meta.rfm.time_column of {table.name} to the foreign key that says when: {' or '.join(keys)}."
        raise scope.error(f"there is no time to place rows in a window: {has} time column", window.span, hint)


def _has_time(scope: Scope, name: str) -> bool:
    table = scope.schema.table(name)
    return (table.own_time or table.time_link) is not None
