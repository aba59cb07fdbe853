"""The worker's loop on jobs in a DuckDB file; what a job takes long for, the pipeline, is stood in for."""

from __future__ import annotations

import errno
import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from job_text import job_text

from dbt_rfm import __version__, pipeline
from dbt_rfm.answer.scoring import ShardsDone
from dbt_rfm.errors import DataError, ProjectError, RightMissing, WarehouseAway
from dbt_rfm.job import Job, JobTarget
from dbt_rfm.publish import Outcome
from dbt_rfm.warehouse.duckdb import DuckDB
from dbt_rfm.worker import shard_board
from dbt_rfm.worker.bus import COLUMNS, Terms
from dbt_rfm.worker.log import Log
from dbt_rfm.worker.loop import Settings, Worker
from dbt_rfm.worker.work import Helpers, Site, Stage

SECRET = "'4711'"


class Shared(DuckDB):
    """Two sessions that write at once wait for each other, as on a server; DuckDB would let one fail."""

    _writing = threading.Lock()

    def execute(self, sql: Any) -> None:
        with self._writing:
            super().execute(sql)


class Bench:
    """A database with jobs, and workers on it."""

    def __init__(self, path: Path) -> None:
        self.path, self.log = path, StringIO()
        self.run(f"create table rfm_jobs ({', '.join(f'{name} {kind}' for name, kind in COLUMNS.items())})")

    def run(self, sql: str) -> list[tuple]:
        with DuckDB.open(self.path, read_only=False) as warehouse:
            return warehouse._cursor.execute(sql).fetchall()

    def queue(
        self, job_id: str = "run.churn", *, schema: str = "main", version: str = __version__, **options: Any
    ) -> str:
        target = JobTarget(None, schema, "churn")
        spec = job_text(Job(query="", tables=(), unique_id="model.shop.churn", target=target, options=options))
        self.run(
            "insert into rfm_jobs (job_id, node_id, spec, package_version, status, attempt, polled_at, created_at) "
            f"values ('{job_id}', 'model.shop.churn', '{spec}', '{version}', 'queued', 0, now(), now())"
        )
        return job_id

    def state(self, job_id: str = "run.churn") -> tuple:
        return self.run(f"select status, message from rfm_jobs where job_id = '{job_id}'")[0]

    def worker(self, *, helpers: Helpers | None = None, **settings: Any) -> Worker:
        site = Site(
            "dev", lambda: Shared.open(self.path, read_only=False), lambda: [JobTarget(None, "main", "")], helpers
        )
        return Worker([site], Settings(**settings), Log(as_json=True, stream=self.log))

    def events(self) -> list[str]:
        return [json.loads(line)["event"] for line in self.log.getvalue().splitlines()]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "shop.duckdb")


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[..., None]], list[Job]]]:
    """Sets what a publication does before it is settled; gives the jobs that were published."""

    def set_to(before: Callable[..., None] = lambda job, progress: None) -> list[Job]:
        jobs: list[Job] = []

        def publish(job: Job, warehouse: Any, *, settle: Any, progress: Any, **_: Any) -> Outcome:
            before(job, progress)
            outcome = Outcome("ready", "churn version 1 ready", 1)
            settle(outcome)
            jobs.append(job)
            return outcome

        monkeypatch.setattr("dbt_rfm.publish.publish", publish)
        return jobs

    yield set_to


def raising(error: BaseException) -> Callable[..., None]:
    def raise_it(job: Job, progress: Any) -> None:
        raise error

    return raise_it


def test__once__two_jobs_wait__does_both_and_leaves(bench: Bench, answered: Any) -> None:
    jobs = answered()
    bench.queue("a"), bench.queue("b")
    bench.worker(once=True).run()
    assert bench.state("a")[0] == bench.state("b")[0] == "done" and len(jobs) == 2
    (result,) = bench.run("select result from rfm_jobs where job_id = 'a'")[0]
    assert json.loads(result) == {"version": 1, "status": "ready", "message": "churn version 1 ready"}


def test__max_jobs__one_of_two__leaves_the_other(bench: Bench, answered: Any) -> None:
    answered()
    bench.queue("a"), bench.queue("b")
    bench.worker(max_jobs=1).run()
    assert (bench.state("a")[0], bench.state("b")[0]) == ("done", "queued")


def test__work_folder__is_private_and_gone_afterwards(bench: Bench, answered: Any, tmp_path: Path) -> None:
    seen: list[int] = []

    def look(job: Job, progress: Any) -> None:
        Path(job.target_path, "rows.parquet").write_bytes(b"rows")
        seen.append(Path(job.target_path).stat().st_mode & 0o777)

    answered(look)
    bench.queue()
    (tmp_path / "work").mkdir()
    bench.worker(once=True, work_dir=tmp_path / "work").run()
    assert seen == [0o700]
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.parametrize("weights", [None, "kept"])
def test__folders__named_by_a_job__are_not_used(
    bench: Bench, answered: Any, tmp_path: Path, weights: str | None
) -> None:
    jobs = answered()
    bench.queue()
    options = '{"model": "graph_transformer", "weights": "/etc"}'
    bench.run(f"update rfm_jobs set spec = replace(spec, '\"options\": {{}}', '\"options\": {options}')")
    kept = str(tmp_path / weights) if weights else None
    bench.worker(once=True, weights_dir=kept).run()
    assert jobs[0].options == {"model": "graph_transformer"} | ({"weights": kept} if kept else {})
    assert "dbt-rfm-" in jobs[0].target_path


def test__users_error__message_is_dbts_and_not_the_logs(bench: Bench, answered: Any) -> None:
    answered(raising(DataError(f"3 orders point to no customer, e.g. {SECRET}", hint="Mend them.")))
    bench.queue()
    bench.worker(once=True).run()
    assert bench.state() == ("failed", f"3 orders point to no customer, e.g. {SECRET}\n  Mend them.")
    assert "DataError" in bench.log.getvalue() and "4711" not in bench.log.getvalue()


def test__unforeseen_error__log_says_where_and_nobody_what(bench: Bench, answered: Any) -> None:
    answered(raising(ValueError(f"cannot read {SECRET}")))
    bench.queue()
    bench.worker(once=True).run()
    status, message = bench.state()
    assert status == "failed" and "unexpected ValueError" in message and "4711" not in message
    assert "test_worker.py:" in bench.log.getvalue() and "4711" not in bench.log.getvalue()


def test__disk_full__message_names_the_option(bench: Bench, answered: Any) -> None:
    answered(raising(OSError(errno.ENOSPC, "No space left on device")))
    bench.queue()
    bench.worker(once=True).run()
    status, message = bench.state()
    assert status == "failed" and "work folder: No space left on device" in message and "--work-dir" in message


def test__work_dir__that_is_not_there__is_told_before_a_job_is_claimed(bench: Bench, tmp_path: Path) -> None:
    bench.queue()
    with pytest.raises(ProjectError, match=r"missing cannot be used: No such file.*\n.*--work-dir"):
        bench.worker(once=True, work_dir=tmp_path / "missing").run()
    assert bench.state() == ("queued", None)


def test__work_dir__full_when_a_job_comes__fails_the_job_and_the_worker_lives(
    bench: Bench, answered: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs, real, made = answered(), tempfile.mkdtemp, []

    def mkdtemp(**asked: Any) -> str:
        made.append(asked)
        if len(made) == 2:  # after the one that the worker tries at its start
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(**asked)

    monkeypatch.setattr(tempfile, "mkdtemp", mkdtemp)
    bench.queue("a"), bench.queue("b")
    bench.worker(once=True).run()
    status, message = bench.state("a")
    assert status == "failed" and "work folder: No space left on device" in message and "--work-dir" in message
    assert bench.state("b")[0] == "done" and len(jobs) == 1


def test__superseded_meanwhile__stops_at_the_next_stage_and_leaves_the_row(bench: Bench, answered: Any) -> None:
    def superseded(job: Job, progress: Any) -> None:
        bench.run("update rfm_jobs set status = 'cancelled', message = 'a newer run'")
        end = time.monotonic() + 20
        while time.monotonic() < end:
            progress("collecting examples and features")
            time.sleep(0.05)

    jobs = answered(superseded)
    bench.queue()
    bench.worker(once=True, terms=Terms(lease=1)).run()
    assert jobs == [] and bench.events()[-2:] == ["lost", "stopped"]
    assert bench.state() == ("cancelled", "a newer run")


def test__stop__while_a_job_runs__gives_it_back_after_the_grace(bench: Bench, answered: Any) -> None:
    running, end = threading.Event(), threading.Event()

    def slow(job: Job, progress: Any) -> None:
        running.set()
        end.wait(30)

    answered(slow)
    bench.queue()
    worker = bench.worker(grace=0.1)
    thread = threading.Thread(target=worker.run)
    thread.start()
    assert running.wait(30)
    worker.stop()
    thread.join(30)
    end.set()
    assert not thread.is_alive() and bench.state() == ("queued", "its worker was stopped")


def test__other_schema__in_the_job__is_refused(bench: Bench, answered: Any) -> None:
    jobs = answered()
    bench.queue(schema="secret")
    bench.worker(once=True).run()
    status, message = bench.state()
    assert status == "failed" and "asks to write into another schema" in message and jobs == []


def test__job_that_is_no_job__fails_with_a_message(bench: Bench, answered: Any) -> None:
    answered()
    bench.queue()
    bench.run("update rfm_jobs set spec = '{\"version\": 99}'")
    bench.worker(once=True).run()
    assert bench.state()[0] == "failed" and "expected a job of version 1" in bench.state()[1]


def test__other_version__is_logged_and_left(bench: Bench, answered: Any) -> None:
    jobs = answered()
    bench.queue(version="9.9.9")
    bench.worker(once=True).run()
    assert "other_version" in bench.events() and bench.state()[0] == "queued" and jobs == []


def test__health_file__says_what_the_worker_does(bench: Bench, answered: Any, tmp_path: Path) -> None:
    health, seen = tmp_path / "health.json", []

    def look(job: Job, progress: Any) -> None:
        progress(ShardsDone(1, 4))
        end = time.monotonic() + 20
        while "total" not in (state := json.loads(health.read_text())) and time.monotonic() < end:
            time.sleep(0.05)
        seen.append(state)

    answered(look)
    bench.queue()
    bench.worker(once=True, health_file=health).run()
    assert (seen[0]["state"], seen[0]["stage"], seen[0]["done"], seen[0]["total"]) == ("working", "predicting", 1, 4)
    assert json.loads(health.read_text())["state"] == "stopped"


def test__health_file__cannot_be_written_any_more__the_job_is_done_all_the_same(
    bench: Bench, answered: Any, tmp_path: Path
) -> None:
    folder = tmp_path / "probe"
    folder.mkdir()

    def taken_away(job: Any, progress: Any) -> None:
        if folder.exists():
            folder.rename(tmp_path / "gone")  # at once: what is emptied first is written to between

    answered(taken_away)
    bench.queue("a"), bench.queue("b")
    bench.worker(once=True, health_file=folder / "health.json").run()
    assert bench.state("a")[0] == bench.state("b")[0] == "done"
    assert "health_failed" in bench.events()


def test__health_file__that_cannot_be_made__is_told_at_once(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"health file .* cannot be written: No such file"):
        bench.worker(health_file=tmp_path / "missing" / "health.json").run()


@pytest.mark.parametrize("works", [True, False])
def test__health_file__long_pauses_and_leases__is_rewritten_all_the_same(
    bench: Bench, answered: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, works: bool
) -> None:
    monkeypatch.setattr("dbt_rfm.worker.loop.ALIVE", 0.05)
    monkeypatch.setattr("dbt_rfm.worker.loop.SHORTEST_IDLE", 3600)
    health, states, enough, write = tmp_path / "health.json", [], threading.Event(), Worker._health

    def noted(self: Worker, state: str, **fields: Any) -> None:
        write(self, state, **fields)
        states.append(json.loads(health.read_text())["state"])
        if states.count("working" if works else "idle") == 4:
            enough.set()
            if not works:
                self.stop()

    monkeypatch.setattr(Worker, "_health", noted)
    answered(lambda job, progress: enough.wait(60) or None)
    if works:
        bench.queue()
    bench.worker(terms=Terms(lease=3600), health_file=health, max_jobs=1, idle=3600).run()
    assert enough.is_set() and states[-1] == "stopped"


def test__start__log_says_in_which_schemas_it_looks(bench: Bench) -> None:
    bench.worker(once=True).run()
    (line,) = [json.loads(text) for text in bench.log.getvalue().splitlines() if '"looking"' in text]
    assert (line["target"], line["schemas"]) == ("dev", "main")


@pytest.mark.parametrize(
    ("error", "event", "reason"),
    [
        (RightMissing("Postgres says permission denied for table rfm_jobs"), "right_missing", "table rfm_jobs"),
        (WarehouseAway("Postgres at dwh:5432 does not let us in: no such role"), "warehouse_away", "at dwh:5432"),
        (ProjectError(f"no {SECRET}"), "warehouse_away", None),
    ],
)
def test__looking__fails__log_says_which_right_is_missing_or_why_it_is_away_and_no_other_message(
    bench: Bench, answered: Any, error: ProjectError, event: str, reason: str | None
) -> None:
    class Refusing(Shared):
        def query(self, sql: Any) -> Any:
            raise error

    answered()
    bench.queue()
    kinds = [Refusing, Shared, Shared]
    site = Site("dev", lambda: kinds.pop(0).open(bench.path, read_only=False), lambda: [JobTarget(None, "main", "")])
    Worker([site], Settings(max_jobs=1, idle=0.1), Log(as_json=True, stream=bench.log)).run()
    (line,) = [json.loads(text) for text in bench.log.getvalue().splitlines() if f'"{event}"' in text]
    assert (reason in line["reason"] if reason else "reason" not in line) and "4711" not in bench.log.getvalue()


def test__looking__fails_again__is_said_once_for_each_reason(bench: Bench, answered: Any) -> None:
    role, host = (WarehouseAway(f"Postgres at dwh:5432 does not let us in: {why}") for why in ("no role", "no host"))
    failures = [role, role, host, host]

    class Unsteady(Shared):
        def query(self, sql: Any) -> Any:
            if failures:
                raise failures.pop(0)
            return super().query(sql)

    answered()
    bench.queue()
    site = Site("dev", lambda: Unsteady.open(bench.path, read_only=False), lambda: [JobTarget(None, "main", "")])
    Worker([site], Settings(max_jobs=1, idle=0.01), Log(as_json=True, stream=bench.log)).run()
    told = [json.loads(text)["reason"] for text in bench.log.getvalue().splitlines() if '"warehouse_away"' in text]
    assert [reason.rsplit(": ")[-1] for reason in told] == ["no role", "no host"] and bench.state()[0] == "done"


def test__right_missing__in_one_schema__jobs_of_the_next_are_done(bench: Bench, answered: Any) -> None:
    class Refusing(Shared):
        def tables(self, database: str | None, schema: str, name: str | None = None) -> dict[str, str]:
            if schema == "secret":
                raise RightMissing("Postgres says permission denied for schema secret")
            return super().tables(database, schema, name)

    answered()
    bench.queue()
    homes = [JobTarget(None, "secret", ""), JobTarget(None, "main", "")]
    site = Site("dev", lambda: Refusing.open(bench.path, read_only=False), lambda: homes)
    Worker([site], Settings(max_jobs=1, idle=0.1), Log(as_json=True, stream=bench.log)).run()
    assert bench.state()[0] == "done" and "right_missing" in bench.events()


def test__jobs_table__found_once__the_catalogue_is_not_asked_again(bench: Bench) -> None:
    asked: list[str] = []

    class Counting(Shared):
        def tables(self, database: str | None, schema: str, name: str | None = None) -> dict[str, str]:
            asked.append(schema)
            return super().tables(database, schema, name)

        def query(self, sql: Any) -> Any:
            looks.append(sql)
            if len(looks) == 5:
                worker.stop()
            return super().query(sql)

    looks: list[Any] = []
    site = Site("dev", lambda: Counting.open(bench.path, read_only=False), lambda: [JobTarget(None, "main", "")])
    worker = Worker([site], Settings(idle=0.1), Log(as_json=True, stream=bench.log))
    worker.run()
    assert asked == ["main"] and len(looks) >= 5


def test__schema__that_is_not_there__is_said_once_and_its_jobs_are_done_later(bench: Bench, answered: Any) -> None:
    jobs, looks = answered(), []

    class Looking(Shared):
        def tables(self, database: str | None, schema: str, name: str | None = None) -> dict[str, str]:
            looks.append(schema)
            if len(looks) == 6:
                bench.run("create schema later; create table later.rfm_jobs as from main.rfm_jobs")
                bench.run("delete from main.rfm_jobs")
            return super().tables(database, schema, name)

    bench.queue(schema="later")
    site = Site("dev", lambda: Looking.open(bench.path, read_only=False), lambda: [JobTarget(None, "later", "")])
    Worker([site], Settings(max_jobs=1, idle=0.1), Log(as_json=True, stream=bench.log)).run()
    (line,) = [json.loads(text) for text in bench.log.getvalue().splitlines() if '"schema_missing"' in text]
    assert line["schema"] == "later" and "dbt makes it" in line["reason"]
    assert len(jobs) == 1


def test__schema__that_is_renamed__is_said_to_be_missing(bench: Bench) -> None:
    class Renaming(Shared):
        def query(self, sql: Any) -> Any:
            if '"kept"."rfm_jobs"' in sql.sql():
                bench.run("drop schema if exists kept cascade")
            looks.append(sql)
            if len(looks) == 50:
                worker.stop()
            return super().query(sql)

        def has_schema(self, database: str | None, schema: str) -> bool:
            asked.append(super().has_schema(database, schema))
            if asked[-1]:
                bench.run("create table kept.rfm_jobs as from rfm_jobs")
            else:
                worker.stop()
            return asked[-1]

    asked: list[bool] = []
    looks: list[Any] = []
    bench.run("create schema kept")
    site = Site("dev", lambda: Renaming.open(bench.path, read_only=False), lambda: [JobTarget(None, "kept", "")])
    worker = Worker([site], Settings(idle=0.1), Log(as_json=True, stream=bench.log))
    worker.run()
    assert asked == [True, False] and bench.events().count("schema_missing") == 1


def test__schema__without_jobs_yet__is_not_said_to_be_missing(bench: Bench) -> None:
    bench.run("drop table rfm_jobs")
    bench.worker(once=True).run()
    assert "schema_missing" not in bench.events()


def test__warehouse_away__after_the_start__is_opened_anew(bench: Bench, answered: Any) -> None:
    class Gone(Shared):
        def query(self, sql: Any) -> Any:
            raise ProjectError("the connection is gone")

    answered()
    bench.queue()
    kinds = [Gone, Shared, Shared]
    site = Site("dev", lambda: kinds.pop(0).open(bench.path, read_only=False), lambda: [JobTarget(None, "main", "")])
    Worker([site], Settings(max_jobs=1, idle=0.1), Log(as_json=True, stream=bench.log)).run()
    assert "warehouse_away" in bench.events() and bench.state()[0] == "done"


def test__warehouse_away__at_the_start__is_told(tmp_path: Path, bench: Bench) -> None:
    def open_it() -> DuckDB:
        return DuckDB.open(tmp_path / "missing.duckdb")

    site = Site("dev", open_it, lambda: [JobTarget(None, "main", "")])
    with pytest.raises(ProjectError, match="there is no DuckDB file"):
        Worker([site], Settings(), Log(stream=bench.log)).run()


def test__stage__shards__estimates_what_is_left() -> None:
    stage = Stage()
    stage(ShardsDone(2, 10))
    time.sleep(0.05)
    stage(ShardsDone(3, 10))
    said = stage.said()
    assert (said["stage"], said["done"], said["total"]) == ("predicting", 3, 10)
    assert 0 <= said["seconds_left"] <= 7


def test__log__text__quotes_what_has_spaces() -> None:
    stream = StringIO()
    Log(stream=stream)("stage", job="a b", done=1, total=None)
    assert stream.getvalue().split(" ", 1)[1] == 'event=stage job="a b" done=1\n'


class Called:
    """Helpers that note when they are called, and when they are sent home."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def call(self, home: JobTarget, claim: Any, terms: Terms, *, shards: int) -> None:
        self.heard.append(f"{claim.job_id} {shards}")

    def dismiss(self) -> list[dict[str, Any]]:
        self.heard.append("dismissed")
        return [{"ended": "failed", "error": "ProjectError"}, {"ended": "dismissed"}]


@pytest.mark.parametrize("fails", [False, True])
def test__helpers__a_large_job__are_called_once_its_plan_is_ready_and_dismissed_at_its_end(
    bench: Bench, answered: Any, fails: bool
) -> None:
    def large(job: Job, progress: Any) -> None:
        progress("predicting")
        for shard in range(3):
            progress(ShardsDone(shard, 3))
        if fails:
            raise DataError("no rows")

    helpers = Called()
    answered(large)
    bench.queue()
    bench.worker(once=True, helpers=helpers).run()
    assert helpers.heard == ["run.churn 3", "dismissed"]
    one, other = (json.loads(each) for each in bench.log.getvalue().splitlines() if '"helper"' in each)
    assert (one["job"], one["ended"], one["error"]) == ("run.churn", "failed", "ProjectError")
    assert other["ended"] == "dismissed"


def large_job_of_another(bench: Bench, **options: Any) -> None:
    """One that runs elsewhere, with a shard that is free."""
    bench.queue(**options)
    bench.run("update rfm_jobs set status = 'running', worker = 'other', attempt = 1")
    bench.run(f"create table rfm_shards ({', '.join(f'{name} {kind}' for name, kind in shard_board.COLUMNS.items())})")
    bench.run("insert into rfm_shards (job_id, shard, status) values ('run.churn', 0, 'queued')")


@pytest.mark.parametrize("fails", [False, True])
def test__helping__that_fails_or_comes_before_the_plan__pauses_before_it_tries_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    large_job_of_another(bench)
    worker, tried = bench.worker(), []

    def help_with(*given: Any, **named: Any) -> bool:
        tried.append(given)
        if len(tried) > 3:
            worker.stop()
        if fails:
            raise DataError("no")
        return False

    monkeypatch.setattr(pipeline, "help_with", help_with)
    monkeypatch.setattr(worker._stopping, "wait", lambda pause: worker.stop())
    worker.run()
    assert len(tried) == 1 and bench.state()[0] == "running"


@pytest.mark.parametrize("options", [{"fine_tune": {"minutes": 2}}, {"model": "auto"}, {"model": "graph_transformer"}])
def test__helping__with_a_job_whose_weights_are_elsewhere__is_not_tried(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    large_job_of_another(bench, **options)
    worker = bench.worker()
    monkeypatch.setattr(worker._stopping, "wait", lambda pause: worker.stop())
    worker.run()
    assert "helping" not in bench.events()


def test__helpers__a_small_job__are_not_called(bench: Bench, answered: Any) -> None:
    helpers = Called()
    answered(lambda job, progress: progress("predicting"))
    bench.queue()
    bench.worker(once=True, helpers=helpers).run()
    assert helpers.heard == ["dismissed"]
