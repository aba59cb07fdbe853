"""Job in, published version out: answers the job and makes the result the next version of its target.

Whatever fails, fails before the publishing transaction or undoes it, so that the last good version stays served.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass

import pyarrow as pa

from dbt_rfm.answer import trained
from dbt_rfm.answer.answered import bundles_of, headline, is_held, keep_bundle, release_of
from dbt_rfm.answer.asked_rows import as_asked
from dbt_rfm.answer.empty_rows import empty_rows
from dbt_rfm.answer.one_state import as_of_now
from dbt_rfm.answer.run_memory import graph_key, once, run_of
from dbt_rfm.errors import ProjectError
from dbt_rfm.job import Job
from dbt_rfm.model.interface import Progress
from dbt_rfm.model.reasons import has_reasons
from dbt_rfm.pipeline import Understood, answer, understand
from dbt_rfm.schema.fingerprint import fingerprint
from dbt_rfm.schema.validate import validate
from dbt_rfm.shards.run_tables import Board, RunTables
from dbt_rfm.snapshot import bundle_sha
from dbt_rfm.versions import history
from dbt_rfm.versions.history import Serving
from dbt_rfm.versions.registry import SERVING
from dbt_rfm.versions.schema_change import since_last_version
from dbt_rfm.warehouse.base import Warehouse


@dataclass(frozen=True)
class Outcome:
    status: str  # published | ready | held | empty
    message: str  # one line, then one line per note
    version: int | None = None


Settle = Callable[[Outcome], None]


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


def predict_table(job: Job, warehouse: Warehouse) -> tuple[pa.Table, Outcome]:
    """For dbt Python models: publish all but the served table, which dbt itself materializes from these rows."""
    assert job.home is not None
    if job.empty:
        return history.without_rows(warehouse, _empty(job, warehouse)), _built_empty(job)
    outcome = _publish(job, warehouse, Serving.CALLER)
    rows = history.served_rows(warehouse, job.home)
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
        kind = understood.task.kind
        idle = understood.options.without_effect(label_table=job.labels is not None, has_reasons=has_reasons(kind))
        done: list[Outcome] = []

        def settled(number: int, status: str) -> None:
            message = "\n".join([headline(job, result, number, status), *idle, *changed, *findings, *result.notes])
            done.append(Outcome("published" if status == SERVING else status, message, number))
            settle(done[0])

        progress("publishing")
        history.publish(
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
    rows, outcome = _empty(job, warehouse), _built_empty(job)
    as_table = job.home.named(f"{job.target.identifier}__empty") if serving is Serving.READY else None
    with warehouse.transaction() if warehouse.transactional_ddl else nullcontext():
        history.serve_empty(warehouse, job.target, rows, job.contract, as_table=as_table)
        settle(outcome)
    return outcome


def _empty(job: Job, warehouse: Warehouse) -> pa.Table:
    known = understand(job, warehouse)
    return as_asked(empty_rows(known.task, warehouse, known.options), known.task, known.schema, warehouse)


def _built_empty(job: Job) -> Outcome:
    assert job.target is not None
    return Outcome("empty", f"{job.target.identifier} built without rows (--empty): no prediction, no version")


def _check_rows(job: Job, understood: Understood, warehouse: Warehouse) -> list[str]:
    """Findings of the schema's validation as lines; raises the first that makes answers wrong."""
    schema, entity = understood.schema, understood.task.entity.table.name
    key = ("findings", fingerprint(schema), graph_key(job), entity)
    findings = once(run_of(job), key, lambda: validate(schema, warehouse, entity=entity))
    for finding in findings:
        finding.raise_if_error()
    return [str(finding) for finding in findings]
