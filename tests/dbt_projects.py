"""Real dbt projects on DuckDB for the tests. dbt runs in this process: a command costs a second or two."""

from __future__ import annotations

import gc
import shutil
from contextlib import chdir
from dataclasses import dataclass, field
from pathlib import Path

import pytest

pytest.importorskip("dbt.cli.main", reason="dbt is not installed")
duckdb = pytest.importorskip("duckdb")

REPOSITORY = Path(__file__).resolve().parents[1]
DATABASE = "shop.duckdb"

# The path is relative, so that copies of a project have the same profile and parse only what changed.
PROFILE = f"""
shop:
  target: dev
  outputs:
    dev:
      type: duckdb
      path: {DATABASE}
      threads: 2
"""


@dataclass(frozen=True)
class Run:
    """What a dbt command did: `log` is every message of level info and above."""

    success: bool
    log: str
    results: dict[str, str]  # node name -> status
    messages: dict[str, str]  # node name -> dbt's message
    value: object = field(default=None, repr=False)  # what the command returned, e.g. the names of `dbt ls`


class Project:
    """A dbt project in a folder of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def database(self) -> Path:
        return self.path / DATABASE

    def write(self, name: str, text: str) -> None:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def remove(self, name: str) -> None:
        (self.path / name).unlink()

    def copy(self, path: Path) -> Project:
        shutil.copytree(self.path, path, symlinks=True)
        return Project(path)

    def dbt(self, *arguments: str) -> Run:
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager
        from dbt.cli.main import dbtRunner

        lines: list[str] = []
        runner = dbtRunner(callbacks=[lambda event: _keep(event, lines)])
        where = ["--project-dir", str(self.path), "--profiles-dir", str(self.path)]
        with chdir(self.path):
            result = runner.invoke([*arguments, *where, "--no-version-check", "--no-use-colors"])
        DuckDBConnectionManager.close_all_connections()  # else the file stays open in this process
        gc.collect()  # as it does in what the frames of an error hold
        nodes = [r for r in getattr(result.result, "results", None) or [] if getattr(r, "node", None) is not None]
        if result.exception is not None:
            lines.append(str(result.exception))
        return Run(
            success=bool(result.success),
            log="\n".join(lines),
            results={r.node.name: str(r.status) for r in nodes},
            messages={r.node.name: str(r.message) for r in nodes},
            value=result.result,
        )

    def rows(self, sql: str) -> list[tuple]:
        with duckdb.connect(str(self.database), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def execute(self, sql: str) -> None:
        with duckdb.connect(str(self.database)) as connection:
            connection.execute(sql)


def _keep(event: object, lines: list[str]) -> None:
    if event.info.level in ("info", "warn", "error"):  # type: ignore[attr-defined]
        lines.append(event.info.msg)  # type: ignore[attr-defined]
