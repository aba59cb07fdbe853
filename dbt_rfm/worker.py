"""The worker: takes jobs from the warehouse, answers them on this machine, and writes new versions back.

In: sites, each a warehouse with the schemas where jobs may be. A job is answered in a thread with a connection of its
own; the main thread keeps the lease with another, and hears signals even while the thread waits for the warehouse. The
new version, its metrics and the end of the job are one transaction, conditional on the job being ours still: a worker
that was stopped, cut off or superseded leaves no trace.

SIGTERM and SIGINT: no new job; the one that runs is finished within the grace time or given back to the queue.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dbt_rfm import __version__
from dbt_rfm.bus import Bus, Claim, JobLost, Terms
from dbt_rfm.errors import ProjectError, RfmError
from dbt_rfm.job import Job, JobTarget
from dbt_rfm.machine import private_folder
from dbt_rfm.warehouse.base import Warehouse
from dbt_rfm.worker_log import Log, places

BEATS = 4  # heartbeats per lease
TICK = 0.2  # seconds between two looks at whether the job has ended
SHORTEST_IDLE = 0.5  # seconds; doubled while nothing is to do, up to the worker's `idle`


@dataclass(frozen=True)
class Site:
    """A warehouse to work for. `open` connects anew each time it is called."""

    name: str
    open: Callable[[], AbstractContextManager[Warehouse]]
    homes: tuple[JobTarget, ...]  # database and schema of each place where jobs may be


@dataclass(frozen=True)
class Settings:
    terms: Terms = field(default_factory=Terms)
    once: bool = False  # leave when no job waits
    max_jobs: int | None = None
    idle: float = 5.0  # longest pause between two looks for jobs
    grace: float = 20.0  # seconds a running job gets after a signal, before it is given back
    work_dir: Path | None = None
    health_file: Path | None = None


class Stage:
    """How far a job is: told by the thread that works, read by the one that keeps the lease."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._now: dict[str, Any] = {"stage": "starting"}
        self._since = time.monotonic()
        self.lost: str | None = None

    def __call__(self, stage: str, **numbers: Any) -> None:
        """A new stage, or new numbers of it (done, total, rows). Raises JobLost if the work is for nothing."""
        if self.lost is not None:
            raise JobLost(self.lost)
        with self._lock:
            if stage != self._now["stage"]:
                self._since = time.monotonic()
            self._now = {"stage": stage, **numbers}

    def said(self) -> dict[str, Any]:
        with self._lock:
            now, since = dict(self._now), self._since
        done, total = now.get("done"), now.get("total")
        if done and total and done < total:
            now["seconds_left"] = round((time.monotonic() - since) / done * (total - done))
        return now


class Worker:
    def __init__(self, sites: Sequence[Site], settings: Settings, log: Log) -> None:
        self._sites, self._settings, self._log = sites, settings, log
        self._stopping = threading.Event()
        self._stop_at = float("inf")
        self._links = {site.name: _Link(site) for site in sites}
        self.jobs = 0  # that were ours to the end

    def stop(self) -> None:
        """Take no more jobs; a second call gives the running one back at once."""
        again = self._stopping.is_set()
        self._stopping.set()
        self._stop_at = time.monotonic() + (0 if again else self._settings.grace)

    def run(self) -> None:
        """Until stopped, or as `once` and `max_jobs` say. Raises RfmError where a warehouse cannot be used at all."""
        self._log("started", version=__version__, pid=os.getpid(), targets=",".join(s.name for s in self._sites))
        pause = SHORTEST_IDLE
        with ExitStack() as stack:
            for link in self._links.values():
                stack.callback(link.close)
                link.warehouse()  # settings that are wrong are told at once
            while not self._stopping.is_set() and self.jobs != self._settings.max_jobs:
                if any([self._look(site) for site in self._sites]):
                    pause = SHORTEST_IDLE
                    continue
                if self._settings.once:
                    break
                self._health("idle")
                self._stopping.wait(pause)
                pause = min(pause * 2, self._settings.idle)
        self._health("stopped")
        self._log("stopped", jobs=self.jobs)

    def _look(self, site: Site) -> bool:
        """Answer one job of a site, if there is one. A warehouse that is away is looked at again later."""
        link = self._links[site.name]
        try:
            for home in site.homes:
                bus = Bus(link.warehouse(), home, self._settings.terms)
                claim = None if self._stopping.is_set() else self._next(bus)
                if claim is not None:
                    self._answer(site, home, claim)
                    return True
        except RfmError as error:
            link.close()
            self._log("warehouse_away", target=site.name, error=type(error).__name__)
            if self._settings.once:
                raise
        return False

    def _next(self, bus: Bus) -> Claim | None:
        if not bus.is_there() or not bus.any_open():
            return None
        bus.clean()
        for job_id in bus.leave_to_others():
            self._log("other_version", job=job_id)
        for job_id in bus.waiting():
            claim = bus.claim(job_id)
            if claim is not None:
                return claim
        return None

    def _answer(self, site: Site, home: JobTarget, claim: Claim) -> None:
        """One job from claim to end."""
        started = time.monotonic()
        self._log("claimed", target=site.name, job=claim.job_id, attempt=claim.attempt)
        stage, ended = Stage(), _End()
        with private_folder(self._settings.work_dir) as folder:
            run = _Run(site, home, claim, folder, self._settings.terms, stage)
            thread = threading.Thread(target=ended.of, args=(run,), name="job", daemon=True)
            thread.start()
            gone = self._keep_lease(site, home, claim, stage, thread)
        if gone:
            return
        seconds = round(time.monotonic() - started, 1)
        self._log(ended.event, target=site.name, job=claim.job_id, seconds=seconds, **ended.fields)
        if ended.event != "lost":
            self.jobs += 1
        if ended.message is not None:
            Bus(self._links[site.name].warehouse(), home, self._settings.terms).fail(claim, ended.message)

    def _keep_lease(self, site: Site, home: JobTarget, claim: Claim, stage: Stage, thread: threading.Thread) -> bool:
        """Renew the lease until the thread ends. True if the grace time is over and the job was given back."""
        link, beat = self._links[site.name], self._settings.terms.lease / BEATS
        due, told = 0.0, None
        while thread.is_alive():
            said = stage.said()
            if stage.lost is None and (time.monotonic() >= due or said["stage"] != told):
                due, told = time.monotonic() + beat, said["stage"]
                self._health("working", job=claim.job_id, **said)
                self._log("stage", job=claim.job_id, **said)
                try:
                    Bus(link.warehouse(), home, self._settings.terms).renew(claim, said)
                except JobLost as error:
                    stage.lost = str(error)
                except RfmError as error:
                    link.close()  # opened anew for the next beat
                    self._log("heartbeat_failed", job=claim.job_id, error=type(error).__name__)
            if time.monotonic() >= self._stop_at and stage.lost is None:
                Bus(link.warehouse(), home, self._settings.terms).give_back(claim, "its worker was stopped")
                stage.lost = "the worker was stopped"
                self._log("given_back", job=claim.job_id)
                return True
            thread.join(TICK)
        return False

    def _health(self, state: str, **fields: Any) -> None:
        """What a probe can look at: the file is new while the worker lives."""
        path = self._settings.health_file
        if path is not None:
            draft = path.with_name(path.name + ".new")
            draft.write_text(json.dumps({"state": state, "pid": os.getpid(), **fields}, default=str) + "\n")
            draft.replace(path)


class _Link:
    """A site's connection for the bus, opened when it is needed."""

    def __init__(self, site: Site) -> None:
        self._site, self._stack = site, ExitStack()
        self._warehouse: Warehouse | None = None

    def warehouse(self) -> Warehouse:
        if self._warehouse is None:
            self._warehouse = self._stack.enter_context(self._site.open())
        return self._warehouse

    def close(self) -> None:
        self._warehouse = None
        self._stack.close()


@dataclass(frozen=True)
class _Run:
    """The work on one job, in a thread of its own."""

    site: Site
    home: JobTarget
    claim: Claim
    folder: Path
    terms: Terms
    stage: Stage

    def __call__(self) -> dict[str, Any]:
        from dbt_rfm.pipeline import Outcome, publish  # loads torch

        job = replace(Job.from_json(self.claim.spec), target_path=str(self.folder))
        self._check(job)
        with self.site.open() as warehouse:
            bus = Bus(warehouse, self.home, self.terms)

            def settle(outcome: Outcome) -> None:
                result = {"version": outcome.version, "status": outcome.status, "message": outcome.message}
                bus.finish(self.claim, result)

            outcome = publish(job, warehouse, replace_served=False, settle=settle, progress=self.stage)
        return {"status": outcome.status, "version": outcome.version}

    def _check(self, job: Job) -> None:
        """A job may write where it was found and nowhere else."""
        if job.home is None or (job.home.database, job.home.schema) != (self.home.database, self.home.schema):
            raise ProjectError(
                f"the job stands in {self.home.database}.{self.home.schema} and asks to write into another schema",
                where=job.unique_id,
                hint="Set the var dbt_rfm_schema alike for dbt and for the worker.",
            )


class _End:
    """How the work on a job ended, for the log and for dbt."""

    event = "failed"
    message: str | None = None

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {}

    def of(self, run: _Run) -> None:
        try:
            self.fields = run()
            self.event = "done"
        except JobLost as error:
            self.event, self.fields = "lost", {"reason": str(error)}
        except RfmError as error:
            self.message, self.fields = str(error), {"error": type(error).__name__}
        except OSError as error:
            self.message = f"the worker cannot use its work folder: {error.strerror or type(error).__name__}\n  {_ROOM}"
            self.fields = {"error": type(error).__name__, "errno": error.errno}
        except MemoryError:
            self.message, self.fields = (
                "the worker has not enough memory\n  Lower context_size.",
                {"error": "MemoryError"},
            )
        except Exception as error:  # the one place where an unforeseen error becomes a message
            self.message = f"unexpected {type(error).__name__} inside dbt-rfm; {_SEE_LOG}"
            self.fields = {"error": type(error).__name__, "places": places(error)}


_ROOM = "Start it with --work-dir in a place with room."
_SEE_LOG = "the worker's log says where. Please report it."
