"""Conditions of a query as SQL.

In: a bound condition and a function that gives the SQL of its leaves (an aggregation or a column). Out: an expression
with SQL's own three-valued logic: a comparison with something undefined is undefined. Arithmetic is in double precision
in every dialect, and a division by zero is undefined in every dialect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from sqlglot import exp

from dbt_rfm.errors import QueryError
from dbt_rfm.plan import sql
from dbt_rfm.pql.ast import Scalar
from dbt_rfm.pql.task import (
    BoundAggregation,
    BoundAnd,
    BoundArithmetic,
    BoundColumn,
    BoundComparison,
    BoundCondition,
    BoundNot,
    BoundOperand,
    BoundOr,
    BoundTarget,
)

Leaf = BoundAggregation | BoundColumn

_ARITHMETIC: dict[str, type[exp.Expression]] = {"+": exp.Add, "-": exp.Sub, "*": exp.Mul}

_ORDERED: dict[str, type[exp.Expression]] = {
    "=": exp.EQ,
    "!=": exp.NEQ,
    "<": exp.LT,
    "<=": exp.LTE,
    ">": exp.GT,
    ">=": exp.GTE,
}


def compile_condition(condition: BoundCondition, leaf: Callable[[Leaf], exp.Expression]) -> exp.Expression:
    """The condition in SQL, in parentheses where it has parts."""
    if isinstance(condition, BoundComparison):
        left, value = compile_operand(condition.left, leaf), condition.value
        if isinstance(value, BoundAggregation | BoundColumn | BoundArithmetic):
            return _ORDERED[condition.operator](this=left, expression=compile_operand(value, leaf))
        return _comparison(left, condition.operator, value)
    if isinstance(condition, BoundNot):
        return exp.Not(this=exp.Paren(this=compile_condition(condition.operand, leaf)))
    parts = [compile_condition(operand, leaf) for operand in condition.operands]
    joined = exp.and_(*parts) if isinstance(condition, BoundAnd) else exp.or_(*parts)
    return exp.Paren(this=joined)


def compile_operand(operand: BoundOperand, leaf: Callable[[Leaf], exp.Expression]) -> exp.Expression:
    """An aggregation, a column, a number, or arithmetic over them."""
    if isinstance(operand, BoundAggregation | BoundColumn):
        return leaf(operand)
    if not isinstance(operand, BoundArithmetic):
        return sql.literal(operand)
    left, right = (sql.as_double(compile_operand(part, leaf)) for part in (operand.left, operand.right))
    if operand.operator == "/":
        by = exp.Nullif(this=right, expression=sql.as_double(exp.Literal.number(0)))
        return exp.Paren(this=exp.Div(this=left, expression=by))
    return exp.Paren(this=_ARITHMETIC[operand.operator](this=left, expression=right))


def comparisons(node: BoundTarget | None) -> Iterator[BoundComparison]:
    """The comparisons of a target or condition, in order."""
    if isinstance(node, BoundComparison):
        yield node
    elif isinstance(node, BoundNot):
        yield from comparisons(node.operand)
    elif isinstance(node, BoundAnd | BoundOr):
        for operand in node.operands:
            yield from comparisons(operand)


def _comparison(left: exp.Expression, operator: str, value: Scalar | tuple[Scalar, ...]) -> exp.Expression:
    if operator.startswith("NOT "):
        return exp.Not(this=_comparison(left, operator.removeprefix("NOT "), value))
    if operator == "IS NOT":
        return exp.Not(this=_comparison(left, "IS", value))
    if operator == "IN":
        values = value if isinstance(value, tuple) else (value,)
        return exp.In(this=left, expressions=[sql.literal(v) for v in values])
    if isinstance(value, tuple):
        raise QueryError(f"{operator} compares with one value, got {len(value)}", hint="Write IN (…) for several.")
    if operator in _ORDERED:
        return _ORDERED[operator](this=left, expression=sql.literal(value))
    if operator == "IS":
        same = exp.Is if value is None or isinstance(value, bool) else exp.EQ
        return same(this=left, expression=sql.literal(value))
    return _text_comparison(left, operator, value)


def _text_comparison(left: exp.Expression, operator: str, value: Scalar) -> exp.Expression:
    text = value if isinstance(value, str) else str(value)
    part, left = exp.Literal.string(text), sql.as_text(left)
    if operator == "LIKE":
        return _like(left, text)
    if operator == "CONTAINS":
        return exp.GT(this=exp.StrPosition(this=left, substr=part), expression=exp.Literal.number(0))
    ends = {"STARTS WITH": exp.Left, "ENDS WITH": exp.Right}
    if operator not in ends:
        raise QueryError(f"the operator {operator} is not known")
    end = ends[operator](this=left, expression=exp.Literal.number(len(text)))
    return exp.EQ(this=end, expression=part)


def _like(left: exp.Expression, pattern: str) -> exp.Expression:
    """LIKE with % and _ and no escape: a backslash, which some warehouses take for one, stands for itself."""
    like = exp.Like(this=left, expression=exp.Literal.string(pattern))
    if "\\" not in pattern:
        return like
    unused = next(mark for mark in map(chr, range(0x21, 0xD800)) if mark not in pattern and mark not in "'%_\\")
    return exp.Escape(this=like, expression=exp.Literal.string(unused))
