"""The shards of a job as rows of `rfm_shards`, so that several workers answer one job.

In: a warehouse and the id of a job. Out: a `shards.Board`. A shard goes from queued to running to done. Who claims one
puts a token of its own into it and holds it until `lease_until`, by the warehouse's clock, which heartbeats put off;
after that anybody may take it. `done` is part of the transaction that writes the shard's predictions, so that each
shard is written once: a worker that was too slow finds another's token there, and its rows are undone.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection
from typing import Any

from sqlglot import exp

from dbt_rfm.job import JobTarget
from dbt_rfm.plan import sql
from dbt_rfm.warehouse.base import Warehouse
from dbt_rfm.warehouse.relations import ensure, exists, matching, named, update
from dbt_rfm.worker.bus import JobLost, Terms
from dbt_rfm.worker.leases import DONE, QUEUED, RUNNING, either, lapsed, now, seconds_from_now, token, went_through

SHARDS = "rfm_shards"
COLUMNS = {
    "job_id": "text",
    "shard": "int",
    "status": "text",
    "worker": "text",
    "lease_until": "timestamptz",
    "updated_at": "timestamptz",
}
_AMONG = 8  # of the free shards a worker draws one, so that two seldom want the same


class ShardBoard:
    """One worker's view of the shards of one job."""

    def __init__(
        self,
        warehouse: Warehouse,
        home: JobTarget,
        job_id: str,
        *,
        worker: str | None = None,
        lease: int = Terms().lease,
        pause: float = 2.0,
    ) -> None:
        """`home` names database and schema; its identifier does not matter. `worker`: whose shards `done`, `renew` and
        `give_back` speak of; None: a new one. `lease` and `pause` in seconds."""
        self._warehouse, self._all, self._job = warehouse, home.named(SHARDS), job_id
        self._lease, self._pause = lease, pause
        self.token = worker or token()
        self.run = run_of(job_id)

    def open(self, count: int) -> None:
        ensure(self._warehouse, self._all, COLUMNS)
        rows = [
            exp.Tuple(expressions=[exp.convert(self._job), exp.Literal.number(shard), exp.convert(QUEUED), now()])
            for shard in range(count)
        ]
        into = exp.Schema(this=named(self._all), expressions=[sql.name(n) for n in _OPENED])
        with self._warehouse.transaction():
            self.clear()
            self._warehouse.execute(exp.Insert(this=into, expression=exp.Values(expressions=rows)))

    def claim(self) -> int | None:
        free = self._shards(_free())[:_AMONG]
        draw = int(self.token[-8:], 16)
        for place in range(len(free)):
            shard = free[(draw + place) % len(free)]
            if self._takes(shard):
                return shard
        return None

    def _takes(self, shard: int) -> bool:
        until = seconds_from_now(self._lease)
        where = sql.every([matching(shard=shard), _free()])
        taking = {"status": RUNNING, "worker": self.token, "lease_until": until}
        if not went_through(lambda: self._update(taking, where), lambda: shard in self._shards(_free())):
            return False
        return shard in self._shards(matching(worker=self.token, status=RUNNING))

    def done(self, shard: int) -> None:
        """Raises JobLost if another worker has it."""
        self._update({"status": DONE}, matching(shard=shard, worker=self.token, status=RUNNING))
        if shard not in self._shards(matching(worker=self.token, status=DONE)):
            raise JobLost(f"shard {shard} was given to another worker")

    def renew(self) -> None:
        """A heartbeat: a new lease of what is held."""
        until = {"lease_until": seconds_from_now(self._lease)}
        self._update(until, matching(worker=self.token, status=RUNNING))

    def give_back(self) -> None:
        """Free again, for any worker."""
        self._update({"status": QUEUED, "worker": None}, matching(worker=self.token, status=RUNNING))

    def left(self) -> int:
        return len(self._shards(exp.NEQ(this=sql.column("status"), expression=exp.convert(DONE))))

    def wait(self) -> None:
        time.sleep(self._pause)

    def clear(self) -> None:
        """Forget the shards of the job."""
        self._warehouse.execute(exp.Delete(this=named(self._all), where=exp.Where(this=matching(job_id=self._job))))

    def _shards(self, where: exp.Expression) -> list[int]:
        select = sql.select(sql.column("shard")).from_(named(self._all), copy=False)
        select = select.where(matching(job_id=self._job), where, copy=False)
        found = self._warehouse.query(select.order_by(sql.column("shard"), copy=False))
        return [int(shard) for shard in found.column(0).to_pylist()]

    def _update(self, values: dict[str, Any], where: exp.Expression) -> None:
        ours = sql.every([matching(job_id=self._job), where])
        update(self._warehouse, self._all, {**values, "updated_at": now()}, ours)


def run_of(job_id: str) -> str:
    """The name of the job's run tables."""
    return hashlib.sha256(job_id.encode()).hexdigest()[:12]


def jobs_with_free_shards(warehouse: Warehouse, home: JobTarget) -> list[str]:
    """Jobs that another worker may help with."""
    if not exists(warehouse, home.named(SHARDS)):
        return []
    select = sql.select(sql.column("job_id")).distinct(copy=False).from_(named(home.named(SHARDS)), copy=False)
    return sorted(warehouse.query(select.where(_free(), copy=False)).column(0).to_pylist())


def forget_others(warehouse: Warehouse, home: JobTarget, keep: Collection[str]) -> None:
    """Forget the shards of all jobs but those to keep."""
    if not exists(warehouse, home.named(SHARDS)):
        return
    gone = exp.Not(this=exp.In(this=sql.column("job_id"), expressions=[exp.convert(job) for job in keep]))
    where = exp.Where(this=gone) if keep else None
    warehouse.execute(exp.Delete(this=named(home.named(SHARDS)), where=where))


_OPENED = ("job_id", "shard", "status", "updated_at")


def _free() -> exp.Expression:
    return either(matching(status=QUEUED), lapsed())
