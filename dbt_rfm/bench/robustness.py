"""What a model's figures lose when the database is spoilt, beside the peers on the same spoilt rows.

In: a task of a suite, a model, settings. Out: a `Curve` per task, and its lines in Markdown. Each
corruption is applied to a fresh copy of the tables; the queried rows and their labels are the same in all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from dbt_rfm.bench.corruption import CLEAN, CORRUPTIONS, DoesNotApplyError
from dbt_rfm.bench.peers import LEARNERS
from dbt_rfm.bench.report import PERCENT
from dbt_rfm.bench.run import Result, Settings, run_dataset
from dbt_rfm.bench.suite import Dataset, SuiteTask
from dbt_rfm.model.interface import RelationalModel
from dbt_rfm.warehouse.duckdb import DuckDB


@dataclass(frozen=True)
class Curve:
    """`figures`: corruption -> model -> the primary figure; `missing`: corruption -> why there is none."""

    task: str
    metric: str
    model: str
    version: str
    rows: int
    context: int
    figures: dict[str, dict[str, float]]
    missing: dict[str, str]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def measure(
    dataset: Dataset,
    task: SuiteTask,
    model: RelationalModel,
    settings: Settings,
    progress: Callable[[str], None] = lambda stage: None,
) -> Curve:
    """The clean figures and those of each corruption, with the first seed of the settings."""
    settings = replace(settings, with_peers=True, seeds=settings.seeds[:1])
    clean = _run(dataset, task, model, settings, CLEAN)
    figures, missing = {CLEAN: _primary(clean, model.name)}, {}
    for name in CORRUPTIONS:
        if name == CLEAN:
            continue
        progress(f"{task.title}: {name}")
        try:
            figures[name] = _primary(_run(dataset, task, model, settings, name), model.name)
        except DoesNotApplyError as error:
            missing[name] = error.problem
    first = clean[0]
    return Curve(
        task=task.title,
        metric=first.primary,
        model=model.name,
        version=model.version,
        rows=first.rows,
        context=first.context,
        figures=figures,
        missing=missing,
    )


def markdown(curve: Curve) -> list[str]:
    """A table: a row per corruption, the figure of each model and what it differs from the clean one."""
    models = list(curve.figures[CLEAN])
    lines = [
        f"`{curve.task}`, {curve.metric.upper()}, {curve.rows} queries, {curve.context} context rows",
        "",
        "|".join(["", " corruption ", *(f" {m} | change " for m in models), ""]),
        "|".join(["", "---", *("---:|---:" for _ in models), ""]),
    ]
    for name in CORRUPTIONS:
        cells = _cells(curve, name, models)
        if cells:
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _cells(curve: Curve, name: str, models: list[str]) -> list[str]:
    if name in curve.missing:
        return ["does not apply", *[""] * (2 * len(models) - 1)]
    if name not in curve.figures:
        return []
    scale, digits = (100.0, 1) if curve.metric in PERCENT else (1.0, _digits(curve.figures[CLEAN][curve.model]))
    cells = []
    for model in models:
        figure, clean = (scale * curve.figures[each][model] for each in (name, CLEAN))
        cells += [f"{figure:.{digits}f}", "" if name == CLEAN else f"{figure - clean:+.{digits}f}"]
    return cells


def _digits(figure: float) -> int:
    """Decimals that show four digits of an error."""
    return max(0, 3 - math.floor(math.log10(figure))) if figure > 0 else 1


def _run(dataset: Dataset, task: SuiteTask, model: RelationalModel, settings: Settings, name: str) -> list[Result]:
    corruption = CORRUPTIONS[name]
    moment = dataset.test_timestamp if settings.split == "test" else dataset.val_timestamp
    only = replace(dataset, tasks=(task,))
    with DuckDB.open(":memory:", read_only=False) as warehouse:
        load = partial(corruption.load, task, moment)
        found = run_dataset(only, warehouse, model, settings, load=load, choose=corruption.choose)
    return [r for r in found if isinstance(r, Result)]


def _primary(results: list[Result], model: str) -> dict[str, float]:
    return {r.model: r.metrics[r.primary] for r in results if r.model == model or r.model in LEARNERS}
