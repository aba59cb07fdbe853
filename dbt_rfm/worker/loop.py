"""The worker: takes jobs from the warehouse, answers them on this machine, and writes new versions back.

In: sites, each a warehouse with the schemas where jobs may be. A job is answered in a thread with a connection of its
own; the main thread keeps the lease with another, and hears signals even while the thread waits for the warehouse. The
new version, its metrics and the end of the job are one transaction, conditional on the job being ours still: a worker
that was stopped, cut off or superseded leaves no trace. Where no job waits, it helps with the shards of a large one.

SIGTERM and SIGINT: no new job; the one that runs is finished within the grace time or given back to the queue.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dbt_rfm import __version__
from dbt_rfm.errors import ProjectError, RfmError, RightMissing
from dbt_rfm.job import Job, JobTarget
from dbt_rfm.machine import private_folder
from dbt_rfm.options import Options
from dbt_rfm.shards.run_tables import drop_runs
from dbt_rfm.warehouse.base import Warehouse
from dbt_rfm.worker.bus import Bus, Claim, Terms
from dbt_rfm.worker.heartbeat import BEATS, Link, beat
from dbt_rfm.worker.log import Log, fit_to_log
from dbt_rfm.worker.shard_board import forget_others, jobs_with_free_shards, run_of
from dbt_rfm.worker.work import End, Site, Stage, Work

TICK = 0.2  # seconds between two looks at whether the job has ended
ALIVE = 15.0  # seconds between two signs of life for a probe, however long the pauses and the lease
_NO_SCHEMA = "it is not there, or the role may not see it; dbt makes it with its first prediction"
SHORTEST_IDLE = 0.5  # seconds; doubled while nothing is to do, up to the worker's `idle`


@dataclass(frozen=True)
class Settings:
    terms: Terms = field(default_factory=Terms)
    once: bool = False  # leave when no job waits
    max_jobs: int | None = None
    idle: float = 5.0  # longest pause between two looks for jobs
    grace: float = 20.0  # seconds a running job gets after a signal, before it is given back
    work_dir: Path | None = None
    weights_dir: str | None = None
    health_file: Path | None = None


class Worker:
    def __init__(self, sites: Sequence[Site], settings: Settings, log: Log) -> None:
        self._sites, self._settings, self._log = sites, settings, log
        self._stopping = threading.Event()
        self._stop_at = float("inf")
        self._links = {site.name: Link(site) for site in sites}
        self._kept_out: dict[tuple[str, JobTarget], tuple[str, str | None]] = {}  # why, as the log was told
        self._told: dict[str, tuple[JobTarget, ...]] = {}  # where the log says that it looks
        self._there: set[tuple[str, JobTarget]] = set()  # where there are jobs, or have been
        self._without: set[tuple[str, JobTarget]] = set()  # where there were none, when the log was told of the schema
        self.jobs = 0  # that were ours to the end

    def stop(self) -> None:
        """Take no more jobs; a second call gives the running one back at once."""
        again = self._stopping.is_set()
        self._stopping.set()
        self._stop_at = time.monotonic() + (0 if again else self._settings.grace)

    def run(self) -> None:
        """Until stopped, or as `once` and `max_jobs` say. Raises RfmError where a warehouse cannot be used at all."""
        self._log("started", version=__version__, pid=os.getpid(), targets=",".join(site.name for site in self._sites))
        for site in self._sites:
            self._homes(site)
        self._health("started")
        self._check_work_dir()
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
                self._rest(pause)
                pause = min(pause * 2, self._settings.idle)
        self._health("stopped")
        self._log("stopped", jobs=self.jobs)

    def _rest(self, pause: float) -> None:
        """A pause between two looks, with signs of life."""
        until = time.monotonic() + pause
        while not self._stopping.is_set() and (left := until - time.monotonic()) > 0:
            self._health("idle")
            self._stopping.wait(min(left, ALIVE))

    def _look(self, site: Site) -> bool:
        """Answer or help with one job of a site, if there is one. A warehouse that is away is looked at again later."""
        for home in self._homes(site):
            try:
                bus = self._bus(site, home)
                is_open = not self._stopping.is_set() and self._is_there(bus, site, home) and bus.any_open()
                self._kept_out.pop((site.name, home), None)
                if not is_open:
                    continue
                claim = self._next(bus)
                helps = claim is None
                claim = claim or self._unfinished(bus, self._links[site.name].warehouse(), home)
                if claim is not None:
                    return self._do(site, home, claim, helps=helps)
            except RfmError as error:
                self._there.discard((site.name, home))
                self._without.discard((site.name, home))
                self._cannot_look(site, home, error)
                if not isinstance(error, RightMissing):
                    break  # what is not granted in one schema may be in the next
        return False

    def _is_there(self, bus: Bus, site: Site, home: JobTarget) -> bool:
        """Asked of the catalogue until it is so: that takes a virtual warehouse of Snowflake each time."""
        place = (site.name, home)
        if place not in self._there and bus.is_there():
            self._there.add(place)
        if place not in self._there | self._without:
            self._without.add(place)
            if not self._links[site.name].warehouse().has_schema(home.database, home.schema):
                self._log("schema_missing", target=site.name, schema=_shown(home), reason=_NO_SCHEMA)
        return place in self._there

    def _cannot_look(self, site: Site, home: JobTarget, error: RfmError) -> None:
        """Said once, and again when another reason keeps the worker from looking, or the same after it could."""
        self._links[site.name].close()
        said, place = (type(error).__name__, fit_to_log(error)), (site.name, home)
        if self._kept_out.get(place) != said:
            self._kept_out[place] = said
            event = "right_missing" if isinstance(error, RightMissing) else "warehouse_away"
            self._log(event, target=site.name, error=said[0], reason=said[1])
        if self._settings.once:
            raise error

    def _homes(self, site: Site) -> tuple[JobTarget, ...]:
        """Where to look now; the log says so when it is somewhere new."""
        homes = tuple(site.homes())
        if homes != self._told.get(site.name):
            self._told[site.name] = homes
            self._log("looking", target=site.name, schemas=",".join(map(_shown, homes)))
        return homes

    def _bus(self, site: Site, home: JobTarget) -> Bus:
        return Bus(self._links[site.name].warehouse(), home, self._settings.terms)

    def _next(self, bus: Bus) -> Claim | None:
        bus.clean()
        for job_id in bus.leave_to_others():
            self._log("other_version", job=job_id)
        for job_id in bus.waiting():
            claim = bus.claim(job_id)
            if claim is not None:
                return claim
        return None

    def _unfinished(self, bus: Bus, warehouse: Warehouse, home: JobTarget) -> Claim | None:
        """A job of another worker that has shards to spare."""
        if self._settings.once:
            return None
        found = (bus.running(job_id) for job_id in jobs_with_free_shards(warehouse, home))
        return next((claim for claim in found if claim is not None and _can_be_shared(claim)), None)

    def _do(self, site: Site, home: JobTarget, claim: Claim, *, helps: bool) -> bool:
        """One job from claim to end, or the free shards of one. Whether to look for more at once: not where it could
        not help, since the same shards would be free still."""
        started = time.monotonic()
        about = {"target": site.name, "job": claim.job_id}
        self._log("helping" if helps else "claimed", **about, attempt=claim.attempt)
        stage, end = Stage(), End()
        with ExitStack() as wiped:
            try:
                folder = wiped.enter_context(private_folder(self._settings.work_dir))
            except OSError as error:
                end.without_folder(error)
            else:
                work = Work(site, home, claim, folder, self._settings.terms, stage, self._settings.weights_dir, helps)
                if self._given_back(work, end, about):
                    return True
        self._log(end.event, **about, seconds=round(time.monotonic() - started, 1), **end.fields)
        if helps:
            return bool(end.fields.get("helped"))
        self.jobs += end.event != "lost"
        bus = self._bus(site, home)
        if end.message is not None:
            bus.fail(claim, end.message)
        self._tidy(bus, self._links[site.name].warehouse(), home)
        return True

    def _given_back(self, work: Work, end: End, about: dict[str, Any]) -> bool:
        """Work in a thread to its end; or give the job back, where the grace time is over first."""
        thread = threading.Thread(target=end.of, args=(work,), name="job", daemon=True)
        thread.start()
        try:
            return self._keep(work, thread)
        finally:
            for helper in work.site.helpers.dismiss() if work.site.helpers is not None else ():
                self._log("helper", **about, **helper)

    def _tidy(self, bus: Bus, warehouse: Warehouse, home: JobTarget) -> None:
        """Drop what jobs that have ended left in the warehouse."""
        going_on = bus.open_jobs()
        forget_others(warehouse, home, going_on)
        drop_runs(warehouse, home, keep=[run_of(job_id) for job_id in going_on])

    def _keep(self, work: Work, thread: threading.Thread) -> bool:
        """Renew the lease until the thread ends. True if the grace time was over first and the job is given back."""
        pause, due, alive, told = self._settings.terms.lease / BEATS, 0.0, 0.0, None
        while thread.is_alive():
            said = work.stage.said()
            if time.monotonic() >= alive or said["stage"] != told:
                alive = time.monotonic() + ALIVE
                self._health("working", job=work.claim.job_id, **said)
            if work.stage.lost is None and (time.monotonic() >= due or said["stage"] != told):
                due, told = time.monotonic() + pause, said["stage"]
                self._log("stage", job=work.claim.job_id, **said)
                self._beat(work)
            if time.monotonic() >= self._stop_at and work.stage.lost is None:
                work.stage.lost = "the worker was stopped"
                if not work.helps:
                    self._bus(work.site, work.home).give_back(work.claim, "its worker was stopped")
                self._log("given_back", job=work.claim.job_id)
                return True
            thread.join(TICK)
        return False

    def _beat(self, work: Work) -> None:
        def failed(error: RfmError) -> None:
            self._log("heartbeat_failed", job=work.claim.job_id, error=type(error).__name__, reason=fit_to_log(error))

        beat(work, self._links[work.site.name], failed=failed)

    def _check_work_dir(self) -> None:
        """A folder for temporary files that cannot be used is told at once."""
        try:
            with private_folder(self._settings.work_dir):
                pass
        except OSError as error:
            named = self._settings.work_dir or "for temporary files"
            hint = "Name one that is there, with room, by --work-dir."
            raise ProjectError(f"the folder {named} cannot be used: {error.strerror}", hint=hint) from error

    def _health(self, state: str, **fields: Any) -> None:
        """What a probe can look at: the file is new while the worker lives. One that cannot be made is told at once;
        later it only gets old, which a probe sees, and jobs go on."""
        path = self._settings.health_file
        if path is None:
            return
        draft = path.with_name(path.name + ".new")
        try:
            draft.write_text(json.dumps({"state": state, "pid": os.getpid(), **fields}, default=str) + "\n")
            draft.replace(path)
        except OSError as error:
            if state != "started":
                self._log("health_failed", reason=error.strerror)
                return
            raise ProjectError(f"the health file {path} cannot be written: {error.strerror}") from error


def _shown(home: JobTarget) -> str:
    return f"{home.database}.{home.schema}" if home.database else home.schema


def _can_be_shared(claim: Claim) -> bool:
    """Not where its worker trains: its weights are there."""
    return not Options.read(Job.from_json(claim.spec).options).trained
