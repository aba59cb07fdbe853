"""What the examples that share a value say of the class: those of the same supplier, the same customer, the same word.

In: labelled examples of a few or very many classes. Out: log-probabilities of every class. Each column votes: by how
much likelier a class is among the other examples with that value (of a list or a text: each of its keys or words). What
its vote counts is learnt: a logistic regression with one weight per column, whatever the number of classes. So a
hundred brands with thirty products each can be told apart, where a model per class has too little to learn from.
A context row has the votes of the folds without it; a query those of all of them.
Source: naive Bayes with weights fitted by the conditional likelihood (Zaidi et al. 2013); the code is ours.

Shapes: N context rows, R rows of any kind, C columns, V values of a column, K classes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from dbt_rfm.model.families.rfm.codes import Coded, Coding, codings_of
from dbt_rfm.model.interface import FeatureTable
from dbt_rfm.model.log_odds import normalised

FOLDS = 5
_PRIOR = 20.0  # examples with a value that vote like everybody
_COLUMNS = 40  # that vote
_NEAR_COPY = 0.95  # correlation of what two columns vote
_CELLS = 200_000  # rows times classes that the weights are learnt from
_RIDGE = 5.0
_STEPS = 20
_CHUNK = 8192


@dataclass(frozen=True)
class Votes:
    codings: tuple[Coding, ...]  # [C]
    told: tuple[np.ndarray, ...]  # [C] of [V + 1, K]: how much likelier each class is with the value, as a logarithm
    weights: np.ndarray  # [C + 1], that of the shares first
    shares: np.ndarray  # [K] logarithms

    @classmethod
    def of(cls, table: FeatureTable, labels: np.ndarray, classes: int, seed: int) -> tuple[Votes, np.ndarray]:
        """And what it says of the context rows [N, K], each from the folds without it."""
        counts = np.bincount(labels, minlength=classes) + 0.5
        known = _Known(labels, counts / counts.sum(), _lots(seed, "folds").integers(0, FOLDS, len(labels)))
        chosen = known.chosen([(coding, coding(table)) for coding in codings_of(table)])
        some = _lots(seed, "weights").permutation(len(labels))[: max(_CELLS // classes, 100)]
        weights = _weights([known.held_out(*each)[some] for each in chosen], labels[some], np.log(known.shares))
        told = tuple(_told(known.counts(*each), known.shares) for each in chosen)
        found = cls(tuple(coding for coding, _ in chosen), told, weights, np.log(known.shares))
        return found, found._added((known.held_out(*each) for each in chosen), len(labels))

    def log_odds(self, table: FeatureTable) -> np.ndarray:
        """[R, K] log-probabilities."""
        return np.concatenate([self._log_odds(part) for part in table.parts(_CHUNK)])

    def _log_odds(self, table: FeatureTable) -> np.ndarray:
        votes = (coding(table).sums(told) for coding, told in zip(self.codings, self.told, strict=True))
        return self._added(votes, table.num_rows)

    def _added(self, votes: Iterable[np.ndarray], rows: int) -> np.ndarray:
        odds = np.tile(self.weights[0] * self.shares, (rows, 1))
        for weight, vote in zip(self.weights[1:], votes, strict=True):
            odds += weight * vote
        return normalised(odds)


@dataclass(frozen=True)
class _Known:
    """The labels, the classes' shares of them, and the fold of each row."""

    labels: np.ndarray  # [N]
    shares: np.ndarray  # [K]
    folds: np.ndarray  # [N]

    def chosen(self, coded: list[tuple[Coding, Coded]]) -> list[tuple[Coding, Coded]]:
        """The columns whose votes alone make the labels likeliest, the best first, without near-copies."""
        votes = [self._own_votes(*each) for each in coded]
        kept, lines = [], np.zeros((0, len(self.labels)))
        for j in np.argsort([-each.mean() for each in votes], kind="stable"):
            line = votes[j] - votes[j].mean()
            line = line / (np.sqrt((line**2).sum()) + 1e-12)
            if line.any() and (lines @ line < _NEAR_COPY).all():
                kept.append(coded[j])
                lines = np.vstack([lines, line])
            if len(kept) == _COLUMNS:
                break
        return kept

    def held_out(self, coding: Coding, coded: Coded) -> np.ndarray:
        """[N, K] the votes on each row from the folds without it."""
        out = np.zeros((len(self.labels), len(self.shares)), dtype=np.float32)
        whole = self.counts(coding, coded)
        for fold in range(FOLDS):
            mine = self.folds == fold
            part = coded.take(mine)
            others = whole - self.counts(coding, part, self.labels[mine])
            out[mine] = part.sums(_told(others, self.shares))
        return out

    def counts(self, coding: Coding, coded: Coded, labels: np.ndarray | None = None) -> np.ndarray:
        """[V, K] how many rows have each value and class."""
        labels, classes = self.labels if labels is None else labels, len(self.shares)
        kept = coded.codes < coding.size
        flat = coded.codes[kept] * classes + labels[coded.rows[kept]]
        return np.bincount(flat, minlength=coding.size * classes).reshape(coding.size, classes)

    def _own_votes(self, coding: Coding, coded: Coded) -> np.ndarray:
        """[N] the column's vote for the true class of each row, from the folds without it."""
        kept = coded.codes < coding.size
        rows, codes = coded.rows[kept], coded.codes[kept]
        label, fold, share = self.labels[rows], self.folds[rows], self.shares[self.labels[rows]]
        same = codes * len(self.shares) + label
        of_class = _frequency(same) - _frequency(same * FOLDS + fold)
        of_all = _frequency(codes) - _frequency(codes * FOLDS + fold)
        vote = np.log((of_class + _PRIOR * share) / ((of_all + _PRIOR) * share))
        return np.bincount(rows, vote, len(self.labels))


def _lots(seed: int, purpose: str) -> np.random.Generator:
    return np.random.default_rng([abs(seed), *purpose.encode()])


def _frequency(values: np.ndarray) -> np.ndarray:
    """[P] how often each value is there."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return counts[place]


def _told(counts: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """[V + 1, K]; of a value that is new nothing."""
    all_classes = counts.sum(1, keepdims=True)
    told = np.log((counts + _PRIOR * shares) / ((all_classes + _PRIOR) * shares))
    return np.vstack([told, np.zeros((1, len(shares)))]).astype(np.float32)


def _weights(votes: list[np.ndarray], labels: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """[C + 1] by Newton's method, the penalty drawing towards the shares alone."""
    told = np.stack([np.broadcast_to(shares.astype(np.float32), (len(labels), len(shares))), *votes], 2)
    own, start = told[np.arange(len(labels)), labels].sum(0), np.eye(1, told.shape[2])[0]
    flat, found = told.reshape(-1, told.shape[2]), start.copy()
    for _ in range(_STEPS):
        p = np.exp(normalised(told @ found.astype(np.float32)))
        weighted = told * p[:, :, None]
        mean = weighted.sum(1)
        curvature = flat.T @ weighted.reshape(flat.shape) - mean.T @ mean + _RIDGE * np.eye(len(found))
        step = np.linalg.solve(curvature, own - mean.sum(0) - _RIDGE * (found - start))
        found = found + step * min(1.0, 1.0 / np.abs(step).max())
        if np.abs(step).max() < 1e-3:
            break
    return found
