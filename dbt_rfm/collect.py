"""Run a plan on a warehouse: which examples, with which labels and features, as one snapshot.

In: a task, its schema, a warehouse, the options. Out: a `Snapshot`. Nothing but session tables is written.
Time rule: the query stands at the anchor A; context examples at A-H, A-2H, … with windows closed by A; the backtest at
A-H with context closed by A-H. Features, filters and past labels of an example see nothing after its own anchor.

`collect` finds labels itself (`plan/labels.py`, or a label table of the project); `collect_labelled` takes them as
given with their splits, as benchmarks have them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from dbt_rfm.assemble import assemble, in_order, named_features
from dbt_rfm.choice import FEW_ANCHORS, Choice
from dbt_rfm.chosen_examples import choose_labels, draw_examples, given_labels
from dbt_rfm.forecast import forecast_snapshot
from dbt_rfm.give_aways import give_aways
from dbt_rfm.kept_features import KeptFeatures
from dbt_rfm.options import Options
from dbt_rfm.plan import sql
from dbt_rfm.plan.asked import are_few, asked_rows
from dbt_rfm.plan.blocks import Step
from dbt_rfm.plan.event_outcome import outcome_of
from dbt_rfm.plan.examples import context_select, least_of_class
from dbt_rfm.plan.features import FeaturePlan, derived_of, feature_plan
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.neighbours import shown_graph
from dbt_rfm.plan.staleness import staleness_of
from dbt_rfm.plan.values import Scope
from dbt_rfm.pql.ast import Scalar, Window
from dbt_rfm.pql.attributes import hidden_columns
from dbt_rfm.pql.task import Task
from dbt_rfm.prediction_anchor import anchor_of, notes_on_age
from dbt_rfm.recommendation import ranking_snapshot
from dbt_rfm.rows_around import rows_around
from dbt_rfm.schema.fingerprint import fingerprint
from dbt_rfm.schema.types import RelationalSchema
from dbt_rfm.session import Session
from dbt_rfm.shards import ROW, RunTables, bounds_of, fetch, head, said_of
from dbt_rfm.snapshot import BACKTEST, BACKTEST_CONTEXT, CONTEXT, QUERY, Feature, Snapshot
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.warehouse.base import Warehouse

MAX_EXAMPLES_WITH_ROWS = 50_000
_EXAMPLE = ("example_id", "split", "entity", "anchor_time", "label")


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
    the snapshot has the first shard of them only. `brief`: a quick answer, for which less is told.

    Raises DataError where the rows do not allow an answer.
    """
    task = replace(task, entity_ids=tuple(entity_ids)) if entity_ids else task
    graph = Graph(schema, warehouse.dialect)
    with Session(warehouse) as session:
        anchor, notes = anchor_of(session, graph, options)
        notes += notes_on_age(session, graph, task, anchor)
        if task.kind == TaskKind.FORECAST:
            return forecast_snapshot(session, graph, task, options, anchor, notes, with_rows=with_rows, tables=tables)
        if task.kind == TaskKind.LINK:
            return ranking_snapshot(session, graph, task, options, anchor, notes, tables=tables, brief=brief)
        choice = choose_labels(session, graph, task, options, anchor, labels)
        notes += choice.notes
        notes += draw_examples(session, task, options, choice)
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
        choice = given_labels(session, labels, task.kind, cut)
        asked = labels.filter(pc.equal(labels["split"], QUERY))["anchor_time"].to_pylist()
        stale = staleness_of(asked, cut, options.seed) if task.kind == TaskKind.REGRESSION else None
        plain = replace(options, backtest=False)
        draw_examples(session, task, plain, choice, query_rows=query_rows, cut=cut, staleness=stale)
        anchor = max(asked)
        choice = replace(choice, past_labels=task.horizon is not None, late=late)
        return _snapshot(session, graph, task, options, anchor, choice, [], with_rows)


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
    rows: dict[str, pa.Table] = {}
    reason = said_of(bounds)
    if with_rows and not bounds:
        names, sizes = session.names, options.neighbors
        rows, reason = rows_around(session, scope, names, task.entity, sizes, most=MAX_EXAMPLES_WITH_ROWS)
    labels = examples.filter(pc.is_in(examples["split"], pa.array([CONTEXT, BACKTEST_CONTEXT, BACKTEST])))["label"]
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
        counted = counted.from_(sql.subquery(plain, "c"), copy=False)
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
    examples = in_order(session.names.examples, _EXAMPLE)
    if tables is None and kept is not None:
        rows = kept.rows(session, plan)
        return session.query(examples), *assemble(session, plan.blocks, rows)
    session.run(plan.steps)
    if tables is None:
        return session.query(examples), *assemble(session, plan.blocks)
    tables.keep(examples, plan.blocks)
    meta = named_features(plan.blocks)
    return *fetch(tables, [ROW for _ in plan.blocks], meta, head(bounds)), meta
