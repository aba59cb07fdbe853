"""The outcome of an event, as a value of its row that later events may look back on.

In: a task whose entity rows are events, and the delay after which an outcome is known. Out: the value, as it is known
by then. Who reads it compares that moment with its own anchor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.delays import known_at
from dbt_rfm.plan.event_labels import target_value
from dbt_rfm.plan.values import CATEGORICAL, FLAG, NUMERICAL, Value, column_value
from dbt_rfm.pql.delay import Delay
from dbt_rfm.pql.task import BoundArithmetic, BoundColumn, Task
from dbt_rfm.task_kind import TaskKind

#: In front of a parent's name: the mean, or the latest, of the outcomes known of its earlier events.
KNOWN_MEAN, KNOWN_LATEST = "known outcome.mean.all of ", "known outcome.last of "


@dataclass(frozen=True)
class Outcome:
    """What is predicted, as a value of an event's row, and when it is known."""

    value: Value
    delay: Delay
    classes: tuple[Value, ...] = ()  # flags: whether it is each of the frequent ones


def outcome_of(task: Task, delay: Delay | None, classes: Sequence[str] = ()) -> Outcome | None:
    """What the task asks of a row, with the classes that are counted; None without a delay: then no row may look at
    another one's."""
    if delay is None:
        return None
    kind = CATEGORICAL if task.kind == TaskKind.MULTICLASS else NUMERICAL
    outcome = _outcome(task, "r0", delay)
    flags = (Value(f"outcome {name}", FLAG, _is(outcome, name)) for name in classes)
    return Outcome(Value("outcome", kind, outcome), delay, tuple(flags))


def _is(outcome: exp.Expression, name: str) -> exp.Expression:
    same = exp.EQ(this=outcome.copy(), expression=exp.Literal.string(name))
    return sql.when(same, exp.Literal.number(1))


def _outcome(task: Task, alias: str, delay: Delay) -> exp.Expression:
    target, asked = task.target, target_value(task, alias, known_at(delay, task.entity.table, alias))
    if task.kind == TaskKind.MULTICLASS:
        return sql.as_text(asked)
    if isinstance(target, BoundColumn):
        return next(v.expression for v in column_value(target.column, alias) if v.kind == NUMERICAL)
    if isinstance(target, BoundArithmetic):
        return sql.as_double(asked)
    return sql.zero_or_one(asked)
