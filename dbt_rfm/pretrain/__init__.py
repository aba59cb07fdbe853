"""Pretrain the bundled model on synthetic relational databases: `pretrain(out, minutes)`.

In: a folder and a time budget. Out, in that folder: `log.jsonl` (losses by kind, held-out scores beside baselines),
`state.safetensors` (to go on from) and, when the time is spent, `rfm.safetensors` (what `load_model` reads). No real
data is read anywhere.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from dbt_rfm.errors import ModelError

# glibc returns large blocks to the system at once by default; keeping them is about a tenth faster here.
_ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": "8589934592",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    "MALLOC_TOP_PAD_": "268435456",
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


def pretrain(
    out: Path,
    minutes: float,
    *,
    processes: int = 2,
    seed: int = 0,
    resume: bool = True,
    device: str = "cpu",
    tokens: int = 18_000,
    workers: int = 0,
) -> Path:
    """Train for `minutes` in total (time before a resume counts) and return the exported weights.

    On a GPU: processes=1, device='cuda', tokens about 400_000 and as many workers as cores.
    """
    from dbt_rfm.pretrain.export import export
    from dbt_rfm.pretrain.training import STATE_FILE

    if minutes <= 0 or processes < 1:
        raise ModelError(f"pretraining needs minutes > 0 and processes ≥ 1, got {minutes} and {processes}")
    out.mkdir(parents=True, exist_ok=True)
    shared = {
        "out": str(out),
        "minutes": minutes,
        "processes": processes,
        "seed": seed,
        "resume": resume,
        "device": device,
        "tokens": tokens,
        "workers": workers,
        "port": _free_port(),
    }
    running = [_start(shared | {"process": number}) for number in range(processes)]
    try:
        failed = [code for code in (each.wait() for each in running) if code]
    finally:
        for each in running:
            each.terminate()
    if failed:
        raise ModelError(f"a training process ended with exit status {failed[0]}; its output is above")
    return export(out / STATE_FILE, out / "rfm.safetensors")


def _start(config: dict[str, object]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "dbt_rfm.pretrain.worker", json.dumps(config)]
    return subprocess.Popen(command, env=_ALLOCATOR | os.environ)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
