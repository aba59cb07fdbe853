"""Each shard of a job is given to one worker at a time and is done once, whatever the workers do."""

from __future__ import annotations

from collections.abc import Iterator

import duckdb
import pytest

from dbt_rfm.job import JobTarget
from dbt_rfm.warehouse.duckdb import DuckDB
from dbt_rfm.worker.bus import JobLost
from dbt_rfm.worker.shard_board import ShardBoard, forget_others, jobs_with_free_shards, run_of

HOME = JobTarget(None, "main", "churn")


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def board(connection: duckdb.DuckDBPyConnection, job: str = "job", **also) -> ShardBoard:
    return ShardBoard(DuckDB(connection.cursor()), HOME, job, **also)


def test__claim__two_workers__never_the_same_shard(connection: duckdb.DuckDBPyConnection) -> None:
    one, other = board(connection), board(connection)
    one.open(5)
    given = [worker.claim() for worker in (one, other, one, other, one)]
    assert sorted(given) == [0, 1, 2, 3, 4]
    assert one.claim() is None and other.left() == 5


def test__done__by_the_worker_that_holds_it__is_never_given_again(connection: duckdb.DuckDBPyConnection) -> None:
    one = board(connection)
    one.open(1)
    one.done(one.claim())
    assert one.left() == 0 and board(connection).claim() is None


def test__done__after_the_lease_went_to_another_worker__is_refused(connection: duckdb.DuckDBPyConnection) -> None:
    slow, quick = board(connection, lease=0), board(connection)
    slow.open(1)
    assert slow.claim() == 0
    assert quick.claim() == 0
    with pytest.raises(JobLost, match="shard 0 was given to another worker"):
        slow.done(0)
    quick.done(0)
    assert quick.left() == 0


def test__renew__by_the_heartbeat_of_its_worker__keeps_the_shard(connection: duckdb.DuckDBPyConnection) -> None:
    slow, other = board(connection, lease=0), board(connection)
    slow.open(1)
    slow.claim()
    board(connection, worker=slow.token).renew()
    assert other.claim() is None
    slow.done(0)


def test__renew__after_another_worker_has_it__changes_nothing(connection: duckdb.DuckDBPyConnection) -> None:
    slow, other = board(connection, lease=0), board(connection, lease=0)
    slow.open(1)
    slow.claim()
    other.claim()
    board(connection, worker=slow.token).renew()
    assert board(connection).claim() == 0


def test__give_back__of_a_shard_that_is_held__lets_others_have_it(connection: duckdb.DuckDBPyConnection) -> None:
    stopped = board(connection)
    stopped.open(1)
    stopped.claim()
    assert board(connection).claim() is None
    stopped.give_back()
    assert board(connection).claim() == 0


def test__open__planned_anew__begins_again_and_leaves_other_jobs_alone(connection: duckdb.DuckDBPyConnection) -> None:
    other, one = board(connection, "other"), board(connection)
    other.open(1)
    one.open(2)
    one.done(one.claim())
    one.open(3)
    assert (one.left(), other.left()) == (3, 1)
    assert jobs_with_free_shards(DuckDB(connection.cursor()), HOME) == ["job", "other"]
    forget_others(DuckDB(connection.cursor()), HOME, keep=["other"])
    assert (one.left(), other.left()) == (0, 1)


def test__jobs_with_free_shards__nothing_ever_planned__none(connection: duckdb.DuckDBPyConnection) -> None:
    assert jobs_with_free_shards(DuckDB(connection.cursor()), HOME) == []


def test__run_of__the_same_job__the_same_tables() -> None:
    assert run_of("a.model.churn") == run_of("a.model.churn") != run_of("b.model.churn")
