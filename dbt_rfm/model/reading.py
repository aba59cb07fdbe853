"""What is read of a task: the context rows drawn and the columns kept, as matrices."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dbt_rfm.model.columns import ColumnCodes
from dbt_rfm.model.context_sample import sample_context
from dbt_rfm.model.interface import FeatureTable
from dbt_rfm.model.screening import choose_columns
from dbt_rfm.model.target_scale import middle_scores
from dbt_rfm.snapshot import OF_VALUE
from dbt_rfm.task_kind import TaskKind

_SCREENED = 3000
_OF_RARE = 8  # one row in so many screened is of the rarer of two classes, where it has so many (docs/LOG.md)
_LEAST_HELD = 30


@dataclass(frozen=True)
class Question:
    """The labelled context of a call, and the random draws that belong to its seed."""

    context: FeatureTable
    labels: np.ndarray  # slots, or float64
    kind: TaskKind
    num_slots: int  # 0 for regression
    seed: int
    times: np.ndarray | None
    chunk: int = 1024  # rows the network scores at once

    def rng(self, member: int, purpose: str) -> np.random.Generator:
        return np.random.default_rng([abs(self.seed), member, *purpose.encode()])

    def read(self, *, context_size: int, columns: int) -> Reading:
        rng = self.rng(0, "context")
        sample = sample_context(self.labels, self.kind, self.num_slots, context_size, self.times, rng)
        labels = self.labels[sample.rows]
        context = self.context.take(sample.rows)
        codes = ColumnCodes.of(context)
        matrix = codes.matrix(context)
        targets = _targets(labels, self.num_slots)
        some = _some_rows(labels, self.num_slots, self.rng(0, "screening"))
        of_values = np.array([OF_VALUE in name for name in codes.names], dtype=bool)
        chosen = choose_columns(matrix[some], codes.categorical, targets[some], columns, of_values)
        times = None if self.times is None else np.asarray(self.times, dtype=np.float64)[sample.rows]
        return Reading(
            self.kind,
            codes,
            sample.rows,
            chosen,
            matrix[:, chosen],
            codes.categorical[chosen],
            labels,
            targets,
            times,
            sample.log_odds,
        )


@dataclass(frozen=True)
class Reading:
    kind: TaskKind
    codes: ColumnCodes
    rows: np.ndarray  # [N] positions of the context rows drawn
    chosen: np.ndarray  # [C] positions of the columns kept
    matrix: np.ndarray  # [N, C] context rows
    categorical: np.ndarray  # [C]
    labels: np.ndarray  # [N]
    targets: np.ndarray  # [N, K] one-hot, or [N, 1] normal scores
    times: np.ndarray | None  # [N]
    log_odds: np.ndarray  # [K] to add to class log-odds: undoes a rare class's extra rows

    def matrix_of(self, table: FeatureTable) -> np.ndarray:
        """[R, C] the kept columns of other rows."""
        return self.codes.matrix(table)[:, self.chosen]

    def sampled(self, size: int, rng: np.random.Generator) -> Reading:
        """At most `size` of the context rows; its log-odds lead back to the shares among all of them."""
        sample = sample_context(self.labels, self.kind, self.targets.shape[1], size, self.times, rng)
        return replace(self._of(sample.rows), log_odds=sample.log_odds)

    def held_out(self, size: int, rng: np.random.Generator) -> HeldOut | None:
        """The older rows, and at most `size` of the newer ones to ask them about; without times a quarter by lot.

        None where either side is too small or the older rows are all of one label.
        """
        newer = newest_part(self.times, len(self.labels), rng)
        older = np.flatnonzero(~newer)
        if newer.sum() < _LEAST_HELD or len(older) < _LEAST_HELD or len(np.unique(self.labels[older])) == 1:
            return None
        asked = np.flatnonzero(newer)
        drawn = sample_context(self.labels[asked], self.kind, self.targets.shape[1], size, None, rng)
        asked = asked[drawn.rows]
        inner = self._of(older)
        if self.kind is TaskKind.REGRESSION:
            inner = replace(inner, targets=_targets(inner.labels, 0))
        nothing = np.zeros_like(self.log_odds)
        return HeldOut(replace(inner, log_odds=nothing), self.matrix[asked], self.labels[asked], drawn.log_odds)

    def _of(self, rows: np.ndarray) -> Reading:
        return replace(
            self,
            rows=self.rows[rows],
            matrix=self.matrix[rows],
            labels=self.labels[rows],
            targets=self.targets[rows],
            times=None if self.times is None else self.times[rows],
        )


@dataclass(frozen=True)
class HeldOut:
    inner: Reading
    asked: np.ndarray  # [H, C]
    labels: np.ndarray  # [H]
    log_odds: np.ndarray  # [K] that lead back from the rows drawn to all newer ones


def _targets(labels: np.ndarray, slots: int) -> np.ndarray:
    """One-hot, or for numbers (no slots) normal scores."""
    return np.eye(slots)[labels] if slots else middle_scores(labels)[:, None]


def _some_rows(labels: np.ndarray, slots: int, rng: np.random.Generator) -> np.ndarray:
    """Enough rows to tell which columns matter, and of each class enough to tell which matter for it."""
    if len(labels) <= _SCREENED:
        return np.arange(len(labels))
    some = rng.choice(len(labels), _SCREENED, replace=False)
    least = _SCREENED // _OF_RARE // max(slots - 1, 1)
    for slot in range(slots):
        lacking = least - (labels[some] == slot).sum()
        if lacking > 0:
            more = np.setdiff1d(np.flatnonzero(labels == slot), some)
            some = np.concatenate([some, rng.choice(more, min(lacking, len(more)), replace=False)])
    return np.sort(some)


def newest_part(times: np.ndarray | None, number: int, rng: np.random.Generator) -> np.ndarray:
    """[N] which rows are the newest quarter; a moment is never parted, so it may be up to a half."""
    if times is not None:
        newest = np.quantile(times, [0.5, 0.75])
        for newer in (times > newest[1], times >= newest[1], times > newest[0]):
            if 0.1 <= newer.mean() <= 0.5:
                return newer
    return rng.random(number) < 0.25
