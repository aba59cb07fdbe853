"""Matrix products of numpy on one thread while a prediction is answered.

They are small here, too small to gain by a second thread, and numpy's threads wait for each other by spinning: on a
machine with other work, an answer took twice the processor time and three times as long with two (docs/LOG.md).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_lock = threading.Lock()
_inside, _limit = 0, None


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """The number is the process's: the first of several answers to come in sets it, the last to leave sets it back."""
    global _inside, _limit
    with _lock:
        if _inside == 0:
            _limit = _libraries().limit(limits=1, user_api="blas")
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0 and _limit is not None:
                _limit.restore_original_limits()
                _limit = None


@cache
def _libraries() -> Any:
    """Looked for once, for it takes some milliseconds."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
