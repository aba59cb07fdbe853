"""Which labelled examples the network reads when there are more than it has room for.

Half are the newest (the world drifts), half are drawn from the rest (rare things happen seldom). A class that would be
left with too few rows to learn from gets more of its own; how much more is handed back as log-odds, so that
probabilities still speak of the whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dbt_rfm.task_kind import TaskKind

_LEAST_ROWS = {TaskKind.BINARY: 30, TaskKind.MULTICLASS: 8}


@dataclass(frozen=True)
class ContextSample:
    rows: np.ndarray  # positions, ascending
    log_odds: np.ndarray  # [K] to add to the class log-odds; zeros if no class was favoured, empty for regression


def sample_context(
    labels: np.ndarray,
    kind: TaskKind,
    num_classes: int,
    size: int,
    times: np.ndarray | None,
    rng: np.random.Generator,
) -> ContextSample:
    rows = np.arange(len(labels))
    if len(labels) > size:
        rows = _newest_and_random(len(labels), size, times, rng)
    if kind is TaskKind.REGRESSION:
        return ContextSample(np.sort(rows), np.zeros(0))
    drawn = np.bincount(labels[rows], minlength=num_classes)
    rows = _with_rare_classes(labels, rows, num_classes, min(_LEAST_ROWS[kind], size // (2 * num_classes)), rng)
    kept = np.bincount(labels[rows], minlength=num_classes)
    shift = np.log((drawn + 0.5) / (drawn.sum() + 0.5 * num_classes))
    shift -= np.log((kept + 0.5) / (kept.sum() + 0.5 * num_classes))
    return ContextSample(np.sort(rows), shift)


def _newest_and_random(number: int, size: int, times: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    mixed = rng.permutation(number)  # rows of one time come in no particular order
    if times is None:
        return mixed[:size]
    newest_first = mixed[np.argsort(-np.asarray(times, dtype=np.float64)[mixed], kind="stable")]
    newest = newest_first[: size // 2]
    return np.r_[newest, rng.choice(newest_first[size // 2 :], size - len(newest), replace=False)]


def _with_rare_classes(
    labels: np.ndarray, rows: np.ndarray, num_classes: int, least: int, rng: np.random.Generator
) -> np.ndarray:
    """Replace rows of the commonest class by rows of classes with fewer than `least`."""
    for rare in range(num_classes):
        missing = least - int((labels[rows] == rare).sum())
        more = np.setdiff1d(np.flatnonzero(labels == rare), rows)
        if missing <= 0 or not len(more):
            continue
        more = rng.choice(more, min(missing, len(more)), replace=False)
        common = np.flatnonzero(labels[rows] == np.bincount(labels[rows]).argmax())
        replaced = rng.choice(common, min(len(more), len(common) // 2), replace=False)
        rows = np.r_[np.delete(rows, replaced), more[: len(replaced)]]
    return rows
