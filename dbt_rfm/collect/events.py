"""Attributes of events: who may be learnt from, asked and tested on, at each event's own time.

In: a task whose entity rows are events, the prediction anchor A, the option `label_delay`. Out: a `Choice`.
Time rule: an outcome is known as `label_delay` says (`outcome_delay.py`). The context are events whose outcome is known
by A; asked are those whose outcome is not (null, or its moment has not come). The backtest are the newest fifth of the
known events, answered from what was known before the first of them.
Without `label_delay` nobody has said when outcomes become known. Then no event sees the outcome of another one, which
is the safe reading: a feature that is only there in hindsight would make every backtest look too good.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from sqlglot import exp

from dbt_rfm.collect.choice import MAX_LABELS, Choice
from dbt_rfm.collect.collecting import Collecting
from dbt_rfm.collect.outcome_delay import notes_on_delay, outcome_delay
from dbt_rfm.options import Options
from dbt_rfm.plan import sql
from dbt_rfm.plan.event_labels import event_labels_select, nth_newest_select, unknown_events_select
from dbt_rfm.plan.event_outcome import Outcome, outcome_of
from dbt_rfm.plan.examples import known_by
from dbt_rfm.plan.graph import Graph
from dbt_rfm.pql.ast import Window
from dbt_rfm.pql.delay import Delay
from dbt_rfm.pql.scope import joined
from dbt_rfm.pql.task import Task
from dbt_rfm.schema.types import RelationalSchema, Table
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.warehouse.session import Session

_MOST_CLASSES = 12  # whose shares among a parent's events are told
_AT_ONCE = Delay(Window(0, 0))
_TESTED_SHARE = 5  # one in so many of the known events is tested on
MAX_BACKTEST = 3000  # more than of entities: what is asked of events is often rare


def from_events(session: Session, graph: Graph, task: Task, anchor: datetime, options: Options) -> Choice:
    """Labels of the events up to A, each known once its delay is over."""
    names, delay = session.names, outcome_delay(task.entity.table, options)
    table, since = task.entity.table.name, _since(session, graph, task, anchor)
    session.create(names.labels, event_labels_select(task, graph, anchor, delay or _AT_ONCE, since))
    known = known_by(sql.timestamp(anchor))
    choice = Choice(
        context=[known],
        query=unknown_events_select(task, graph, anchor, delay or _AT_ONCE),
        late=delay,
        max_backtest=MAX_BACKTEST,
        notes=[
            *(notes_on_delay(session, graph, task.entity.table, delay, anchor) if delay else _say_unknown(graph, task)),
            *([_say_since(table, since)] if since else []),
        ],
        nothing_to_learn=f"no row of {table} has a known outcome by {anchor:%Y-%m-%d %H:%M}",
        hint=f"Outcomes count where they are not null{_from_then(delay)}; WHERE narrows them further.",
        nobody_asked=_nobody_asked(table, anchor, delay),
    )
    first = _first_tested(session, known)
    if first is None:
        return choice
    tested = exp.GTE(this=sql.column("anchor_time", "l"), expression=sql.timestamp(first))
    learnt_from = [known_by(sql.timestamp(first)), _before(first)]
    return replace(choice, backtest=[tested, known.copy()], backtest_context=learnt_from)


def events_sql(task: Task, graph: Graph, anchor: datetime, options: Options) -> exp.Select:
    """(entity, anchor_time, known_at, label) of the events whose outcome is known at the anchor."""
    delay = outcome_delay(task.entity.table, options)
    return event_labels_select(task, graph, anchor, delay or _AT_ONCE)


def _since(session: Session, graph: Graph, task: Task, anchor: datetime) -> datetime | None:
    """Where the newest MAX_LABELS events begin; None where there are no more than that."""
    if session.count(graph.read(task.entity.table, "e")) <= MAX_LABELS:
        return None
    found = session.query(nth_newest_select(task, graph, anchor, MAX_LABELS)).column(0).to_pylist()
    return found[0] if found else None


def _say_since(table: str, since: datetime) -> str:
    return f"{table} has more than {MAX_LABELS:,} rows: learnt from are those since {since:%Y-%m-%d %H:%M}"


def _first_tested(session: Session, known: exp.Expression) -> datetime | None:
    """The time of the first event of the newest fifth of the known ones; None if there are too few."""
    labels = sql.temporary(session.names.labels, "l")
    count = session.value(sql.select(exp.Count(this=exp.Star())).from_(labels, copy=False).where(known, copy=False))
    if count < _TESTED_SHARE:
        return None
    newest = sql.select(sql.column("anchor_time", "l")).from_(labels.copy(), copy=False).where(known.copy(), copy=False)
    newest = newest.order_by(exp.Ordered(this=sql.column("anchor_time", "l"), desc=True), copy=False)
    return session.value(newest.limit(1, copy=False).offset(count // _TESTED_SHARE - 1, copy=False))


def told_outcome(run: Collecting, delay: Delay | None) -> Outcome | None:
    """What events are told of the outcomes of others, as these became known.

    A quick answer is not told the shares of classes: each costs a running sum over all rows.
    """
    told = run.task.kind == TaskKind.MULTICLASS and delay is not None and not run.brief
    return outcome_of(run.task, delay, _frequent_classes(run.session) if told else ())


def _frequent_classes(session: Session) -> list[str]:
    """The classes that most of the known examples have."""
    label = sql.column("label")
    query = sql.select(label, sql.aliased(exp.Count(this=exp.Star()), "n"))
    query = query.from_(sql.temporary(session.names.examples), copy=False)
    query = query.where(sql.given(label.copy()), copy=False).group_by(label.copy(), copy=False)
    found = sorted(session.query(query).to_pylist(), key=lambda row: (-row["n"], row["label"]))
    return [str(row["label"]) for row in found[:_MOST_CLASSES]]


def _before(first: datetime) -> exp.Expression:
    return exp.LT(this=sql.column("anchor_time", "l"), expression=sql.timestamp(first))


def _from_then(delay: Delay | None) -> str:
    return f", from {delay} on" if delay else ""


def _say_unknown(graph: Graph, task: Task) -> Iterator[str]:
    """That nobody said when outcomes become known, and what to write: a plan of the row is such a moment, if it has."""
    table = task.entity.table
    planned = next((f", or at {c.name}, then label_delay: {c.name}" for c in table.columns if c.fixed), "")
    yield (
        "no event sees the outcome of another one, because nobody said when outcomes become known; if that is, say, "
        f"7 days after the row of {table.name}, set meta.rfm.label_delay: '7 days' (or '0 days'){planned}"
    )
    yield from _say_as_of(graph.schema, table)


def _say_as_of(schema: RelationalSchema, table: Table) -> Iterator[str]:
    """Customers with a home store look like events; what they bought since they signed up tells most of them."""
    later = dict.fromkeys(link.child for link in schema.children(table.name) if schema.table(link.child).time_column)
    if later:
        yield (
            f"each row of {table.name} is read as of its own {table.time_column}, so later rows of "
            f"{joined(list(later), 'and')} say nothing of it; to tell it from all that is known by now, set "
            f"meta.rfm.time_column: none on {table.name}"
        )


def _nobody_asked(table: str, anchor: datetime, delay: Delay | None) -> str:
    if delay is None:
        return (
            f"every row of {table} up to {anchor:%Y-%m-%d %H:%M} has an outcome; set meta.rfm.label_delay to score "
            "those whose outcome may still change, or leave outcomes null until they are known"
        )
    return f"no row of {table} up to {anchor:%Y-%m-%d %H:%M} waits for its outcome"
