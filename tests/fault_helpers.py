"""Workers in processes of their own, to be killed, and what a job has come to. For the tests of faults."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from worker_projects import WorkerProject
from worker_that_stops import __file__ as WORKER_THAT_STOPS

from dbt_rfm import __version__

LEASE = 60  # seconds: no machine is so busy that a worker loses its job for want of a heartbeat


def queue(shop: WorkerProject, *, version: str = __version__) -> str:
    """Another job for churn, as dbt would leave it; nobody polls."""
    job_id = f"fault{uuid.uuid4().hex[:8]}.model.shop.churn"
    names = "node_id, target, spec"
    shop.execute(
        f"insert into rfm_jobs (job_id, {names}, package_version, status, attempt, polled_at, created_at, updated_at) "
        f"select '{job_id}', {names}, '{version}', 'queued', 0, now() + interval '1 hour', now(), now() "
        "from rfm_jobs where job_id not like 'fault%' limit 1"
    )
    return job_id


def state(shop: WorkerProject, job_id: str) -> tuple:
    return shop.rows(f"select status, attempt, message from rfm_jobs where job_id = '{job_id}'")[0]


def until(true: Callable[[], Any], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


def nothing_published(shop: WorkerProject) -> bool:
    return (
        shop.rows("select version, status from rfm_versions") == [(1, "serving")]
        and shop.rows("select distinct model_version from churn__history") == [(1,)]
        and shop.rows("select distinct model_version from churn") == [(1,)]
    )


def start(shop: WorkerProject, place: str, *arguments: str) -> tuple[subprocess.Popen[bytes], Path]:
    """A worker in a process of its own that stands still at a place."""
    mark = shop.path / f"{place}_{uuid.uuid4().hex[:6]}.mark"
    where = ["--project-dir", str(shop.path), "--profiles-dir", str(shop.path)]
    command = [sys.executable, WORKER_THAT_STOPS, place, str(mark), *where]
    log = mark.with_suffix(".log").open("wb")
    times = ["--lease", str(LEASE), "--idle", "0.2"]
    return subprocess.Popen([*command, *times, *arguments], stderr=log, stdout=log), mark


def run_out(shop: WorkerProject) -> None:
    """As if the leases of all workers had run out."""
    shop.execute("update rfm_jobs set lease_until = now() - interval '1 second' where status = 'running'")


def kill_at(shop: WorkerProject, place: str) -> None:
    """Start a worker and kill -9 it at the place."""
    process, mark = start(shop, place)
    try:
        until(lambda: mark.exists() or process.poll() is not None)
        assert process.poll() is None, mark.with_suffix(".log").read_text()
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
