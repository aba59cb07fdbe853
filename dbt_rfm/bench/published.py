"""Figures that BASELINES.md of a suite folder reports, to print beside ours.

In: the file's first Markdown table with columns `dataset.task`, `metric` and one per reference. Out: per task and
metric the references' figures, in the file's own unit (AUROC and AP times 100).
"""

from __future__ import annotations

import re
from pathlib import Path

BASELINES_FILE = "BASELINES.md"
_NOT_A_REFERENCE = ("dataset.task", "kind", "metric", "published")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")

#: (dataset.task, metric) -> reference -> figure
Published = dict[tuple[str, str], dict[str, float]]


def read_published(folder: Path) -> Published:
    """Empty where the folder has no such file or the file no such table."""
    file = folder / BASELINES_FILE
    rows = _table(file.read_text()) if file.is_file() else []
    found: Published = {}
    for row in rows:
        metrics = [m.strip().lower() for m in row.get("metric", "").split("/")]
        for name, cell in row.items():
            if name.startswith(_NOT_A_REFERENCE):
                continue
            # `85.2 / 38.6` answers `AUROC / AP`; a lone figure answers the first metric.
            for metric, part in zip(metrics, cell.split(" / "), strict=False):
                number = _NUMBER.match(part.strip())
                if number:
                    found.setdefault((row["dataset.task"], metric), {})[name] = float(number[0])
    return found


def _table(text: str) -> list[dict[str, str]]:
    lines = [line.strip() for line in text.splitlines() if line.strip().startswith("|")]
    if len(lines) < 3 or "dataset.task" not in lines[0]:
        return []
    header = _cells(lines[0])
    return [dict(zip(header, _cells(line), strict=False)) for line in lines[2:]]


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]
