"""A Postgres server of the tests' own: a fresh cluster in a temporary folder, on a free port of the loopback.

It sorts text as people do (ICU, where the server has it), so that a plan which relies on the order of bytes without
saying so shows. The server refuses to run as root; then it runs as the least user there is.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SUPERUSER = "rfm_tests"
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "''",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "60",
}
_AS_PEOPLE_SORT = ("--locale=C", "--locale-provider=icu", "--icu-locale=en-US")
_BYTEWISE = ("--locale=C",)


@dataclass(frozen=True)
class Server:
    port: int
    programs: Path
    data: Path

    def output(self, dbname: str, **more: Any) -> dict[str, Any]:
        """An output of dbt's profiles.yml."""
        plain = {"type": "postgres", "host": "127.0.0.1", "port": self.port, "user": SUPERUSER, "password": "secret"}
        return {**plain, "dbname": dbname, "schema": "public", "threads": 2, **more}

    def start(self) -> None:
        options = " ".join(f"-c {name}={value}" for name, value in {**_SETTINGS, "port": self.port}.items())
        self._run("pg_ctl", "-D", self.data, "-l", self.data / "server.log", "-o", options, "-w", "-t", "60", "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")

    def init(self) -> None:
        for locale in (_AS_PEOPLE_SORT, _BYTEWISE):
            try:
                self._run("initdb", "-D", self.data, "-U", SUPERUSER, "-A", "trust", "-E", "UTF8", "-N", *locale)
                return
            except RuntimeError:
                # Versions before 15, and builds without ICU, know one order only.
                if locale is _BYTEWISE:
                    raise
                shutil.rmtree(self.data, ignore_errors=True)

    def _run(self, program: str, *arguments: str | Path) -> None:
        # Output goes to a file: the server inherits a pipe, and reading it would not end.
        with tempfile.TemporaryFile() as log:
            done = subprocess.run(
                [self.programs / program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.data.parent,
                **_as_user(),
            )
            if done.returncode:
                log.seek(0)
                raise RuntimeError(f"{program} failed: {log.read().decode(errors='replace')}")


def find_programs() -> Path | None:
    """The folder of initdb and pg_ctl: on the PATH, or where Debian puts them, of the newest version."""
    found = shutil.which("initdb")
    if found and (Path(found).parent / "pg_ctl").exists():
        return Path(found).parent
    folders = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return max(folders, key=lambda folder: float(folder.parent.name), default=None)


@contextmanager
def running_server(programs: Path) -> Iterator[Server]:
    """A server on a new cluster, stopped and removed at the end."""
    with tempfile.TemporaryDirectory(prefix="rfm_postgres_", ignore_cleanup_errors=True) as folder:
        if _as_user():
            os.chown(folder, _as_user()["user"], _as_user()["group"])
        server = Server(_free_port(), programs, Path(folder) / "data")
        server.init()
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _as_user() -> dict[str, Any]:
    """Whom the programs run as, if not as ourselves."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]
