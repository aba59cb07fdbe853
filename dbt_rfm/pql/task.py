"""The query with its names and types resolved against a schema: what the plan compiles.

The tree has the shape of `ast.py`; columns are bound to tables of the schema, aggregations to the path of links that
leads from their rows to the entity. Literals have the type of the column they are compared with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from dbt_rfm.pql.ast import Scalar, Span, Window
from dbt_rfm.schema.types import Column, Link, Table
from dbt_rfm.task_kind import TaskKind


@dataclass(frozen=True)
class BoundColumn:
    """A column of the row itself, or of the parent that `path` leads to from the row."""

    table: Table
    column: Column
    span: Span = field(default=Span(0, 0), compare=False, repr=False)
    path: tuple[Link, ...] = ()


@dataclass(frozen=True)
class BoundAggregation:
    """`function` over the rows of `table` linked to the entity.

    `path` starts at `table` and ends at the entity table: path[0].child == table.name,
    path[i].parent == path[i + 1].child, path[-1].parent == the entity table.
    `column` is None for COUNT(table.*). `where` sees columns of `table` and of the parents of its rows.
    """

    function: str
    table: Table
    column: Column | None
    path: tuple[Link, ...]
    window: Window
    where: BoundCondition | None = None
    span: Span = field(default=Span(0, 0), compare=False, repr=False)


@dataclass(frozen=True)
class BoundArithmetic:
    """In double precision. A division by zero is undefined, and so is what is computed from something undefined."""

    operator: str  # + - * /
    left: BoundOperand
    right: BoundOperand
    span: Span = field(default=Span(0, 0), compare=False, repr=False)


@dataclass(frozen=True)
class BoundComparison:
    left: BoundAggregation | BoundColumn | BoundArithmetic
    operator: str
    value: Scalar | tuple[Scalar, ...] | BoundAggregation | BoundColumn | BoundArithmetic


@dataclass(frozen=True)
class BoundNot:
    operand: BoundCondition


@dataclass(frozen=True)
class BoundAnd:
    operands: tuple[BoundCondition, ...]


@dataclass(frozen=True)
class BoundOr:
    operands: tuple[BoundCondition, ...]


BoundLeaf = BoundAggregation | BoundColumn
BoundOperand = BoundLeaf | BoundArithmetic | int | Decimal
BoundCondition = BoundComparison | BoundNot | BoundAnd | BoundOr
BoundTarget = BoundCondition | BoundLeaf | BoundArithmetic


@dataclass(frozen=True)
class Ranking:
    """What a target LIST_DISTINCT ranks: the rows of `items`, which `link` points at, the first `number` of them."""

    link: Link
    items: Table
    number: int
    exclude_seen: bool = False


@dataclass(frozen=True)
class Task:
    """A predictive task.

    `horizon` is the target's furthest window, None for an attribute of the entity; it is also the step between the
    anchors of the context. `where` looks back only; `assuming` looks forward and narrows which examples count.
    `entity_ids` narrows the query examples (FOR … = 7), never the context.
    `timeframes`: a forecast asks for the target's window that many times, end to end from the anchor.
    `ranking`: what a recommendation ranks. `classes_shown`: of each entity, the likeliest so many classes.
    `of_events`: the entity's rows are events and the target an attribute of them; each stands at its own time.
    """

    text: str
    kind: TaskKind
    entity: BoundColumn
    target: BoundTarget
    horizon: Window | None
    where: BoundCondition | None = None
    assuming: BoundCondition | None = None
    entity_ids: tuple[Scalar, ...] = ()
    timeframes: int | None = None
    ranking: Ranking | None = None
    of_events: bool = False
    classes_shown: int | None = None


def leaves(node: object) -> Iterator[BoundLeaf]:
    """The aggregations and columns of a target or condition, in order; inner WHEREs are not entered."""
    if isinstance(node, BoundAggregation | BoundColumn):
        yield node
    elif isinstance(node, BoundComparison):
        yield from leaves(node.left)
        yield from leaves(node.value)
    elif isinstance(node, BoundArithmetic):
        yield from leaves(node.left)
        yield from leaves(node.right)
    elif isinstance(node, BoundNot):
        yield from leaves(node.operand)
    elif isinstance(node, BoundAnd | BoundOr):
        for operand in node.operands:
            yield from leaves(operand)


def aggregations_of(node: BoundTarget | None) -> Iterator[BoundAggregation]:
    """The aggregations of a target or condition, in order; inner WHEREs hold none."""
    return (leaf for leaf in leaves(node) if isinstance(leaf, BoundAggregation))
