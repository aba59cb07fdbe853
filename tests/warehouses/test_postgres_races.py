"""Two workers at the same moment on a real Postgres server: one wins, or one waits."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest
from sqlglot import exp, parse_one

from dbt_rfm import __version__
from dbt_rfm.job import Contract, JobTarget
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.versions import history
from dbt_rfm.versions.registry import Release
from dbt_rfm.warehouse.postgres import Postgres
from dbt_rfm.worker.bus import COLUMNS, Bus

JOBS = 200


def test__two_workers_race_for_200_jobs__each_has_exactly_one_winner(
    postgres: Postgres, postgres_output: dict[str, Any]
) -> None:
    columns = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    postgres.execute(parse_one(f"create table rfm_jobs ({columns})"))
    queued = f"select 'job' || n, '{__version__}', 'queued', 0 from generate_series(1, {JOBS}) as t(n)"
    into = f"insert into rfm_jobs (job_id, package_version, status, attempt) {queued}"
    postgres.execute(parse_one(into, dialect="postgres"))
    home, together = JobTarget(None, "public", ""), threading.Barrier(2)
    won: list[dict[str, str]] = [{}, {}]

    def race(mine: dict[str, str]) -> None:
        with Postgres.open(postgres_output) as warehouse:
            bus = Bus(warehouse, home)
            for number in range(1, JOBS + 1):
                together.wait(30)
                claim = bus.claim(f"job{number}")
                if claim is not None:
                    mine[claim.job_id] = claim.token

    racers = [threading.Thread(target=race, args=(mine,)) for mine in won]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()

    rows = postgres.query(parse_one("select job_id, worker from rfm_jobs")).to_pylist()
    assert len(won[0]) + len(won[1]) == JOBS and won[0] and won[1]
    assert {**won[0], **won[1]} == {row["job_id"]: row["worker"] for row in rows}


def test__two_workers__publish_the_very_first_versions_at_once__both_are_there(
    postgres_output: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "_publishing", nullcontext())  # as in two processes
    rows = pa.table({"customer_id": [1], "anchor_time": [datetime(2025, 1, 1)], "prediction": [0.5]})
    release = Release("run", "", TaskKind.REGRESSION, "", "", "", "", datetime(2025, 1, 1), __version__)
    together, errors = threading.Barrier(2), []

    def publish(schema: str, model: str) -> None:
        with Postgres.open(postgres_output) as warehouse:
            home = JobTarget(None, schema, model)
            together.wait(30)
            try:
                history.publish(warehouse, home, rows, release, hold=True, contract=Contract())
            except Exception as error:
                errors.append(error)

    for number in range(10):
        with Postgres.open(postgres_output) as warehouse:
            warehouse.execute(exp.Create(this=exp.table_(f"s{number}"), kind="SCHEMA"))
        threads = [threading.Thread(target=publish, args=(f"s{number}", model)) for model in ("churn", "value")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert errors == []
