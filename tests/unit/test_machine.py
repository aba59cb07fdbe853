"""What the processes of one machine share: the folders of those that were killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from dbt_rfm.machine import private_folder

HOLDS_A_FOLDER = """
import pathlib, sys, time
from dbt_rfm.machine import private_folder
with private_folder(pathlib.Path(sys.argv[1])) as folder:
    (folder / "rows.parquet").write_bytes(b"rows")
    print(folder, flush=True)
    time.sleep(600)
"""


def test__private_folder__of_a_process_that_was_killed__is_wiped_by_the_next(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDS_A_FOLDER, str(tmp_path)], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        left = Path(os.fsdecode(other.stdout.readline().strip()))
        try:
            with private_folder(tmp_path):
                assert (left / "rows.parquet").exists()  # it is in use
        finally:
            other.send_signal(signal.SIGKILL)
    assert (left / "rows.parquet").exists()

    with private_folder(tmp_path) as folder:
        assert list(tmp_path.iterdir()) == [folder]
    assert list(tmp_path.iterdir()) == []


def test__private_folder__folders_that_are_not_ours__stay(tmp_path: Path) -> None:
    other = tmp_path / "dbt-rfm-checkout"
    other.mkdir()
    (other / "README.md").write_text("a project")
    with private_folder(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == [other] and (other / "README.md").exists()
