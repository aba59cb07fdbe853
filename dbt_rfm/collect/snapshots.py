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

from dbt_rfm.collect.assemble import assemble, in_order
from dbt_rfm.collect.choice import FEW_ANCHORS, Choice
from dbt_rfm.collect.chosen_examples import choose_labels, draw_examples, given_labels
from dbt_rfm.collect.chosen_words import chosen_words
from dbt_rfm.collect.collecting import Collecting, Found, in_tables
from dbt_rfm.collect.context_size import with_sizes
from dbt_rfm.collect.events import told_outcome
from dbt_rfm.collect.forecast import forecast_snapshot
from dbt_rfm.collect.give_aways import give_aways
from dbt_rfm.collect.kept_features import KeptFeatures
from dbt_rfm.collect.label_shares import shares_without_minimum
from dbt_rfm.collect.prediction_anchor import anchor_of, notes_on_age
from dbt_rfm.collect.recommendation import ranking_snapshot
from dbt_rfm.collect.rows_around import rows_around, rows_planned
from dbt_rfm.options import Options
from dbt_rfm.plan import sql
from dbt_rfm.plan.asked import are_few, asked_rows
from dbt_rfm.plan.blocks import Names, Step
from dbt_rfm.plan.features import FeaturePlan, derived_of, feature_plan
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.staleness import staleness_of
from dbt_rfm.plan.texts import texts_read
from dbt_rfm.plan.values import Scope
from dbt_rfm.pql.attributes import hidden_columns, seen_schema
from dbt_rfm.pql.delay import Delay
from dbt_rfm.pql.hindsight import notes_on_hindsight
from dbt_rfm.pql.task import BoundColumn, Task
from dbt_rfm.schema.types import RelationalSchema
from dbt_rfm.shards.parts import ROW, bounds_of, fetch_rows, head, said_of
from dbt_rfm.shards.run_tables import SHARD_WITH_ROWS, RunTables
from dbt_rfm.snapshot import BACKTEST, BACKTEST_CONTEXT, CONTEXT, QUERY, Snapshot
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.warehouse.base import Warehouse
from dbt_rfm.warehouse.session import Session

WITH_ROWS = 50_000  # examples that are answered at once where the rows around them are read
MAX_WITH_ROWS = 100_000  # the same where no more of them can wait: they are learnt from, or nothing is published
_EXAMPLE = ("example_id", "split", "entity", "anchor_time", "label")


def collect(
    task: Task,
    schema: RelationalSchema,
    warehouse: Warehouse,
    options: Options,
    *,
    labels: str | None = None,
    with_rows: bool = True,
    kept: KeptFeatures | None = None,
    tables: RunTables | None = None,
    brief: bool = False,
) -> Snapshot:
    """The snapshot of a query at the anchor of the options; `labels` is the relation of a label table.

    `kept`: what earlier predictions of the same run have computed. `tables`: where a large answer keeps its examples;
    the snapshot has the first shard of them only. `brief`: a quick answer, for which less is told.

    Raises DataError where the rows do not allow an answer.
    """
    graph = Graph(seen_schema(schema, task), warehouse.dialect)
    with Session(warehouse) as session:
        anchor, notes = anchor_of(session, graph, options)
        notes += [*notes_on_age(session, graph, task, anchor), *notes_on_hindsight(task)]
        words = options.read_words and not brief
        run = Collecting(session, graph, task, options, anchor, with_rows, kept, tables, brief, with_words=words)
        if task.kind == TaskKind.FORECAST:
            return forecast_snapshot(run, notes)
        if task.kind == TaskKind.LINK:
            return ranking_snapshot(run, notes)
        choice = with_sizes(session, task.kind, options, choose_labels(session, graph, task, options, anchor, labels))
        notes += choice.notes
        notes += draw_examples(session, task, options, choice)
        return _snapshot(run, choice, notes)


def collect_labelled(
    task: Task,
    schema: RelationalSchema,
    warehouse: Warehouse,
    options: Options,
    *,
    labels: pa.Table,
    late: Delay | None = None,
    cut: datetime | None = None,
    query_rows: int | None = None,
    with_rows: bool = False,
) -> Snapshot:
    """The snapshot of given examples.

    `labels` has entity, anchor_time, label, known_at and split: `context` rows may be learnt from (at most
    `options.context_size` are chosen, of those known by the first query anchor), `query` rows are asked (at most
    `query_rows`, by lot), others only serve as past labels. `late`: the target is an attribute that becomes known
    some time after its row. `cut`: nothing later than this moment is seen by any example (the frozen protocol), and
    for a number half of the context lags behind its anchors as the queries do.
    """
    graph = Graph(seen_schema(schema, task), warehouse.dialect)
    with Session(warehouse) as session:
        choice = with_sizes(session, task.kind, options, given_labels(session, labels, task.kind, cut))
        asked = labels.filter(pc.equal(labels["split"], QUERY))["anchor_time"].to_pylist()
        stale = staleness_of(asked, cut, options.seed) if task.kind == TaskKind.REGRESSION else None
        plain = replace(options, backtest=False)
        draw_examples(session, task, plain, choice, query_rows=query_rows, cut=cut, staleness=stale)
        choice = replace(choice, past_labels=task.horizon is not None, late=late)
        run = Collecting(session, graph, task, options, max(asked), with_rows, with_words=not with_rows)
        return _snapshot(run, choice, [])


def _snapshot(run: Collecting, choice: Choice, notes: Sequence[str]) -> Snapshot:
    run = replace(run, options=replace(run.options, context_size=choice.sizes[CONTEXT]))
    scope, plan = _plan(run, choice)
    found = _found(run, scope, plan)
    rows, reason = _rows(run, scope, found)
    more = (*plan.notes, *_give_aways(run.task, found), *([reason] if reason else []))
    whole = run.snapshot(found, (*notes, *more))
    whole = replace(whole, words=chosen_words(found.examples, found.features, found.meta))
    if run.task.kind == TaskKind.MULTICLASS:
        whole = replace(whole, classes=_classes(found.examples))
    return replace(whole, rows=rows, label_shares=shares_without_minimum(run, choice, found.examples))


def _give_aways(task: Task, found: Found) -> list[str]:
    hidden = hidden_columns(task)
    if not hidden:
        return []
    return give_aways(task.kind, found.examples, found.features, found.meta, " and ".join(".".join(c) for c in hidden))


def _classes(examples: pa.Table) -> tuple[str, ...]:
    """The labels that are known, in order."""
    known = pc.is_in(examples["split"], pa.array([CONTEXT, BACKTEST_CONTEXT, BACKTEST]))
    return tuple(sorted(pc.unique(examples.filter(known)["label"]).to_pylist()))


def _plan(run: Collecting, choice: Choice) -> tuple[Scope, FeaturePlan]:
    """What the examples may see, and the plan of their features; of few entities their rows are read once for both."""
    session, task = run.session, run.task
    anchors, entities = _asked_about(session)
    scope = replace(_scope(run.graph, task, choice), brief=run.brief)
    if run.with_words:
        scope = replace(scope, texts=texts_read(scope, task.entity.table))
    first: tuple[Step, ...] = ()
    if are_few(entities, session.count(run.graph.read(task.entity.table, "e"))):
        scope, first = _with_asked_rows(session, scope, task, with_rows=run.with_rows)
    plan = feature_plan(
        scope,
        session.names,
        (task.entity.table, task.entity.column.name),
        kind=task.kind,
        horizon=choice.horizon or task.horizon,
        few_anchors=anchors <= FEW_ANCHORS,
        past_labels=choice.past_labels,
        outcome=told_outcome(run, choice.late) if task.of_events else None,
        of_events=task.of_events,
        shared_keys=run.with_words and bool(hidden_columns(task)) and not task.of_events,
    )
    return scope, replace(plan, steps=(*first, *plan.steps))


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


def _found(run: Collecting, scope: Scope, plan: FeaturePlan) -> Found:
    """Examples and their features: all, or those that the first shard of a large answer needs."""
    session, tables = run.session, run.tables
    examples = in_order(session.names.examples, _EXAMPLE)
    bounds, with_rows = _shards(run, tables) if tables is not None else ([], False)
    if tables is not None and bounds:
        session.run(plan.steps)
        shapes = [ROW for _ in plan.blocks]
        around = rows_planned(*_around(run, scope)) if with_rows else {}
        return in_tables(tables, bounds, examples, plan.blocks, shapes, around)
    if run.kept is not None:
        rows = run.kept.rows(session, plan)
        return Found(session.query(examples), *assemble(session, plan.blocks, rows))
    session.run(plan.steps)
    return Found(session.query(examples), *assemble(session, plan.blocks))


def _shards(run: Collecting, tables: RunTables) -> tuple[list[int], bool]:
    """Where the shards of a large answer begin, and whether it has the rows around each example: not if what is learnt
    from and the first shard were too many at once."""
    session, examples = run.session, run.session.names.examples
    if run.options.read_rows:
        total = session.count(sql.temporary(examples))
        bounds = bounds_of(session, examples, min(tables.size, SHARD_WITH_ROWS)) if total > WITH_ROWS else []
        if total - (bounds[-1] - bounds[1] if bounds else 0) <= MAX_WITH_ROWS:
            return bounds, True
    return bounds_of(session, examples, tables.size), False


def _rows(run: Collecting, scope: Scope, found: Found) -> tuple[dict[str, pa.Table], str]:
    """The rows around the examples that were found, and what is to say of them."""
    if found.shards and run.tables is not None:
        condition = head(found.shards["bounds"])
        return fetch_rows(run.tables, found.shards["rows"], run.shown, condition), said_of(found.shards)
    if not run.with_rows:
        return {}, ""
    return rows_around(*_around(run, scope), most=MAX_WITH_ROWS if run.options.read_rows else WITH_ROWS)


def _around(run: Collecting, scope: Scope) -> tuple[Session, Scope, Names, BoundColumn, Sequence[int]]:
    return run.session, scope, run.session.names, run.task.entity, run.options.neighbors
