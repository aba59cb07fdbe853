"""Would a build that keeps the features of the build before be quicker? The most it could save, beside what it costs.

    python bench/kept_export.py --file target/scale/events_10000000.duckdb [--new 0.01] [--json FILE]

The file is one of bench/scale.py. Asked is an attribute of each event, whose examples stand at their own times, so that
they recur when only later rows arrive. The newest share of the events is taken away, the plan is run, the events come
back, and the plan is run again: anew, and with the features of the first run kept in memory (`kept_features.py`), which
is less work than reading them from a bundle. What would allow to keep them is a check that no earlier row has changed:
one count and one sum of hashes over the rows of each table up to the old anchor. The model's answer stands beside: a
build is the plan and that. Seconds of the processor, the least of the repeats.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
from scale import _job

from dbt_rfm.collect.kept_features import KeptFeatures
from dbt_rfm.collect.snapshots import collect
from dbt_rfm.model import load_model
from dbt_rfm.model.step import run_step
from dbt_rfm.pipeline import Understood, understand
from dbt_rfm.snapshot import Snapshot
from dbt_rfm.warehouse.duckdb import DuckDB

QUERY = "PREDICT events.amount > 50 FOR EACH events.event_id"
CONTEXT = 1000
REPEATS = 3
_CHECK = """SELECT count(*) AS n, sum(hash(event_id, account_id, happened_at, amount)) AS h FROM events
            WHERE happened_at <= TIMESTAMP '{until}'
            UNION ALL SELECT count(*), sum(hash(account_id, region, plan, opened_at)) FROM accounts"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--new", type=float, default=0.01, help="share of the events that the second build finds new")
    parser.add_argument(
        "--delay", default="1 days", help="label_delay: asked are the events of that long before the end"
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory", default="4GB")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.file.parent) as folder:
        copy = Path(shutil.copy(given.file, folder))
        config = {"threads": given.threads, "memory_limit": given.memory, "temp_directory": f"{folder}/spill"}
        with duckdb.connect(str(copy), config=config) as connection:
            figures = measure(connection, given.new, given.delay)
    for name, value in figures.items():
        print(f"{name:<52} {value:,.4g}")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


def measure(connection: duckdb.DuckDBPyConnection, new: float, delay: str) -> dict[str, float]:
    warehouse = DuckDB(connection)
    until = connection.execute("SELECT quantile_disc(happened_at, ?) FROM events", [1 - new]).fetchall()[0][0]
    connection.execute("CREATE TABLE later AS SELECT * FROM events WHERE happened_at > ?", [until]).fetchall()
    connection.execute("DELETE FROM events WHERE happened_at > ?", [until]).fetchall()
    job = replace(_job(Path("target")), query=QUERY, options={"context_size": CONTEXT, "label_delay": delay})
    known = understand(job, warehouse)
    before = KeptFeatures()
    first = _build(warehouse, known, before)
    connection.execute("INSERT INTO events SELECT * FROM later").fetchall()
    anew, kept = _builds(warehouse, known, before)
    check = _CHECK.format(until=until)
    options = known.options
    model = load_model(options.model, options.device, options.for_model())
    answered = _seconds(lambda: run_step(anew[0], model, seed=options.seed))[1]
    checked = min(_seconds(lambda: connection.execute(check).fetchall())[1] for _ in range(REPEATS))
    return {
        "events": connection.execute("SELECT count(*) FROM events").fetchall()[0][0],
        "examples": len(anew[0].examples),
        "  of them in the build before": _recurring(first, anew[0]),
        "plan anew, s": anew[1],
        "plan with the features of the build before, s": kept[1],
        "check that no earlier row has changed, s": checked,
        "the model's answer, s": answered,
    }


def _builds(warehouse: DuckDB, known: Understood, before: KeptFeatures) -> tuple[Any, ...]:
    """Snapshot and seconds of the second build: anew, and with what the first one kept."""
    anew: list[tuple[Snapshot, float]] = []
    kept: list[tuple[Snapshot, float]] = []
    for _ in range(REPEATS):
        for runs, memory in ((anew, KeptFeatures()), (kept, _copy(before))):
            runs.append(_seconds(partial(_build, warehouse, known, memory)))
    assert anew[0][0].features.equals(kept[0][0].features), "what is kept is not what is computed"
    return min(anew, key=lambda run: run[1]), min(kept, key=lambda run: run[1])


def _build(warehouse: DuckDB, known: Understood, memory: KeptFeatures) -> Snapshot:
    return collect(known.task, known.schema, warehouse, known.options, with_rows=False, kept=memory)


def _copy(memory: KeptFeatures) -> KeptFeatures:
    """What the first build kept, without what later ones added."""
    copied = KeptFeatures()
    copied._kept = list(memory._kept)
    return copied


def _recurring(first: Snapshot, second: Snapshot) -> int:
    who = ["entity", "anchor_time"]
    return len(second.examples.select(who).join(first.examples.select(who), keys=who, join_type="left semi"))


def _seconds(work: Callable[[], Any]) -> tuple[Any, float]:
    started = time.process_time()
    return work(), time.process_time() - started


if __name__ == "__main__":
    main()
