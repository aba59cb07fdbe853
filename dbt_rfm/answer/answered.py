"""What is told and kept of an answer: the line of the log, the row of the registry, the bundle on disk.

In: a job and its `Answer`. Out: text, a `Release`, a folder. Nothing here asks the model or the warehouse.
"""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
from sqlglot import exp

from dbt_rfm import __version__
from dbt_rfm.evaluate.backtest import Backtest
from dbt_rfm.job import Job
from dbt_rfm.model.examples import split_rows
from dbt_rfm.model.interface import Provenance
from dbt_rfm.model.step import Learnt
from dbt_rfm.options import Options
from dbt_rfm.pql.task import Task
from dbt_rfm.schema.fingerprint import fingerprint
from dbt_rfm.schema.types import RelationalSchema
from dbt_rfm.snapshot import BACKTEST, CONTEXT, QUERY, Snapshot, write_bundle
from dbt_rfm.versions.registry import Release


@dataclass(frozen=True)
class Answer:
    """`predictions` has the form of the prediction table without its version columns. Of a large answer it has no
    rows, and `stored` is the table of the warehouse that has them."""

    task: Task
    schema: RelationalSchema
    options: Options
    snapshot: Snapshot
    predictions: pa.Table
    backtest: Backtest | None
    provenance: Provenance
    seconds: dict[str, float]  # plan, model
    notes: tuple[str, ...]
    stored: exp.Table | None = None
    learnt: Learnt | None = None  # what answered, to be asked for reasons; None where there was nothing to learn from


def is_held(result: Answer) -> bool:
    return result.options.on_worse == "hold" and result.backtest is not None and not result.backtest.beats


def seconds_line(seconds: dict[str, float]) -> str:
    return f"plan {seconds['plan']:.1f} s, model {seconds['model']:.1f} s"


def headline(job: Job, result: Answer, number: int, status: str) -> str:
    assert job.target is not None
    context = _count(result.snapshot, CONTEXT)
    state = {"held": "held back", "ready": "ready"}.get(status, "serving")
    figures = result.backtest.line() if result.backtest else _no_backtest(result)
    return (
        f"{job.target.identifier} version {number} {state}: {_how_many(result)} as of "
        f"{result.snapshot.anchor:%Y-%m-%d %H:%M} from {context} labelled examples; {figures}; "
        f"{seconds_line(result.seconds)}"
    )


def _how_many(result: Answer) -> str:
    shards = result.snapshot.shards
    if result.stored is not None:
        lists = shards.get("groups")
        return f"{lists} lists" if lists else f"{shards['bounds'][-1] - shards['bounds'][0]} predictions"
    ranked = result.task.ranking is not None
    return f"{len(result.predictions) if ranked else _count(result.snapshot, QUERY)} predictions"


def _count(snapshot: Snapshot, split: str) -> int:
    return len(split_rows(snapshot, split))


def _no_backtest(result: Answer) -> str:
    if not result.options.backtest:
        return "no backtest (switched off)"
    if not _count(result.snapshot, BACKTEST):
        return "no backtest (no closed window with examples)"
    return "no backtest (nothing to learn from before the newest closed window)"


def release_of(job: Job, result: Answer, snapshot_sha: str) -> Release:
    test = result.backtest
    figures: list[tuple[str, float, str, str]] = []
    if test is not None:
        named = {"": test.metrics, **test.baselines}
        figures = [
            (metric, value, BACKTEST, baseline)
            for baseline, values in named.items()
            for metric, value in values.items()
            if not math.isnan(value)
        ]
    return Release(
        run_id=job.invocation_id,
        query=result.task.text,
        kind=result.task.kind,
        schema_fingerprint=fingerprint(result.schema),
        rfm_model=result.provenance.version,
        checkpoint_sha=result.provenance.checkpoint_sha,
        snapshot_sha=snapshot_sha,
        anchor_time=result.snapshot.anchor,
        package_version=__version__,
        metrics=tuple(figures),
        backtest_metric=test.primary if test else None,
        backtest_value=test.metrics[test.primary] if test else None,
        baseline_value=test.best_baseline[1] if test else None,
        beats_baseline=test.beats if test else None,
    )


def bundles_of(job: Job) -> Path:
    assert job.target is not None
    return Path(job.target_path) / "rfm" / job.target.identifier


def keep_bundle(job: Job, result: Answer) -> Path | None:
    """Write the bundle under target/rfm/<name>/ and drop the oldest beyond keep_snapshots."""
    keep = result.options.keep_snapshots
    if keep == 0:
        return None
    home = bundles_of(job)
    folder = home / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
    write_bundle(result.snapshot, folder)
    for old in sorted(p for p in home.iterdir() if (p / "manifest.json").exists())[:-keep]:
        shutil.rmtree(old)
    return folder
