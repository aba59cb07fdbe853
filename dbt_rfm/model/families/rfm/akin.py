"""What became of examples that are akin, as numbers: in place of the keys by which they are akin.

In: examples of which some columns list keys, or that are of more classes than the network has slots. Out: the same
examples with scores and without keys. Of three and more classes all columns vote (`votes.py`): a score is what they say
of a slot, and classes of one slot share its probability by what they say of each. Of two classes and of numbers a score
is the mean of the others with the same key, or the same value of a category with many.
A context row has the scores of the folds without it; a query those of all of them.

Shapes: N context rows, R rows of any kind, K classes, V keys, S scores.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dbt_rfm.model.families.rfm.class_slots import ClassSlots
from dbt_rfm.model.families.rfm.codes import Coded, Coding, codings_of
from dbt_rfm.model.families.rfm.network import MAX_CLASSES
from dbt_rfm.model.families.rfm.votes import FOLDS, Votes
from dbt_rfm.model.interface import CATEGORICAL, KEYS, NUMERICAL, FeatureTable, Labelled, Predictions, Provenance
from dbt_rfm.model.prepared import Prepared
from dbt_rfm.model.target_scale import middle_scores
from dbt_rfm.task_kind import TaskKind

_VOTED = 300  # classes that are voted for, the most frequent ones
_PRIOR = 3.0  # examples with a key that are like everybody
_FEW = 8  # values that line and trees tell apart well enough


def has_kin(known: Labelled, *, thorough: bool) -> bool:
    """Whether examples that are akin are asked; without keys, of many classes, only for a thorough answer."""
    return KEYS in known.examples.kinds or (thorough and len(known.classes) > MAX_CLASSES)


def kin_of(known: Labelled, *, seed: int) -> tuple[KinOfClass | KinOfNumber, Labelled]:
    """What is akin, and the context with scores in place of keys."""
    return (KinOfClass if known.kind is TaskKind.MULTICLASS else KinOfNumber).of(known, seed=seed)


@dataclass(frozen=True)
class PreparedOverKin:
    kin: KinOfClass | KinOfNumber
    inner: Prepared

    @property
    def provenance(self) -> Provenance | None:
        return self.inner.provenance

    def answer(self, query: FeatureTable) -> Predictions:
        return self.kin.answered(self.inner, query)


@dataclass(frozen=True)
class KinOfClass:
    votes: Votes
    voted: ClassSlots
    slots: ClassSlots

    @classmethod
    def of(cls, known: Labelled, *, seed: int) -> tuple[KinOfClass, Labelled]:
        labels, classes = known.labels, len(known.classes)
        voted = ClassSlots.of(labels, classes, _VOTED)
        votes, held = Votes.of(known.examples, voted.position[labels], voted.number, seed)
        found = cls(votes, voted, ClassSlots.of(labels, classes))
        return found, replace(known, examples=_with(known.examples, found._scores(held)))

    def answered(self, inner: Prepared, query: FeatureTable) -> Predictions:
        odds = self.votes.log_odds(query)
        said = inner.answer(_with(query, self._scores(odds)))
        shared = np.bincount(self.slots.position)[self.slots.position] > 1  # [K]
        if said.probabilities is None or not shared.any():
            return said
        found, each = said.probabilities.copy(), self.voted.spread(np.exp(odds))[:, shared]
        found[:, shared] = found[:, shared].sum(1, keepdims=True) * each / each.sum(1, keepdims=True)
        return replace(said, probabilities=found)

    def _scores(self, odds: np.ndarray) -> np.ndarray:
        """[R, S] of log-probabilities of the classes voted for: those of each slot."""
        slot = np.zeros(self.voted.number, dtype=int)
        slot[self.voted.position] = self.slots.position
        together = np.full((len(odds), self.slots.number), -np.inf)
        for k, of_class in enumerate(odds.T):
            together[:, slot[k]] = np.logaddexp(together[:, slot[k]], of_class)
        return together


@dataclass(frozen=True)
class KinOfNumber:
    codings: tuple[Coding, ...]
    told: tuple[np.ndarray, ...]  # per column [V + 1, 2]: the sum of the labels with a key, and how many they are

    @classmethod
    def of(cls, known: Labelled, *, seed: int) -> tuple[KinOfNumber, Labelled]:
        table, is_number = known.examples, known.kind is TaskKind.REGRESSION
        labels = middle_scores(known.labels) if is_number else known.labels.astype(np.float64)
        labels = labels - labels.mean()
        folds = np.random.default_rng([abs(seed), *b"kin"]).integers(0, FOLDS, len(labels))
        codings = tuple(coding for coding in codings_of(table) if _is_shared(table, coding))
        coded = [coding(table) for coding in codings]
        told = tuple(_sums(coding, each, labels) for coding, each in zip(codings, coded, strict=True))
        held = np.zeros((len(labels), len(codings)))
        for fold in range(FOLDS):
            mine = folds == fold
            for j, (coding, each) in enumerate(zip(codings, coded, strict=True)):
                part = each.take(mine)
                held[mine, j] = _mean(part, told[j] - _sums(coding, part, labels[mine]))
        return cls(codings, told), replace(known, examples=_with(table, held))

    def answered(self, inner: Prepared, query: FeatureTable) -> Predictions:
        means = [_mean(coding(query), told) for coding, told in zip(self.codings, self.told, strict=True)]
        return inner.answer(_with(query, np.stack(means, 1)))


def _is_shared(table: FeatureTable, coding: Coding) -> bool:
    kind = table.kinds[coding.positions[0]]
    return kind == KEYS or (kind == CATEGORICAL and coding.size > _FEW)


def _sums(coding: Coding, coded: Coded, labels: np.ndarray) -> np.ndarray:
    """[V + 1, 2]; of a key that is new nothing."""
    weights = (labels[coded.rows], None)
    sums = np.stack([np.bincount(coded.codes, weight, coding.size + 1) for weight in weights], 1)
    sums[coding.size] = 0.0
    return sums


def _mean(coded: Coded, told: np.ndarray) -> np.ndarray:
    """[R] the mean over a row's keys, each as sure as it has examples; 0, which is everybody's, where none has."""
    sure = 1 / (told[:, 1] + _PRIOR)
    sums = coded.sums(told * sure[:, None])
    return sums[:, 0] / np.maximum(sums[:, 1], 1.0)


def _with(table: FeatureTable, scores: np.ndarray) -> FeatureTable:
    """The table with scores [R, S] in place of keys."""
    plain = table.without(KEYS)
    names = tuple(f"kin.score{k}" for k in range(scores.shape[1]))
    columns = tuple(np.ascontiguousarray(column, dtype=np.float64) for column in scores.T)
    kinds = (*plain.kinds, *(NUMERICAL,) * len(names))
    return FeatureTable((*plain.names, *names), kinds, (*plain.columns, *columns), table.rows)
