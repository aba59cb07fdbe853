"""The work on one job, in a thread of its own: what is done, how far it is, how it ended.

In: where the job stands and what the worker claimed. Out: an `End`, for the log and for dbt. A thread learns from its
`Stage` that the work is for nothing; what it writes in the end is conditional on the job being its own still.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dbt_rfm.errors import ProjectError, RfmError
from dbt_rfm.job import Job, JobTarget
from dbt_rfm.machine import CPU, model_turn
from dbt_rfm.warehouse.base import Warehouse
from dbt_rfm.worker.bus import Bus, Claim, JobLost, Terms
from dbt_rfm.worker.leases import token
from dbt_rfm.worker.log import fit_to_log, places
from dbt_rfm.worker.shard_board import ShardBoard

if TYPE_CHECKING:
    from dbt_rfm.publish import Outcome

_WITHOUT_MODEL = ("reading the schema", "collecting examples and features", "publishing")
_ROOM = "Start it with --work-dir in a place with room."
_SEE_LOG = "the worker's log says where. Please report it."


class Helpers(Protocol):
    """Others who answer shards of a job while its worker does."""

    def call(self, home: JobTarget, claim: Claim, terms: Terms, *, shards: int) -> None:
        """The plan of the job is ready and has so many shards."""
        ...

    def dismiss(self) -> list[dict[str, Any]]:
        """The job has ended: how each of them did, for the log."""
        ...


@dataclass(frozen=True)
class Site:
    """A warehouse to work for. `open` connects anew each time it is called."""

    name: str
    open: Callable[[], AbstractContextManager[Warehouse]]
    homes: Callable[[], Sequence[JobTarget]]  # database and schema of each place where jobs may be by now
    helpers: Helpers | None = None


class Stage:
    """How far a job is: told by the thread that works, read by the one that keeps the lease."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now: dict[str, Any] = {"stage": "starting"}
        self._first, self._since = 0, time.monotonic()  # shards done at first, and when that was
        self._turn: AbstractContextManager[None] | None = None
        self.device = CPU
        self.lost: str | None = None

    def __call__(self, stage: str) -> None:
        """A new stage. Waits where it wants the GPU. Raises JobLost if the work is for nothing."""
        if stage in _WITHOUT_MODEL:
            self.leave_gpu()
        elif self._turn is None:
            self._turn = model_turn(self.device)
            self._turn.__enter__()
        if self.lost is not None:
            raise JobLost(self.lost)
        done, total = getattr(stage, "done", None), getattr(stage, "total", None)  # of scoring.ShardsDone
        with self._lock:
            if total is None:
                self._now = {"stage": str(stage)}
                return
            if "total" not in self._now:
                self._first, self._since = int(done or 0), time.monotonic()
            self._now = {"stage": "predicting", "done": done, "total": total}

    @property
    def counts(self) -> bool:
        """Whether it is at the shards of a large answer."""
        return "total" in self._now

    def said(self) -> dict[str, Any]:
        """The stage, the shards of a large answer, and about how many seconds they will take."""
        with self._lock:
            now, since, first = dict(self._now), self._since, self._first
        if now.get("done", first) > first:
            each = (time.monotonic() - since) / (now["done"] - first)
            now["seconds_left"] = round(each * (now["total"] - now["done"]))
        return now

    def leave_gpu(self) -> None:
        if self._turn is not None:
            self._turn.__exit__(None, None, None)
            self._turn = None


@dataclass(frozen=True)
class Work:
    """A job to answer, or another worker's to help with."""

    site: Site
    home: JobTarget
    claim: Claim
    folder: Path
    terms: Terms
    stage: Stage
    weights_dir: str | None = None  # where trained weights are kept, or its URL; None: as long as the job
    helps: bool = False
    shard_token: str = field(default_factory=token)  # of the shards it holds

    def board(self, warehouse: Warehouse) -> ShardBoard:
        """The shards of the job by this connection: one for the work, another for its heartbeat."""
        return ShardBoard(warehouse, self.home, self.claim.job_id, worker=self.shard_token, lease=self.terms.lease)

    def run(self) -> dict[str, Any]:
        """Do it; returns what the log says of it."""
        job = self._here(Job.from_json(self.claim.spec))
        self._check(job)
        self.stage.device = str(job.options.get("device") or CPU)
        with self.site.open() as warehouse:
            board = self.board(warehouse)
            return self._help(job, warehouse, board) if self.helps else self._answer(job, warehouse, board)

    def _answer(self, job: Job, warehouse: Warehouse, board: ShardBoard) -> dict[str, Any]:
        from dbt_rfm.publish import publish  # loads torch

        bus = Bus(warehouse, self.home, self.terms)

        def settle(outcome: Outcome) -> None:
            result = {"version": outcome.version, "status": outcome.status, "message": outcome.message}
            bus.finish(self.claim, result)

        outcome = publish(job, warehouse, replace_served=False, settle=settle, progress=self._told, board=board)
        return {"status": outcome.status, "version": outcome.version}

    def _told(self, stage: str) -> None:
        """A new stage. The first that counts shards is the moment when others can help."""
        first = not self.stage.counts
        self.stage(stage)
        if self.site.helpers is not None and first and self.stage.counts:
            self.site.helpers.call(self.home, self.claim, self.terms, shards=self.stage.said()["total"])

    def _help(self, job: Job, warehouse: Warehouse, board: ShardBoard) -> dict[str, Any]:
        from dbt_rfm.pipeline import help_with  # loads torch

        try:
            return {"helped": help_with(job, warehouse, board, progress=self.stage)}
        except BaseException:
            board.give_back()
            raise

    def _here(self, job: Job) -> Job:
        """The job with the folders of this machine: whoever writes a job names none."""
        options = {name: value for name, value in job.options.items() if name != "weights"}
        if self.weights_dir is not None:
            options["weights"] = self.weights_dir
        return replace(job, target_path=str(self.folder), options=options)

    def _check(self, job: Job) -> None:
        """A job may write where it was found and nowhere else."""
        if job.home is None or (job.home.database, job.home.schema) != (self.home.database, self.home.schema):
            raise ProjectError(
                f"the job stands in {self.home.database}.{self.home.schema} and asks to write into another schema",
                where=job.unique_id,
                hint="Set the var dbt_rfm_schema alike for dbt and for the worker.",
            )


class End:
    """How the work on a job ended: for the log, and for dbt where it failed."""

    event = "failed"
    message: str | None = None

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}

    def of(self, work: Work) -> None:
        """Do the work in this thread."""
        try:
            self.fields = work.run()
            self.event = "done"
        except JobLost as error:
            self.event, self.fields = "lost", {"reason": str(error)}
        except RfmError as error:
            self._failed(error, str(error), reason=fit_to_log(error))
        except OSError as error:
            self.without_folder(error)
        except MemoryError as error:
            self._failed(error, "the worker has not enough memory\n  Lower context_size.")
        except Exception as error:  # the one place where an unforeseen error becomes a message
            self._failed(error, f"unexpected {type(error).__name__} inside dbt-rfm; {_SEE_LOG}", places=places(error))
        finally:
            work.stage.leave_gpu()

    def without_folder(self, error: OSError) -> None:
        reason = error.strerror or type(error).__name__
        self._failed(error, f"the worker cannot use its work folder: {reason}\n  {_ROOM}")

    def _failed(self, error: BaseException, message: str, **more: Any) -> None:
        self.message, self.fields = message, {"error": type(error).__name__, **more}
