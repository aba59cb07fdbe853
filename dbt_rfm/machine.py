"""What the processes of one machine share: its GPU, and the folder for temporary files.

`model_turn` lets one model step at a time onto a GPU, whoever asks: threads of this process, other workers, dbt. Two at
once would share its memory and fail halfway. A CPU is shared by the operating system and needs no turn.
`private_folder` is where a worker keeps what it fetched: nobody else may look into it, and it is wiped at the end, or,
where a process was killed, by the next one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

CPU = "cpu"
_PREFIX, _IN_USE = "dbt-rfm-", ".in_use"


@contextmanager
def model_turn(device: str) -> Iterator[None]:
    """Wait for the GPU and hold it; nothing on a CPU. A process that dies lets go."""
    if device == CPU:
        yield
        return
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "all")
    name = hashlib.sha256(visible.encode()).hexdigest()[:12]
    # Not removed afterwards: whoever waits for the lock holds this very file open.
    path = Path(tempfile.gettempdir()) / f"dbt-rfm-{os.getuid()}-gpu-{name}.lock"
    with open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def private_folder(parent: Path | None = None) -> Iterator[Path]:
    """A folder that only this user can read, with all that is in it removed at the end. Raises OSError."""
    _wipe_those_left(parent or Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))  # made with mode 0700
    try:
        with _in_use(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _in_use(folder: Path) -> Iterator[None]:
    """Says so while this process lives: by a lock, which goes with it."""
    draft = folder / f"{_IN_USE}.new"
    with draft.open("w") as lock:
        with suppress(OSError):  # no file system of a network has to have locks; there a folder may be left
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            draft.replace(folder / _IN_USE)  # not before it is locked: others may look at any moment
        yield


def _wipe_those_left(parent: Path) -> None:
    """Remove the folders of processes that were killed, as far as this user may open them."""
    for mark in parent.glob(f"{_PREFIX}*/{_IN_USE}"):
        with suppress(OSError), mark.open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(mark.parent, ignore_errors=True)
