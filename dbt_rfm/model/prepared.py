"""A context that has been read, waiting for questions: `answer(query) -> Predictions`, any number of times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dbt_rfm.model.interface import FeatureTable, Predictions, Provenance
from dbt_rfm.task_kind import TaskKind

#: Of the answers about a number: closest where the tails are.
QUANTILE_LEVELS = (0.005, 0.02, *(round(0.05 * i, 2) for i in range(1, 20)), 0.98, 0.995)
MEDIAN = QUANTILE_LEVELS.index(0.5)


class Prepared(Protocol):
    @property
    def provenance(self) -> Provenance | None:
        """Of weights that this context made or chose; None for the model's own."""
        ...

    def answer(self, query: FeatureTable) -> Predictions:
        """One row per query row. Raises ModelError if the columns are not those of the context."""
        ...


@dataclass(frozen=True)
class PreparedConstant:
    """A context of one label only: nothing varies, so nothing can be said but that label."""

    kind: TaskKind
    classes: tuple[str, ...]
    labels: np.ndarray
    provenance: Provenance | None = None

    def answer(self, query: FeatureTable) -> Predictions:
        if self.kind is TaskKind.REGRESSION:
            return number_predictions(np.full((query.num_rows, len(QUANTILE_LEVELS)), self.labels[0]))
        shares = (np.bincount(self.labels, minlength=len(self.classes)) + 0.5) / (len(self.labels) + 1)
        found = np.tile(shares / shares.sum(), (query.num_rows, 1))
        return Predictions(self.kind, self.classes, probabilities=found)


def number_predictions(quantiles: np.ndarray, levels: tuple[float, ...] = QUANTILE_LEVELS) -> Predictions:
    """Of [Q, L] quantiles; the mean is theirs, each level standing for the share of the distribution nearest to it."""
    at = np.array(levels)
    weights = np.diff(np.r_[0.0, (at[1:] + at[:-1]) / 2, 1.0])
    return Predictions(TaskKind.REGRESSION, (), mean=quantiles @ weights, levels=levels, quantiles=quantiles)
