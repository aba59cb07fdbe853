"""Asking models in tests, real ones and doubles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dbt_rfm.evaluate.backtest import point_prediction
from dbt_rfm.model.interface import FeatureTable, Labelled, Predictions, Provenance, RelationalModel
from dbt_rfm.task_kind import TaskKind


def ask(
    model: RelationalModel,
    context: FeatureTable,
    labels: np.ndarray,
    query: FeatureTable,
    kind: TaskKind,
    classes: tuple[str, ...],
    *,
    seed: int = 0,
    times: np.ndarray | None = None,
) -> Predictions:
    """The answer to one question, from a context that is read for it."""
    return model.prepare(Labelled(context, labels, kind, classes, times), seed=seed).answer(query)


class Double:
    """A model without weights; a subclass answers: `predict(context, labels, query, kind, classes, *, seed, times)`."""

    name = version = "double"
    checkpoint_sha = ""
    reads_rows = False

    def prepare(self, known: Labelled, *, seed: int = 0) -> _Kept:
        return _Kept(self, known, seed)


class OwnHistory(Double):
    """Predicts the mean of the entity's own past labels, a feature that the plan makes."""

    name = version = "own"

    def predict(
        self, context: FeatureTable, labels: np.ndarray, query: FeatureTable, kind: TaskKind, classes, **_: object
    ) -> Predictions:
        history = query.columns[query.names.index("past.mean.all")]
        value = np.where(np.isnan(history), labels.mean(), history)
        if kind == TaskKind.REGRESSION:
            return point_prediction(value, value)
        return Predictions(kind, classes, probabilities=np.stack([1 - value, value], axis=1))


@dataclass(frozen=True)
class _Kept:
    double: Double
    known: Labelled
    seed: int
    provenance: Provenance | None = None

    def answer(self, query: FeatureTable) -> Predictions:
        known = self.known
        given = (known.examples, known.labels, query, known.kind, known.classes)
        return self.double.predict(*given, seed=self.seed, times=known.times)
