"""A context that has been read, waiting for questions: `answer(query) -> Predictions`, any number of times.

Queries are taken in chunks, so that millions of rows need the memory of one chunk and of their answers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from dbt_rfm.model.interface import FeatureTable, Predictions, Provenance
from dbt_rfm.model.log_odds import normalised
from dbt_rfm.model.mixing import Mix
from dbt_rfm.model.network import MEDIAN, QUANTILE_LEVELS
from dbt_rfm.model.opinions import ClassOpinions, NumberOpinions
from dbt_rfm.model.reading import ClassSlots, Reading
from dbt_rfm.model.tail import Tail
from dbt_rfm.model.usual import Usual
from dbt_rfm.task_kind import TaskKind

_CHUNK = 8192


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


@dataclass(frozen=True)
class PreparedClasses:
    kind: TaskKind
    classes: tuple[str, ...]
    reading: Reading
    opinions: ClassOpinions
    mix: Mix
    slots: ClassSlots
    provenance: Provenance | None = None

    def answer(self, query: FeatureTable) -> Predictions:
        found = np.concatenate([self._probabilities(part) for part in query.parts(_CHUNK)])
        return Predictions(self.kind, self.classes, probabilities=self.slots.spread(found))

    def _probabilities(self, query: FeatureTable) -> np.ndarray:
        """[Q, slots]"""
        said = self.opinions.log_odds(self.reading.matrix_of(query))
        odds = self.mix.log_odds(said) + self.reading.log_odds
        return np.exp(normalised(odds))


@dataclass(frozen=True)
class PreparedNumber:
    reading: Reading
    opinions: NumberOpinions
    mix: Mix
    tree_errors: np.ndarray | None  # [H] on rows held out, on the normal scale
    tail: Tail | None
    numbers: tuple[int, ...]  # the columns among which the tail's is one
    usual: Usual | None
    whole: bool  # every label of the context is a whole number: so are the quantiles, and the mean is not
    provenance: Provenance | None = None

    def answer(self, query: FeatureTable) -> Predictions:
        quantiles = np.concatenate([self._quantiles(part) for part in query.parts(_CHUNK)])
        found = number_predictions(quantiles)
        return replace(found, quantiles=np.round(quantiles)) if self.whole else found

    def _quantiles(self, query: FeatureTable) -> np.ndarray:
        """[Q, L]"""
        said = self.opinions.quantiles(self.reading.matrix_of(query), self.tree_errors)
        quantiles = self.mix.quantiles(said, MEDIAN)
        if self.tail is not None:
            quantiles = self.tail.raise_to(quantiles, MEDIAN, query.select(self.numbers).columns)
        return quantiles if self.usual is None else self.usual.raise_to(quantiles, MEDIAN, query)


def number_predictions(quantiles: np.ndarray, levels: tuple[float, ...] = QUANTILE_LEVELS) -> Predictions:
    """Of [Q, L] quantiles; the mean is theirs, each level standing for the share of the distribution nearest to it."""
    at = np.array(levels)
    weights = np.diff(np.r_[0.0, (at[1:] + at[:-1]) / 2, 1.0])
    return Predictions(TaskKind.REGRESSION, (), mean=quantiles @ weights, levels=levels, quantiles=quantiles)
