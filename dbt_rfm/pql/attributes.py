"""Targets made of columns of the entity's own row: an attribute (transactions.is_fraud), or a condition on attributes.

In: a bound target. Out: the columns it looks at, which the features must not show, and whether the rows are events.
A table with a time column and foreign keys holds events, which happen at a moment of their own (a transaction); with a
time alone it holds things that begin to exist then (a customer), whose attributes are asked for at the prediction
anchor, unless somebody says when they become known (`label_delay`).
"""

from __future__ import annotations

from dataclasses import replace

from dbt_rfm.pql.scope import Scope
from dbt_rfm.pql.task import (
    BoundAnd,
    BoundColumn,
    BoundComparison,
    BoundCondition,
    BoundNot,
    BoundOr,
    BoundTarget,
    Task,
    leaves,
)
from dbt_rfm.schema.types import RelationalSchema, Table


def own_columns(target: BoundTarget, entity: Table) -> tuple[BoundColumn, ...]:
    """The columns of the entity's row that a target of columns alone looks at; () for every other target."""
    found = tuple(leaves(target))
    own = tuple(c for c in found if isinstance(c, BoundColumn) and c.table.name == entity.name and not c.path)
    return own if own and len(own) == len(found) else ()


def hidden_columns(task: Task) -> tuple[tuple[str, str], ...]:
    """(table, column) of what an attribute's features must not show."""
    return tuple((c.table.name, c.column.name) for c in own_columns(task.target, task.entity.table))


def seen_schema(schema: RelationalSchema, task: Task) -> RelationalSchema:
    """The schema as the features see it: a foreign key that is predicted, or that knows of later rows, leads nowhere,
    since the row that it leads to would tell which one it is."""
    unseen = {*hidden_columns(task), *((t.name, c.name) for t in schema.tables for c in t.columns if c.hindsight)}
    return replace(schema, links=tuple(k for k in schema.links if (k.child, k.child_column) not in unseen))


def are_events(schema: RelationalSchema, table: Table, *, delay_given: bool) -> bool:
    """Whether rows of the table stand at their own time. A snapshot's versions do not: they have many."""
    if table.time_column is None or table.valid_from is not None:
        return False
    return delay_given or bool(schema.parents(table.name))


def check_attributes(scope: Scope, target: BoundTarget, entity: Table, where: BoundCondition | None) -> None:
    """Raises QueryError for a key, and for a WHERE that looks at what is predicted or where that leads to."""
    predicted = own_columns(target, entity)
    for bound in predicted:
        check_attribute(scope, bound)
    names = {bound.column.name for bound in predicted}
    for leaf in leaves(where):
        if not isinstance(leaf, BoundColumn) or (leaf.table.name != entity.name and not leaf.path):
            continue
        name = leaf.path[0].child_column if leaf.path else leaf.column.name
        if name in names:
            problem = f"{entity.name}.{name} is what is predicted, so it cannot say who counts"
            raise scope.error(problem, leaf.span, "Leave it out: what is known is learnt from, what is not is asked.")


def check_unknown(scope: Scope, node: BoundTarget) -> None:
    """Raises QueryError for a condition on things that is true or false even of null: it is known of all of them."""
    if isinstance(node, BoundNot):
        check_unknown(scope, node.operand)
    elif isinstance(node, BoundAnd | BoundOr):
        for operand in node.operands:
            check_unknown(scope, operand)
    elif isinstance(node, BoundComparison) and node.operator in ("IS", "IS NOT"):
        column = next(c for c in leaves(node) if isinstance(c, BoundColumn))
        name = f"{column.table.name}.{column.column.name}"
        tested = f"{node.operator} {'NULL' if node.value is None else str(node.value).upper()}"
        problem = f"{name} {tested} is true or false of every row, so there is nothing to predict"
        hint = "Predict the column itself, or compare it with a value: where it is null is then what is asked."
        raise scope.error(problem, column.span, hint)


def check_attribute(scope: Scope, bound: BoundColumn) -> None:
    """Raises QueryError for a key, and for the foreign key that says when its rows happened."""
    table, column = bound.table, bound.column
    name = f"{table.name}.{column.name}"
    if column.name in table.primary_key:
        raise scope.error(f"{name} is the key of {table.name}, which cannot be predicted", bound.span)
    if column.name == table.time_link:
        raise scope.error(f"{name} says when rows of {table.name} happened, so it cannot be predicted", bound.span)
