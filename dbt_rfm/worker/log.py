"""The worker's log: one line per event, as key=value or as JSON, on stderr.

Fields are names, numbers and states. Messages of errors stay out, because they may quote rows or settings: dbt shows
them to whom they belong. A missing right, or why a warehouse is away, is told, since dbt may never hear of it. Of an
error that nobody foresaw the log says its type and the places in the code.
"""

from __future__ import annotations

import json
import sys
import threading
import traceback
from datetime import UTC, datetime
from typing import Any, TextIO

from dbt_rfm.errors import RfmError, RightMissing, WarehouseAway


class Log:
    """`log("claimed", job=…)` writes a line."""

    def __init__(self, *, as_json: bool = False, stream: TextIO | None = None) -> None:
        self._as_json, self._stream = as_json, stream or sys.stderr
        self._writing = threading.Lock()

    def __call__(self, event: str, **fields: Any) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"time": now, "event": event, **{k: v for k, v in fields.items() if v is not None}}
        text = json.dumps(line, default=str) if self._as_json else " ".join(f"{k}={_value(v)}" for k, v in line.items())
        with self._writing:
            print(text, file=self._stream, flush=True)


def fit_to_log(error: RfmError) -> str | None:
    """What an error says, if it can hold no value."""
    return error.problem if isinstance(error, RightMissing | WarehouseAway) else None


def places(error: BaseException) -> str:
    """Where an error was raised, innermost last; not what it says."""
    frames = traceback.extract_tb(error.__traceback__)
    return " > ".join(f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}" for frame in frames)


def _value(value: Any) -> str:
    text = str(value)
    return text if text and not any(c in text for c in ' ="\n') else json.dumps(text)
