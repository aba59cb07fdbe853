"""SIGTERM while something is trained: the training saves what it has before the process ends."""

from __future__ import annotations

import signal
import threading
from types import FrameType

from dbt_rfm.errors import ModelError


class Stop:
    """Notices SIGTERM while a training lasts; outside the main thread, where Python has no signals, nothing does."""

    def __init__(self, *, armed: bool) -> None:
        """`armed`: whether there is a place to save to; without one the process may end at once."""
        self.armed = armed and threading.current_thread() is threading.main_thread()
        self.asked = False

    def __enter__(self) -> Stop:
        if self.armed:
            self.before = signal.signal(signal.SIGTERM, self._notice)
        return self

    def __exit__(self, *_: object) -> None:
        if self.armed:
            signal.signal(signal.SIGTERM, self.before)

    def obey(self) -> None:
        """Do what the process would have done at once; a handler that returns finds the training ended all the same."""
        signal.signal(signal.SIGTERM, self.before)
        signal.raise_signal(signal.SIGTERM)
        raise ModelError("the training was told to stop (SIGTERM)", hint="Start it again: it goes on where it was.")

    def _notice(self, number: int, frame: FrameType | None) -> None:
        self.asked = True
