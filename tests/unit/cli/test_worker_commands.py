"""worker and run: what they say where there is nothing to work for, and how a command beside a worker ends."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dbt_rfm.cli.beside import run_beside
from dbt_rfm.cli.project import OpenedProject
from dbt_rfm.cli.worker import site_of
from dbt_rfm.errors import ProjectError
from dbt_rfm.job import JobTarget
from dbt_rfm.project import find_project
from dbt_rfm.warehouse.duckdb import DuckDB
from dbt_rfm.worker.loop import Settings
from dbt_rfm.worker.work import Site

Command = Callable[..., tuple[int, str, str]]
SETTINGS = Settings(grace=0, idle=0.2)
PROFILE = """
shop:
  target: prod
  outputs:
    prod: {type: postgres, host: dwh, user: rfm, password: "{{ env_var('RFM_PASSWORD') }}", dbname: dwh, schema: mart}
    cold: {type: snowflake, account: x, user: y, password: z, database: DWH, schema: MART}
    dead: {type: postgres, host: 127.0.0.1, port: 1, user: rfm, password: secret-word, dbname: dwh, schema: mart}
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RFM_PASSWORD", "secret-word")
    (tmp_path / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    (tmp_path / "profiles.yml").write_text(PROFILE)
    return tmp_path


@pytest.fixture
def site(tmp_path: Path) -> Site:
    def open_it() -> DuckDB:
        return DuckDB.open(tmp_path / "shop.duckdb", read_only=False)

    return Site("dev", open_it, lambda: [JobTarget(None, "main", "")])


def write_manifest(root: Path, predictions: list[dict[str, Any]]) -> None:
    """As dbt leaves it, as far as predictions go."""
    common = {"resource_type": "model", "database": "DWH", "name": "churn", "config": {"materialized": "prediction"}}
    (root / "target").mkdir(exist_ok=True)
    nodes = {str(number): common | prediction for number, prediction in enumerate(predictions)}
    (root / "target" / "manifest.json").write_text(json.dumps({"nodes": nodes}))


def test__worker__duckdb__needs_none(own_project: Path, command: Command) -> None:
    code, _, err = command("worker", "--once", "--project-dir", own_project)
    assert code == 1 and "where dbt answers predictions itself" in err


def test__run__no_command__says_what_to_write(root: Path, command: Command) -> None:
    code, _, err = command("run", "--project-dir", root)
    assert code == 2 and "dbt-rfm run -- dbt build" in err


@pytest.mark.parametrize("what", [("worker", "--once"), ("run", "--", sys.executable, "-c", "print('it ran')")])
def test__server_away__one_message_and_no_password(root: Path, command: Command, what: tuple[str, ...]) -> None:
    pytest.importorskip("adbc_driver_postgresql")
    code, out, err = command(what[0], "--project-dir", root, "--target", "dead", *what[1:])
    assert code == 1 and "Postgres at 127.0.0.1:1 does not let us in" in err
    assert "secret-word" not in err and "it ran" not in out


def test__site__postgres__looks_where_dbt_leaves_jobs(root: Path) -> None:
    project = find_project(root)
    assert site_of(project, ()).homes() == [JobTarget("dwh", "mart", "")]
    assert site_of(project, ["a", "b"]).homes() == [JobTarget("dwh", "a", ""), JobTarget("dwh", "b", "")]
    (root / "dbt_project.yml").write_text("name: shop\nprofile: shop\nvars: {dbt_rfm_schema: rfm}\n")
    assert site_of(find_project(root), ()).homes() == [JobTarget("dwh", "rfm", "")]
    assert "secret-word" not in repr(project)


def test__site__snowflake__names_are_spelt_as_elsewhere_in_the_package(root: Path) -> None:
    assert site_of(find_project(root, target="cold"), ()).homes() == [JobTarget("dwh", "mart", "")]


def test__site__snowflake__schemas_and_databases_of_predictions_as_dbt_makes_them(root: Path) -> None:
    write_manifest(root, [{"schema": "MART_scores"}, {"schema": "MART", "database": "LAB"}])
    project = find_project(root, target="cold")
    assert site_of(project, ()).homes() == [
        JobTarget("dwh", "mart", ""),
        JobTarget("dwh", "mart_scores", ""),
        JobTarget("lab", "mart", ""),
    ]
    assert site_of(project, ["RFM"]).homes() == [JobTarget("dwh", "rfm", ""), JobTarget("lab", "rfm", "")]


def test__prediction__snowflake__has_one_spelling_whoever_asks(root: Path) -> None:
    write_manifest(root, [{"schema": "MART_scores", "name": "Churn_30D"}])
    project = find_project(root, target="cold")
    opened = OpenedProject(project, project.manifest(), None)
    assert opened.home("Churn_30D") == JobTarget("dwh", "mart_scores", "churn_30d")


def test__site__manifest_is_written_later__looks_there_from_then_on(root: Path) -> None:
    homes = site_of(find_project(root), ()).homes
    assert homes() == [JobTarget("dwh", "mart", "")]
    write_manifest(root, [{"schema": "mart_scores", "database": "of another target"}])
    both = [JobTarget("dwh", "mart", ""), JobTarget("dwh", "mart_scores", "")]
    assert homes() == both
    (root / "target" / "manifest.json").write_text('{"nodes": {"half')
    assert homes() == both


@pytest.mark.parametrize("code", [0, 3])
def test__run_beside__command_ends__with_its_exit_code(site: Site, tmp_path: Path, code: int) -> None:
    log = tmp_path / "logs" / "worker.log"
    asked = [sys.executable, "-c", f"import sys; sys.exit({code})"]
    assert run_beside(asked, site, SETTINGS, log_file=log) == code
    assert "event=started" in log.read_text() and "event=stopped" in log.read_text()


def test__run_beside__no_such_command__says_so(site: Site, tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="no-such-program cannot be run"):
        run_beside(["no-such-program"], site, SETTINGS, log_file=tmp_path / "worker.log")


def test__run_beside__sigterm__reaches_the_command(site: Site, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    asked = [sys.executable, "-c", f"import pathlib, time; pathlib.Path({str(ready)!r}).touch(); time.sleep(60)"]

    def end_it() -> None:
        while not ready.exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end_it).start()
    assert run_beside(asked, site, SETTINGS, log_file=tmp_path / "worker.log") == 128 + signal.SIGTERM


def test__worker__ray_is_not_installed__says_which_extra(
    root: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    code, _, err = command("worker", "--once", "--ray", "2", "--project-dir", root)
    assert code == 1 and "this needs ray, which is not installed" in err and "pip install 'dbt-rfm[ray]'" in err
