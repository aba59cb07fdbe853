"""Conditions of a query with their sides bound.

In: a condition, and a function that binds its left sides (they mean different things in a target, in WHERE and inside
an aggregation). Out: a bound condition whose values have the type of what they are compared with. Null is compared by
IS NULL and IS NOT NULL only; IS and IS NOT with another value mean = and !=, save for TRUE and FALSE, where SQL's own
IS keeps nulls apart. Text operators compare texts with texts, letter by letter, case included.
"""

from __future__ import annotations

from collections.abc import Callable

from dbt_rfm.pql import ast
from dbt_rfm.pql.literals import Unfit, fitted, shown
from dbt_rfm.pql.scope import Scope
from dbt_rfm.pql.task import (
    BoundAggregation,
    BoundAnd,
    BoundColumn,
    BoundComparison,
    BoundCondition,
    BoundNot,
    BoundOr,
)
from dbt_rfm.schema.data_types import Family, family

Left = ast.Aggregation | ast.ColumnRef
BoundLeft = BoundAggregation | BoundColumn

_TEXT_OPERATORS = ("LIKE", "NOT LIKE", "CONTAINS", "NOT CONTAINS", "STARTS WITH", "ENDS WITH")
_ORDERING = ("<", "<=", ">", ">=")
_SAME = {"IS": "=", "IS NOT": "!="}
_NEVER_NULL = ("COUNT", "COUNT_DISTINCT", "SUM")
_OF_ROWS = ("FIRST", "LAST", "MIN", "MAX")  # aggregations whose value is one of the column's own


def bind_condition(scope: Scope, condition: ast.Condition, left: Callable[[Left], BoundLeft]) -> BoundCondition:
    if isinstance(condition, ast.Comparison):
        return bind_comparison(scope, condition, left(condition.left))
    if isinstance(condition, ast.Not):
        return BoundNot(bind_condition(scope, condition.operand, left))
    operands = tuple(bind_condition(scope, operand, left) for operand in condition.operands)
    return BoundAnd(operands) if isinstance(condition, ast.And) else BoundOr(operands)


def bind_comparison(scope: Scope, comparison: ast.Comparison, left: BoundLeft) -> BoundComparison:
    """The comparison with its value in the type of the left side. Raises QueryError."""
    operator, value, span = comparison.operator, comparison.right.value, comparison.right.span
    name, side = _described(left)
    if operator in _TEXT_OPERATORS:
        return BoundComparison(left, operator, _text(scope, comparison, name, side))
    if isinstance(value, tuple):
        return BoundComparison(left, operator, tuple(_value(scope, v, name, side, span) for v in value))
    if value is None and operator in ("IS", "IS NOT"):
        if isinstance(left, BoundAggregation) and left.function in _NEVER_NULL:
            raise scope.error(
                f"{left.function} is never null: it is 0 where there are no rows", span, "Compare with 0."
            )
        return BoundComparison(left, operator, None)
    bound = _value(scope, value, name, side, span)
    if operator in _ORDERING and isinstance(bound, bool):
        raise scope.error(
            f"{name} is true or false, which has no order for {operator}", comparison.span, "Compare with =."
        )
    if operator in _SAME and not isinstance(bound, bool):
        operator = _SAME[operator]
    return BoundComparison(left, operator, bound)


def _text(scope: Scope, comparison: ast.Comparison, name: str, side: Family) -> str:
    """The right side of a text operator."""
    operator, value, span = comparison.operator, comparison.right.value, comparison.right.span
    if side not in (Family.STRING, Family.ENUM):
        raise scope.error(f"{operator} compares texts, {name} is none", comparison.span, "Compare it with =, < or IN.")
    if not isinstance(value, str):
        raise scope.error(f"{operator} is followed by a text in single quotes, got {shown(value)}", span)
    if not value and not operator.endswith("LIKE"):
        raise scope.error(f"every text fulfils {operator} '': expected at least one character", span)
    return value


def _value(scope: Scope, value: ast.Scalar, name: str, side: Family, span: ast.Span) -> ast.Scalar:
    if value is None:
        raise scope.error("nothing equals NULL", span, "Write IS NULL or IS NOT NULL.")
    if side is Family.OTHER:
        raise scope.error(f"{name} cannot be compared", span, "Only IS NULL and IS NOT NULL apply to it.")
    try:
        return fitted(value, side)
    except Unfit as error:
        raise scope.error(f"{name} is compared with {shown(value)}: expected {error}", span) from None


def _described(left: BoundLeft) -> tuple[str, Family]:
    """The left side in words, with the family its values have."""
    if isinstance(left, BoundColumn):
        column = left.column
        return f"{left.table.name}.{column.name} ({column.data_type})", family(column.data_type)
    if left.column is not None and left.function in _OF_ROWS:
        column = left.column
        return f"{left.function} of {left.table.name}.{column.name} ({column.data_type})", family(column.data_type)
    return f"{left.function} (a number)", Family.NUMBER
