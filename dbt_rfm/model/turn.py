"""Turns at the network, within one process: whose it is, and how many threads the one whose turn it is gets.

dbt's threads may answer several predictions at once. Two forward passes side by side would take twice the memory and no
less time, so they take turns. And torch's threads wait for each other by spinning: where the other predictions keep
cores busy with SQL and trees, a pass on every core takes several times as long as one on its share (docs/LOG.md).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

_forward, _count = threading.Lock(), threading.Lock()
_under_way = 0


@contextmanager
def under_way() -> Iterator[None]:
    """While a prediction of this process is answered, from its plan to its publication."""
    global _under_way
    with _count:
        _under_way += 1
    try:
        yield
    finally:
        with _count:
            _under_way -= 1


@contextmanager
def turn() -> Iterator[None]:
    """Wait for the network and hold it, with the share of torch's threads that the predictions under way leave."""
    with _forward:
        threads = torch.get_num_threads()
        torch.set_num_threads(max(threads // max(_under_way, 1), 1))
        try:
            yield
        finally:
            torch.set_num_threads(threads)
