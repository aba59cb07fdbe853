"""The programs under bench/ that need no suite run, at a size that takes a moment."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[3] / "bench"


@pytest.mark.parametrize(
    ("script", "arguments", "says"),
    [
        ("model_speed.py", ["--context", "60", "--columns", "5", "--rows", "80"], "quick: context read, s"),
        ("scale.py", ["--rows", "20000", "--shard", "128", "--threads", "1"], "plan"),
    ],
)
def test__script__small_size__runs_and_writes_its_figures(
    script: str, arguments: list[str], says: str, tmp_path: Path
) -> None:
    out = tmp_path / "figures.json"
    more = ["--folder", str(tmp_path)] if script == "scale.py" else []
    command = [sys.executable, str(BENCH / script), *arguments, *more, "--json", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert says in done.stdout
    assert json.loads(out.read_text())
