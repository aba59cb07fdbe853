"""A worker until a signal says stop, and a worker for as long as another command runs.

The command is a process of its own on this terminal: Ctrl-C reaches it directly, a SIGTERM for us is handed on. Its
exit code is ours.
"""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dbt_rfm.errors import ProjectError
from dbt_rfm.worker.log import Log
from dbt_rfm.worker.loop import Settings, Worker
from dbt_rfm.worker.work import Site

Handler = Callable[[int, Any], None]


def run_until_stopped(worker: Worker) -> None:
    """Run a worker; SIGTERM and SIGINT stop it, a second one at once."""
    with _signals(lambda number, frame: worker.stop(), signal.SIGTERM, signal.SIGINT):
        worker.run()


def run_beside(command: Sequence[str], site: Site, settings: Settings, *, log_file: Path) -> int:
    """Run a command with a worker beside it; returns its exit code. Raises ProjectError if one cannot start."""
    with site.open():
        pass  # settings that are wrong are told before the command runs
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("a") as stream:
        worker = Worker([site], settings, Log(stream=stream))
        child = _start(command)
        threading.Thread(target=_stop_after, args=(worker, child), daemon=True).start()
        with (
            _signals(lambda number, frame: child.terminate(), signal.SIGTERM),
            _signals(lambda number, frame: None, signal.SIGINT),
        ):
            try:
                worker.run()
            except BaseException:
                child.terminate()
                raise
            finally:
                child.wait()
    # A shell says 128 + number of a process that a signal ended.
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def _stop_after(worker: Worker, child: subprocess.Popen[bytes]) -> None:
    child.wait()
    worker.stop()


def _start(command: Sequence[str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(command)
    except OSError as error:
        raise ProjectError(f"{command[0]} cannot be run: {error.strerror}", hint="Is it installed here?") from error


@contextmanager
def _signals(handler: Handler, *numbers: signal.Signals) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
