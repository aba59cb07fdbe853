"""Attributes of events: which event had which outcome, and which outcomes are not known yet.

In: a task whose entity rows are events, the prediction anchor, the delay after which an outcome is known. Out: SELECTs
of (entity, anchor_time, known_at, label) and of (entity, anchor_time); the anchor of an event is its own time.
Time rule: events after the prediction anchor do not exist. WHERE looks at columns of the event and of its parents as
they were at its time. An outcome is asked for if it is null, or if the delay is not over: what stands there by then
may still change.
"""

from __future__ import annotations

from datetime import datetime

from sqlglot import exp

from dbt_rfm.errors import QueryError
from dbt_rfm.plan import sql
from dbt_rfm.plan.conditions import Leaf, compile_condition, compile_operand
from dbt_rfm.plan.delays import known_at
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.labels import LABEL_TYPE, as_known
from dbt_rfm.plan.paths import join_parents
from dbt_rfm.plan.row_times import own_time
from dbt_rfm.pql.delay import Delay
from dbt_rfm.pql.task import BoundAggregation, BoundArithmetic, BoundColumn, Task
from dbt_rfm.schema.types import Link
from dbt_rfm.task_kind import TaskKind


def event_labels_select(
    task: Task, graph: Graph, anchor: datetime, delay: Delay, since: datetime | None = None
) -> exp.Select:
    """(entity, anchor_time, known_at, label) of every event from `since` on whose outcome is known at the anchor."""
    build = _Events(task, graph, anchor)
    value = build.value(delay)
    label = exp.Cast(this=value, to=exp.DataType.build(LABEL_TYPE[task.kind]))
    known = known_at(delay, task.entity.table, "e")
    conditions = [exp.LTE(this=known.copy(), expression=sql.timestamp(anchor)), sql.given(value)]
    if since is not None:
        conditions.append(exp.GTE(this=build.time.copy(), expression=sql.timestamp(since)))
    if task.kind == TaskKind.REGRESSION:
        conditions.append(exp.NEQ(this=label.copy(), expression=sql.not_a_number()))
    return build.select([sql.aliased(known, "known_at"), sql.aliased(label, "label")], conditions)


def unknown_events_select(task: Task, graph: Graph, anchor: datetime, delay: Delay) -> exp.Select:
    """(entity, anchor_time) of the events up to the anchor whose outcome is not known at the anchor.

    Events that the query names by key are asked for in any case.
    """
    build = _Events(task, graph, anchor)
    if task.entity_ids:
        return build.select([], [])
    missing = exp.Is(this=exp.Paren(this=build.value(delay)), expression=exp.Null())
    known = known_at(delay, task.entity.table, "e")
    young: exp.Expression = exp.GT(this=known, expression=sql.timestamp(anchor))
    if delay.column:  # a moment that is missing never comes
        young = exp.Coalesce(this=young, expressions=[exp.Boolean(this=True)])
    return build.select([], [exp.Paren(this=exp.or_(missing, young))])


def nth_newest_select(task: Task, graph: Graph, anchor: datetime, number: int) -> exp.Select:
    """The time of the event up to the anchor that has `number` - 1 newer ones; no row where there are fewer."""
    build = _Events(task, graph, anchor)
    query = build.query.select(sql.aliased(build.time, "moment"), copy=False)
    query = query.where(exp.LTE(this=build.time.copy(), expression=sql.timestamp(anchor)), copy=False)
    query = query.order_by(exp.Ordered(this=build.time.copy(), desc=True), copy=False)
    return query.limit(1, copy=False).offset(number - 1, copy=False)


def target_value(task: Task, alias: str, known_by: exp.Expression) -> exp.Expression:
    """What the task asks of the event's row aliased so, as it is known at a moment: its outcome."""

    def own(leaf: Leaf) -> exp.Expression:
        assert isinstance(leaf, BoundColumn) and not leaf.path, f"an attribute is made of own columns: {leaf}"
        return as_known(leaf.table, leaf.column, alias, known_by)

    target = task.target
    if isinstance(target, Leaf | BoundArithmetic):
        return compile_operand(target, own)
    return compile_condition(target, own)


class _Events:
    """One SELECT over the rows of the entity table, aliased e, with the parents that conditions look at."""

    def __init__(self, task: Task, graph: Graph, anchor: datetime) -> None:
        self.task, self.graph, self.anchor = task, graph, anchor
        time = own_time(task.entity.table, "e")
        assert time is not None, "events have a time"
        self.time = time
        self.query = sql.select().from_(graph.read(task.entity.table, "e"), copy=False)
        self._parents: dict[tuple[Link, ...], str] = {}

    def value(self, delay: Delay) -> exp.Expression:
        """The outcome as it is known once the delay is over; without a delay, at the anchor."""
        waits = delay.column or delay.span.end
        known = known_at(delay, self.task.entity.table, "e") if waits else sql.timestamp(self.anchor)
        return target_value(self.task, "e", known)

    def select(self, extra: list[exp.Expression], conditions: list[exp.Expression]) -> exp.Select:
        key = sql.column(self.task.entity.column.name, "e")
        conditions = [
            sql.given(key),
            exp.LTE(this=self.time.copy(), expression=sql.timestamp(self.anchor)),
            *conditions,
        ]
        if self.task.where is not None:
            conditions.append(compile_condition(self.task.where, self._known))
        head = [sql.aliased(key.copy(), "entity"), sql.aliased(self.time.copy(), "anchor_time")]
        query = self.query.select(*head, *extra, copy=False).distinct(copy=False)
        return query.where(*conditions, copy=False)

    def _known(self, leaf: Leaf) -> exp.Expression:
        """As it was at the event: a time that had not come yet is null."""
        column, alias = self._column(leaf)
        return as_known(column.table, column.column, alias, self.time)

    def _column(self, leaf: Leaf) -> tuple[BoundColumn, str]:
        if isinstance(leaf, BoundAggregation):
            raise QueryError(
                f"the WHERE of an attribute of events compares columns, and {leaf.function} is an aggregation",
                hint=f"Compare columns of {self.task.entity.table.name} or of its parents.",
            )
        if not leaf.path:
            return leaf, "e"
        if leaf.path not in self._parents:
            prefix = f"p{len(self._parents)}"
            joined = join_parents(self.graph, self.query, "e", leaf.path, self.time.copy(), prefix)
            self._parents[leaf.path] = joined
        return leaf, self._parents[leaf.path]
