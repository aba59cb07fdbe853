"""A job on one state of its tables, whatever others commit while its plan runs.

In: a job, its warehouse, the stack on which the state is held. Out: the job with the names under which its tables and
labels are read until the stack is closed: their own, or those of copies where the warehouse has to make some.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

from dbt_rfm.job import Job
from dbt_rfm.warehouse.base import Warehouse


def as_of_now(job: Job, warehouse: Warehouse, state: ExitStack) -> Job:
    relations = [*(table.relation for table in job.tables), *([job.labels] if job.labels else [])]
    names = state.enter_context(warehouse.one_state(relations))
    tables = tuple(replace(table, relation=names[table.relation]) for table in job.tables)
    return replace(job, tables=tables, labels=names[job.labels] if job.labels else None)
