"""Run a plan on a warehouse: which examples, with which labels and features, as one snapshot.

In: a task, its schema, a warehouse, the options. Out: a `Snapshot`. Nothing but session tables is written.
Time rule: the query stands at the anchor A; context examples at A-H, A-2H, … with windows closed by A; the backtest at
A-H with context closed by A-H. Features, filters and past labels of an example see nothing after its own anchor.

`collect` finds labels itself (`plan/labels.py`, or a label table of the project); `collect_labelled` takes them as
given with their splits, as benchmarks have them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from dbt_rfm.assemble import assemble, named_features
from dbt_rfm.choice import Choice, from_attribute, from_label_table, from_windows
from dbt_rfm.errors import DataError, ProjectError
from dbt_rfm.events import from_events
from dbt_rfm.forecast import forecast_snapshot
from dbt_rfm.give_aways import give_aways
from dbt_rfm.kept_features import KeptFeatures
from dbt_rfm.options import Options
from dbt_rfm.plan import sql
from dbt_rfm.plan.anchors import newest_event, shifted
from dbt_rfm.plan.asked import are_few, asked_rows
from dbt_rfm.plan.blocks import Step
from dbt_rfm.plan.event_history import outcome_of
from dbt_rfm.plan.examples import (
    context_select,
    drawn_select,
    draws_select,
    examples_select,
    known_by,
    least_of_class,
    query_examples,
)
from dbt_rfm.plan.features import FeaturePlan, derived_of, feature_plan
from dbt_rfm.plan.labels import LABEL_TYPE
from dbt_rfm.plan.neighbours import neighbours_plan, shown_graph
from dbt_rfm.plan.paths import Graph
from dbt_rfm.plan.staleness import Staleness, staleness_of
from dbt_rfm.plan.values import Scope
from dbt_rfm.pql.ast import Scalar, Window
from dbt_rfm.pql.attributes import hidden_columns
from dbt_rfm.pql.task import Task, leaves
from dbt_rfm.recommendation import ranking_snapshot
from dbt_rfm.schema.fingerprint import fingerprint
from dbt_rfm.schema.types import RelationalSchema
from dbt_rfm.session import Session
from dbt_rfm.shards import ROW, RunTables, bounds_of, fetch, head, said_of
from dbt_rfm.snapshot import BACKTEST, BACKTEST_CONTEXT, CONTEXT, QUERY, Feature, Snapshot
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.warehouse.base import Warehouse

MAX_EXAMPLES_WITH_ROWS = 50_000
_ANY_CLOCK = timedelta(days=1)  # times of rows may be local ones
FEW_ANCHORS = 500  # more distinct anchors are no grid but the times of events


def collect(
    task: Task,
    schema: RelationalSchema,
    warehouse: Warehouse,
    options: Options,
    *,
    labels: str | None = None,
    with_rows: bool = True,
    entity_ids: Sequence[Scalar] = (),
    kept: KeptFeatures | None = None,
    tables: RunTables | None = None,
    brief: bool = False,
) -> Snapshot:
    """The snapshot of a query at the anchor of the options; `labels` is the relation of a label table.

    `kept`: what earlier predictions of the same run have computed. `tables`: where a large answer keeps its examples;
    the snapshot has the first shard of them only. `brief`: fewer features, for a quick answer of classes or numbers.

    Raises DataError where the rows do not allow an answer.
    """
    task = replace(task, entity_ids=tuple(entity_ids)) if entity_ids else task
    graph = Graph(schema, warehouse.dialect)
    with Session(warehouse) as session:
        anchor, notes = anchor_of(session, graph, options)
        notes += _notes_on_age(session, graph, task, options, anchor)
        if task.kind == TaskKind.FORECAST:
            return forecast_snapshot(session, graph, task, options, anchor, notes, with_rows=with_rows, tables=tables)
        if task.kind == TaskKind.LINK:
            return ranking_snapshot(session, graph, task, options, anchor, notes, tables=tables)
        choice = choose_labels(session, graph, task, options, anchor, labels)
        notes += choice.notes
        notes += _choose(session, task, options, choice)
        return _snapshot(session, graph, task, options, anchor, choice, notes, with_rows, kept, tables, brief)


def collect_labelled(
    task: Task,
    schema: RelationalSchema,
    warehouse: Warehouse,
    options: Options,
    *,
    labels: pa.Table,
    late: Window | None = None,
    cut: datetime | None = None,
    query_rows: int | None = None,
    with_rows: bool = False,
) -> Snapshot:
    """The snapshot of given examples.

    `labels` has entity, anchor_time, label, known_at and split: `context` rows may be learnt from (at most
    `options.context_size` are chosen, of those known by the first query anchor), `query` rows are asked (at most
    `query_rows`, by lot), others only serve as past labels. `late`: the target is an attribute that becomes known that
    long after its row. `cut`: nothing later than this moment is seen by any example (the frozen protocol), and for a
    number half of the context lags behind its anchors as the queries do.
    """
    graph = Graph(schema, warehouse.dialect)
    with Session(warehouse) as session:
        choice = _given(session, labels, task.kind, cut)
        asked = labels.filter(pc.equal(labels["split"], QUERY))["anchor_time"].to_pylist()
        stale = staleness_of(asked, cut, options.seed) if task.kind == TaskKind.REGRESSION else None
        plain = replace(options, backtest=False)
        _choose(session, task, plain, choice, query_rows=query_rows, cut=cut, staleness=stale)
        anchor = max(asked)
        choice = replace(choice, past_labels=task.horizon is not None, late=late)
        return _snapshot(session, graph, task, options, anchor, choice, [], with_rows)


def choose_labels(
    session: Session, graph: Graph, task: Task, options: Options, anchor: datetime, labels: str | None = None
) -> Choice:
    """Make the session table of labels, from where the task has them, and say who may be learnt from and asked."""
    if not session.count(graph.read(task.entity.table, "e")):
        raise DataError(f"table {task.entity.table.name} has no rows, so there is nobody to predict for")
    if labels is not None:
        return from_label_table(session, graph, task, anchor, options.horizon)
    if options.label_delay and not task.of_events:
        raise ProjectError(
            "the option meta.rfm.label_delay says when the outcome of an event is known, and no event is asked about",
            hint="It belongs to PREDICT with a column of a table that has a time column. Leave it out here.",
        )
    if task.of_events:
        return from_events(session, graph, task, anchor, options)
    if task.horizon is None:
        return from_attribute(session, graph, task, anchor, options.seed)
    return from_windows(session, graph, task, anchor)


def named_anchor(options: Options) -> datetime | None:
    """The moment that the options name, UTC; None for 'latest', which only the rows can tell."""
    if options.anchor == "latest":
        return None
    if options.anchor == "now":
        return datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    try:
        return sql.utc(datetime.fromisoformat(options.anchor))
    except ValueError as error:
        raise ProjectError(
            f"the anchor {options.anchor!r} is no moment",
            hint="Write 'latest', 'now' or a timestamp such as '2024-06-30' or '2024-06-30 12:00'.",
        ) from error


def anchor_of(session: Session, graph: Graph, options: Options) -> tuple[datetime, list[str]]:
    """The prediction anchor that the options ask for, and notes on it."""
    named = named_anchor(options)
    if named is not None:
        return named, []
    select = newest_event(graph, graph.schema.tables)
    found = session.value(select) if select is not None else None
    now = datetime.now(UTC).replace(tzinfo=None)
    if found is not None:
        return _newest_by(session, graph, found, now + _ANY_CLOCK)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return today, ["no table of the graph has a time, so everything counts as always known and the anchor is today"]


def _newest_by(session: Session, graph: Graph, newest: datetime, now: datetime) -> tuple[datetime, list[str]]:
    """The newest event that can have happened: a typo or a plan for next year is no moment to predict from."""
    select = newest_event(graph, graph.schema.tables, until=now)
    happened = session.value(select) if newest > now and select is not None else None
    if happened is None:
        return newest, []
    return happened, [
        f"rows are dated up to {newest:%Y-%m-%d %H:%M}, later than now: the anchor is the newest of the others"
    ]


def _notes_on_age(session: Session, graph: Graph, task: Task, options: Options, anchor: datetime) -> list[str]:
    """Whether the rows end so long before a named anchor that whole windows seem empty."""
    if task.horizon is None or named_anchor(options) is None:
        return []
    select = newest_event(graph, graph.schema.tables, until=anchor)
    newest = session.value(select) if select is not None else None
    if newest is None or shifted(newest, task.horizon.end, task.horizon.unit) >= anchor:
        return []
    return [
        f"the newest row before the anchor is of {newest:%Y-%m-%d %H:%M}, {(anchor - newest).days} days before it: "
        "windows in between count as empty, as if nothing had happened. Bring newer rows, or take the anchor 'latest'"
    ]


def _choose(
    session: Session,
    task: Task,
    options: Options,
    choice: Choice,
    *,
    query_rows: int | None = None,
    cut: datetime | None = None,
    staleness: Staleness | None = None,
) -> list[str]:
    """Make the session table of examples. Gives notes; raises DataError if nothing can be learnt."""
    names, kind, seed = session.names, task.kind, options.seed

    def context(conditions: Sequence[exp.Expression]) -> exp.Select:
        return context_select(names, kind, size=options.context_size, conditions=conditions)

    session.create(names.draws, draws_select(names, seed))
    splits: list[tuple[str, exp.Expression]] = [(CONTEXT, context(choice.context))]
    if isinstance(choice.query, exp.Select):
        splits.append((QUERY, query_examples(choice.query, task.entity_ids, LABEL_TYPE[kind])))
    else:
        size = query_rows or 2**31
        splits.append((QUERY, drawn_select(names, size=size, seed=seed, conditions=choice.query)))
    if options.backtest and choice.backtest:
        drawn = drawn_select(names, size=choice.max_backtest, seed=seed, conditions=choice.backtest)
        splits += [(BACKTEST_CONTEXT, context(choice.backtest_context)), (BACKTEST, drawn)]
    moment = sql.timestamp(cut) if cut is not None else None
    session.create(names.examples, examples_select(splits, moment, staleness))
    return _check_examples(session, task, options, choice)


def _check_examples(session: Session, task: Task, options: Options, choice: Choice) -> list[str]:
    by = [sql.column("split"), sql.aliased(sql.as_text(sql.column("label")), "label")]
    counted = sql.select(*by, sql.aliased(exp.Count(this=exp.Star()), "n"))
    counted = counted.from_(sql.temporary(session.names.examples), copy=False)
    counted = counted.group_by(sql.column("split"), sql.as_text(sql.column("label")), copy=False)
    found: dict[str, dict[str, int]] = {}
    for row in session.query(counted).to_pylist():
        found.setdefault(row["split"], {})[row["label"]] = row["n"]
    if CONTEXT not in found:
        raise DataError(choice.nothing_to_learn, hint=choice.hint)
    if task.kind != TaskKind.REGRESSION and len(found[CONTEXT]) == 1:
        only = next(iter(found[CONTEXT]))
        raise DataError(
            f"every one of the {found[CONTEXT][only]} examples to learn from has the label {only}",
            hint="There is nothing to tell apart: ask for something that happens sometimes.",
        )
    if task.kind == TaskKind.REGRESSION:
        _check_numbers(task, found[CONTEXT])
    notes = []
    if QUERY not in found:
        nobody = choice.nobody_asked
        if task.entity_ids:
            keys = f"{task.entity.column.name} {', '.join(map(str, task.entity_ids))}"
            nobody = f"no row of {task.entity.table.name} with {keys} fulfils the query"
        notes.append(f"{nobody}: the prediction is empty")
    if options.backtest and not (found.get(BACKTEST) and found.get(BACKTEST_CONTEXT)):
        notes.append("no backtest: there are no labels before the newest closed window")
    return notes


def _check_numbers(task: Task, labels: Mapping[str, int]) -> None:
    """`labels`: the text of each, and how many examples have it."""
    endless = sum(count for label, count in labels.items() if not math.isfinite(float(label)))
    if not endless:
        return
    columns = dict.fromkeys(f"{leaf.table.name}.{leaf.column.name}" for leaf in leaves(task.target) if leaf.column)
    source = ", ".join(columns) or "the label table"
    raise DataError(
        f"{endless} of {sum(labels.values())} labels are NaN or infinite, from {source}",
        hint="Make such values null in the model they come from: what is null is left out.",
    )


def _given(session: Session, labels: pa.Table, kind: TaskKind, cut: datetime | None) -> Choice:
    queries = labels.filter(pc.equal(labels["split"], QUERY))
    if not len(queries):
        raise DataError("no row of the label table is asked for: none has the split 'query'")
    first = min(m for m in (pc.min(queries["anchor_time"]).as_py(), cut) if m is not None)
    session.load(session.names("given"), labels)
    label = exp.Cast(this=sql.column("label"), to=exp.DataType.build(LABEL_TYPE[kind]))
    columns = [*sql.columns(("entity", "anchor_time", "known_at", "split")), sql.aliased(label, "label")]
    select = sql.select(*columns).from_(sql.temporary(session.names("given")), copy=False)
    session.create(session.names.labels, select)

    def of(split: str) -> exp.Expression:
        return exp.EQ(this=sql.column("split", "l"), expression=exp.Literal.string(split))

    return Choice(
        context=[of(CONTEXT), known_by(sql.timestamp(first))],
        query=[of(QUERY)],
        nothing_to_learn=f"no label of the split 'context' was known by the first query anchor, {first}",
    )


def _snapshot(
    session: Session,
    graph: Graph,
    task: Task,
    options: Options,
    anchor: datetime,
    choice: Choice,
    notes: list[str],
    with_rows: bool,
    kept: KeptFeatures | None = None,
    tables: RunTables | None = None,
    brief: bool = False,
) -> Snapshot:
    anchors, entities = _asked_about(session)
    scope = replace(_scope(graph, task, choice), brief=brief)
    first: tuple[Step, ...] = ()
    if are_few(entities, session.count(graph.read(task.entity.table, "e"))):
        scope, first = _with_asked_rows(session, scope, task, with_rows=with_rows)
    plan = _feature_plan(session, scope, task, choice, few_anchors=anchors <= FEW_ANCHORS)
    plan = replace(plan, steps=(*first, *plan.steps))
    bounds = bounds_of(session, session.names.examples, tables.size) if tables is not None else []
    examples, features, meta = _features(session, plan, kept, tables if bounds else None, bounds)
    more = plan.notes
    hidden = hidden_columns(task)
    if hidden:
        more = (*more, *give_aways(task.kind, examples, features, meta, " and ".join(".".join(c) for c in hidden)))
    rows, reason = _rows(session, scope, task, options) if with_rows and not bounds else ({}, said_of(bounds))
    labels = examples.filter(pc.is_in(examples["split"], pa.array([CONTEXT, BACKTEST_CONTEXT])))["label"]
    classes = tuple(sorted(pc.unique(labels).to_pylist())) if task.kind == TaskKind.MULTICLASS else ()
    return Snapshot(
        query=task.text,
        kind=task.kind,
        classes=("false", "true") if task.kind == TaskKind.BINARY else classes,
        entity=task.entity.column.name,
        anchor=anchor,
        schema_fingerprint=fingerprint(graph.schema),
        features_meta=meta,
        examples=examples,
        features=features,
        rows=rows,
        notes=(*notes, *more, *([reason] if reason else [])),
        options=options.recorded(),
        shards={"bounds": bounds, "blocks": [ROW for _ in plan.blocks]} if bounds else {},
        label_shares=_label_shares(session, task.kind, options, choice, examples),
        graph=shown_graph(graph.schema, task.entity.table.name),
    )


def _label_shares(
    session: Session, kind: TaskKind, options: Options, choice: Choice, examples: pa.Table
) -> dict[str, dict[str, float]]:
    """Class shares of each context as it would be without a minimum of rare classes, where one of them needed it."""
    least = least_of_class(kind, options.context_size)
    found: dict[str, dict[str, float]] = {}
    for split, conditions in ((CONTEXT, choice.context), (BACKTEST_CONTEXT, choice.backtest_context)):
        labels = examples.filter(pc.equal(examples["split"], split))["label"]
        classes = pc.value_counts(labels.cast(pa.string())).to_pylist()
        if not least or all(c["counts"] > least for c in classes):
            continue
        plain = context_select(session.names, kind, size=options.context_size, conditions=conditions, favour=False)
        counted = sql.select(
            sql.aliased(sql.as_text(sql.column("label")), "label"), sql.aliased(exp.Count(this=exp.Star()), "n")
        )
        counted = counted.from_(exp.Subquery(this=plain, alias=exp.TableAlias(this=sql.name("c"))), copy=False)
        counted = counted.group_by(sql.as_text(sql.column("label")), copy=False)
        counts = {row["label"]: row["n"] for row in session.query(counted).to_pylist()}
        smoothed = {c["values"]: counts.get(c["values"], 0) + 0.5 for c in classes}
        total = sum(smoothed.values())
        found[split] = {name: count / total for name, count in smoothed.items()}
    return found


def _scope(graph: Graph, task: Task, choice: Choice) -> Scope:
    hidden = hidden_columns(task)
    if not hidden:
        return Scope(graph, derived=derived_of(task))
    return Scope(graph, frozenset(hidden), delayed=dict.fromkeys(hidden, choice.late) if choice.late else {})


def _in_order(table: str) -> exp.Select:
    columns = sql.columns(("example_id", "split", "entity", "anchor_time", "label"))
    query = sql.select(*columns).from_(sql.temporary(table), copy=False)
    return query.order_by(exp.Ordered(this=sql.column("example_id")), copy=False)


def _asked_about(session: Session) -> tuple[int, int]:
    """How many anchors and how many entities the examples have."""
    select = sql.select(*(sql.aliased(_distinct(name), name) for name in ("anchor_time", "entity")))
    found = session.query(select.from_(sql.temporary(session.names.examples), copy=False)).to_pylist()[0]
    return found["anchor_time"], found["entity"]


def _distinct(name: str) -> exp.Count:
    return exp.Count(this=exp.Distinct(expressions=[sql.column(name)]))


def _with_asked_rows(session: Session, scope: Scope, task: Task, *, with_rows: bool) -> tuple[Scope, tuple[Step, ...]]:
    """The scope that finds rows of the examples' entities in session tables, and the steps that make them."""
    names, entity = session.names, (task.entity.table, task.entity.column.name)
    keys = sql.select(sql.column("entity")).from_(sql.temporary(names.examples), copy=False)
    graph, steps = asked_rows(scope.graph, names, entity, keys, with_rows=with_rows)
    return replace(scope, graph=graph), steps


def _feature_plan(session: Session, scope: Scope, task: Task, choice: Choice, *, few_anchors: bool) -> FeaturePlan:
    return feature_plan(
        scope,
        session.names,
        (task.entity.table, task.entity.column.name),
        kind=task.kind,
        horizon=choice.horizon or task.horizon,
        few_anchors=few_anchors,
        past_labels=choice.past_labels,
        outcome=outcome_of(task, choice.late) if task.of_events else None,
        of_events=task.of_events,
    )


def _features(
    session: Session,
    plan: FeaturePlan,
    kept: KeptFeatures | None,
    tables: RunTables | None,
    bounds: Sequence[int],
) -> tuple[pa.Table, pa.Table, tuple[Feature, ...]]:
    """Examples and their features: all, or with `tables` those that the first shard needs."""
    if tables is None and kept is not None:
        rows = kept.rows(session, plan)
        return session.query(_in_order(session.names.examples)), *assemble(session, plan.blocks, rows)
    for step in plan.steps:
        session.create(step.table, step.select)
    if tables is None:
        return session.query(_in_order(session.names.examples)), *assemble(session, plan.blocks)
    tables.keep(_in_order(session.names.examples), plan.blocks)
    meta = named_features(plan.blocks)
    return *fetch(tables, [ROW for _ in plan.blocks], meta, head(bounds)), meta


def _rows(session: Session, scope: Scope, task: Task, options: Options) -> tuple[dict[str, pa.Table], str]:
    """The neighbourhood per table, with a reason if it is left out."""
    count = session.count(sql.temporary(session.names.examples))
    if count > MAX_EXAMPLES_WITH_ROWS:
        return {}, f"the bundle has no rows/: {count} examples are more than {MAX_EXAMPLES_WITH_ROWS}"
    plan = neighbours_plan(scope, session.names, task.entity.table, task.entity.column.name, options.neighbors)
    for step in plan.steps:
        session.create(step.table, step.select)
    return {name: session.query(select) for name, select in plan.rows.items()}, ""
