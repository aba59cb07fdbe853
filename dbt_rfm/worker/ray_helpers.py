"""Helpers on a Ray cluster: tasks that answer shards of a large job beside the worker that holds it (extra `ray`).

In: how a node opens the warehouse, how many tasks may help. Out: their ends, for the log. A task opens the warehouse by
the profile of its own node, so no credential travels, and takes shards from the board until none is free. The board is
all they share: what a dead one had is free again after its lease.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dbt_rfm.job import Job, JobTarget
from dbt_rfm.machine import CPU, private_folder
from dbt_rfm.project import find_project
from dbt_rfm.warehouse.base import Warehouse
from dbt_rfm.worker.bus import Claim, Terms
from dbt_rfm.worker.heartbeat import beating
from dbt_rfm.worker.work import End, Site, Stage, Work

_LAST_MOMENT = 5.0  # seconds for tasks that are about to end, when the job has


@dataclass(frozen=True)
class Place:
    """A target of a dbt project, as every node finds it: the folders have to be there under the same path."""

    project_dir: Path
    profiles_dir: Path | None
    target: str
    variables: str | None = None  # as dbt's --vars

    def open(self) -> AbstractContextManager[Warehouse]:
        found = find_project(
            self.project_dir, profiles_dir=self.profiles_dir, target=self.target, variables=self.variables
        )
        return found.open()


class RayHelpers:
    def __init__(self, most: int, place: Place) -> None:
        """At most so many tasks for a job. Joins the cluster of RAY_ADDRESS or of this machine, or starts one here."""
        # Ray reads it once: nothing of a job is anybody else's business.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        import ray  # an extra, and seconds to import

        ray.init(ignore_reinit_error=True, log_to_driver=False, configure_logging=False)
        self._ray, self._most, self._place = ray, most, place
        self._tasks: list[Any] = []

    def call(self, home: JobTarget, claim: Claim, terms: Terms, *, shards: int) -> None:
        """Ask for helpers with a job whose plan is ready. Those the cluster has no room for wait."""
        task = self._ray.remote(num_cpus=1, num_gpus=self._gpus(claim), max_retries=0)(help_with_job)
        self._tasks = [task.remote(self._place, home, claim, terms) for _ in range(min(self._most, shards - 1))]

    def dismiss(self) -> list[dict[str, Any]]:
        """The job has ended: how each helper did. Who still works is told to stop, and gives back its shard."""
        if not self._tasks:
            return []
        tasks, self._tasks = self._tasks, []
        ended, others = self._ray.wait(tasks, num_returns=len(tasks), timeout=_LAST_MOMENT)
        for task in others:
            self._ray.cancel(task)
        return [self._end_of(task) for task in ended] + [{"ended": "dismissed"} for _ in others]

    def _end_of(self, task: Any) -> dict[str, Any]:
        try:
            return self._ray.get(task)
        except self._ray.exceptions.RayError as error:
            return {"ended": "failed", "error": type(error).__name__}

    def _gpus(self, claim: Claim) -> int:
        device = str(Job.from_json(claim.spec).options.get("device") or CPU)
        return int(device == "cuda" or (device == "auto" and self._ray.cluster_resources().get("GPU", 0) > 0))


def help_with_job(place: Place, home: JobTarget, claim: Claim, terms: Terms) -> dict[str, Any]:
    """The task. It ends with the last free shard; errors are told by their type, because a message may name a row."""
    end = End()
    with private_folder() as folder:
        work = Work(Site(place.target, place.open, tuple), home, claim, folder, terms, Stage(), helps=True)
        with beating(work):
            end.of(work)
    return {"ended": end.event, **end.fields}
