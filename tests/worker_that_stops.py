"""A worker in a process of its own that stands still at a named place, for tests to kill it there.

    python worker_that_stops.py PLACE MARK ARGUMENTS…       ARGUMENTS are those of `dbt-rfm worker`

At PLACE it makes the file MARK and waits until there is a file MARK.go. All else is the real worker.
"""

from __future__ import annotations

import itertools
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dbt_rfm.worker import bus, work

FEW = 12  # query examples of a shard, so that the shop has several


def stand_still(mark: Path) -> None:
    mark.touch()
    while not mark.with_suffix(".go").exists():
        time.sleep(0.1)


def before(owner: Any, name: str, mark: Path, *, times: int = 0) -> None:
    """Stand still before `owner.name` does anything, when it has been called so many times."""
    original: Callable[..., Any] = getattr(owner, name)
    called = itertools.count()

    def waiting(*arguments: Any, **named: Any) -> Any:
        if next(called) >= times:
            stand_still(mark)
        return original(*arguments, **named)

    setattr(owner, name, waiting)


def after(owner: Any, name: str, mark: Path) -> None:
    """Stand still when `owner.name` has done all it does."""
    original: Callable[..., Any] = getattr(owner, name)

    def waiting(*arguments: Any, **named: Any) -> Any:
        value = original(*arguments, **named)
        stand_still(mark)
        return value

    setattr(owner, name, waiting)


def prepare(place: str, mark: Path) -> None:
    if place == "before_claim":
        before(bus.Bus, "claim", mark)
    elif place == "after_claim":
        before(work.Work, "run", mark)
    elif place == "full_disk":
        # As `ulimit -f`: no file may grow beyond eight kilobytes; the log is shorter.
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))
    elif place == "mid_shards":
        from dbt_rfm.shards import run_tables

        run_tables.SHARD = FEW
        before(run_tables.RunTables, "write", mark, times=2)
    else:
        import dbt_rfm.pipeline as pipeline
        from dbt_rfm.versions import registry

        {
            "mid_plan": lambda: after(pipeline, "collect", mark),
            "mid_step": lambda: before(pipeline, "run_step", mark),
            "mid_write": lambda: before(registry, "record", mark),
            "before_done": lambda: after(bus.Bus, "finish", mark),
        }[place]()


if __name__ == "__main__":
    from dbt_rfm.cli import main

    prepare(sys.argv[1], Path(sys.argv[2]))
    main(["worker", *sys.argv[3:]])
