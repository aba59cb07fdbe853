"""Attributes of events: which event had which outcome, and which outcomes are not known yet.

In: a task whose entity rows are events, the prediction anchor, the delay after which an outcome is known. Out: SELECTs
of (entity, anchor_time, known_at, label) and of (entity, anchor_time); the anchor of an event is its own time.
Time rule: events after the prediction anchor do not exist. WHERE looks at columns of the event and of its parents as
they were at its time. An outcome is asked for if it is null, or if the event is younger than the delay: what stands
there by then may still change.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from sqlglot import exp

from dbt_rfm.errors import QueryError
from dbt_rfm.plan import sql
from dbt_rfm.plan.conditions import Leaf, compile_condition, compile_operand
from dbt_rfm.plan.labels import LABEL_TYPE
from dbt_rfm.plan.paths import Graph, join_parents, own_time
from dbt_rfm.pql.ast import Window
from dbt_rfm.pql.task import BoundAggregation, BoundArithmetic, BoundColumn, BoundTarget, Task
from dbt_rfm.schema.types import Column, Link
from dbt_rfm.task_kind import TaskKind


def event_labels_select(
    task: Task, graph: Graph, anchor: datetime, delay: Window, since: datetime | None = None
) -> exp.Select:
    """(entity, anchor_time, known_at, label) of every event from `since` on whose outcome is known at the anchor."""
    build = _Events(task, graph, anchor)
    value = build.value()
    label = exp.Cast(this=value, to=exp.DataType.build(LABEL_TYPE[task.kind]))
    known = sql.later(build.time.copy(), delay.end, delay.unit)
    conditions = [exp.LTE(this=known.copy(), expression=sql.timestamp(anchor)), _given(value)]
    if since is not None:
        conditions.append(exp.GTE(this=build.time.copy(), expression=sql.timestamp(since)))
    if task.kind == TaskKind.REGRESSION:
        nan = sql.as_double(exp.Literal.string("NaN"))
        conditions.append(exp.NEQ(this=label.copy(), expression=nan))
    return build.select([sql.aliased(known, "known_at"), sql.aliased(label, "label")], conditions)


def unknown_events_select(task: Task, graph: Graph, anchor: datetime, delay: Window) -> exp.Select:
    """(entity, anchor_time) of the events up to the anchor whose outcome is not known at the anchor.

    Events that the query names by key are asked for in any case.
    """
    build = _Events(task, graph, anchor)
    if task.entity_ids:
        return build.select([], [])
    missing = exp.Is(this=exp.Paren(this=build.value()), expression=exp.Null())
    young = exp.GT(this=sql.later(build.time.copy(), delay.end, delay.unit), expression=sql.timestamp(anchor))
    return build.select([], [exp.Paren(this=exp.or_(missing, young))])


def nth_newest_select(task: Task, graph: Graph, anchor: datetime, number: int) -> exp.Select:
    """The time of the event up to the anchor that has `number` - 1 newer ones; no row where there are fewer."""
    build = _Events(task, graph, anchor)
    query = build.query.select(sql.aliased(build.time, "moment"), copy=False)
    query = query.where(exp.LTE(this=build.time.copy(), expression=sql.timestamp(anchor)), copy=False)
    query = query.order_by(exp.Ordered(this=build.time.copy(), desc=True), copy=False)
    return query.limit(1, copy=False).offset(number - 1, copy=False)


def target_value(task: Task, alias: str) -> exp.Expression:
    """What the task asks of the event's row aliased so; it looks at the row's own columns only."""

    def own(leaf: Leaf) -> exp.Expression:
        assert isinstance(leaf, BoundColumn) and not leaf.path, f"an attribute is made of own columns: {leaf}"
        return _comparable(leaf.column, alias)

    return _compiled(task.target, own)


def _compiled(target: BoundTarget, leaf: Callable[[Leaf], exp.Expression]) -> exp.Expression:
    if isinstance(target, Leaf | BoundArithmetic):
        return compile_operand(target, leaf)
    return compile_condition(target, leaf)


class _Events:
    """One SELECT over the rows of the entity table, aliased e, with the parents that conditions look at."""

    def __init__(self, task: Task, graph: Graph, anchor: datetime) -> None:
        self.task, self.graph, self.anchor = task, graph, anchor
        time = own_time(task.entity.table, "e")
        assert time is not None, "events have a time"
        self.time = time
        self.query = sql.select().from_(graph.read(task.entity.table, "e"), copy=False)
        self._parents: dict[tuple[Link, ...], str] = {}

    def value(self) -> exp.Expression:
        return _compiled(self.task.target, self._leaf)

    def select(self, extra: list[exp.Expression], conditions: list[exp.Expression]) -> exp.Select:
        key = sql.column(self.task.entity.column.name, "e")
        conditions = [_given(key), exp.LTE(this=self.time.copy(), expression=sql.timestamp(self.anchor)), *conditions]
        if self.task.where is not None:
            conditions.append(compile_condition(self.task.where, self._leaf))
        head = [sql.aliased(key.copy(), "entity"), sql.aliased(self.time.copy(), "anchor_time")]
        query = self.query.select(*head, *extra, copy=False).distinct(copy=False)
        return query.where(*conditions, copy=False)

    def _leaf(self, leaf: Leaf) -> exp.Expression:
        if isinstance(leaf, BoundAggregation):
            raise QueryError(
                f"the WHERE of an attribute of events compares columns, and {leaf.function} is an aggregation",
                hint=f"Compare columns of {self.task.entity.table.name} or of its parents.",
            )
        if not leaf.path:
            return _comparable(leaf.column, "e")
        if leaf.path not in self._parents:
            prefix = f"p{len(self._parents)}"
            joined = join_parents(self.graph, self.query, "e", leaf.path, self.time.copy(), prefix)
            self._parents[leaf.path] = joined
        return _comparable(leaf.column, self._parents[leaf.path])


def _comparable(column: Column, alias: str) -> exp.Expression:
    expression = sql.column(column.name, alias)
    is_time = column.data_type.upper().startswith(("TIMESTAMP", "DATETIME"))
    return sql.as_timestamp(expression, column.data_type) if is_time else expression


def _given(expression: exp.Expression) -> exp.Expression:
    return exp.Not(this=exp.Is(this=exp.Paren(this=expression.copy()), expression=exp.Null()))
