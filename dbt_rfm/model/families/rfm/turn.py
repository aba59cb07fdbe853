"""Turns at the network, within one process: whose it is, and how many threads the one whose turn it is gets.

dbt's threads may answer several predictions at once. Two forward passes side by side would take twice the memory and no
less time, so they take turns. And torch's threads wait for one another at every step: where other work holds a core, a
pass on every core takes several times as long as one on the cores that are idle (docs/LOG.md). How many are is asked of
Linux at each turn; elsewhere torch's own number stays. More threads add up in another order, so answers differ by 1e-6.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

_forward = threading.Lock()
_LOAD = Path("/proc/loadavg")
_LOOKS, _BETWEEN = 6, 0.003  # seconds: our own threads spin for some ten milliseconds, so the calmest look is believed


@contextmanager
def turn() -> Iterator[None]:
    """Wait for the network and hold it, with as many of torch's threads as cores are idle, at least one."""
    with _forward:
        threads = torch.get_num_threads()
        if threads > 1:
            torch.set_num_threads(max(min(threads, idle_cores()), 1))
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def idle_cores() -> int:
    """Cores of the machine that nothing but this thread runs on; all of them where nobody can tell."""
    cores = os.cpu_count() or 1
    with suppress(OSError, ValueError, IndexError):
        busy = _running()
        for _ in range(_LOOKS - 1):
            if busy <= 1:
                break
            time.sleep(_BETWEEN)
            busy = min(busy, _running())
        return cores - (busy - 1)
    return cores


def _running() -> int:
    """How many threads run or could, this one among them: the 2 of "0.20 0.18 0.12 2/80 11206"."""
    return int(_LOAD.read_text().split()[3].split("/")[0])
