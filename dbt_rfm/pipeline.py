"""Job in, answer or published version out: the only module that knows all the rooms.

`answer` reads (any number of times, nothing is written to the warehouse but session tables); `publish` answers and
makes the result the next version. Whatever fails, fails before the publishing transaction, so that the last good
version stays served.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace

import pyarrow as pa
from sqlglot import exp

from dbt_rfm import trained, versions
from dbt_rfm.answered import Answer, bundles_of, headline, is_held, keep_bundle, release_of
from dbt_rfm.asked_rows import as_asked, with_key_columns
from dbt_rfm.auto import FALLBACK, choose
from dbt_rfm.collect import collect
from dbt_rfm.empty_rows import empty_rows
from dbt_rfm.errors import ProjectError
from dbt_rfm.evaluate import backtest
from dbt_rfm.job import Job
from dbt_rfm.model import load_model, quick_options, reads_rows
from dbt_rfm.model.interface import Progress, RelationalModel
from dbt_rfm.model.shelf import Shelf
from dbt_rfm.model.step import learn, prediction_rows, run_step
from dbt_rfm.one_state import as_of_now
from dbt_rfm.options import AUTO, Options
from dbt_rfm.pql.ast import Scalar
from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.keys import schema_for
from dbt_rfm.pql.parser import parse
from dbt_rfm.pql.task import Task
from dbt_rfm.prediction_anchor import named_anchor
from dbt_rfm.registry import SERVING
from dbt_rfm.run_memory import graph_key, once, run_of
from dbt_rfm.schema.fingerprint import fingerprint
from dbt_rfm.schema.from_job import label_table, schema_from_job
from dbt_rfm.schema.types import RelationalSchema
from dbt_rfm.schema.validate import validate
from dbt_rfm.schema_change import since_last_version
from dbt_rfm.scoring import answer_shards
from dbt_rfm.shards import Alone, Board, RunTables, number_of
from dbt_rfm.snapshot import CONTEXT, Snapshot, bundle_sha
from dbt_rfm.versions import Serving
from dbt_rfm.warehouse.base import Warehouse

QUICK_CONTEXT = 1000  # labelled examples behind a quick answer


@dataclass(frozen=True)
class Outcome:
    status: str  # published | ready | held | empty
    message: str  # one line, then one line per note
    version: int | None = None


Settle = Callable[[Outcome], None]


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
    by_rows = not auto and reads_rows(options.model)
    tables, board = None if by_rows else tables, board or Alone()
    snapshot = _planned(job, known, warehouse, with_rows or auto or by_rows, tables, board, brief=quick)
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
    return Answer(
        task=task,
        schema=schema,
        options=options,
        snapshot=snapshot,
        predictions=as_asked(prediction_rows(snapshot, step.query), task, schema, warehouse),
        backtest=backtest(snapshot, step.backtest),
        seconds={"plan": planned, "model": step.seconds + more},
        provenance=step.provenance,
        notes=(*schema.notes, *snapshot.notes, *step.provenance.notes, *chosen, *told),
        stored=stored,
    )


def _quicker(options: Options) -> Options:
    """Fewer examples, and no trying of every model, which takes minutes."""
    named = FALLBACK if options.model == AUTO else options.model
    return replace(options, model=named, context_size=min(options.context_size, QUICK_CONTEXT))


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
            tables.ready(snapshot, prediction_rows(snapshot, None))
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


def publish(
    job: Job,
    warehouse: Warehouse,
    *,
    replace_served: bool = True,
    settle: Settle = lambda outcome: None,
    progress: Progress = lambda stage: None,
    board: Board | None = None,
) -> Outcome:
    """Answer the job and make the result the next version of its target.

    Without `replace_served` the served table is left to dbt, which makes it from the history: the version is `ready`
    until then. `settle` is told the outcome as the last thing in the publishing transaction, and undoes it by raising,
    for instance where a worker has lost its job; `progress` may raise as well. With a `board` the shards of a large
    answer are in tables of the rfm schema, where other workers answer them too (`help_with`) and another one may go on.
    """
    serving = Serving.HERE if replace_served else Serving.READY
    return _publish(job, warehouse, serving, settle=settle, progress=progress, board=board)


def help_with(job: Job, warehouse: Warehouse, board: Board, *, progress: Progress = lambda stage: None) -> bool:
    """Answer free shards of a job that another worker has planned; False where it has no plan yet."""
    tables = RunTables(warehouse, run=board.run, home=job.home)
    snapshot = tables.planned()
    if snapshot is None:
        return False
    known = understand(job, warehouse)
    if known.options.fine_tune or known.options.model == AUTO:
        return False  # the weights are where they were trained, and so is what was chosen
    model = load_model(known.options.model, known.options.device, known.options.for_model())
    learnt = learn(snapshot, model, CONTEXT, seed=known.options.seed)
    answer_shards(tables, snapshot, learnt, known.task, board, progress=progress, wait=False)
    return True


def predict_table(job: Job, warehouse: Warehouse) -> tuple[pa.Table, Outcome]:
    """For dbt Python models: publish all but the served table, which dbt itself materializes from these rows."""
    outcome = _publish(job, warehouse, Serving.CALLER)
    assert job.home is not None
    rows = versions.served_rows(warehouse, job.home)
    if rows is None:
        raise ProjectError(
            f"the first version of {job.home.identifier} was held back, so there is nothing to serve",
            where=job.unique_id,
            hint="Set on_worse to 'warn' to publish it all the same.",
        )
    return rows, outcome


def _publish(
    job: Job,
    warehouse: Warehouse,
    serving: Serving,
    *,
    settle: Settle = lambda outcome: None,
    progress: Progress = lambda stage: None,
    board: Board | None = None,
) -> Outcome:
    if job.target is None:
        raise ProjectError("the job names no table to publish", where=job.unique_id)
    if job.empty:
        return _publish_empty(job, warehouse, serving, settle)
    progress("reading the schema")
    with ExitStack() as state:
        # Only the plan needs it: what comes after may take long, and must not hold a transaction.
        seen = as_of_now(job, warehouse, state)
        return _publish_seen(seen, warehouse, serving, settle, progress, board, planned_now=state.close)


def _publish_seen(
    job: Job,
    warehouse: Warehouse,
    serving: Serving,
    settle: Settle,
    progress: Progress,
    board: Board | None,
    *,
    planned_now: Callable[[], object],
) -> Outcome:
    assert job.target is not None
    understood = understand(job, warehouse)
    findings = _check_rows(job, understood, warehouse)
    run = board.run if board is not None else None
    with RunTables(warehouse, run=run, home=job.home if run else None) as tables:
        result = answer(
            job,
            warehouse,
            with_rows=True,
            understood=understood,
            progress=progress,
            tables=tables,
            board=board,
            planned_now=planned_now,
        )
        held = is_held(result)
        fresh = fingerprint(result.schema)
        changed = since_last_version(result.snapshot, fresh, warehouse, job.home or job.target, bundles_of(job))
        folder = keep_bundle(job, result)
        release = release_of(job, result, bundle_sha(folder) if folder else "")
        done: list[Outcome] = []

        def settled(number: int, status: str) -> None:
            message = "\n".join([headline(job, result, number, status), *changed, *findings, *result.notes])
            done.append(Outcome("published" if status == SERVING else status, message, number))
            settle(done[0])

        progress("publishing")
        versions.publish(
            warehouse,
            job.target,
            result.predictions if result.stored is None else result.stored,
            release,
            hold=held,
            contract=job.contract,
            serving=serving,
            home=job.home,
            settle=settled,
        )
    trained.prune(job, result.options, warehouse)
    return done[0]


def _publish_empty(job: Job, warehouse: Warehouse, serving: Serving, settle: Settle) -> Outcome:
    """`dbt --empty`: the table with its columns and no rows; no model runs and no version is made."""
    assert job.target is not None and job.home is not None
    known = understand(job, warehouse)
    rows = as_asked(empty_rows(known.task, warehouse), known.task, known.schema, warehouse)
    as_table = job.home.named(f"{job.target.identifier}__empty") if serving is Serving.READY else None
    outcome = Outcome("empty", "built without rows (--empty): no prediction, no version")
    with warehouse.transaction() if warehouse.transactional_ddl else nullcontext():
        versions.serve_empty(warehouse, job.target, rows, job.contract, as_table=as_table)
        settle(outcome)
    return outcome


def _check_rows(job: Job, understood: Understood, warehouse: Warehouse) -> list[str]:
    """Findings of the schema's validation as lines; raises the first that makes answers wrong."""
    schema, entity = understood.schema, understood.task.entity.table.name
    key = ("findings", fingerprint(schema), graph_key(job), entity)
    findings = once(run_of(job), key, lambda: validate(schema, warehouse, entity=entity))
    for finding in findings:
        finding.raise_if_error()
    return [str(finding) for finding in findings]
