"""What the bench prints and writes.

JSON holds figures as they are (AUROC, AP and accuracy from 0 to 1; errors in the label's unit); the printed table shows
those three times 100, as BASELINES.md does. A figure in print is the mean over seeds, with its spread where there are
several.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from dbt_rfm.bench.published import Published
from dbt_rfm.bench.run import Result, Skipped
from dbt_rfm.evaluate.scores import LOWER_IS_BETTER

#: Figures printed times 100.
PERCENT = frozenset({"auroc", "ap", "accuracy"})  # and all figures of lists, which have an @
#: Figures printed per kind, the primary one first.
SHOWN = {
    "binary": ("auroc", "ap"),
    "multiclass": ("accuracy", "auroc"),
    "regression": ("mae", "rmse", "spearman"),
    "link": ("map@12", "ndcg@12", "recall@12", "coverage@12"),
}


def as_json(results: Iterable[Result]) -> list[dict[str, Any]]:
    """One entry per result; what is empty or undefined is left out or null."""
    entries = []
    for result in results:
        entry = asdict(result)
        if result.interval is None:
            del entry["interval"]
        if not result.minus:
            del entry["minus"]
        entries.append(entry)
    return entries


def table_rows(results: Sequence[Result], published: Published) -> tuple[list[str], list[list[str]]]:
    """Header and rows: a row per task and metric, a column per model that ran and per published reference."""
    models = list(dict.fromkeys(r.model for r in results))
    references = list(dict.fromkeys(name for figures in published.values() for name in figures))
    tasks = dict.fromkeys((r.dataset, r.task, r.kind) for r in results)
    shown_references = [
        name for name in references if any((f"{d}.{t}", m) in published for d, t, k in tasks for m in SHOWN[k])
    ]
    rows = []
    for dataset, task, kind in tasks:
        runs = [r for r in results if (r.dataset, r.task) == (dataset, task)]
        for metric in SHOWN[kind]:
            known = published.get((f"{dataset}.{task}", metric), {})
            rows.append(
                [
                    f"{dataset}.{task}",
                    metric,
                    *[_over_seeds([r for r in runs if r.model == model], metric) for model in models],
                    *[_number(known.get(name)) for name in shown_references],
                    str(runs[0].rows),
                    str(runs[0].context),
                ]
            )
    header = ["task", "metric", *models, *[f"{n} (published)" for n in shown_references], "rows", "context"]
    return header, rows


def interval_lines(results: Iterable[Result]) -> list[str]:
    """One line per result with intervals: ours, then what we are ahead of or behind each peer."""
    lines = []
    for r in results:
        if r.interval is None or not r.minus:
            continue
        ahead = ", ".join(f"{name} {_range(r.primary, *span)}" for name, span in r.minus.items())
        better = "lower is better" if r.primary in LOWER_IS_BETTER else "higher is better"
        lines.append(
            f"{r.dataset}.{r.task} {r.primary} ({better}), seed {r.seed}: 95 % interval "
            f"{_range(r.primary, *r.interval)}; {r.model} minus {ahead}"
        )
    return lines


def cost_lines(results: Iterable[Result], ours: str) -> list[str]:
    return [
        f"{r.dataset}.{r.task} seed {r.seed}: plan {r.seconds['plan']:.1f} s, model {r.seconds['model']:.1f} s, "
        f"{r.features} features, {r.context} of {r.pool} labelled rows as context, peak {r.peak_mb:.0f} MB"
        for r in results
        if r.model == ours
    ]


def skipped_lines(skipped: Iterable[Skipped]) -> list[str]:
    return [f"skipped {s.dataset}.{s.task}: {s.reason}" for s in skipped]


def _over_seeds(runs: Sequence[Result], metric: str) -> str:
    values = [r.metrics[metric] * _scale(metric) for r in runs if not math.isnan(r.metrics.get(metric, math.nan))]
    if not values:
        return "–"
    mean = _number(sum(values) / len(values))
    return mean if len(values) == 1 else f"{mean} ±{_number((max(values) - min(values)) / 2)}"


def _range(metric: str, low: float, high: float) -> str:
    scale = _scale(metric)
    return f"[{_number(low * scale)}, {_number(high * scale)}]"


def _scale(metric: str) -> float:
    return 100.0 if metric in PERCENT or "@" in metric else 1.0


def _number(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "–"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"
