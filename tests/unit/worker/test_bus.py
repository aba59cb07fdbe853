"""Jobs as rows: who may claim one, who holds it, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from dbt_rfm import __version__
from dbt_rfm.job import JobTarget
from dbt_rfm.warehouse.duckdb import DuckDB
from dbt_rfm.worker.bus import COLUMNS, Bus, Claim, JobLost, Terms

duckdb = pytest.importorskip("duckdb")


@pytest.fixture
def warehouse() -> Iterator[DuckDB]:
    with DuckDB.open(":memory:", read_only=False) as opened:
        yield opened


@pytest.fixture
def bus(warehouse: DuckDB) -> Bus:
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    warehouse._run(f"create table rfm_jobs ({columns})")
    return Bus(warehouse, JobTarget(None, "main", ""))


def queue(warehouse: DuckDB, job_id: str = "run.churn", *, version: str = __version__, age: int = 0) -> str:
    warehouse._run(
        "insert into rfm_jobs (job_id, node_id, spec, package_version, status, attempt, polled_at, created_at) values "
        f"('{job_id}', 'model.shop.churn', '{{}}', '{version}', 'queued', 0, current_timestamp, "
        f"current_timestamp - interval '{age} seconds')"
    )
    return job_id


def row(warehouse: DuckDB, columns: str, job_id: str = "run.churn") -> tuple:
    return warehouse._cursor.execute(f"select {columns} from rfm_jobs where job_id = '{job_id}'").fetchall()[0]


def later(warehouse: DuckDB, seconds: int) -> None:
    """As if so much time had passed for every job."""
    times = ", ".join(f"{c} = {c} - interval '{seconds} seconds'" for c, t in COLUMNS.items() if t == "timestamptz")
    warehouse._run(f"update rfm_jobs set {times}")


def claimed(bus: Bus, warehouse: DuckDB) -> Claim:
    claim = bus.claim(queue(warehouse))
    assert claim is not None
    return claim


def test__is_there__no_table__false(warehouse: DuckDB) -> None:
    assert not Bus(warehouse, JobTarget(None, "main", "")).is_there()


def test__waiting__several__oldest_first(bus: Bus, warehouse: DuckDB) -> None:
    queue(warehouse, "new"), queue(warehouse, "old", age=60)
    assert bus.waiting() == ["old", "new"]


def test__claim__queued__is_ours_and_running(bus: Bus, warehouse: DuckDB) -> None:
    claim = claimed(bus, warehouse)
    assert (claim.node_id, claim.spec, claim.attempt) == ("model.shop.churn", "{}", 1)
    assert row(warehouse, "status, attempt, worker, lease_until > current_timestamp") == (
        "running",
        1,
        claim.token,
        True,
    )


def test__claim__running_under_a_lease__is_nobody_elses(bus: Bus, warehouse: DuckDB) -> None:
    claimed(bus, warehouse)
    assert bus.claim("run.churn") is None
    assert bus.waiting() == []


def test__claim__lease_ran_out__another_takes_over_and_the_first_has_lost(bus: Bus, warehouse: DuckDB) -> None:
    first = claimed(bus, warehouse)
    later(warehouse, 121)

    second = bus.claim("run.churn")

    assert second is not None and second.attempt == 2
    with pytest.raises(JobLost, match="another worker has taken"):
        bus.renew(first, {})
    with pytest.raises(JobLost):
        bus.finish(first, {"version": 1})
    bus.fail(first, "late")
    bus.give_back(first, "late")
    assert row(warehouse, "status, worker, result") == ("running", second.token, None)


def test__renew__ours__lease_and_progress_are_new(bus: Bus, warehouse: DuckDB) -> None:
    claim = claimed(bus, warehouse)
    later(warehouse, 100)
    bus.renew(claim, {"stage": "predicting", "rows": 10})
    assert json.loads(row(warehouse, "progress")[0]) == {"stage": "predicting", "rows": 10}
    assert row(warehouse, "lease_until > current_timestamp + interval '110 seconds'") == (True,)


def test__finish__cancelled_meanwhile__raises_the_reason(bus: Bus, warehouse: DuckDB) -> None:
    claim = claimed(bus, warehouse)
    warehouse._run("update rfm_jobs set status = 'cancelled', message = 'superseded by another'")
    with pytest.raises(JobLost, match="cancelled: superseded by another"):
        bus.finish(claim, {"version": 1})
    assert row(warehouse, "status, result") == ("cancelled", None)


def test__finish__ours__done_with_the_result(bus: Bus, warehouse: DuckDB) -> None:
    bus.finish(claimed(bus, warehouse), {"version": 3, "status": "ready"})
    assert row(warehouse, "status") == ("done",)
    assert json.loads(row(warehouse, "result")[0]) == {"version": 3, "status": "ready"}


def test__fail__quotes_and_backslashes__arrive_unharmed(bus: Bus, warehouse: DuckDB) -> None:
    message = "it's \\' \"quoted\"; drop table rfm_jobs; -- $rfm$ %s\nsecond line"
    bus.fail(claimed(bus, warehouse), message)
    assert row(warehouse, "status, message") == ("failed", message)


def test__give_back__ours__is_queued_as_if_never_tried(bus: Bus, warehouse: DuckDB) -> None:
    bus.give_back(claimed(bus, warehouse), "the worker was stopped")
    assert row(warehouse, "status, attempt, worker") == ("queued", 0, None)
    assert bus.waiting() == ["run.churn"]


def test__clean__third_lease_ran_out__failed_with_a_reason(bus: Bus, warehouse: DuckDB) -> None:
    queue(warehouse)
    for _ in range(3):
        assert bus.claim("run.churn") is not None
        later(warehouse, 121)
    warehouse._run("update rfm_jobs set polled_at = current_timestamp")
    assert bus.claim("run.churn") is None

    bus.clean()

    status, message = row(warehouse, "status, message")
    assert status == "failed" and "3 workers began this job" in message


@pytest.mark.parametrize(("seconds", "status"), [(299, "queued"), (301, "cancelled")])
def test__clean__dbt_stopped_asking__cancelled(bus: Bus, warehouse: DuckDB, seconds: int, status: str) -> None:
    queue(warehouse)
    later(warehouse, seconds)
    bus.clean()
    assert row(warehouse, "status") == (status,)


def test__other_version__is_left_alone_and_told_once(bus: Bus, warehouse: DuckDB) -> None:
    queue(warehouse, version="9.9.9")
    assert bus.waiting() == [] and bus.claim("run.churn") is None
    assert bus.leave_to_others() == ["run.churn"]
    assert bus.leave_to_others() == []
    status, message = row(warehouse, "status, message")
    assert status == "queued" and __version__ in message


def test__terms__of_the_bus__decide(warehouse: DuckDB, bus: Bus) -> None:
    quick = Bus(warehouse, JobTarget(None, "main", ""), Terms(lease=1))
    queue(warehouse)
    assert quick.claim("run.churn") is not None
    later(warehouse, 2)
    assert quick.waiting() == ["run.churn"]
