"""Conditions of a query with their sides bound.

In: a condition, and a function that binds its aggregations and columns (they mean different things in a target, in
WHERE and inside an aggregation). Out: a bound condition whose values have the type of what they are compared with.
Null is compared by IS NULL and IS NOT NULL only; IS and IS NOT with another value mean = and !=, save for TRUE and
FALSE, where SQL's own IS keeps nulls apart. Text operators compare texts with texts, letter by letter, case included.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from dbt_rfm.pql import ast
from dbt_rfm.pql.literals import Unfit, fitted, shown
from dbt_rfm.pql.scope import Scope
from dbt_rfm.pql.task import (
    BoundAggregation,
    BoundAnd,
    BoundArithmetic,
    BoundColumn,
    BoundComparison,
    BoundCondition,
    BoundLeaf,
    BoundNot,
    BoundOperand,
    BoundOr,
)
from dbt_rfm.schema.data_types import Family, family

Leaf = ast.Aggregation | ast.ColumnRef
BindLeaf = Callable[[Leaf], BoundLeaf]

_TEXT_OPERATORS = ("LIKE", "NOT LIKE", "CONTAINS", "NOT CONTAINS", "STARTS WITH", "ENDS WITH")
_ORDERING = ("<", "<=", ">", ">=")
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_NUMBERS = {Family.INTEGER, Family.NUMBER}
_TEXTS = {Family.STRING, Family.ENUM}
_SAME = {"IS": "=", "IS NOT": "!="}
_OF_ROWS = ("FIRST", "LAST", "MIN", "MAX")  # aggregations whose value is one of the column's own


def bind_condition(scope: Scope, condition: ast.Condition, leaf: BindLeaf) -> BoundCondition:
    if isinstance(condition, ast.Comparison):
        return _comparison(scope, condition, leaf)
    if isinstance(condition, ast.Not):
        return BoundNot(bind_condition(scope, condition.operand, leaf))
    operands = tuple(bind_condition(scope, operand, leaf) for operand in condition.operands)
    return BoundAnd(operands) if isinstance(condition, ast.And) else BoundOr(operands)


def bind_operand(scope: Scope, operand: ast.Operand, leaf: BindLeaf) -> BoundOperand:
    """An aggregation, a column, a number, or arithmetic over them. Raises QueryError."""
    if isinstance(operand, ast.Literal):
        assert isinstance(operand.value, int | Decimal), "of literals only numbers are operands"
        return operand.value
    if not isinstance(operand, ast.Arithmetic):
        return leaf(operand)
    left, right = (bind_operand(scope, part, leaf) for part in (operand.left, operand.right))
    for part, bound in ((operand.left, left), (operand.right, right)):
        name, side = _described(bound)
        if side not in _NUMBERS:
            raise scope.error(f"{operand.operator} takes numbers, {name} is none", part.span)
    return BoundArithmetic(operand.operator, left, right, operand.span)


def _comparison(scope: Scope, comparison: ast.Comparison, leaf: BindLeaf) -> BoundComparison:
    left, right = bind_operand(scope, comparison.left, leaf), comparison.right
    if not isinstance(right, ast.Literal):
        return _of_two(scope, comparison, left, bind_operand(scope, right, leaf))
    if isinstance(left, int | Decimal):
        raise scope.error("expected an aggregation or a column on one side of the comparison", comparison.span)
    return bind_comparison(scope, comparison, left)


def _of_two(scope: Scope, comparison: ast.Comparison, left: BoundOperand, right: BoundOperand) -> BoundComparison:
    """Two things that differ from entity to entity, compared with each other. A number goes to the right."""
    operator = comparison.operator
    assert not isinstance(right, int | Decimal), "a number alone is a literal"
    if isinstance(left, int | Decimal):
        return BoundComparison(right, _TURNED.get(operator, operator), left)
    (a, of_left), (b, of_right) = _described(left), _described(right)
    if not (of_left is of_right or {of_left, of_right} <= _NUMBERS or {of_left, of_right} <= _TEXTS):
        raise scope.error(f"{a} and {b} cannot be compared", comparison.span)
    if of_left is Family.OTHER or (of_left is Family.BOOLEAN and operator in _ORDERING):
        raise scope.error(f"{a} and {b} have no order for {operator}", comparison.span)
    return BoundComparison(left, operator, right)


def bind_comparison(scope: Scope, comparison: ast.Comparison, left: BoundLeaf | BoundArithmetic) -> BoundComparison:
    """The comparison with a value, in the type of the left side. Raises QueryError."""
    assert isinstance(comparison.right, ast.Literal), "what is compared with another operand has no value"
    operator, value, span = comparison.operator, comparison.right.value, comparison.right.span
    name, side = _described(left)
    if operator in _TEXT_OPERATORS:
        return BoundComparison(left, operator, _text(scope, comparison, value, name, side))
    if isinstance(value, tuple):
        return BoundComparison(left, operator, tuple(_value(scope, v, name, side, span) for v in value))
    if value is None and operator in ("IS", "IS NOT"):
        if isinstance(left, BoundAggregation) and left.function in ast.ZERO_OF_NOTHING:
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


def _text(scope: Scope, comparison: ast.Comparison, value: object, name: str, side: Family) -> str:
    """The right side of a text operator."""
    operator, span = comparison.operator, comparison.right.span
    if side not in _TEXTS:
        raise scope.error(f"{operator} compares texts, {name} is none", comparison.span, "Compare it with =, < or IN.")
    if not isinstance(value, str):
        got = "a list" if isinstance(value, tuple) else shown(value)  # type: ignore[arg-type]
        raise scope.error(f"{operator} is followed by a text in single quotes, got {got}", span)
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


def _described(left: BoundOperand) -> tuple[str, Family]:
    """An operand in words, with the family its values have."""
    if isinstance(left, int | Decimal):
        return shown(left), Family.NUMBER
    if isinstance(left, BoundArithmetic):
        return "what is computed (a number)", Family.NUMBER
    if isinstance(left, BoundColumn):
        column = left.column
        return f"{left.table.name}.{column.name} ({column.data_type})", family(column.data_type)
    if left.column is not None and left.function in _OF_ROWS:
        column = left.column
        return f"{left.function} of {left.table.name}.{column.name} ({column.data_type})", family(column.data_type)
    return f"{left.function} (a number)", Family.NUMBER
