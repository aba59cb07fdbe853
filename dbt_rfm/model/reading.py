"""One reading of a task: the context rows drawn, the columns kept, all as matrices; for one member of the ensemble.

Classes become slots 0 … K − 1 here. Beyond the network's ten, the rarest classes share the last slot and split its
probability by their shares of the labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dbt_rfm.model.columns import ColumnCodes
from dbt_rfm.model.context_sample import sample_context
from dbt_rfm.model.interface import FeatureTable
from dbt_rfm.model.network import MAX_CLASSES
from dbt_rfm.model.screening import choose_columns
from dbt_rfm.model.target_scale import TargetScale
from dbt_rfm.task_kind import TaskKind


@dataclass(frozen=True)
class Question:
    """What a call asks, and the random draws that belong to its seed."""

    context: FeatureTable
    labels: np.ndarray  # slots, or float64
    query: FeatureTable
    kind: TaskKind
    num_slots: int  # 0 for regression
    seed: int
    times: np.ndarray | None

    def rng(self, member: int, purpose: str) -> np.random.Generator:
        return np.random.default_rng([abs(self.seed), member, *purpose.encode()])

    def read(self, member: int, *, context_size: int, columns: int) -> Reading:
        sample = sample_context(
            self.labels, self.kind, self.num_slots, context_size, self.times, self.rng(member, "context")
        )
        labels = self.labels[sample.rows]
        context = self.context.take(sample.rows)
        codes = ColumnCodes.of(context)
        matrix = codes.matrix(context)
        if self.kind is TaskKind.REGRESSION:
            targets = np.mean(TargetScale.of(labels).to_normal(labels), 0)[:, None]
        else:
            targets = np.eye(self.num_slots)[labels]
        chosen = choose_columns(matrix, codes.categorical, targets, columns)
        asked = codes.matrix(self.query)[:, chosen]
        return Reading(
            sample.rows, chosen, matrix[:, chosen], codes.categorical[chosen], labels, targets, asked, sample.log_odds
        )


@dataclass(frozen=True)
class Reading:
    rows: np.ndarray  # [N] positions of the context rows drawn
    chosen: np.ndarray  # [C] positions of the columns kept
    matrix: np.ndarray  # [N, C] context rows
    categorical: np.ndarray  # [C]
    labels: np.ndarray  # [N]
    targets: np.ndarray  # [N, K] one-hot, or [N, 1] normal scores
    asked: np.ndarray  # [Q, C] query rows
    log_odds: np.ndarray  # [K] to add to class log-odds: undoes a rare class's extra rows


@dataclass(frozen=True)
class ClassSlots:
    position: np.ndarray  # [K] slot of each class
    share: np.ndarray  # [K] of its slot's probability
    number: int

    @classmethod
    def of(cls, labels: np.ndarray, classes: int) -> ClassSlots:
        if classes <= MAX_CLASSES:
            return cls(np.arange(classes), np.ones(classes), classes)
        counts = np.bincount(labels, minlength=classes) + 0.5
        place = np.empty(classes, dtype=int)
        place[np.argsort(-counts, kind="stable")] = np.arange(classes)
        position = np.minimum(place, MAX_CLASSES - 1)
        return cls(position, counts / np.bincount(position, counts)[position], MAX_CLASSES)

    def spread(self, probabilities: np.ndarray) -> np.ndarray:  # [Q, number] → [Q, K]
        return probabilities[:, self.position] * self.share
