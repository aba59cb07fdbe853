"""Small SQL expressions the plan is made of: names, literals, times, casts.

In: names and Python values. Out: sqlglot expressions, which each warehouse writes in its own dialect. Names are always
quoted and values are always literals, so nothing a user typed becomes SQL. Times are compared as timestamps without a
zone, in UTC, whatever the column's own type.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import cast

from sqlglot import exp

from dbt_rfm.pql.ast import Scalar
from dbt_rfm.pql.literals import EXACT
from dbt_rfm.schema.data_types import has_zone
from dbt_rfm.schema.types import Link, Table

BEGINNING = datetime(1, 1, 1)  # earlier than every row: the start of a window that goes back for ever
SECONDS_PER_DAY = 86_400
_MOMENT, _KEY, _WINDOWS, _END_TO_END = "moment", "key", "windows", "end to end"
MAX_SCALE = 12  # digits behind the point of a decimal number; a smaller one is written in double precision


def name(text: str) -> exp.Identifier:
    return exp.Identifier(this=text, quoted=True)


def column(text: str, table: str | None = None) -> exp.Column:
    return exp.Column(this=name(text), table=name(table) if table else None)


def columns(texts: Iterable[str], table: str | None = None) -> list[exp.Expression]:
    return [column(text, table) for text in texts]


def aliased(expression: exp.Expression, text: str) -> exp.Alias:
    return exp.Alias(this=expression, alias=name(text))


def temporary(text: str, alias: str | None = None) -> exp.Table:
    """A session table or a CTE, by name."""
    return exp.Table(this=name(text), alias=exp.TableAlias(this=name(alias)) if alias else None)


def relation(table: Table, alias: str, dialect: str) -> exp.Expression:
    """The table's rows under `alias`; what dbt rendered may be a subquery with an alias of its own."""
    source = _source(table.relation, dialect).copy()
    if isinstance(source, exp.Table) and not source.alias:
        source.set("alias", exp.TableAlias(this=name(alias)))
        return source
    return subquery(exp.Select(expressions=[exp.Star()]).from_(source), alias)


@lru_cache
def _source(relation: str, dialect: str) -> exp.Expression:
    """What follows FROM; kept, because a plan reads each table many times and parsing takes long."""
    read = exp.select("*").from_(relation, dialect=dialect).find(exp.From)
    assert read is not None, "a SELECT with a FROM has one"
    return read.this


def select(*expressions: exp.Expression) -> exp.Select:
    return exp.Select(expressions=list(expressions))


def with_steps(query: exp.Select, steps: Sequence[tuple[str, exp.Expression]]) -> exp.Select:
    """`query` after the CTEs `steps`, in order."""
    for text, step in steps:
        query = query.with_(name(text), as_=step, copy=False)
    return query


def join(query: exp.Select, source: exp.Expression, on: exp.Expression | None, side: str = "") -> exp.Select:
    """Join without copying the query; `on` None is a cross join."""
    kind = {"side": side} if side else {"kind": "CROSS" if on is None else "INNER"}
    query.append("joins", exp.Join(this=source, on=on, **kind))
    return query


def join_windows(
    query: exp.Select,
    windows: exp.Table,
    moment: exp.Expression,
    since: exp.Expression,
    until: exp.Expression,
    also: Iterable[exp.Expr] = (),
) -> exp.Select:
    """Join each row with every window (since, until] of a small table in which its moment lies, if `also` holds.

    `since` and `until` are said of the windows alone, the moment of the rows alone.
    """
    inside = [exp.GT(this=moment, expression=since), exp.LTE(this=moment.copy(), expression=until)]
    join(query, windows, every([*inside, *also]))
    query.args["joins"][-1].meta[_WINDOWS] = True  # for dialects that would look at each window for each row
    return query


def is_of_windows(joined: exp.Join) -> bool:
    return bool(joined.meta.get(_WINDOWS))


def of_windows_end_to_end(query: exp.Select) -> exp.Select:
    """Say of the query's joins with windows that these are many, and that hardly any two hold the same moment."""
    for joined in filter(is_of_windows, query.find_all(exp.Join)):
        joined.meta[_END_TO_END] = True
    return query


def is_end_to_end(joined: exp.Join) -> bool:
    return bool(joined.meta.get(_END_TO_END))


def every(conditions: Iterable[exp.Expr]) -> exp.Expression:
    """All of them; TRUE for none."""
    given = list(conditions)
    if not given:
        return exp.Boolean(this=True)
    return exp.and_(*given, copy=False)  # type: ignore[return-value]  # sqlglot types a condition apart


def literal(value: Scalar) -> exp.Expression:
    if value is None:
        return exp.Null()
    if isinstance(value, bool):
        return exp.Boolean(this=value)
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, Decimal) and (abs(value) >= EXACT or cast("int", value.as_tuple().exponent) < -MAX_SCALE):
        return as_double(exp.Literal.string(str(value)))
    if isinstance(value, int | Decimal):
        number_text = exp.Literal.number(format(abs(value), "f" if isinstance(value, Decimal) else "d"))
        return exp.Neg(this=number_text) if value < 0 else number_text
    return exp.Literal.string(value)


def timestamp(value: datetime) -> exp.Expression:
    return _cast(exp.Literal.string(utc(value).isoformat(sep=" ")), exp.DType.TIMESTAMP)


def utc(value: datetime) -> datetime:
    """The same moment without a zone; a value without one is UTC already."""
    return value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value


def as_timestamp(expression: exp.Expression, data_type: str) -> exp.Expression:
    """The moment in UTC; a column with a zone keeps its moment, a date is its midnight."""
    if data_type.upper() in ("TIMESTAMP", "TIMESTAMP_NTZ"):
        return expression
    if has_zone(data_type):
        expression = exp.AtTimeZone(this=expression, zone=exp.Literal.string("UTC"))
    return _cast(expression, exp.DType.TIMESTAMP)


def as_double(expression: exp.Expression) -> exp.Expression:
    return _cast(expression, exp.DType.DOUBLE)


def as_text(expression: exp.Expression) -> exp.Expression:
    return _cast(expression, exp.DType.TEXT)


def moment_as_text(expression: exp.Expression) -> exp.Expression:
    """A timestamp as text, the same in every warehouse: 2024-06-30 12:00:00, and .5 where there are fractions."""
    text = as_text(expression)
    text.meta[_MOMENT] = True  # for dialects in which a plain cast prints something else
    return text


def is_moment(cast: exp.Expression) -> bool:
    return bool(cast.meta.get(_MOMENT))


def the_one(key: exp.Expression) -> exp.Max:
    """The key that all rows of a group share; nothing of nothing."""
    largest = exp.Max(this=key)
    largest.meta[_KEY] = True  # for dialects whose MAX knows some types of keys only
    return largest


def is_the_one(largest: exp.Max) -> bool:
    return bool(largest.meta.get(_KEY))


def later(moment: exp.Expression, number: int, unit: str) -> exp.Expression:
    """`moment` moved by a number of units (negative: earlier); months follow the calendar."""
    if number == 0:
        return moment
    span = exp.Interval(this=exp.Literal.string(str(abs(number))), unit=exp.var(unit.rstrip("s").upper()))
    return exp.Add(this=moment, expression=span) if number > 0 else exp.Sub(this=moment, expression=span)


def days_between(earlier: exp.Expression, until: exp.Expression) -> exp.Expression:
    seconds = exp.DateDiff(this=until, expression=earlier, unit=exp.var("SECOND"))
    return exp.Div(this=as_double(seconds), expression=exp.Literal.number(f"{SECONDS_PER_DAY}.0"))


def when(condition: exp.Expression, value: exp.Expression) -> exp.Case:
    """`value` where the condition holds, else null."""
    return exp.Case(ifs=[exp.If(this=condition, true=value)])


def given(expression: exp.Expression) -> exp.Expression:
    """That there is a value."""
    value: exp.Expression = expression.copy()
    if not isinstance(value, exp.Column | exp.Func) or isinstance(value, exp.Binary):
        value = exp.Paren(this=value)
    return exp.Not(this=exp.Is(this=value, expression=exp.Null()))


def none_of(kind: str) -> exp.Expression:
    """Null, of a type."""
    return exp.Cast(this=exp.Null(), to=exp.DataType.build(kind))


def not_a_number() -> exp.Expression:
    return as_double(exp.Literal.string("NaN"))


def zero_or_one(condition: exp.Expression) -> exp.Expression:
    """1 where the condition holds, 0 where it does not, null where nobody knows."""
    one, zero = exp.Literal.number("1.0"), exp.Literal.number("0.0")
    negated = exp.Not(this=exp.Paren(this=condition.copy()))
    return exp.Case(ifs=[exp.If(this=condition, true=one), exp.If(this=negated, true=zero)])


def zero_if_null(expression: exp.Expression) -> exp.Expression:
    return exp.Coalesce(this=expression, expressions=[exp.Literal.number(0)])


def numbered(
    by: Sequence[exp.Expression], order: Sequence[exp.Expression], *, descending: bool = False
) -> exp.Expression:
    """ROW_NUMBER() over each group of `by`. Nulls come last in both directions, in every dialect."""
    ordered = [exp.Ordered(this=e, desc=descending, nulls_first=False) for e in order]
    return exp.Window(this=exp.RowNumber(), partition_by=list(by), order=exp.Order(expressions=ordered))


def union_all(queries: Sequence[exp.Expression]) -> exp.Expression:
    whole = queries[0]
    for query in queries[1:]:
        whole = exp.Union(this=whole, expression=query, distinct=False)
    return whole


def linked(link: Link, child: str, parent: str) -> exp.Expression:
    """That the row aliased `child` points at the one aliased `parent`."""
    return exp.EQ(this=column(link.parent_column, parent), expression=column(link.child_column, child))


def subquery(query: exp.Expression, alias: str) -> exp.Subquery:
    return exp.Subquery(this=query, alias=exp.TableAlias(this=name(alias)))


def _cast(expression: exp.Expression, kind: exp.DType) -> exp.Expression:
    # The type itself, not its name: a plan has a thousand casts, and to parse a name takes as long as to make 25 types.
    return exp.Cast(this=expression, to=exp.DataType(this=kind, nested=False))
