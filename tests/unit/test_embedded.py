"""What dbt is told when a job ends, well or badly: one row, never an exception."""

from __future__ import annotations

import threading
from pathlib import Path

import duckdb
import pytest
from job_text import job_text

from dbt_rfm import publish
from dbt_rfm.embedded import run_job
from dbt_rfm.errors import DataError
from dbt_rfm.job import Job, JobTarget


def outcome(con: duckdb.DuckDBPyConnection) -> tuple[str, str]:
    (row,) = con.execute("select status, message from dbt_rfm_outcome").fetchall()
    return row


def job(folder: Path) -> str:
    return job_text(Job("PREDICT it's; --", (), unique_id="model.shop.churn", target_path=str(folder)))


def test__run_job__published__leaves_the_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = publish.Outcome("published", "it's served; 100%", 3)
    monkeypatch.setattr(publish, "publish", lambda job, warehouse: done)
    con = duckdb.connect()
    run_job(job(tmp_path), con)
    assert outcome(con) == ("published", "it's served; 100%")


def test__run_job__user_s_error__is_the_message_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(job: Job, warehouse: object) -> None:
        raise DataError("nothing to learn from", hint="Bring more history.")

    monkeypatch.setattr(publish, "publish", fail)
    con = duckdb.connect()
    run_job(job(tmp_path), con)
    assert outcome(con) == ("failed", "nothing to learn from\n  Bring more history.")
    assert not (tmp_path / "rfm").exists()


def test__run_job__unforeseen_error__is_one_line_and_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(job: Job, warehouse: object) -> None:
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(publish, "publish", fail)
    con = duckdb.connect()
    run_job(job(tmp_path), con)
    status, message = outcome(con)
    log = tmp_path / "rfm" / "errors.log"
    assert status == "failed" and "unexpected ZeroDivisionError" in message and str(log) in message
    assert "\n" not in message
    assert "model.shop.churn" in log.read_text() and "Traceback" in log.read_text()


def test__run_job__no_job__says_so() -> None:
    con = duckdb.connect()
    run_job("{}", con)
    status, message = outcome(con)
    assert status == "failed" and "expected a job of version 1" in message


def test__run_job__several_threads_and_a_new_rfm_schema__made_once_and_all_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(publish, "publish", lambda job, warehouse: publish.Outcome("published", "served", 1))
    database = duckdb.connect()
    sessions = [database.cursor() for _ in range(8)]
    for number in range(20):
        kept_there = job_text(Job("", (), target=JobTarget("memory", "main", "churn"), rfm_schema=f"Kept {number}"))
        threads = [threading.Thread(target=run_job, args=(kept_there, session)) for session in sessions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [outcome(session) for session in sessions] == [("published", "served")] * 8
    made = "select count(*) from information_schema.schemata where schema_name like 'Kept %'"
    assert database.execute(made).fetchall() == [(20,)]
