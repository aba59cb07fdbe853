"""Run a model on one task of a suite: a Result per model, on the same queried rows.

In: a database loaded in a warehouse, a task, settings. Out: figures of the model, of the two baselines and, if asked,
of the peers, which read the same features and context. `seconds.plan` is SQL (examples and features), `seconds.model`
the step alone; loading the weights is in neither.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dbt_rfm.bench import memory, peers
from dbt_rfm.bench.bootstrap import intervals
from dbt_rfm.bench.examples import ROLLING, Examples, choose
from dbt_rfm.bench.lists import compare
from dbt_rfm.bench.suite import Dataset, SuiteTask, load
from dbt_rfm.collect.snapshots import collect_labelled
from dbt_rfm.errors import DataError, QueryError
from dbt_rfm.evaluate.backtest import CONSTANT, ENTITY_HISTORY
from dbt_rfm.evaluate.scores import PRIMARY, score
from dbt_rfm.model.examples import feature_table, label_array, split_rows
from dbt_rfm.model.interface import KEYS, Predictions, RelationalModel
from dbt_rfm.model.step import run_step
from dbt_rfm.options import Options
from dbt_rfm.pql.ast import Window
from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.delay import Delay
from dbt_rfm.pql.parser import parse
from dbt_rfm.pql.task import BoundColumn, Task
from dbt_rfm.schema.types import RelationalSchema
from dbt_rfm.snapshot import CONTEXT, QUERY, Snapshot
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.warehouse.base import Warehouse

log = logging.getLogger("dbt_rfm")

EXECUTED = (TaskKind.BINARY, TaskKind.MULTICLASS, TaskKind.REGRESSION, TaskKind.LINK)


@dataclass(frozen=True)
class Settings:
    model: str = "rfm"
    protocol: str = ROLLING
    split: str = "val"
    seeds: tuple[int, ...] = (0,)
    context: int | None = None  # labelled rows the model is shown; None: as many as a build would take
    device: str = "cpu"
    with_peers: bool = False
    resamples: int = 0  # of the bootstrap; 0: no intervals
    rows: int | None = None  # queried rows, drawn by the seed; None: all
    neighbors: tuple[int, ...] = Options.neighbors  # of a model that reads rows
    fine_tune: float = 0.0  # minutes of computing; 0: not


@dataclass(frozen=True)
class Result:
    dataset: str
    task: str
    kind: str
    protocol: str
    model: str
    split: str
    seed: int
    metrics: dict[str, float]
    primary: str
    rows: int
    context: int  # labelled rows the model was shown
    pool: int  # labelled rows it was picked from
    features: int
    seconds: dict[str, float]
    peak_mb: float
    interval: tuple[float, float] | None = None  # 95 %, of the primary figure
    minus: dict[str, tuple[float, float]] = field(default_factory=dict)  # peer -> 95 % of ours minus the peer's


@dataclass(frozen=True)
class Skipped:
    dataset: str
    task: str
    kind: str
    reason: str


def run_dataset(
    dataset: Dataset,
    warehouse: Warehouse,
    model: RelationalModel,
    settings: Settings,
    progress: Callable[[str], None] = lambda stage: None,
    *,
    load: Callable[[Dataset, Warehouse], RelationalSchema] = load,
    choose: Callable[..., Examples] = choose,
) -> list[Result | Skipped]:
    """All tasks of a database, loaded into the (empty) warehouse; what is not executed yet comes back as Skipped.

    `load` and `choose` may stand for the tables and the label table as they are (bench/corruption.py).
    """
    found: list[Result | Skipped] = []
    schema = None
    for task in dataset.tasks:
        if task.kind not in EXECUTED:
            found.append(Skipped(task.dataset, task.name, task.kind, f"kind {task.kind} is not executed yet"))
            continue
        progress(task.title)
        if schema is None:
            schema = load(dataset, warehouse)
        try:
            bound = _bound(task, schema)
        except QueryError as error:
            found.append(Skipped(task.dataset, task.name, task.kind, error.problem.split("\n", 1)[0]))
            continue
        for seed in settings.seeds:
            run = _Run(dataset, task, bound, schema, warehouse, model, settings, seed, choose)
            found.extend(_run_lists(run) if bound.kind == TaskKind.LINK else _run_task(run))
    return found


def _bound(task: SuiteTask, schema: RelationalSchema) -> Task:
    """The task of the query; an attribute with given labels need not be one that a query may ask for."""
    if task.attribute is None:
        return replace(bind(parse(task.query), schema), kind=TaskKind(task.kind))
    columns = ((task.entity_table, task.entity_column), task.attribute)
    entity, target = (BoundColumn(schema.table(t), schema.table(t).column(c)) for t, c in columns)
    timed = entity.table.time_column is not None
    return Task(task.query, TaskKind(task.kind), entity, target, horizon=None, of_events=timed)


@dataclass(frozen=True)
class _Run:
    dataset: Dataset
    task: SuiteTask
    bound: Task
    schema: RelationalSchema
    warehouse: Warehouse
    model: RelationalModel
    settings: Settings
    seed: int
    choose: Callable[..., Examples]


def _run_task(run: _Run) -> list[Result]:
    """Our Result first, then the baselines' and the peers', on the same rows."""
    memory.reset()
    settings = run.settings
    examples = run.choose(run.dataset, run.task, protocol=settings.protocol, split=settings.split)
    started = time.perf_counter()
    snapshot = _collect(run, examples)
    planned = time.perf_counter() - started
    step = run_step(snapshot, run.model, seed=run.seed)
    assert step.query is not None, "choose() returns no split without rows"
    peak = memory.peak_mb()
    labels = _asked_labels(run, snapshot)
    others = _others(run, examples, snapshot)
    predictions = {run.model.name: step.query, **{name: each for name, (each, _) in others.items()}}
    seconds = {run.model.name: step.seconds, **{name: spent for name, (_, spent) in others.items()}}
    results = []
    for name, each in predictions.items():
        figures = score(snapshot.kind, labels, each)
        results.append(
            Result(
                dataset=run.task.dataset,
                task=run.task.name,
                kind=run.task.kind,
                protocol=settings.protocol,
                model=name,
                split=settings.split,
                seed=run.seed,
                metrics=figures,
                primary=PRIMARY[snapshot.kind][0],
                rows=len(labels),
                context=len(split_rows(snapshot, CONTEXT)),
                pool=len(examples.pool),
                features=len(snapshot.features_meta),
                seconds={"plan": 0.0 if name in (CONSTANT, ENTITY_HISTORY) else planned, "model": seconds[name]},
                peak_mb=peak,
            )
        )
    return _with_intervals(results, labels, predictions, settings, run.model.name) if settings.resamples else results


def _run_lists(run: _Run) -> list[Result]:
    """A recommendation: our Result first, then the baselines' and the peers', on the same pairs."""
    memory.reset()
    task, settings = run.task, run.settings
    examples = run.choose(run.dataset, task, protocol=settings.protocol, split=settings.split)
    options = Options(settings.model, context_size=settings.context, seed=run.seed, backtest=False)
    found = compare(
        run.bound,
        run.schema,
        run.warehouse,
        run.model,
        examples,
        options,
        rows=settings.rows,
        with_peers=settings.with_peers,
    )
    peak = memory.peak_mb()
    return [
        Result(
            dataset=task.dataset,
            task=task.name,
            kind=task.kind,
            protocol=settings.protocol,
            model=name,
            split=settings.split,
            seed=run.seed,
            metrics=figures,
            primary=found.primary,
            rows=found.lists,
            context=found.context,
            pool=len(examples.pool),
            features=found.features,
            seconds={"plan": found.planned, "model": found.seconds[name]},
            peak_mb=peak,
        )
        for name, figures in found.figures.items()
    ]


def _asked_labels(run: _Run, snapshot: Snapshot) -> np.ndarray:
    rows = split_rows(snapshot, QUERY)
    if snapshot.kind == TaskKind.MULTICLASS:
        given = snapshot.examples["label"].take(pa.array(rows)).to_pylist()
        unseen = sorted(set(given) - set(snapshot.classes))
        if unseen:
            raise DataError(f"{run.task.title}: no labelled row of the context has the class {', '.join(unseen)}")
    return label_array(snapshot, rows)


def _others(run: _Run, examples: Examples, snapshot: Snapshot) -> dict[str, tuple[Predictions, float]]:
    """Baselines and peers with the seconds each took."""
    kind, classes = snapshot.kind, snapshot.classes
    query_rows = split_rows(snapshot, QUERY)
    asked = snapshot.examples["entity"].take(pa.array(query_rows))
    entities, pool = _pool_labels(examples.pool, kind, classes)
    made: dict[str, Callable[[], Predictions]] = {
        CONSTANT: lambda: peers.constant(pool, len(query_rows), kind, classes),
        ENTITY_HISTORY: lambda: peers.entity_history(entities, pool, asked, kind, classes),
    }
    if run.settings.fine_tune:
        made[f"{run.model.name}, fine-tuned"] = partial(_fine_tuned, run, snapshot)
    if run.settings.with_peers:
        table = feature_table(snapshot).without(KEYS)
        context_rows = split_rows(snapshot, CONTEXT)
        context, query = table.take(context_rows), table.take(query_rows)
        labels = label_array(snapshot, context_rows)
        for name, learner in peers.LEARNERS.items():
            made[name] = partial(learner, context, labels, query, kind, classes, run.seed)
    return {name: _timed(make) for name, make in made.items()}


def _fine_tuned(run: _Run, snapshot: Snapshot) -> Predictions:
    """The same model adapted to the context. The clock counts the thread's own time, as others may use the machine."""
    from dbt_rfm.model.families.rfm.adapt import adapt
    from dbt_rfm.model.families.rfm.in_context import InContextModel
    from dbt_rfm.model.keeping import Keeping

    assert isinstance(run.model, InContextModel), "the command checks that the model can be fine-tuned"
    with TemporaryDirectory() as folder:
        minutes = run.settings.fine_tune
        given = (run.model, snapshot, Keeping(folder))
        model, note = adapt(*given, minutes=minutes, seed=run.seed, clock=time.thread_time)
    log.info("%s: %s", run.task.title, note)
    found = run_step(snapshot, model, seed=run.seed).query
    assert found is not None, "choose() returns no split without rows"
    return found


def _collect(run: _Run, examples: Examples) -> Snapshot:
    late = Delay(Window(0, run.task.delay_days)) if run.task.attribute else None
    settings = run.settings
    options = Options(
        settings.model, context_size=settings.context, seed=run.seed, backtest=False, neighbors=settings.neighbors
    )
    return collect_labelled(
        run.bound,
        run.schema,
        run.warehouse,
        options,
        labels=examples.labels,
        late=late,
        cut=examples.cut,
        query_rows=settings.rows,
        with_rows=run.model.reads_rows,
    )


def _pool_labels(pool: pa.Table, kind: TaskKind, classes: tuple[str, ...]) -> tuple[pa.ChunkedArray, np.ndarray]:
    """Entities and labels of the pool, labels as `label_array` gives them; classes the context lacks are left out."""
    if kind != TaskKind.MULTICLASS:
        return pool["entity"], pool["label"].cast(pa.float64()).to_numpy()
    places = pc.index_in(pool["label"].cast(pa.string()), value_set=pa.array(classes))
    seen = pc.is_valid(places)
    return pool["entity"].filter(seen), places.filter(seen).to_numpy()


def _timed(make: Callable[[], Predictions]) -> tuple[Predictions, float]:
    started = time.perf_counter()
    return make(), time.perf_counter() - started


def _with_intervals(
    results: list[Result], labels: np.ndarray, predictions: dict[str, Predictions], settings: Settings, ours: str
) -> list[Result]:
    kind, primary = TaskKind(results[0].kind), results[0].primary
    own, differences = intervals(
        lambda some, each: score(kind, some, each)[primary],
        labels,
        predictions,
        ours=ours,
        resamples=settings.resamples,
    )
    return [replace(r, interval=own[r.model], minus=differences if r.model == ours else {}) for r in results]
