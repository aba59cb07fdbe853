"""Run the plan of a forecast on a warehouse: its examples, their labels and features, as one snapshot.

In: a bound task of kind FORECAST, the prediction anchor A. Out: a `Snapshot` with one example per (entity, anchor,
step). Time rule: context examples are those whose own window had closed by A; the backtest is the newest anchor of
which all windows have closed, n windows before A, with a context that had closed by then. Features stand at the
example's anchor, not at its window.

The features of an entity at an anchor (plan/features.py) are computed once and shared by its steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from sqlglot import exp

from dbt_rfm.collect.assemble import assemble, in_order, named_features
from dbt_rfm.collect.choice import FEW_ANCHORS, MAX_LABELS, data_start, load_anchors, require_entities
from dbt_rfm.collect.collecting import Collecting, Found, in_tables
from dbt_rfm.collect.rows_around import rows_around
from dbt_rfm.errors import DataError
from dbt_rfm.options import Options
from dbt_rfm.plan import sql
from dbt_rfm.plan.blocks import Block, Names
from dbt_rfm.plan.features import FeaturePlan, feature_plan
from dbt_rfm.plan.forecast_examples import (
    asked_select,
    bases_select,
    closed_select,
    context_select,
    examples_select,
    pairs_select,
)
from dbt_rfm.plan.forecast_features import forecast_plan
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.labels import eligible_select
from dbt_rfm.plan.series import series_select
from dbt_rfm.plan.timeline import Season, Timeline, seasons, steps_table, windows_table
from dbt_rfm.plan.values import Scope
from dbt_rfm.pql.task import Task
from dbt_rfm.pql.windows import length
from dbt_rfm.shards.parts import FIRST, GROUP, ROW, bounds_of, said_of
from dbt_rfm.shards.run_tables import RunTables
from dbt_rfm.snapshot import BACKTEST, BACKTEST_CONTEXT, CONTEXT, QUERY, Snapshot
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.warehouse.session import Session

MAX_WINDOWS = 800  # of a series: more than two years of days
MIN_WINDOWS = 12
MAX_RECENT = 104  # windows that examples are drawn from
MAX_TRIPLES = 600_000  # (entity, anchor, step) looked at to draw a context
MAX_CONTEXT = 2000  # examples: more of them are older ones, of another time (docs/LOG.md)
MAX_ASKED = 500_000  # rows of predictions
MAX_BACKTEST, MIN_BACKTEST_ENTITIES = 4000, 20
MAX_WITH_ROWS = 10_000
_EXAMPLE = ("example_id", "split", "entity", "anchor_time", "step", "forecast_from", "forecast_until", "label")


@dataclass(frozen=True)
class _Run:
    """One forecast in the making."""

    session: Session
    graph: Graph
    task: Task
    options: Options
    timeline: Timeline
    seasons: tuple[Season, ...]
    entities: int

    @property
    def steps(self) -> int:
        assert self.task.timeframes is not None, "a forecast has timeframes"
        return self.task.timeframes

    @property
    def recent(self) -> int:
        """How many windows back examples are drawn from."""
        affordable = MAX_TRIPLES // (self.entities * self.steps)
        return min(MAX_RECENT, max(MIN_WINDOWS, affordable), -self.timeline.first)


def forecast_snapshot(asked: Collecting, notes: Sequence[str]) -> Snapshot:
    """The snapshot of a forecast. Raises DataError where the rows do not allow an answer."""
    run = _prepared(asked)
    chosen = _choose(run, most=None if asked.tables is not None else MAX_ASKED)
    own, shared = _plans(run)
    found = _found(run, own, shared, asked.tables)
    rows: dict[str, pa.Table] = {}
    reason = said_of(found.shards)
    if asked.with_rows and not found.shards:  # of each entity and anchor, under the example_id of its first step
        scope, names, what = Scope(run.graph), _bases(run.session.names), "anchors of entities"
        sizes = run.options.neighbors
        rows, reason = rows_around(run.session, scope, names, run.task.entity, sizes, most=MAX_WITH_ROWS, what=what)
    more = (*chosen, *shared.notes, *([reason] if reason else []))
    return replace(asked.snapshot(found, (*notes, *more)), rows=rows)


def _prepared(asked: Collecting) -> _Run:
    """The session tables windows, steps and series, which everything else is made of."""
    session, graph, task, anchor = asked.session, asked.graph, asked.task, asked.anchor
    horizon, names, steps = task.horizon, session.names, task.timeframes
    assert horizon is not None and steps is not None, "a forecast has a window and a number of them"
    entities = require_entities(session, graph, task)
    start = data_start(session, graph, task)
    limit = max(MIN_WINDOWS, min(MAX_WINDOWS, MAX_LABELS // entities))
    timeline = Timeline.of(anchor, horizon, steps=steps, start=start, limit=limit)
    if not timeline.closed:
        raise DataError(
            f"there is no window of {length(horizon)} to learn from: the rows the target asks about begin "
            f"at {start:%Y-%m-%d %H:%M}, the anchor is {anchor:%Y-%m-%d %H:%M}",
            hint="Forecast shorter windows, or bring more history.",
        )
    known = tuple(s for s in seasons(horizon) if s.windows <= -timeline.first)
    session.load(names("windows"), windows_table(timeline))
    session.load(names("steps"), steps_table(steps, known))
    starts = []
    for k, (window, numbers) in enumerate(timeline.by_length().items()):
        load_anchors(session, f"starts{k}", [timeline.edge(i) for i in numbers])
        starts.append((window, names(f"starts{k}")))
    session.create(names("series"), series_select(task, graph, names("windows"), starts))
    return _Run(session, graph, task, asked.options, timeline, known, entities)


def _choose(run: _Run, most: int | None) -> list[str]:
    """Make the session tables of examples and of their bases. Gives notes. Raises DataError for more than `most`."""
    session, names, options, steps = run.session, run.session.names, run.options, run.steps
    first = max(run.timeline.first, -run.recent - 2 * steps)
    load_anchors(session, "edges", [run.timeline.edge(j) for j in range(first, 1)])
    eligible = eligible_select(run.task, run.graph, names("edges"))
    session.create(names("pairs"), pairs_select(eligible, names("windows")))
    load_anchors(session, "now", [run.timeline.anchor])
    asked = asked_select(names, eligible_select(run.task, run.graph, names("now")), run.task.entity_ids)
    splits = [(CONTEXT, _context(run, 0)), (QUERY, asked)]
    if options.backtest and run.timeline.first < -steps:
        entities = max(MIN_BACKTEST_ENTITIES, MAX_BACKTEST // steps)
        tested = closed_select(names, at=-steps, steps=steps, entities=entities, seed=options.seed)
        splits += [(BACKTEST_CONTEXT, _context(run, -steps)), (BACKTEST, tested)]
    session.create(names.examples, examples_select(names, splits))
    session.create(_bases(names).examples, bases_select(names))
    return _check(run, most)


def _context(run: _Run, until: int) -> exp.Select:
    entities = max(1, MAX_TRIPLES // (run.recent * run.steps))
    return context_select(
        run.session.names,
        until=until,
        since=max(run.timeline.first, until - run.recent),
        steps=run.steps,
        size=min(run.options.context, MAX_CONTEXT),
        entities=entities,
        seed=run.options.seed,
    )


def _check(run: _Run, most: int | None) -> list[str]:
    """Notes on what the examples lack. Raises DataError if there is nothing to learn, or too much to say."""
    split = sql.column("split")
    counted = sql.select(
        split,
        sql.aliased(exp.Count(this=exp.Star()), "n"),
        sql.aliased(exp.Max(this=sql.column("step")), "furthest"),
    )
    counted = counted.from_(sql.temporary(run.session.names.examples), copy=False).group_by(split.copy(), copy=False)
    found = {row["split"]: row for row in run.session.query(counted).to_pylist()}
    anchor, entity = run.timeline.anchor, run.task.entity.table.name
    if CONTEXT not in found:
        raise DataError(
            f"none of the {-run.timeline.first} windows before {anchor:%Y-%m-%d %H:%M} gives a value to learn from",
            hint="WHERE, or an aggregate of nothing (AVG, MIN, MAX, FIRST, LAST), leaves no example.",
        )
    notes = []
    if QUERY not in found:
        ids = run.task.entity_ids
        asked = f" with {run.task.entity.column.name} {', '.join(map(str, ids))}" if ids else ""
        notes.append(f"no row of {entity} fulfils the query at {anchor:%Y-%m-%d %H:%M}{asked}: the forecast is empty")
    elif most is not None and found[QUERY]["n"] > most:
        raise DataError(
            f"the forecast would have {found[QUERY]['n']} rows, the limit is {most}",
            hint="Ask for fewer timeframes, or narrow the entities with WHERE.",
        )
    furthest = found[CONTEXT]["furthest"]
    if furthest < run.steps:
        notes.append(f"no window so far ahead has ended yet beyond step {furthest}: later steps are extrapolated")
    if run.options.backtest and not (found.get(BACKTEST) and found.get(BACKTEST_CONTEXT)):
        notes.append(f"no backtest: there is nothing to learn from before the newest {run.steps} closed windows")
    return notes


def _plans(run: _Run) -> tuple[Block, FeaturePlan]:
    """The series' features of each example, whose session tables are made, and the shared ones of entity and anchor."""
    session, bases = run.session, _bases(run.session.names)
    forecast = forecast_plan(run.task, run.graph, session.names, bases, run.seasons)
    session.run(forecast.steps)
    anchors = sql.select(sql.column("anchor_time")).distinct(copy=False)
    anchors = anchors.from_(sql.temporary(bases.examples), copy=False)
    few = session.count(sql.subquery(anchors, "a")) <= FEW_ANCHORS
    plan = feature_plan(
        Scope(run.graph),
        bases,
        (run.task.entity.table, run.task.entity.column.name),
        kind=TaskKind.FORECAST,
        horizon=run.task.horizon,
        few_anchors=few,
        past_labels=False,
    )
    return forecast.block, plan


def _found(run: _Run, own: Block, plan: FeaturePlan, tables: RunTables | None) -> Found:
    """Examples, the series' features of each, then those of its entity and anchor; or the first shard of them."""
    session, blocks = run.session, [own, *plan.blocks]
    bounds = bounds_of(session, session.names.examples, tables.size, unit=run.steps) if tables is not None else []
    if tables is not None and bounds:
        session.run(plan.steps)
        return in_tables(tables, bounds, _with_first(run), blocks, [ROW, *(GROUP for _ in plan.blocks)])
    features, _ = assemble(session, [own])
    session.run(plan.steps)
    shared, _ = assemble(session, plan.blocks)
    firsts = session.query(_with_first(run)).column(FIRST).to_numpy()
    where = pa.array(np.searchsorted(shared.column("example_id").to_numpy(), firsts))
    meta = named_features(blocks)
    for feature, values in zip(meta[len(own.features) :], shared.columns[1:], strict=True):
        features = features.append_column(feature.name, values.take(where))
    return Found(session.query(in_order(session.names.examples, _EXAMPLE)), features, meta)


def _with_first(run: _Run) -> exp.Select:
    """The examples in order, each with the example_id of its entity's and anchor's first."""
    query = in_order(run.session.names.examples, _EXAMPLE, "e")
    query = query.select(sql.aliased(sql.column("example_id", "b"), FIRST), copy=False)
    on = [exp.EQ(this=sql.column(c, "b"), expression=sql.column(c, "e")) for c in ("entity", "anchor_time")]
    return sql.join(query, sql.temporary(_bases(run.session.names).examples, "b"), sql.every(on))


def _bases(names: Names) -> Names:
    return Names(f"{names.suffix}b")
