"""The series behind a forecast: what the target was, window by window, for each entity and for groups of them.

In: a task, session tables of windows (`timeline.windows_table`). Out: SELECTs of
    series   (entity, i, anchor_time, known_at, label)  the closed windows in which the entity existed
    rolled   (key, i, label, mean4, mean12, near, season0, …)  each window with its past: means of the last 4 and 12,
             of it and its two neighbours, of the last four of the same season
Time rule: row i says nothing later than the end of window i, but for `near`, which knows window i + 1 too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.labels import labels_select
from dbt_rfm.plan.row_times import exists_at
from dbt_rfm.plan.timeline import Season
from dbt_rfm.pql.ast import Window
from dbt_rfm.pql.task import BoundAggregation, Task
from dbt_rfm.schema.types import Link
from dbt_rfm.task_kind import TaskKind

SHORT, LONG, ROUNDS = 4, 12, 4  # windows of the two means; rounds of a season that are averaged


def series_select(task: Task, graph: Graph, windows: str, starts: Sequence[tuple[Window, str]]) -> exp.Select:
    """`starts`: for each length of window, a session table of the moments (anchor_time) at which such windows start."""
    parts = []
    for window, anchors in starts:
        target = _retimed(task.target, window)
        asked = replace(task, kind=TaskKind.REGRESSION, target=target, where=None, assuming=None)
        labels = sql.of_windows_end_to_end(labels_select(asked, graph, anchors))
        part = sql.select(*sql.columns(("entity", "anchor_time", "label"), "l"))
        parts.append(part.from_(sql.subquery(labels, "l"), copy=False))
    query = sql.select(
        *sql.columns(("entity",), "x"),
        sql.column("i", "w"),
        sql.column("anchor_time", "x"),
        sql.aliased(sql.column("end_at", "w"), "known_at"),
        sql.column("label", "x"),
    )
    query = query.from_(sql.subquery(sql.union_all(parts), "x"), copy=False)
    on = exp.EQ(this=sql.column("start_at", "w"), expression=sql.column("anchor_time", "x"))
    sql.join(query, sql.temporary(windows, "w"), on)
    return query.where(exp.NEQ(this=sql.column("label", "x"), expression=sql.not_a_number()), copy=False)


def entity_select(series: str) -> exp.Select:
    """(key, i, label) of each entity."""
    query = sql.select(sql.aliased(sql.column("entity"), "key"), sql.column("i"), sql.column("label"))
    return query.from_(sql.temporary(series), copy=False)


def everybody_select(series: str) -> exp.Select:
    """(key, i, label): the mean of all entities, under one key."""
    return _means(series, exp.Literal.number(0))


def siblings_select(task: Task, graph: Graph, series: str, up: Link) -> exp.Select:
    """(key, i, label): the mean of the entities that had the same parent when the window began."""
    table, key = task.entity.table, task.entity.column.name
    query = _means(series, sql.column(up.child_column, "o"))
    on = [
        exp.EQ(this=sql.column(key, "o"), expression=sql.column("entity", "s")),
        *exists_at(table, "o", sql.column("anchor_time", "s")),
    ]
    sql.join(query, graph.read(table, "o"), sql.every(on))
    return query.where(sql.given(sql.column(up.child_column, "o")), copy=False)


def rolled_select(keyed: exp.Select, found: Sequence[Season]) -> exp.Select:
    """(key, i, label) with means over its past."""
    label, i, key = sql.column("label", "s"), sql.column("i", "s"), sql.column("key", "s")
    columns: list[exp.Expression] = [key, i, label]
    for name, rows in (("mean4", SHORT), ("mean12", LONG)):
        columns.append(sql.aliased(_over(exp.Avg(this=label.copy()), [key.copy()], i, rows=rows), name))
    columns.append(sql.aliased(_near(key, i, label), "near"))
    for k, season in enumerate(found):
        phase = exp.Mod(this=i.copy(), expression=exp.Literal.number(season.windows))
        mean = _over(exp.Avg(this=label.copy()), [key.copy(), phase], i, rows=ROUNDS)
        columns.append(sql.aliased(mean, f"season{k}"))
    return sql.select(*columns).from_(sql.subquery(keyed, "s"), copy=False)


def _means(series: str, key: exp.Expression) -> exp.Select:
    query = sql.select(
        sql.aliased(key, "key"), sql.column("i", "s"), sql.aliased(exp.Avg(this=sql.column("label", "s")), "label")
    )
    query = query.from_(sql.temporary(series, "s"), copy=False)
    by: list[exp.Expression] = [sql.column("i", "s")]
    return query.group_by(*(by if isinstance(key, exp.Literal) else [key.copy(), *by]), copy=False)


def _near(key: exp.Expression, i: exp.Expression, label: exp.Expression) -> exp.Expression:
    """The mean of the window and of the windows beside it, where they are there."""
    total: exp.Expression = label.copy()
    number: exp.Expression = exp.Literal.number("1.0")
    for shift, step in ((exp.Lag, -1), (exp.Lead, 1)):
        beside = _over(shift(this=i.copy()), [key.copy()], i)
        there = exp.EQ(this=beside, expression=exp.Add(this=i.copy(), expression=exp.Literal.number(step)))
        value = _over(shift(this=label.copy()), [key.copy()], i)
        total = exp.Add(this=total, expression=exp.Case(ifs=[exp.If(this=there, true=value)], default=_zero()))
        one = exp.Case(ifs=[exp.If(this=there.copy(), true=exp.Literal.number("1.0"))], default=_zero())
        number = exp.Add(this=number, expression=one)
    return exp.Div(this=exp.Paren(this=total), expression=exp.Paren(this=number))


def _zero() -> exp.Expression:
    return exp.Literal.number("0.0")


def _over(
    value: exp.Expression, by: list[exp.Expression], order: exp.Expression, *, rows: int | None = None
) -> exp.Window:
    """`value` over each group of `by` in order; with `rows` over the last so many."""
    window = exp.Window(
        this=value, partition_by=by, order=exp.Order(expressions=[exp.Ordered(this=order.copy(), nulls_first=False)])
    )
    if rows is not None:
        spec = exp.WindowSpec(
            kind="ROWS", start=exp.Literal.number(rows - 1), start_side="PRECEDING", end="CURRENT ROW"
        )
        window.set("spec", spec)
    return window


def _retimed(node: Any, window: Window) -> Any:
    """The target with its aggregations over `window`."""
    if isinstance(node, BoundAggregation):
        return replace(node, window=window)
    if isinstance(node, tuple):
        return tuple(_retimed(each, window) for each in node)
    if is_dataclass(node) and not isinstance(node, type):
        changed = {f.name: _retimed(getattr(node, f.name), window) for f in fields(node)}
        return replace(node, **changed)
    return node
