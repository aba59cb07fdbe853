"""Where the dbt materialization enters: a job and dbt's own DuckDB cursor.

dbt-duckdb turns any exception of a Python statement into a page of traceback. So nothing is raised for the user's
errors: the outcome is left in a session table that the materialization reads and turns into one message. What we did
not foresee is written in full to <target>/rfm/errors.log, and the message says so.
"""

from __future__ import annotations

import threading
import traceback
from pathlib import Path
from typing import Any

from sqlglot import exp

from dbt_rfm.errors import RfmError
from dbt_rfm.job import Job
from dbt_rfm.warehouse.duckdb import DuckDB

OUTCOME_TABLE = "dbt_rfm_outcome"
FAILED = "failed"

_making = threading.Lock()


def run_job(job_json: str, con: Any) -> None:
    """Publish the job on the cursor's database and leave `dbt_rfm_outcome(status, message)` for the macro."""
    warehouse = DuckDB(con)
    status, message = _run(job_json, warehouse)
    row = exp.select(exp.convert(status).as_("status"), exp.convert(message).as_("message"))
    warehouse.create_temporary(OUTCOME_TABLE, row)


def _run(job_json: str, warehouse: DuckDB) -> tuple[str, str]:
    job = None
    try:
        job = Job.from_json(job_json)
        from dbt_rfm.publish import publish  # loads torch

        make_rfm_schema(job, warehouse)
        outcome = publish(job, warehouse)
        return outcome.status, outcome.message
    except RfmError as error:
        return FAILED, str(error)
    except Exception as error:  # the one place where an unforeseen error becomes a message
        return FAILED, _unforeseen(error, job)


def make_rfm_schema(job: Job, warehouse: DuckDB) -> None:
    """Where registry and histories go. DuckDB lets two threads of dbt collide that make one schema."""
    target, home = job.target, job.home
    if target is None or home is None or home.schema == target.schema:
        return
    schema = exp.table_(home.schema, db=home.database or None, quoted=True)
    with _making:
        warehouse.execute(exp.Create(this=schema, kind="SCHEMA", exists=True))


def _unforeseen(error: Exception, job: Job | None) -> str:
    log = Path(job.target_path if job else "target") / "rfm" / "errors.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        file.write(f"{job.unique_id if job else '?'}\n{traceback.format_exc()}\n")
    return f"unexpected {type(error).__name__} inside dbt-rfm; the details are in {log}. Please report it."
