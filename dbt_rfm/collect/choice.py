"""Where the labels of a task come from, and which of them may be learnt from, asked, and tested on.

In: a task and the prediction anchor A. Out: a `Choice`; the session table labels(entity, anchor_time, known_at, label)
is made on the way. Three sources: windows after the anchors of a grid, an attribute of the entity, a label table of the
project.
Time rule: the context was known by A; the backtest is the newest anchor with known labels, and its context was known by
then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import pyarrow as pa
from sqlglot import exp

from dbt_rfm.errors import DataError, ProjectError
from dbt_rfm.options import read_horizon
from dbt_rfm.plan import sql
from dbt_rfm.plan.anchors import grid, oldest_event
from dbt_rfm.plan.examples import held_out, known_by, with_known_at
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.labels import LABEL_TYPE, eligible_select, labels_select
from dbt_rfm.plan.paths import Path, tables_of_time
from dbt_rfm.plan.row_times import exists_at, time_of
from dbt_rfm.plan.witnesses import witnesses_of_own
from dbt_rfm.pql.ast import Window
from dbt_rfm.pql.attributes import own_columns
from dbt_rfm.pql.delay import Delay
from dbt_rfm.pql.scope import joined
from dbt_rfm.pql.task import BoundAnd, BoundColumn, BoundComparison, BoundOr, Task, aggregations_of
from dbt_rfm.pql.windows import length
from dbt_rfm.schema.types import Column, Table
from dbt_rfm.warehouse.session import Session

MAX_ANCHORS = 60
MIN_ANCHORS = 10
FEW_ANCHORS = 500  # more distinct anchors are no grid but the times of events
MAX_LABELS = 5_000_000  # entities times anchors: with very many entities, fewer anchors are looked at


@dataclass(frozen=True)
class Choice:
    """Conditions on the session table of labels, named `l`.

    `query` is a SELECT of (entity, anchor_time), or conditions too. No `backtest` conditions: there is none.
    """

    context: Sequence[exp.Expression]
    query: exp.Select | Sequence[exp.Expression]
    backtest: Sequence[exp.Expression] = ()
    backtest_context: Sequence[exp.Expression] = ()
    past_labels: bool = False
    horizon: Window | None = None
    late: Delay | None = None
    notes: Sequence[str] = ()
    nothing_to_learn: str = ""
    hint: str = ""
    nobody_asked: str = ""
    max_backtest: int = 2000
    sizes: Mapping[str, int] = field(default_factory=dict)  # of the contexts, by split


def require_entities(session: Session, graph: Graph, task: Task) -> int:
    """How many rows the entity table has. Raises DataError for none."""
    count = session.count(graph.read(task.entity.table, "e"))
    if not count:
        raise DataError(f"table {task.entity.table.name} has no rows, so there is nobody to predict for")
    return count


def from_windows(session: Session, graph: Graph, task: Task, anchor: datetime) -> Choice:
    """Labels of the windows that end at A and before, back to the data's start."""
    horizon, names = task.horizon, session.names
    assert horizon is not None, "a task without horizon has no windows"
    start = data_start(session, graph, task)
    limit = max(MIN_ANCHORS, min(MAX_ANCHORS, MAX_LABELS // session.count(graph.read(task.entity.table, "e"))))
    anchors = grid(anchor, horizon.end, horizon.unit, start=start, limit=limit)
    if not anchors:
        raise DataError(
            f"there is no window of {length(horizon)} to learn from: the rows the target asks about begin "
            f"at {start:%Y-%m-%d %H:%M}, the anchor is {anchor:%Y-%m-%d %H:%M}",
            hint="Predict a shorter window, or bring more history.",
        )
    load_anchors(session, "anchors", anchors)
    labels = with_known_at(labels_select(task, graph, names("anchors")), horizon.end, horizon.unit, task.kind)
    session.create(names.labels, labels)
    newest = sql.timestamp(anchors[0])
    return Choice(
        context=[known_by(sql.timestamp(anchor))],
        query=_eligible_at(session, graph, task, anchor),
        backtest=[exp.EQ(this=sql.column("anchor_time", "l"), expression=newest)],
        backtest_context=[known_by(newest.copy())],
        past_labels=True,
        nothing_to_learn=(
            f"none of the {len(anchors)} windows between {anchors[-1]:%Y-%m-%d} and {anchor:%Y-%m-%d} gives a label"
        ),
        hint=(
            "WHERE, ASSUMING, an aggregate of nothing (AVG, MIN, MAX, FIRST, LAST), or entities not there yet "
            "(their time, or their snapshot, begins later) leave no example."
        ),
        nobody_asked=f"no row of {task.entity.table.name} fulfils the query at {anchor:%Y-%m-%d %H:%M}",
    )


def from_attribute(session: Session, graph: Graph, task: Task, anchor: datetime, seed: int) -> Choice:
    """What own columns say of the entity: learnt where known, asked where one is null; a quarter tests the rest."""
    names, columns = session.names, tuple(dict.fromkeys(own_columns(task.target, task.entity.table)))
    assert columns, "a task without horizon predicts columns of the entity"
    load_anchors(session, "anchors", [anchor])
    session.create(names.labels, with_known_at(labels_select(task, graph, names("anchors")), 0, "days", task.kind))
    nulls = tuple(BoundComparison(column, "IS", None) for column in columns)
    unknown = nulls[0] if len(nulls) == 1 else BoundOr(nulls)
    where = unknown if task.where is None else BoundAnd((task.where, unknown))
    where_null = f"{joined((f'{c.table.name}.{c.column.name}' for c in columns), 'or')} is null"
    return Choice(
        context=[known_by(sql.timestamp(anchor))],
        query=_eligible_at(session, graph, replace(task, where=where), anchor),
        backtest=[held_out(seed)],
        backtest_context=[exp.Not(this=exp.Paren(this=held_out(seed)))],
        nothing_to_learn=f"{where_null} in every row, so nothing can be learnt",
        nobody_asked=f"no row is left to predict, {where_null} nowhere at {anchor:%Y-%m-%d %H:%M}",
    )


def from_label_table(session: Session, graph: Graph, task: Task, anchor: datetime, horizon_text: str) -> Choice:
    """Labels as the project's own table gives them."""
    target, names = task.target, session.names
    assert isinstance(target, BoundColumn), "with a label table the target is its label column"
    table, horizon = target.table, read_horizon(horizon_text)
    session.create(names.labels, _label_rows(session, graph, task, table, target.column, horizon))
    newest = session.value(_newest_known(names.labels, anchor))
    untested = Choice(
        context=[known_by(sql.timestamp(anchor))],
        query=_eligible_at(session, graph, task, anchor),
        past_labels=True,
        horizon=horizon,
        nothing_to_learn=f"no label of {table.relation} was known by {anchor:%Y-%m-%d %H:%M}",
        hint="Labels count if their entity exists in the entity table and known_at is not after the anchor.",
        nobody_asked=f"no row of {task.entity.table.name} fulfils the query at {anchor:%Y-%m-%d %H:%M}",
    )
    if newest is None:
        return untested
    tested = _newest_window(newest, horizon)
    first = sql.select(exp.Min(this=sql.column("anchor_time", "l"))).from_(sql.temporary(names.labels, "l"), copy=False)
    first_tested = session.value(first.where(tested, known_by(sql.timestamp(anchor)), copy=False))
    return replace(
        untested,
        backtest=[tested.copy(), known_by(sql.timestamp(anchor))],
        backtest_context=[known_by(sql.timestamp(first_tested))],
    )


def load_anchors(session: Session, what: str, anchors: Sequence[datetime]) -> None:
    session.load(session.names(what), pa.table({"anchor_time": pa.array(anchors, type=pa.timestamp("us"))}))


def _eligible_at(session: Session, graph: Graph, task: Task, anchor: datetime) -> exp.Select:
    load_anchors(session, "now", [anchor])
    return eligible_select(task, graph, session.names("now"))


def data_start(session: Session, graph: Graph, task: Task) -> datetime:
    """The oldest event of the tables the target looks at: before it there is nothing to learn."""
    tables = tables_of_target(graph, task)
    names = ", ".join(sorted(t.name for t in tables))
    select = oldest_event(graph, tables)
    if select is None:
        raise ProjectError(
            f"none of the tables {names} has a time, so a window has no meaning",
            hint="Set event_time or meta.rfm.time_column on the table the target aggregates.",
        )
    start = session.value(select)
    if start is None:
        raise DataError(f"there is no history: {names} has no row with a time")
    return start


def tables_of_target(graph: Graph, task: Task) -> list[Table]:
    """The tables whose times say when the rows of the target happened."""
    found = {t.name: t for a in aggregations_of(task.target) for t in tables_of_time(graph, Path(a.table, a.path))}
    return list(found.values())


def _label_rows(
    session: Session, graph: Graph, task: Task, table: Table, label: Column, horizon: Window | None
) -> exp.Select:
    """(entity, anchor_time, known_at, label) of labels whose entity exists, and passes WHERE, at their anchor."""
    entity, anchor_column, known_column = _columns_of(table, task)
    at = time_of(table, anchor_column.name, "x")
    if known_column is not None:
        known = time_of(table, known_column.name, "x")
    elif horizon is not None:
        known = sql.later(at, horizon.end, horizon.unit)
    else:
        raise ProjectError(
            f"{table.relation} does not say when its labels become known",
            hint="Add a column known_at, or set the option meta.rfm.horizon, for example '30 days'.",
        )
    value = sql.column(label.name, "x")
    key = sql.column(entity.name, "x")
    query = sql.select(
        sql.aliased(key, "entity"),
        sql.aliased(at, "anchor_time"),
        sql.aliased(known, "known_at"),
        sql.aliased(exp.Cast(this=value, to=exp.DataType.build(LABEL_TYPE[task.kind])), "label"),
    )
    query = query.distinct(copy=False).from_(graph.read(table, "x"), copy=False)
    if task.where is None:
        same_key = exp.EQ(this=sql.column(task.entity.column.name, "e"), expression=key.copy())
        on = [same_key, *exists_at(task.entity.table, "e", at.copy())]
        sql.join(query, graph.read(task.entity.table, "e"), sql.every(on))
        for witness in witnesses_of_own(graph, task.entity.table, "e"):
            query = witness.join(graph, query).where(
                exp.LTE(this=witness.time(graph), expression=at.copy()), copy=False
            )
    else:
        session.create(session.names("anchors"), _distinct_anchors(graph, table, at))
        session.create(session.names("eligible"), eligible_select(task, graph, session.names("anchors")))
        on = [
            exp.EQ(this=sql.column("entity", "e"), expression=key.copy()),
            exp.EQ(this=sql.column("anchor_time", "e"), expression=at.copy()),
        ]
        sql.join(query, sql.temporary(session.names("eligible"), "e"), sql.every(on))
    return query.where(sql.given(value), copy=False)


def _distinct_anchors(graph: Graph, table: Table, at: exp.Expression) -> exp.Select:
    query = sql.select(sql.aliased(at.copy(), "anchor_time")).distinct(copy=False)
    return query.from_(graph.read(table, "x"), copy=False)


def _columns_of(table: Table, task: Task) -> tuple[Column, Column, Column | None]:
    """Entity, anchor and, if there, known_at. Raises ProjectError naming what is missing."""
    by_name = {c.name.casefold(): c for c in table.columns}
    entity = by_name.get(task.entity.column.name.casefold()) or by_name.get("entity")
    anchor = by_name.get("anchor_time")
    if entity is None or anchor is None:
        missing = "anchor_time" if entity is not None else f"{task.entity.column.name} (or entity)"
        raise ProjectError(
            f"the label table {table.relation} has no column {missing}",
            hint=f"It has: {', '.join(c.name for c in table.columns)}.",
        )
    return entity, anchor, by_name.get("known_at")


def _newest_known(labels: str, anchor: datetime) -> exp.Select:
    query = sql.select(exp.Max(this=sql.column("anchor_time", "l"))).from_(sql.temporary(labels, "l"), copy=False)
    return query.where(known_by(sql.timestamp(anchor)), copy=False)


def _newest_window(newest: datetime, horizon: Window | None) -> exp.Expression:
    """Anchors less than a horizon older than the newest one; without a horizon the newest one alone."""
    at, top = sql.column("anchor_time", "l"), sql.timestamp(newest)
    if horizon is None:
        return exp.EQ(this=at, expression=top)
    return exp.GT(this=at, expression=sql.later(top, -horizon.end, horizon.unit))
