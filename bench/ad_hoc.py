"""How long an ad-hoc prediction takes once everything is loaded, and how quick the package starts.

    python bench/ad_hoc.py ../shared/suite [--json FILE]

Measured: `import dbt_rfm` and `dbt-rfm --help` in fresh processes, and a prediction of one driver on the f1 database,
split into plan and model, on a warm process. The least of the repeats is reported, because other work on the machine
only ever adds; processor seconds (all threads) stand beside, which a busy machine changes less. Ratios compare with a
peer that does the same kind of thing: importing numpy, and fitting LightGBM on the same features and labelled rows
instead of reading them in context.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

REPEATS = 5
OPTIONS = {"backtest": False}
TASK, DRIVER = "driver_dnf", "1"
EMPTY = "pass"
HELP = "from dbt_rfm.cli import main; main(['--help'])"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("suite", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    figures = {**starts(), **ad_hoc(arguments.suite)}
    for name, value in figures.items():
        print(f"{name:<42} {value:,.4g}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def starts() -> dict[str, float]:
    """Processor seconds of a fresh process, less those of an empty one."""
    empty = _process(EMPTY)
    own, peer = _process("import dbt_rfm") - empty, _process("import numpy") - empty
    return {
        "import dbt_rfm, processor ms": 1000 * own,
        "import dbt_rfm / import numpy": own / peer,
        "dbt-rfm --help, processor s": _process(HELP),
    }


def ad_hoc(suite: Path) -> dict[str, float]:
    """Seconds of a prediction for one driver, and of LightGBM on the same rows."""
    from dbt_rfm.bench import memory, peers
    from dbt_rfm.bench.suite import job_of, load, read_suite
    from dbt_rfm.model.examples import feature_table, label_array, split_rows
    from dbt_rfm.pipeline import answer
    from dbt_rfm.snapshot import CONTEXT, QUERY
    from dbt_rfm.warehouse.duckdb import DuckDB

    (dataset,) = read_suite(suite, ("f1",), (TASK,))
    with DuckDB.open(":memory:", read_only=False) as warehouse:
        load(dataset, warehouse)
        job = replace(job_of(dataset, dataset.tasks[0].query), options=OPTIONS)
        answer(job, warehouse, entity_ids=(DRIVER,), quick=True)  # loads the weights
        memory.reset()
        runs = [_timed(lambda: answer(job, warehouse, entity_ids=(DRIVER,), quick=True)) for _ in range(REPEATS)]
        peak = memory.peak_mb()
    best = min(runs, key=lambda run: run.wall)
    snapshot, seconds = best.result.snapshot, best.result.seconds
    context, query = split_rows(snapshot, CONTEXT), split_rows(snapshot, QUERY)
    table, labels = feature_table(snapshot), label_array(snapshot, context)
    rows = (table.take(context), labels, table.take(query), snapshot.kind, snapshot.classes, 0)
    peer = min(_timed(lambda: peers.lightgbm(*rows)).wall for _ in range(REPEATS))
    return {
        "ad-hoc prediction, s": best.wall,
        "  of it plan, s": seconds["plan"],
        "  of it model, s": seconds["model"],
        "  processor s": min(run.processor for run in runs),
        "  labelled rows in context": len(context),
        "  features": len(snapshot.features_meta),
        "  peak memory, MB": peak,
        "  model / LightGBM on the same rows": seconds["model"] / peer,
    }


@dataclass(frozen=True)
class Timed:
    wall: float
    processor: float
    result: Any


def _timed(run: Callable[[], Any]) -> Timed:
    wall, processor = time.perf_counter(), time.process_time()
    result = run()
    return Timed(time.perf_counter() - wall, time.process_time() - processor, result)


def _process(code: str) -> float:
    """Least processor seconds of running `code` in a new Python."""
    spent = []
    for _ in range(REPEATS):
        before = _of_children()
        subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
        spent.append(_of_children() - before)
    return min(spent)


def _of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
