"""What happens when something dies, done for real: processes are killed, connections cut, disks full, clocks wrong.

After each fault nothing is half published, the served table is the one from before, the job comes to an end, and the
message says why. docs/operations.md shows the same list.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fault_helpers import kill_at, nothing_published, queue, run_out, start, state, until
from postgres_server import Server
from worker_projects import WorkerProject, served_shop
from worker_that_stops import FEW

from dbt_rfm import __version__, pipeline
from dbt_rfm.job import JobTarget
from dbt_rfm.shards import run_tables
from dbt_rfm.warehouse.postgres import Postgres
from dbt_rfm.worker.bus import Bus, Terms

pytestmark = pytest.mark.functional

OFTEN = Terms(lease=3)  # with a heartbeat every quarter of it
QUICK = "'context_size': 20, 'backtest': false"


@pytest.fixture(scope="module")
def shop(postgres_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProject]:
    """A project whose prediction churn is served in version 1."""
    with served_shop(postgres_server, tmp_path_factory.mktemp("project") / "shop", schema="faults", rfm=QUICK) as shop:
        yield shop


@pytest.fixture(autouse=True)
def only_version_one(shop: WorkerProject) -> Iterator[None]:
    """Every test begins with version 1 served and no job."""
    yield
    for table in ("rfm_versions", "rfm_metrics"):
        shop.execute(f"delete from {table} where version > 1")
    shop.execute("delete from churn__history where model_version > 1; update rfm_versions set status = 'serving'")
    shop.execute("delete from churn; insert into churn select * from churn__history")
    shop.execute("delete from rfm_jobs where status <> 'done' or job_id like 'fault%'")


def held(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Workers of this process stand still before the model until the event is set."""
    run_step, go = pipeline.run_step, threading.Event()

    def when_told(*arguments: Any, **named: Any) -> Any:
        go.wait(60)
        return run_step(*arguments, **named)

    monkeypatch.setattr(pipeline, "run_step", when_told)
    return go


class TestKilledWorker:
    @pytest.mark.parametrize("place", ["after_claim", "mid_plan", "mid_step", "mid_write", "before_done"])
    def test__kill_9__before_the_end__another_worker_does_all_of_it_once(self, shop: WorkerProject, place: str) -> None:
        job_id = queue(shop)

        kill_at(shop, place)

        assert state(shop, job_id)[:2] == ("running", 1)
        assert nothing_published(shop)
        run_out(shop)
        with shop.worker():
            until(lambda: state(shop, job_id)[0] == "done")
        assert state(shop, job_id)[1] == 2
        assert shop.rows("select version, status from rfm_versions order by 1") == [(1, "serving"), (2, "ready")]
        assert shop.rows("select count(*) from churn__history where model_version = 2") == shop.rows(
            "select count(*) from churn"
        )
        assert shop.rows("select distinct model_version from churn") == [(1,)]

    def test__kill_9__before_the_claim__the_job_waits_for_the_next(self, shop: WorkerProject) -> None:
        job_id = queue(shop)

        kill_at(shop, "before_claim")

        assert state(shop, job_id) == ("queued", 0, None)
        with shop.worker():
            until(lambda: state(shop, job_id)[0] == "done")

    def test__killed_three_times__the_job_has_failed_and_says_so(self, shop: WorkerProject) -> None:
        job_id = queue(shop)
        for _ in range(3):
            kill_at(shop, "after_claim")
            run_out(shop)

        with shop.worker():
            until(lambda: state(shop, job_id)[0] != "running")

        status, attempts, message = state(shop, job_id)
        assert (status, attempts) == ("failed", 3)
        assert "3 workers began this job and none came to an end" in message
        assert nothing_published(shop)

    def test__paused__longer_than_its_lease__finds_the_job_done_and_writes_nothing(self, shop: WorkerProject) -> None:
        job_id = queue(shop)
        worker, mark = start(shop, "mid_step", "--once")
        until(mark.exists)
        worker.send_signal(signal.SIGSTOP)
        run_out(shop)
        with shop.worker():
            until(lambda: state(shop, job_id)[0] == "done")

        mark.with_suffix(".go").touch()
        worker.send_signal(signal.SIGCONT)

        assert worker.wait(120) == 0
        assert "event=lost" in mark.with_suffix(".log").read_text()
        assert shop.rows("select version, status from rfm_versions order by 1") == [(1, "serving"), (2, "ready")]
        assert shop.rows("select count(*) from churn__history where model_version = 2") == shop.rows(
            "select count(*) from churn"
        )

    def test__sigterm__job_runs__is_given_back_and_the_folder_wiped(self, shop: WorkerProject, tmp_path: Path) -> None:
        job_id = queue(shop)
        process, mark = start(shop, "mid_step", "--grace", "0", "--work-dir", str(tmp_path))
        until(mark.exists)
        (folder,) = tmp_path.iterdir()
        assert folder.stat().st_mode & 0o777 == 0o700

        process.terminate()

        assert process.wait(20) == 0
        assert state(shop, job_id) == ("queued", 0, "its worker was stopped")
        assert list(tmp_path.iterdir()) == []
        assert nothing_published(shop)

    def test__sigterm__job_ends_within_the_grace__is_finished(self, shop: WorkerProject) -> None:
        job_id = queue(shop)
        process, mark = start(shop, "mid_step", "--grace", "120")
        until(mark.exists)

        process.terminate()
        mark.with_suffix(".go").touch()

        assert process.wait(120) == 0
        assert state(shop, job_id)[0] == "done"


class TestShards:
    def test__shard__that_takes_longer_than_its_lease__stays_with_its_worker(
        self, shop: WorkerProject, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(run_tables, "SHARD", FEW)
        write, go, written = run_tables.RunTables.write, threading.Event(), []

        def slowly(self: Any, shard: int, *arguments: Any) -> None:
            written.append(shard)
            assert go.wait(60)
            write(self, shard, *arguments)

        monkeypatch.setattr(run_tables.RunTables, "write", slowly)
        job_id = queue(shop)
        with shop.worker(terms=OFTEN):
            until(lambda: written)
            held = f"select worker, lease_until > now() from rfm_shards where shard = {written[0]}"
            (before,) = shop.rows(held)
            time.sleep(OFTEN.lease + 1)
            assert shop.rows(held) == [before] == [(before[0], True)]
            go.set()
            until(lambda: state(shop, job_id)[0] == "done")
        assert len(written) == len(set(written))

    def test__kill_9__between_two_shards__another_worker_goes_on_with_the_rest(
        self, shop: WorkerProject, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(run_tables, "SHARD", FEW)
        job_id = queue(shop)

        kill_at(shop, "mid_shards")

        done = "select shard, updated_at from rfm_shards where status = 'done' order by 1"
        before = shop.rows(done)
        assert len(before) == 2 and nothing_published(shop)
        # The third is free when its lease has run out.
        shop.execute("update rfm_shards set lease_until = now() where status = 'running'")
        ((planned,),) = shop.rows("select count(*) from rfm_shards")
        write, written = run_tables.RunTables.write, []

        def noted(self: Any, shard: int, *arguments: Any) -> None:
            written.append(shard)
            write(self, shard, *arguments)

        monkeypatch.setattr(run_tables.RunTables, "write", noted)
        run_out(shop)
        with shop.worker():
            until(lambda: state(shop, job_id)[0] == "done")
        assert planned > 3 and sorted(written) == sorted(set(range(planned)) - {shard for shard, _ in before})
        assert shop.rows("select count(*) from churn__history where model_version = 2") == shop.rows(
            "select count(*) from churn"
        )
        until(lambda: shop.rows("select count(*) from rfm_shards") == [(0,)])
        assert shop.rows("select count(*) from pg_tables where tablename like 'rfm_run_%'") == [(0,)]

    def test__two_workers__one_large_job__the_second_helps(
        self, shop: WorkerProject, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(run_tables, "SHARD", FEW)
        write, helping = run_tables.RunTables.write, threading.Event()

        def slowly(self: Any, *arguments: Any) -> None:
            helping.wait(60)  # the first worker is not quicker than the second comes
            write(self, *arguments)

        monkeypatch.setattr(run_tables.RunTables, "write", slowly)
        job_id = queue(shop)
        with shop.worker() as one, shop.worker() as other:
            until(lambda: one.events("helping") or other.events("helping"))
            helping.set()
            until(lambda: state(shop, job_id)[0] == "done")

        assert sorted(len(log.events("claimed")) for log in (one, other)) == [0, 1]
        rows = "select count(*), count(distinct customer_id) from churn__history where model_version = 2"
        assert shop.rows(rows) == shop.rows("select count(*), count(distinct customer_id) from churn")


class TestKilledDbt:
    def run_dbt(self, shop: WorkerProject) -> subprocess.Popen[bytes]:
        where = ["--project-dir", str(shop.path), "--profiles-dir", str(shop.path)]
        command = [sys.executable, "-m", "dbt.cli.main", "run", "--select", "churn", *where]
        log = (shop.path / "dbt_killed.log").open("wb")
        return subprocess.Popen(command, cwd=shop.path, stdout=log, stderr=log)

    def newest(self, shop: WorkerProject) -> str:
        rows = shop.rows("select job_id from rfm_jobs where status in ('queued', 'running') order by created_at desc")
        return rows[0][0] if rows else ""

    def test__kill_9__while_it_polls__job_is_cancelled_and_nothing_published(self, shop: WorkerProject) -> None:
        process = self.run_dbt(shop)
        until(lambda: self.newest(shop))
        job_id = self.newest(shop)
        process.kill()
        process.wait()

        # As if five minutes had passed.
        shop.execute("update rfm_jobs set polled_at = now() - interval '301 seconds' where status = 'queued'")
        with shop.worker():
            until(lambda: state(shop, job_id)[0] == "cancelled")

        assert "dbt has not asked for 300 seconds" in state(shop, job_id)[2]
        assert nothing_published(shop)

    def test__kill_9__while_the_worker_works__version_is_ready_and_the_old_one_served(
        self, shop: WorkerProject, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        go = held(monkeypatch)
        process = self.run_dbt(shop)
        until(lambda: self.newest(shop))
        job_id = self.newest(shop)
        with shop.worker():
            until(lambda: state(shop, job_id)[0] == "running")
            process.kill()
            process.wait()
            go.set()
            until(lambda: state(shop, job_id)[0] == "done")

            assert shop.rows("select version, status from rfm_versions order by 1") == [(1, "serving"), (2, "ready")]
            assert shop.rows("select distinct model_version from churn") == [(1,)]
            assert shop.dbt("run", "--select", "churn").success
        assert shop.rows("select distinct model_version from churn") == [(3,)]

    @contextmanager
    def waiting(self, shop: WorkerProject) -> Iterator[list[Any]]:
        """A dbt run that has left its job and waits; its outcome is in the list at the end."""
        runs: list[Any] = []
        dbt = threading.Thread(target=lambda: runs.append(shop.dbt("run", "--select", "churn")))
        dbt.start()
        until(lambda: self.newest(shop))
        yield runs
        dbt.join()

    def test__superseded__by_a_newer_run__the_older_worker_writes_nothing(self, shop: WorkerProject) -> None:
        old = queue(shop)
        worker, mark = start(shop, "mid_step", "--once")
        until(mark.exists)
        worker.send_signal(signal.SIGSTOP)  # it hears nothing while the newer run comes
        with shop.worker():
            assert shop.dbt("run", "--select", "churn").success

        mark.with_suffix(".go").touch()
        worker.send_signal(signal.SIGCONT)

        assert worker.wait(120) == 0
        assert state(shop, old)[0] == "cancelled" and "a newer run asks for the same" in state(shop, old)[2]
        assert "event=lost" in mark.with_suffix(".log").read_text()
        assert shop.rows("select version, status from rfm_versions order by 1") == [(1, "retired"), (2, "serving")]

    def test__slower_than_a_newer_run__does_not_take_its_version_back(self, shop: WorkerProject) -> None:
        with self.waiting(shop) as runs:
            # The worker has made version 1 for this run; before dbt looks, another run has served version 2.
            shop.execute("insert into churn__history select * from churn; update churn set model_version = 2")
            shop.execute(
                "insert into rfm_versions select * from rfm_versions; update rfm_versions set status = 'ready'"
            )
            one = "ctid = (select min(ctid) from rfm_versions)"
            shop.execute(f"update rfm_versions set version = 2, status = 'serving' where {one}")
            result = json.dumps({"version": 1, "status": "ready", "message": "churn version 1 ready"})
            shop.execute(f"update rfm_jobs set status = 'done', result = '{result}' where status = 'queued'")

        assert runs[0].success and "version 2 of another run is newer" in runs[0].log
        assert shop.rows("select distinct model_version from churn") == [(2,)]
        assert shop.rows("select version, status from rfm_versions order by 1") == [(1, "ready"), (2, "serving")]
        shop.execute(
            "delete from churn__history where ctid not in (select min(ctid) from churn__history group by customer_id)"
        )

    def test__result__that_cannot_be_read__fails_and_serves_nothing(self, shop: WorkerProject) -> None:
        with self.waiting(shop) as runs:
            shop.execute("update rfm_jobs set status = 'done', result = '{\"version\": 1' where status = 'queued'")

        assert not runs[0].success and "no result in job" in runs[0].messages["churn"]
        assert nothing_published(shop)


class TestBeside:
    """dbt-rfm run, on one machine."""

    def beside(self, shop: WorkerProject, *command: str) -> subprocess.CompletedProcess[str]:
        where = ["--project-dir", str(shop.path), "--profiles-dir", str(shop.path)]
        dbt = [sys.executable, "-m", "dbt.cli.main", *command, *where]
        run = [sys.executable, "-c", "from dbt_rfm.cli import main; main()", "run", *where, "--", *dbt]
        return subprocess.run(run, cwd=shop.path, capture_output=True, text=True)

    def test__run__dbt_run__is_answered_and_ends_with_0(self, shop: WorkerProject) -> None:
        done = self.beside(shop, "run", "--select", "churn")

        assert done.returncode == 0, done.stdout + done.stderr
        assert "churn version 2 serving" in done.stdout
        assert shop.rows("select distinct model_version from churn") == [(2,)]
        assert "event=done" in (shop.path / "logs" / "dbt_rfm_worker.log").read_text()

    def test__run__dbt_fails__ends_with_its_code(self, shop: WorkerProject) -> None:
        assert self.beside(shop, "run", "--select", "churn", "--vars", "{dbt_rfm_claim_timeout: never}").returncode == 1


class TestConnections:
    def test__cut__while_rows_are_fetched__failed_and_says_so(
        self, shop: WorkerProject, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        original, cut = Postgres.query, threading.Event()

        def query(self: Postgres, sql: Any) -> Any:
            if threading.current_thread().name == "job" and " JOIN " in sql.sql() and not cut.is_set():
                cut.set()
                pid = original(self, parse("select pg_backend_pid() as pid")).column(0)[0].as_py()
                shop.execute(f"select pg_terminate_backend({pid})")
            return original(self, sql)

        monkeypatch.setattr(Postgres, "query", query)
        job_id = queue(shop)
        with shop.worker():
            until(lambda: state(shop, job_id)[0] != "running" and state(shop, job_id)[0] != "queued")

        assert cut.is_set()
        status, _, message = state(shop, job_id)
        assert status == "failed" and "the connection to Postgres is gone" in message
        assert nothing_published(shop)

    def test__cut__that_of_the_heartbeat__is_opened_anew_and_the_job_done(self, shop: WorkerProject) -> None:
        job_id = queue(shop)
        cut = (
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where application_name = 'dbt-rfm' and state = 'idle' and query ilike '%rfm_jobs%'"
        )
        with shop.worker(terms=OFTEN) as log:
            until(lambda: state(shop, job_id)[0] != "queued")
            until(lambda: shop.rows(cut))
            until(lambda: state(shop, job_id)[0] == "done")
            # A quick job is done before the next heartbeat: then the worker finds out when it looks for another.
            until(lambda: log.events("heartbeat_failed") or log.events("warehouse_away"))

    def test__server_restarts__worker_goes_on(self, shop: WorkerProject, postgres_server: Server) -> None:
        with shop.worker(terms=OFTEN):
            time.sleep(0.5)
            postgres_server.stop()
            postgres_server.start()
            job_id = queue(shop)
            until(lambda: state(shop, job_id)[0] == "done")


class TestMachines:
    def test__disk_full__in_the_work_folder__failed_and_says_where(self, shop: WorkerProject) -> None:
        job_id = queue(shop)
        process, _ = start(shop, "full_disk", "--once")

        assert process.wait(120) == 0
        status, _, message = state(shop, job_id)
        assert status == "failed" and "work folder" in message and "--work-dir" in message
        assert nothing_published(shop)

    @pytest.mark.parametrize("hours", [-1, 1])
    def test__clock__an_hour_off__times_are_the_warehouses(
        self, shop: WorkerProject, hours: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import datetime as standard

        class Shifted(standard.datetime):
            @classmethod
            def now(cls, tz: Any = None) -> standard.datetime:
                return standard.datetime.now(tz) + standard.timedelta(hours=hours)

        for module in ("versions.history", "answer.answered", "worker.log"):
            monkeypatch.setattr(f"dbt_rfm.{module}.datetime", Shifted)
        real = time.time
        monkeypatch.setattr(time, "time", lambda: real() + 3600 * hours)
        go = held(monkeypatch)
        job_id = queue(shop)
        with shop.worker(terms=Terms(lease=30)):
            until(lambda: state(shop, job_id)[0] == "running")
            lease = "select lease_until - now() < interval '31 seconds', lease_until > now() from rfm_jobs"
            assert shop.rows(f"{lease} where job_id = '{job_id}'") == [(True, True)]
            with Postgres.open(shop.output) as other:
                assert Bus(other, JobTarget("postgres", "faults", "")).claim(job_id) is None
            go.set()
            until(lambda: state(shop, job_id)[0] == "done")

        near = "abs(extract(epoch from (now() at time zone 'utc') - predicted_at)) < 600"
        assert shop.rows(f"select bool_and({near}) from churn__history where model_version = 2") == [(True,)]

    def test__bundle__poisoned__is_refused(self, shop: WorkerProject, capsys: pytest.CaptureFixture) -> None:
        from dbt_rfm.cli import main
        from dbt_rfm.job import Job
        from dbt_rfm.pipeline import answer
        from dbt_rfm.snapshot import write_bundle

        spec = shop.rows("select spec from rfm_jobs limit 1")[0][0]
        with Postgres.open(shop.output) as warehouse:
            bundle = shop.path / "bundle"
            write_bundle(answer(Job.from_json(spec), warehouse).snapshot, bundle)
        rows = bundle / "examples.parquet"
        rows.write_bytes(rows.read_bytes()[:-9] + b"poisoned!")

        with pytest.raises(SystemExit) as left:
            main(["step", str(bundle), str(shop.path / "out.parquet")])

        assert left.value.code == 1
        assert "examples.parquet" in capsys.readouterr().err
        assert not (shop.path / "out.parquet").exists()


class TestVersions:
    def test__worker_of_another_version__leaves_the_job_and_dbt_says_why(self, shop: WorkerProject) -> None:
        runs: list[Any] = []
        timeout = json.dumps({"dbt_rfm_claim_timeout": 10})
        dbt = threading.Thread(target=lambda: runs.append(shop.dbt("run", "--select", "churn", "--vars", timeout)))
        dbt.start()
        waiting = "select job_id from rfm_jobs where status = 'queued'"
        until(lambda: shop.rows(waiting))
        ((job_id,),) = shop.rows(waiting)
        shop.execute("update rfm_jobs set package_version = '9.9.9' where status = 'queued'")

        with shop.worker():
            dbt.join()

        assert not runs[0].success
        assert f"a worker of version {__version__} is here and cannot take" in runs[0].messages["churn"]
        assert state(shop, job_id)[0] == "cancelled"
        assert nothing_published(shop)

    def test__no_worker__dbt_says_how_to_start_one(self, shop: WorkerProject) -> None:
        failed = shop.dbt("run", "--select", "churn", "--vars", json.dumps({"dbt_rfm_claim_timeout": 2}))

        assert not failed.success
        assert "no worker took the job within 2 seconds" in failed.messages["churn"]
        assert "dbt-rfm worker" in failed.messages["churn"]
        assert nothing_published(shop)

    def test__no_rfm_schema__dbt_makes_it_and_says_where_a_worker_has_to_look(self, shop: WorkerProject) -> None:
        given = json.dumps({"dbt_rfm_claim_timeout": 2, "dbt_rfm_schema": "new rfm"})
        failed = shop.dbt("run", "--select", "churn", "--vars", given)

        assert "has to look in schema postgres.new rfm" in failed.messages["churn"]
        assert shop.rows('select status from "new rfm".rfm_jobs') == [("cancelled",)]
        shop.execute('drop schema "new rfm" cascade')

    def test__workers_are_busy_with_other_jobs__dbt_waits_beyond_the_claim_timeout(self, shop: WorkerProject) -> None:
        other = queue(shop)
        shop.execute(
            "update rfm_jobs set status = 'running', worker = 'busy', target = 'another', "
            "lease_until = now() + interval '1 hour', heartbeat_at = now() + interval '1 hour' "
            f"where job_id = '{other}'"
        )
        runs: list[Any] = []
        timeout = json.dumps({"dbt_rfm_claim_timeout": 1})
        dbt = threading.Thread(target=lambda: runs.append(shop.dbt("run", "--select", "churn", "--vars", timeout)))
        dbt.start()
        long = "select job_id from rfm_jobs where status = 'queued' and polled_at > created_at + interval '4 seconds'"
        until(lambda: shop.rows(long) or runs)

        with shop.worker():
            dbt.join()

        assert runs[0].success, runs[0].messages["churn"]


def parse(sql: str) -> Any:
    from sqlglot import parse_one

    return parse_one(sql)
