"""Tasks of a real Ray cluster answer shards of a job that a worker holds, on a real Postgres server: `make ray`."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fault_helpers import queue, state, until
from job_text import job_text
from postgres_server import Server
from worker_projects import WorkerProject, served_shop
from worker_that_stops import FEW

ray = pytest.importorskip("ray", reason="ray is not installed: make ray has a virtual environment of its own for it")

from ray.cluster_utils import Cluster  # noqa: E402 - after the question whether there is anything to test

from dbt_rfm.job import Job, JobTarget  # noqa: E402 - as above
from dbt_rfm.shards import run_tables  # noqa: E402 - after the question whether there is anything to test
from dbt_rfm.worker import ray_helpers  # noqa: E402 - after the question whether there is anything to test
from dbt_rfm.worker.bus import Claim, Terms  # noqa: E402
from dbt_rfm.worker.ray_helpers import Place, RayHelpers  # noqa: E402

pytestmark = pytest.mark.functional

QUICK = "'context_size': 20, 'backtest': false"


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[Cluster]:
    """Two nodes on this machine, with a place each."""
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    nodes.add_node(num_cpus=1)
    ray.init(address=nodes.address, log_to_driver=False)
    yield nodes
    ray.shutdown()
    nodes.shutdown()


@pytest.fixture
def shop(postgres_server: Server, tmp_path: Path) -> Iterator[WorkerProject]:
    with served_shop(postgres_server, tmp_path / "shop", schema="helped", rfm=QUICK) as shop:
        yield shop


def slow_until(done: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large answers begin with a few customers, and this process writes no shard before that is so."""
    monkeypatch.setattr(run_tables, "SHARD", FEW)
    write = run_tables.RunTables.write

    def slowly(self: Any, *arguments: Any) -> None:
        until(done)
        write(self, *arguments)

    monkeypatch.setattr(run_tables.RunTables, "write", slowly)


def test__worker__with_ray__tasks_of_the_cluster_answer_shards_of_its_job(
    shop: WorkerProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    done_by_others = "select count(*) > 1 from rfm_shards where status = 'done'"
    slow_until(lambda: shop.rows(done_by_others) == [(True,)], monkeypatch)
    helpers = RayHelpers(2, Place(shop.path, shop.path, "worker"))
    job_id = queue(shop)
    with shop.worker(helpers=helpers) as log:
        until(lambda: state(shop, job_id)[0] == "done")
        until(lambda: len(log.events("helper")) == 2)

    assert sum(node["Alive"] for node in ray.nodes()) == 2  # one place each, so a helper each
    assert {event["ended"] for event in log.events("helper")} <= {"done", "dismissed"}
    assert any(event.get("helped") for event in log.events("helper"))
    both = (
        "select count(*), max(abs(a.probability - b.probability)) < 1e-6 from churn__history a join churn__history b "
        "using (customer_id) where a.model_version = 1 and b.model_version = 2"
    )
    rows = shop.rows("select count(*) from churn__history where model_version = 2")
    assert shop.rows(both) == [(*rows[0], True)] and rows == shop.rows("select count(*) from churn")
    assert shop.rows("select count(*) from pg_tables where tablename like 'rfm_run_%'") == [(0,)]


def test__worker__nodes_that_know_no_such_target__the_worker_does_it_alone_and_says_so(
    shop: WorkerProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_tables, "SHARD", FEW)
    helpers = RayHelpers(1, Place(shop.path, shop.path, "elsewhere"))
    job_id = queue(shop)
    with shop.worker(helpers=helpers) as log:
        until(lambda: state(shop, job_id)[0] == "done")
        until(lambda: log.events("helper"))

    (event,) = log.events("helper")
    assert (event["ended"], event["error"]) == ("failed", "ProjectError") and event["job"] == job_id
    assert "elsewhere" not in log.getvalue()


def test__node__lost_while_it_helps__its_shard_is_done_by_others_and_the_job_ends(
    shop: WorkerProject, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, gone = cluster.add_node(num_cpus=1), []

    def lose() -> bool:
        """As soon as others help."""
        if not gone and shop.rows("select count(distinct worker) > 1 from rfm_shards") == [(True,)]:
            cluster.remove_node(lost, allow_graceful=False)
            gone.append(lost)
        return bool(gone)

    slow_until(lose, monkeypatch)
    helpers = RayHelpers(3, Place(shop.path, shop.path, "worker"))
    job_id = queue(shop)
    with shop.worker(helpers=helpers, terms=Terms(lease=6)) as log:
        until(lambda: state(shop, job_id)[0] == "done")
        until(lambda: len(log.events("helper")) == 3)

    # Who lives keeps what it has, also for longer than a lease.
    assert gone and {event["ended"] for event in log.events("helper")} <= {"done", "dismissed", "failed"}
    (asked,) = shop.rows("select count(*), count(distinct customer_id) from churn__history where model_version = 2")
    assert asked[0] == asked[1] > 0 and shop.rows("select count(*) from churn") == [(asked[0],)]


def test__worker_command__ray__answers_the_job_and_leaves(shop: WorkerProject) -> None:
    job_id = queue(shop)
    where = ["--project-dir", str(shop.path), "--profiles-dir", str(shop.path), "--target", "worker"]
    command = [sys.executable, "-c", "from dbt_rfm.cli import main; main()", "worker", *where]
    options = ["--max-jobs", "1", "--ray", "1", "--log-json"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    assert state(shop, job_id)[0] == "done" and '"event": "stopped"' in done.stderr


def test__dismiss__tasks_that_found_no_room__are_told_to_stop_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_helpers, "_LAST_MOMENT", 0.1)
    busy = [ray.remote(num_cpus=1)(lambda: time.sleep(60)).remote() for _ in range(2)]
    helpers = RayHelpers(3, Place(Path("nowhere"), None, "worker"))
    claim = Claim("job", "node", "token", job_text(Job(query="", tables=())), 1)
    try:
        helpers.call(JobTarget(None, "public", ""), claim, Terms(), shards=10)
        assert helpers.dismiss() == [{"ended": "dismissed"}] * 3
        assert helpers.dismiss() == []
    finally:
        for task in busy:
            ray.cancel(task, force=True)
