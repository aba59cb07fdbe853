"""The heartbeat: a worker keeps its job and the shard it answers as long as it lives, and no longer.

In: the work, which runs in another thread, and a connection that is not that thread's. Out: new leases in the
warehouse; or, where the work is for nothing by now, the reason in its `Stage`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from dbt_rfm.errors import RfmError
from dbt_rfm.warehouse.base import Warehouse
from dbt_rfm.worker.bus import Bus, JobLost
from dbt_rfm.worker.work import Site, Work

BEATS = 4  # per lease


class Link:
    """A site's connection, opened when it is needed."""

    def __init__(self, site: Site) -> None:
        self._site, self._stack = site, ExitStack()
        self._warehouse: Warehouse | None = None

    def warehouse(self) -> Warehouse:
        if self._warehouse is None:
            self._warehouse = self._stack.enter_context(self._site.open())
        return self._warehouse

    def close(self) -> None:
        self._warehouse = None
        self._stack.close()


def beat(work: Work, link: Link, *, failed: Callable[[RfmError], None] = lambda error: None) -> None:
    """One heartbeat. Of an error `failed` hears, and the next beat tries again."""
    try:
        bus = Bus(link.warehouse(), work.home, work.terms)
        bus.clean()  # perhaps nobody waits for this one any more
        if work.helps:
            bus.require(work.claim)
        else:
            bus.renew(work.claim, work.stage.said())
        if work.stage.counts:
            work.board(link.warehouse()).renew()
    except JobLost as error:
        work.stage.lost = str(error)
    except RfmError as error:
        link.close()  # opened anew for the next beat
        failed(error)


@contextmanager
def beating(work: Work) -> Iterator[None]:
    """Meanwhile a thread with a connection of its own beats, where no main thread does."""
    over = threading.Event()
    thread = threading.Thread(target=_beat_until, args=(over, work), name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()


def _beat_until(over: threading.Event, work: Work) -> None:
    link = Link(work.site)
    try:
        while work.stage.lost is None and not over.wait(work.terms.lease / BEATS):
            beat(work, link)
    finally:
        link.close()
