"""Rank the candidates of each entity: pairs as a binary question, answered by the same model in context.

In: pairs of an entity at an anchor and an item. Out: the probability of each pair that its item comes, given that the
window holds anything; an entity's list is its pairs in that order. Hundreds of candidates per entity would cost the
model minutes, and most stand no chance. So a linear reading of the labelled pairs, which takes a moment for all of
them, goes first. The model reads the best of each entity, and its log-odds are averaged with those of the linear
reading, which has taken in more pairs than the model has room for. The others follow in the order of the first reading,
scaled down where they would overtake.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dbt_rfm.model.columns import ColumnCodes
from dbt_rfm.model.interface import FeatureTable, Labelled, Predictions, Provenance, RelationalModel
from dbt_rfm.model.linear import ClassLine
from dbt_rfm.model.prepared import Prepared
from dbt_rfm.task_kind import TaskKind

MAX_READ = 40_000  # pairs that the model reads per split: half a minute on a core
MIN_DEPTH, MAX_DEPTH = 10, 30
_CHUNK = 200_000
CLASSES = ("false", "true")


@dataclass(frozen=True)
class PreparedRanking:
    """Labelled pairs that have been read; without a `line` they are of one kind, and nothing ranks."""

    share: float  # of true pairs
    number: int  # length of a list
    line: _Line | None = None
    read: Prepared | None = None

    @property
    def provenance(self) -> Provenance | None:
        return self.read.provenance if self.read is not None else None

    def answer(self, asked: FeatureTable, groups: np.ndarray, *, of: int | None = None) -> Predictions:
        """Probabilities of the asked pairs. `groups` [Q]: which belong together, in runs; `of`: how many groups there
        are in all, where this is a part of them."""
        if self.line is None or self.read is None:
            return _as_predictions(np.full(asked.num_rows, self.share))
        first = self.line.probabilities(asked)
        depth = depth_for(len(np.unique(groups)) if of is None else of, self.number)
        read = np.flatnonzero(places_in(groups, first) < depth)
        predicted = self.read.answer(asked.take(read))
        assert predicted.probabilities is not None, "a binary prediction has probabilities"
        found = np.full(asked.num_rows, np.nan)
        found[read] = _between(predicted.probabilities[:, 1], first[read])
        return _as_predictions(_with_the_rest(groups, found, first))


def prepare_ranking(
    model: RelationalModel,
    context: FeatureTable,
    labels: np.ndarray,  # [N] 0 or 1
    *,
    number: int,
    seed: int,
    times: np.ndarray,
) -> PreparedRanking:
    share = float((labels.sum() + 0.5) / (len(labels) + 1))
    if len(np.unique(labels)) == 1:
        return PreparedRanking(share, number)
    line = _Line.fit(context, labels, seed)
    read = model.prepare(Labelled(context, labels, TaskKind.BINARY, CLASSES, times), seed=seed)
    return PreparedRanking(share, number, line, read)


def depth_for(groups: int, number: int) -> int:
    """How many pairs of each group the model reads: twice a list, fewer where there are many groups."""
    most = max(MIN_DEPTH, min(MAX_DEPTH, 2 * number))
    return int(np.clip(MAX_READ // max(groups, 1), MIN_DEPTH, most))


def places_in(groups: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """[Q] each pair's place in its group, 0 for the highest score; of equal ones the first comes first."""
    order = np.lexsort((-scores, groups))
    starts = np.r_[0, np.flatnonzero(np.diff(groups[order])) + 1][: len(order)]
    sizes = np.diff(np.r_[starts, len(order)])
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.arange(len(order)) - np.repeat(starts, sizes)
    return places


@dataclass(frozen=True)
class _Line:
    """A linear reading of the labelled pairs."""

    codes: ColumnCodes
    varied: list[int]
    line: ClassLine

    @classmethod
    def fit(cls, context: FeatureTable, labels: np.ndarray, seed: int) -> _Line:
        codes = ColumnCodes.of(context)
        matrix = codes.matrix(context)
        varied = [j for j in range(matrix.shape[1]) if _varies(matrix[:, j])]
        return cls(codes, varied, ClassLine.fit(matrix[:, varied], codes.categorical[varied], labels, 2, abs(seed)))

    def probabilities(self, asked: FeatureTable) -> np.ndarray:
        """[Q] of each asked pair, in chunks at flat memory."""
        said = [self.line.log_odds(self.codes.matrix(some)[:, self.varied])[:, 1] for some in asked.parts(_CHUNK)]
        return np.exp(np.concatenate(said))


def _varies(column: np.ndarray) -> bool:
    known = column[~np.isnan(column)]
    return len(known) > 0 and (len(known) < len(column) or known.min() < known.max())


def _between(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Probabilities with the mean log-odds of two."""
    one, other = (np.clip(each, 1e-9, 1 - 1e-9) for each in (one, other))
    odds = (np.log(one / (1 - one)) + np.log(other / (1 - other))) / 2
    return 1 / (1 + np.exp(-odds))


def _with_the_rest(groups: np.ndarray, scores: np.ndarray, first: np.ndarray) -> np.ndarray:
    """[Q] the scores; where there is none the first guess, scaled so that none of a group overtakes its scored ones."""
    behind, number = np.isnan(scores), int(groups.max(initial=-1)) + 1
    lowest, highest = np.ones(number), np.full(number, 1e-12)
    np.minimum.at(lowest, groups[~behind], scores[~behind])
    np.maximum.at(highest, groups[behind], first[behind])
    return np.where(behind, first * np.minimum(1.0, lowest / highest)[groups], scores)


def _as_predictions(probability: np.ndarray) -> Predictions:
    return Predictions(TaskKind.LINK, CLASSES, probabilities=np.stack([1 - probability, probability], axis=1))
