"""The message bus: jobs as rows of `rfm_jobs` in the warehouse, seen from the worker. dbt's macros insert them.

In: a Warehouse and a schema. Out: claims, and what became of each job. A job goes from queued to running, then to done
or failed; it may be cancelled while it is open. A worker that claims one writes a token of its own into it and holds it
while that token is there and the job is running. Every later change is conditional on that, so a worker that was too
slow, superseded or cancelled changes nothing.

Every time is the warehouse's current_timestamp: the clocks of the machines do not matter. Who won an UPDATE is read
back from the row, because drivers do not all count changed rows alike.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from dbt_rfm import __version__
from dbt_rfm.job import JobTarget
from dbt_rfm.plan import sql
from dbt_rfm.warehouse.base import Warehouse
from dbt_rfm.warehouse.relations import exists, matching, named, update
from dbt_rfm.worker.leases import DONE, QUEUED, RUNNING, either, lapsed, now, seconds_from_now, token, went_through

JOBS = "rfm_jobs"
FAILED, CANCELLED = "failed", "cancelled"

#: The same as in macros/bus/jobs.sql; a test compares them.
COLUMNS = {
    "job_id": "text",
    "node_id": "text",
    "target": "text",
    "spec": "text",
    "package_version": "text",
    "status": "text",
    "attempt": "int",
    "worker": "text",
    "lease_until": "timestamptz",
    "heartbeat_at": "timestamptz",
    "polled_at": "timestamptz",
    "progress": "text",
    "message": "text",
    "result": "text",
    "created_at": "timestamptz",
    "updated_at": "timestamptz",
}


class JobLost(Exception):
    """The job is not ours any more: whatever was done for it must not be written."""


@dataclass(frozen=True)
class Terms:
    """How long things may take, in seconds of the warehouse's clock."""

    lease: int = 120  # without a heartbeat, until another worker may take the job
    attempts: int = 3
    unpolled: int = 300  # without dbt asking, until the job is cancelled


@dataclass(frozen=True)
class Claim:
    """A job that a worker holds."""

    job_id: str
    node_id: str
    token: str
    spec: str
    attempt: int


class Bus:
    """The jobs of one schema, for workers of this version of the package."""

    def __init__(
        self, warehouse: Warehouse, home: JobTarget, terms: Terms = Terms(), version: str = __version__
    ) -> None:
        """`home` names database and schema; its identifier does not matter."""
        self._warehouse, self._jobs, self._terms, self._version = warehouse, home.named(JOBS), terms, version

    def is_there(self) -> bool:
        """Whether any job was ever asked for in this schema."""
        return exists(self._warehouse, self._jobs)

    def any_open(self) -> bool:
        """Whether a look at the jobs is worth it. The question has no time in it: while no job changes, Snowflake
        answers it from its cache of results, and no virtual warehouse has to run."""
        return bool(self.open_jobs())

    def open_jobs(self) -> list[str]:
        return self._ids(_open())

    def running(self, job_id: str) -> Claim | None:
        """The claim that another worker has on a job of our version: to read, and to see whether it still stands."""
        row = self._row(job_id, "node_id", "worker", "spec", "attempt", "status", "package_version")
        if row is None or (row["status"], row["package_version"]) != (RUNNING, self._version):
            return None
        return Claim(job_id, row["node_id"] or "", row["worker"], row["spec"], row["attempt"])

    def waiting(self) -> list[str]:
        """Jobs that may be claimed, oldest first."""
        return self._ids(sql.every([self._ours_to_take(), matching(package_version=self._version)]))

    def claim(self, job_id: str) -> Claim | None:
        """The job, if nobody else was quicker."""
        ours = token()
        where = sql.every([matching(job_id=job_id, package_version=self._version), self._ours_to_take()])
        attempt = exp.Add(this=sql.column("attempt"), expression=exp.Literal.number(1))
        values = {"worker": ours, "status": RUNNING, "attempt": attempt, "progress": None, "message": None}
        taking = {**values, **self._renewed()}
        if not went_through(lambda: self._update(taking, where), lambda: bool(self._ids(where))):
            return None
        row = self._row(job_id, "worker", "status", "node_id", "spec", "attempt")
        if row is None or (row["worker"], row["status"]) != (ours, RUNNING):
            return None
        return Claim(job_id, row["node_id"] or "", ours, row["spec"], row["attempt"])

    def renew(self, claim: Claim, progress: Mapping[str, Any]) -> None:
        """A heartbeat: a new lease, and how far the work is. Raises JobLost."""
        text = json.dumps(progress, default=str)
        self._update({"progress": text, **self._renewed()}, self._held(claim))
        self.require(claim)

    def require(self, claim: Claim) -> None:
        """Raises JobLost, with the reason, unless the job is still held."""
        row = self._row(claim.job_id, "worker", "status", "message")
        if row is None:
            raise JobLost("the job was deleted")
        if row["status"] in (CANCELLED, FAILED):
            raise JobLost(f"the job is {row['status']}: {row['message'] or 'no reason given'}")
        if (row["worker"], row["status"]) != (claim.token, RUNNING):
            raise JobLost("another worker has taken the job over")

    def finish(self, claim: Claim, result: Mapping[str, Any]) -> None:
        """Done, with what dbt has to know. Inside a transaction JobLost undoes what goes before."""
        text = json.dumps(result, default=str)
        self._update({"status": DONE, "result": text, "updated_at": now()}, self._held(claim))
        row = self._row(claim.job_id, "worker", "status")
        if row is None or (row["worker"], row["status"]) != (claim.token, DONE):
            self.require(claim)
            raise JobLost("another worker has finished the job")

    def fail(self, claim: Claim, message: str) -> None:
        """Failed, with the message that dbt shows; nothing if the job is not held any more."""
        self._update({"status": FAILED, "message": message, "updated_at": now()}, self._held(claim))

    def give_back(self, claim: Claim, reason: str) -> None:
        """Queued again, for any worker; the attempt does not count."""
        attempt = exp.Sub(this=sql.column("attempt"), expression=exp.Literal.number(1))
        free = {"worker": None, "lease_until": None, "progress": None, "message": reason}
        self._update({"status": QUEUED, "attempt": attempt, "updated_at": now(), **free}, self._held(claim))

    def clean(self) -> None:
        """End the jobs that nobody works on or waits for any more."""
        stopped = f"dbt has not asked for {self._terms.unpolled} seconds, so it was cancelled"
        asked = exp.LT(this=sql.column("polled_at"), expression=seconds_from_now(-self._terms.unpolled))
        self._end(CANCELLED, stopped, sql.every([_open(), asked]))
        tired = exp.GTE(this=sql.column("attempt"), expression=exp.Literal.number(self._terms.attempts))
        gone = (
            f"{self._terms.attempts} workers began this job and none came to an end: each was killed or lost its "
            "connection, often for want of memory.\n  Their logs say more; `dbt build` tries again."
        )
        self._end(FAILED, gone, sql.every([lapsed(), tired]))

    def leave_to_others(self) -> list[str]:
        """Say in the jobs of other versions that this worker cannot take them; which ones were told."""
        other = exp.NEQ(this=sql.column("package_version"), expression=exp.convert(self._version))
        untold = exp.Is(this=sql.column("message"), expression=exp.Null())
        where = sql.every([matching(status=QUEUED), other, untold])
        told = self._ids(where)
        if told:
            told_so = f"a worker of version {self._version} is here and cannot take jobs of another version"
            self._update({"message": told_so}, where)
        return told

    def _end(self, status: str, message: str, where: exp.Expression) -> None:
        if self._ids(where):
            self._update({"status": status, "message": message, "updated_at": now()}, where)

    def _ours_to_take(self) -> exp.Expression:
        few = exp.LT(this=sql.column("attempt"), expression=exp.Literal.number(self._terms.attempts))
        return either(matching(status=QUEUED), sql.every([lapsed(), few]))

    def _renewed(self) -> dict[str, Any]:
        until = seconds_from_now(self._terms.lease)
        return {"lease_until": until, "heartbeat_at": now(), "updated_at": now()}

    def _held(self, claim: Claim) -> exp.Expression:
        return matching(job_id=claim.job_id, worker=claim.token, status=RUNNING)

    def _update(self, values: Mapping[str, Any], where: exp.Expression) -> None:
        update(self._warehouse, self._jobs, values, where)

    def _ids(self, where: exp.Expression) -> list[str]:
        found = sql.select(sql.column("job_id")).from_(named(self._jobs)).where(where.copy())
        return (
            self._warehouse.query(found.order_by(sql.column("created_at"), sql.column("job_id"))).column(0).to_pylist()
        )

    def _row(self, job_id: str, *columns: str) -> dict[str, Any] | None:
        select = sql.select(*sql.columns(columns)).from_(named(self._jobs)).where(matching(job_id=job_id))
        rows = self._warehouse.query(select).rename_columns(list(columns)).to_pylist()
        return rows[0] if rows else None


def _open() -> exp.Expression:
    return either(matching(status=QUEUED), matching(status=RUNNING))
