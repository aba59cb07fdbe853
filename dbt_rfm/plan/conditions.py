"""Conditions of a query as SQL.

In: a bound condition and a function that gives the SQL of its leaves (an aggregation or a column). Out: an expression
with SQL's own three-valued logic: a comparison with something undefined is undefined.
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
    BoundColumn,
    BoundComparison,
    BoundCondition,
    BoundNot,
    BoundOr,
    BoundTarget,
)

Leaf = BoundAggregation | BoundColumn

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
        return _comparison(leaf(condition.left), condition.operator, condition.value)
    if isinstance(condition, BoundNot):
        return exp.Not(this=exp.Paren(this=compile_condition(condition.operand, leaf)))
    parts = [compile_condition(operand, leaf) for operand in condition.operands]
    joined = exp.and_(*parts) if isinstance(condition, BoundAnd) else exp.or_(*parts)
    return exp.Paren(this=joined)


def leaves(node: BoundTarget | None) -> Iterator[Leaf]:
    """The aggregations and columns of a target or condition, in order; inner WHEREs are not entered."""
    if node is None:
        return
    if isinstance(node, BoundAggregation | BoundColumn):
        yield node
    elif isinstance(node, BoundComparison):
        yield node.left
    elif isinstance(node, BoundNot):
        yield from leaves(node.operand)
    else:
        for operand in node.operands:
            yield from leaves(operand)


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
