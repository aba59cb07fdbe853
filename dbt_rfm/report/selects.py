"""What the page asks of a served table: one SELECT for what is predicted, one for the strongest rows.

In: the table, the kind of prediction, its key columns. Out: SELECTs of a few rows each, whatever the table holds.
Ties go by key, so that the same table gives the same page. What is ordered is a column of what is
selected from, as the dialects of the warehouses ask.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.task_kind import TaskKind

SLICES = 10  # of probabilities between 0 and 1
BARS = 12  # of numbers
SHOWN = 12  # classes, or items
STRONGEST = 10
_PARTS = 100  # the last of which holds the largest numbers, and has no bars of its own
_KEY = "key"
TOTAL = "sum of all steps"


def spread_select(kind: TaskKind, table: exp.Table, items: Sequence[str]) -> exp.Select:
    """What is predicted, counted. Columns by kind:

    binary      bar (0 to SLICES - 1), n, yes, total (sum of the probabilities)
    regression  bar (0 to BARS - 1), n; of all rows low and high (ends of the bars), highest, mean
    multiclass  key0 (a class), n (for how many it is the likeliest), everybody
    link        key0 … (an item), n (in how many lists it is), everybody (how many lists), kinds (how many items)
    forecast    bar (the step), since, until, total, p10, p90 (sums over everybody), n
    """
    if kind == TaskKind.BINARY:
        return _probabilities(table)
    if kind == TaskKind.REGRESSION:
        return _numbers(table)
    if kind == TaskKind.FORECAST:
        return _steps(table)
    return _frequent(table, ["class"] if kind == TaskKind.MULTICLASS else items, lists=kind == TaskKind.LINK)


def strongest_select(kind: TaskKind, table: exp.Table, keys: Sequence[str], more: Sequence[str]) -> exp.Select:
    """The strongest rows with their `keys` and what else is there (`more`); of a forecast each one's total.

    Of classes and lists the first of each entity.
    """
    if kind == TaskKind.FORECAST:
        total = _named(exp.Sum(this=_number("prediction")), TOTAL)
        added = sql.select(*sql.columns(keys), total).from_(table, copy=False).group_by(*sql.columns(keys), copy=False)
        query = sql.select(*sql.columns([*keys, TOTAL])).from_(sql.subquery(added, "added"), copy=False)
        return _best(query, sql.column(TOTAL), keys)
    query = sql.select(*sql.columns(keys), *sql.columns(more)).from_(table, copy=False)
    if kind in (TaskKind.MULTICLASS, TaskKind.LINK):
        query = query.where(_is_first(), copy=False)
    by = {TaskKind.REGRESSION: "prediction", TaskKind.LINK: "score"}.get(kind, "probability")
    return _best(query, sql.column(by), keys)


def _best(query: exp.Select, by: exp.Expression, keys: Sequence[str]) -> exp.Select:
    strongest = exp.Ordered(this=by, desc=True, nulls_first=False)
    return query.order_by(strongest, *sql.columns(keys), copy=False).limit(STRONGEST, copy=False)


def _probabilities(table: exp.Table) -> exp.Select:
    value = _number("probability")
    placed = sql.select(
        _named(_bar(exp.Mul(this=value.copy(), expression=_whole(SLICES)), SLICES), "bar"),
        _named(value, "value"),
        _named(_one_if(sql.column("prediction")), "yes"),
    )
    placed = placed.from_(table, copy=False).where(sql.given(sql.column("probability")), copy=False)
    counted = (_count("n"), _named(_sum("yes"), "yes"), _named(_sum("value"), "total"))
    return _by_bar(sql.subquery(placed, "placed"), *counted)


def _numbers(table: exp.Table) -> exp.Select:
    """Bars of equal width; those of the largest hundredth fall into the last, or one of them would leave one bar."""
    order = exp.Order(expressions=[exp.Ordered(this=sql.column("prediction"))])
    part = exp.Window(this=exp.Anonymous(this="NTILE", expressions=[_whole(_PARTS)]), order=order)
    ranked = sql.select(_named(_number("prediction"), "value"), _named(part, "part"))
    ranked = ranked.from_(table, copy=False).where(sql.given(sql.column("prediction")), copy=False)
    usual = sql.when(exp.LT(this=sql.column("part"), expression=_whole(_PARTS)), sql.column("value"))
    low, high = exp.Min(this=sql.column("value")), exp.Max(this=usual)
    ends = sql.select(
        _named(low, "low"),
        _named(high, "high"),
        _named(exp.Max(this=sql.column("value")), "highest"),
        _named(exp.Avg(this=sql.column("value")), "mean"),
    ).from_(sql.temporary("ranked"), copy=False)
    above = exp.Paren(this=exp.Sub(this=sql.column("value"), expression=sql.column("low")))
    wide = exp.Nullif(
        this=exp.Paren(this=exp.Sub(this=sql.column("high"), expression=sql.column("low"))), expression=_whole(0)
    )
    place = exp.Mul(this=exp.Paren(this=exp.Div(this=above, expression=wide)), expression=_whole(BARS))
    facts = ("low", "high", "highest", "mean")
    placed = sql.select(_named(_bar(place, BARS), "bar"), *sql.columns(facts)).from_(
        sql.temporary("ranked"), copy=False
    )
    placed = sql.join(placed, sql.temporary("ends"), None)
    shared = [_named(exp.Max(this=sql.column(name)), name) for name in facts]
    steps = [("ranked", ranked), ("ends", ends), ("placed", placed)]
    return sql.with_steps(_by_bar(sql.temporary("placed"), _count("n"), *shared), steps)


def _steps(table: exp.Table) -> exp.Select:
    placed = sql.select(
        _named(sql.column("step"), "bar"),
        *sql.columns(("forecast_from", "forecast_until")),
        *(_named(_number(name), name) for name in ("prediction", "p10", "p90")),
    ).from_(table, copy=False)
    return _by_bar(
        sql.subquery(placed, "placed"),
        _named(exp.Min(this=sql.column("forecast_from")), "since"),
        _named(exp.Max(this=sql.column("forecast_until")), "until"),
        _named(_sum("prediction"), "total"),
        _named(_sum("p10"), "p10"),
        _named(_sum("p90"), "p90"),
        _count("n"),
    )


def _frequent(table: exp.Table, columns: Sequence[str], *, lists: bool) -> exp.Select:
    first = exp.Sum(this=_one_if(_is_first()))
    keys = [f"{_KEY}{i}" for i in range(len(columns))]
    counted = sql.select(
        *(_named(sql.column(name), key) for name, key in zip(columns, keys, strict=True)),
        _named(exp.Count(this=exp.Star()) if lists else first.copy(), "n"),
        _named(exp.Window(this=exp.Sum(this=first)), "everybody"),
        _named(exp.Window(this=exp.Count(this=exp.Star())), "kinds"),
    )
    counted = counted.from_(table, copy=False).group_by(*sql.columns(columns), copy=False)
    query = sql.select(*sql.columns([*keys, "n", "everybody", "kinds"])).from_(sql.subquery(counted, "counted"))
    most = exp.Ordered(this=sql.column("n"), desc=True, nulls_first=False)
    return query.order_by(most, *sql.columns(keys), copy=False).limit(SHOWN, copy=False)


def _by_bar(placed: exp.Expression, *counted: exp.Expression) -> exp.Select:
    query = sql.select(sql.column("bar"), *counted).from_(placed, copy=False)
    return query.group_by(sql.column("bar"), copy=False).order_by(sql.column("bar"), copy=False)


def _bar(place: exp.Expression, number: int) -> exp.Expression:
    """The bar from 0 in which a value of 0 to `number` falls; 0 where all values are the same."""
    # Not around LEAST, which leaves nulls out in some dialects.
    return exp.Least(this=sql.zero_if_null(exp.Floor(this=place)), expressions=[_whole(number - 1)])


def _is_first() -> exp.Expression:
    return exp.EQ(this=sql.column("rank"), expression=_whole(1))


def _one_if(condition: exp.Expression) -> exp.Expression:
    return exp.Case(ifs=[exp.If(this=condition, true=_whole(1))], default=_whole(0))


def _number(name: str) -> exp.Expression:
    return sql.as_double(sql.column(name))


def _sum(name: str) -> exp.Expression:
    return exp.Sum(this=sql.column(name))


def _count(name: str) -> exp.Expression:
    return _named(exp.Count(this=exp.Star()), name)


def _named(expression: exp.Expression, name: str) -> exp.Expression:
    return sql.aliased(expression, name)


def _whole(number: int) -> exp.Expression:
    return exp.Literal.number(number)
