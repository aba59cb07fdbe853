"""Answers of the bundled model from a context that it has read.

Queries are taken in chunks, so that millions of rows need the memory of one chunk and of their answers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dbt_rfm.model.families.rfm.class_slots import ClassSlots
from dbt_rfm.model.families.rfm.mixing import Mix
from dbt_rfm.model.families.rfm.opinions import ClassOpinions, NumberOpinions
from dbt_rfm.model.families.rfm.tail import Tail
from dbt_rfm.model.families.rfm.usual import Usual
from dbt_rfm.model.interface import FeatureTable, Predictions, Provenance
from dbt_rfm.model.log_odds import normalised
from dbt_rfm.model.prepared import MEDIAN, number_predictions
from dbt_rfm.model.reading import Reading
from dbt_rfm.task_kind import TaskKind

_CHUNK = 8192


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
