"""What the predictions of one dbt run have in common, kept in the process until the next run begins.

On DuckDB dbt answers all predictions of a run in its own process, over tables that are all built before the first
prediction that reads them. The schema of a graph, the findings about its rows and the features of the same entities at
the same moments are therefore the same for each. A run is known by dbt's invocation id; without one nothing is kept,
so a program that asks again sees what has changed.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from dbt_rfm.collect.kept_features import KeptFeatures
from dbt_rfm.job import Job

T = TypeVar("T")
_lock = threading.Lock()


@dataclass(frozen=True)
class Run:
    """Values by key; two threads may compute the same one, the first to finish is kept."""

    id: str
    features: KeptFeatures = field(default_factory=KeptFeatures)
    _values: dict[tuple[object, ...], Any] = field(default_factory=dict)

    def once(self, key: tuple[object, ...], make: Callable[[], T]) -> T:
        if key not in self._values:
            value = make()
            with _lock:
                self._values.setdefault(key, value)
        return self._values[key]


def once(run: Run | None, key: tuple[object, ...], make: Callable[[], T]) -> T:
    """The run's value, or a new one outside a run."""
    return make() if run is None else run.once(key, make)


_runs: list[Run] = []  # the one that goes on, or none


def run_of(job: Job) -> Run | None:
    """The memory of the job's run; that of an earlier run is dropped. None outside a run."""
    if not job.invocation_id:
        return None
    with _lock:
        if not _runs or _runs[0].id != job.invocation_id:
            _runs[:] = [Run(job.invocation_id)]
        return _runs[0]


def graph_key(job: Job) -> str:
    """What dbt says of the job's graph, as one word."""
    said = {"tables": [asdict(t) for t in job.tables], "tests": [asdict(t) for t in job.tests]}
    return hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()
