"""Job in, answer out: the module that knows all the rooms but the one that keeps versions.

Answering reads, any number of times: nothing is written to the warehouse but session tables and, of a large answer, the
tables of its run. `publish.py` makes an answer the next version.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sqlglot import exp

from dbt_rfm.answer import trained
from dbt_rfm.answer.answered import Answer
from dbt_rfm.answer.asked_rows import as_asked, with_key_columns
from dbt_rfm.answer.auto import FALLBACK, choose
from dbt_rfm.answer.reasons_column import with_reasons
from dbt_rfm.answer.run_memory import graph_key, once, run_of
from dbt_rfm.answer.scoring import answer_shards
from dbt_rfm.collect.prediction_anchor import named_anchor
from dbt_rfm.collect.snapshots import collect
from dbt_rfm.evaluate.backtest import backtest
from dbt_rfm.job import Job
from dbt_rfm.model import load_model, quick_options
from dbt_rfm.model.interface import Progress, RelationalModel
from dbt_rfm.model.prediction_rows import prediction_rows
from dbt_rfm.model.shelf import Shelf
from dbt_rfm.model.step import learn, run_step
from dbt_rfm.options import AUTO, Options
from dbt_rfm.pql.ast import Scalar
from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.keys import schema_for
from dbt_rfm.pql.parser import parse
from dbt_rfm.pql.task import Task
from dbt_rfm.schema.from_job import label_table, schema_from_job
from dbt_rfm.schema.types import RelationalSchema
from dbt_rfm.shards.parts import number_of
from dbt_rfm.shards.run_tables import Alone, Board, RunTables
from dbt_rfm.snapshot import CONTEXT, Snapshot
from dbt_rfm.warehouse.base import Warehouse

QUICK_CONTEXT = 1000  # labelled examples behind a quick answer


@dataclass(frozen=True)
class Understood:
    """A job's query bound to its schema."""

    task: Task
    schema: RelationalSchema
    options: Options


def understand(job: Job, warehouse: Warehouse, *, at: str | None = None) -> Understood:
    """Reads table definitions and small profiles only. `at` overrides the anchor of the options.

    The profile, which decides what nobody declared, sees no row after an anchor that is named.
    """
    options = Options.read(job.options, where=job.unique_id)
    if at is not None:
        options = replace(options, anchor=at)
    query = parse(job.query)
    moment = named_anchor(options)
    read = once(run_of(job), ("schema", graph_key(job), moment), lambda: schema_from_job(job, warehouse, as_of=moment))
    schema = schema_for(query, read, warehouse.dialect)
    labels = label_table(job.labels, warehouse) if job.labels else None
    task = bind(query, schema, labels=labels, delay_given=bool(options.label_delay))
    return Understood(task, schema, options)


def answer(
    job: Job,
    warehouse: Warehouse,
    *,
    entity_ids: Sequence[Scalar] = (),
    at: str | None = None,
    with_rows: bool = False,
    understood: Understood | None = None,
    quick: bool = False,
    progress: Progress = lambda stage: None,
    tables: RunTables | None = None,
    board: Board | None = None,
    planned_now: Callable[[], object] = lambda: None,
) -> Answer:
    """Answer the job's query. `entity_ids` and `at` override what the query and the options say; `understood` is
    what `understand` gave, where the caller has it already. A `quick` answer reads at most QUICK_CONTEXT examples, by
    network and line alone: for a question about a few entities. `tables`: where a large answer may be kept, to be
    written shard by shard; `board`: who else answers shards of it. `planned_now` is called once the plan has run.

    Raises an RfmError for whatever the user can mend.
    """
    started = time.perf_counter()
    progress("reading the schema")
    known = understood or understand(job, warehouse, at=at)
    known = replace(
        known,
        task=replace(known.task, entity_ids=tuple(entity_ids)) if entity_ids else known.task,
        options=_quicker(known.options) if quick else known.options,
    )
    task, schema, options = known.task, known.schema, known.options
    progress("collecting examples and features")
    auto = options.model == AUTO
    board = board or Alone()
    snapshot = _planned(job, known, warehouse, with_rows or options.read_rows, tables, board, brief=quick)
    planned_now()
    planned = time.perf_counter() - started
    chosen: tuple[str, ...] = ()
    if auto:
        options, chosen = choose(snapshot, options, progress=progress)
        snapshot = replace(snapshot, options=options.recorded())
    progress("predicting")
    model, shelf, told = _model_of(job, snapshot, options, quick, progress)
    sharded = tables is not None and bool(snapshot.shards)
    step = run_step(snapshot, model, seed=options.seed, ask=not sharded, shelf=shelf)
    stored, more = None, 0.0
    if tables is not None and step.learnt is not None and sharded:
        more = answer_shards(tables, snapshot, step.learnt, task, board, progress=progress)
        stored = _stored(tables, task, schema)
    rows = prediction_rows(snapshot, step.query)
    rows = with_reasons(rows, snapshot, step.query, step.learnt, snapshot, progress=progress)
    return Answer(
        task=task,
        schema=schema,
        options=options,
        snapshot=snapshot,
        predictions=as_asked(rows, task, schema, warehouse),
        backtest=backtest(snapshot, step.backtest),
        seconds={"plan": planned, "model": step.seconds + more},
        provenance=step.provenance,
        notes=(*schema.notes, *snapshot.notes, *step.provenance.notes, *chosen, *told),
        stored=stored,
        learnt=step.learnt,
    )


def help_with(job: Job, warehouse: Warehouse, board: Board, *, progress: Progress = lambda stage: None) -> bool:
    """Answer free shards of a job that another worker has planned; False where it has no plan yet."""
    tables = RunTables(warehouse, run=board.run, home=job.home)
    snapshot = tables.planned()
    if snapshot is None:
        return False
    known = understand(job, warehouse)
    if known.options.trained:
        return False  # the weights are where they were trained, and so is what was chosen
    model = load_model(known.options.model, known.options.device, known.options.for_model())
    learnt = learn(snapshot, model, CONTEXT, seed=known.options.seed)
    answer_shards(tables, snapshot, learnt, known.task, board, progress=progress, wait=False)
    return True


def _quicker(options: Options) -> Options:
    """Fewer examples, and no trying of every model, which takes minutes."""
    named = FALLBACK if options.model == AUTO else options.model
    return replace(options, model=named, context_size=min(options.context, QUICK_CONTEXT))


def _planned(
    job: Job,
    known: Understood,
    warehouse: Warehouse,
    with_rows: bool,
    tables: RunTables | None,
    board: Board,
    *,
    brief: bool,
) -> Snapshot:
    """What a worker has planned before, or the plan run; the shards of a large answer are opened for all takers."""
    snapshot = tables.planned() if tables is not None else None
    if snapshot is None:
        run = run_of(job)
        snapshot = collect(
            known.task,
            known.schema,
            warehouse,
            known.options,
            labels=job.labels,
            with_rows=with_rows,
            kept=run.features if run is not None else None,
            tables=tables,
            brief=brief,
        )
        if tables is not None and snapshot.shards:
            board.open(number_of(snapshot))
            tables.ready(snapshot, with_reasons(prediction_rows(snapshot, None), snapshot, None, None, snapshot))
    return replace(snapshot, prediction=trained.name_of(job))


def _model_of(
    job: Job, snapshot: Snapshot, options: Options, quick: bool, progress: Progress
) -> tuple[RelationalModel, Shelf | None, tuple[str, ...]]:
    """The model, adapted where that is asked for; where what it learns is kept; and what there is to say of both."""
    asked = options.for_model() | (quick_options(options.model) if quick else {})
    model = load_model(options.model, options.device, asked)
    if quick:
        return model, None, ()
    root, fresh = trained.root_of(job, options), job.full_refresh
    model, told = trained.adapted(model, snapshot, options, root, fresh=fresh, progress=progress)
    return model, trained.shelf(model, options, root, fresh=fresh, progress=progress), told


def _stored(tables: RunTables, task: Task, schema: RelationalSchema) -> exp.Table:
    """The table that holds the predictions of every shard in the form that the query asks for."""
    keyed = with_key_columns(tables.table("predictions"), task, schema, tables.warehouse)
    if keyed is None:
        return tables.table("predictions")
    tables.create("keyed", keyed)
    return tables.table("keyed")
