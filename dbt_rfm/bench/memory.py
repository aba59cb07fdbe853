"""The most memory this process held since `reset`, in MB.

Linux lets a process reset its own high-water mark; elsewhere the mark counts since the process began.
"""

from __future__ import annotations

import re
import resource
import sys
from pathlib import Path

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET_HIGH_WATER = "5"


def reset() -> None:
    if _RESET.exists():
        try:
            _RESET.write_text(_RESET_HIGH_WATER)
        except PermissionError:
            return  # some containers forbid it: the peak then counts since the start


def peak_mb() -> float:
    if _STATUS.exists():
        found = re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text())
        if found:
            return int(found[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024
