"""The figures a prediction is judged by: numpy only, one function each.

In: labels and predictions of the same rows. Binary labels are 0/1 with the score or probability of 1; class labels are
positions into the columns of `probabilities` [N, K]; a regression is plain floats. Out: one float, between 0 and 1 for
the classification figures (print them times 100 if you like), in the label's unit for errors. A figure that is not
defined on the rows given (no row at all, AUROC of one class, rank correlation of a constant) is NaN, never an error.
Ties are counted as chance: equal scores share their rank.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

NAN = float("nan")
#: Probabilities are kept this far from 0 and 1 in the log loss, so that one wrong certainty does not give infinity.
CLIP = 1e-7
_BINS = 10


def auroc(labels: np.ndarray, scores: np.ndarray) -> float:
    """The chance that a positive scores above a negative, ties counted half."""
    positive = np.asarray(labels) > 0
    wins, losses = int(positive.sum()), int((~positive).sum())
    if not wins or not losses:
        return NAN
    ranks = average_ranks(scores)
    return float((ranks[positive].sum() - wins * (wins + 1) / 2) / (wins * losses))


def auroc_one_vs_rest(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean over the classes that occur of each class's AUROC against all others."""
    labels = np.asarray(labels)
    figures = [auroc(labels == k, probabilities[:, k]) for k in range(probabilities.shape[1])]
    defined = [f for f in figures if not np.isnan(f)]
    return float(np.mean(defined)) if defined else NAN


def average_precision(labels: np.ndarray, scores: np.ndarray) -> float:
    """Mean precision at each positive, going down the scores; rows of one score enter together."""
    positive = np.asarray(labels) > 0
    total = int(positive.sum())
    if not total:
        return NAN
    scores = np.asarray(scores, dtype=np.float64)
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(positive[order])
    last_of_tie = np.append(np.diff(scores[order]) != 0, True)
    hits, seen = hits[last_of_tie], np.flatnonzero(last_of_tie) + 1
    return float(np.sum(np.diff(hits, prepend=0) / total * hits / seen))


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean negative log of the probability given to what happened. `probabilities`: [N, K], rows sum to 1."""
    labels = np.asarray(labels).astype(np.int64)
    if not len(labels):
        return NAN
    given = np.asarray(probabilities, dtype=np.float64)[np.arange(len(labels)), labels]
    return float(-np.log(np.clip(given, CLIP, 1.0)).mean())


def expected_calibration_error(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean distance between probability and frequency of 1, over ten equal slices of [0, 1] weighted by rows.

    `probabilities`: [N], of label 1.
    """
    labels = np.asarray(labels, dtype=np.float64)
    if not len(labels):
        return NAN
    probabilities = np.asarray(probabilities, dtype=np.float64)
    slot = np.clip((probabilities * _BINS).astype(np.int64), 0, _BINS - 1)
    gap = np.bincount(slot, weights=probabilities - labels, minlength=_BINS)
    return float(np.abs(gap).sum() / len(labels))


def accuracy(labels: np.ndarray, predicted: np.ndarray) -> float:
    labels = np.asarray(labels)
    return float(np.mean(labels == np.asarray(predicted))) if len(labels) else NAN


def mae(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Mean absolute error; the median of a distribution minimises it."""
    error = np.asarray(labels, dtype=np.float64) - predicted
    return float(np.abs(error).mean()) if len(error) else NAN


def rmse(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Root mean squared error; the mean of a distribution minimises it."""
    error = np.asarray(labels, dtype=np.float64) - predicted
    return float(np.sqrt(np.square(error).mean())) if len(error) else NAN


def wape(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Sum of absolute errors over the sum of absolute labels; 0.2 is a fifth of the volume in the wrong place."""
    labels = np.asarray(labels, dtype=np.float64)
    volume = np.abs(labels).sum()
    return float(np.abs(labels - predicted).sum() / volume) if volume > 0 else NAN


def pinball(labels: np.ndarray, quantiles: np.ndarray, levels: Sequence[float]) -> float:
    """Mean over rows and levels of the loss that each level's quantile minimises. `quantiles`: [N, levels]."""
    error = np.asarray(labels, dtype=np.float64)[:, None] - quantiles
    share = np.asarray(levels)
    return float(np.maximum(share * error, (share - 1) * error).mean()) if len(error) else NAN


def coverage(labels: np.ndarray, low: np.ndarray, high: np.ndarray) -> float:
    """Share of the labels between the two, ends included; 0.8 is right for p10 to p90."""
    labels = np.asarray(labels)
    return float(((labels >= low) & (labels <= high)).mean()) if len(labels) else NAN


def spearman(labels: np.ndarray, predicted: np.ndarray) -> float:
    """Correlation of the ranks, ties sharing theirs."""
    if len(labels) < 2:
        return NAN
    left, right = average_ranks(labels), average_ranks(predicted)
    left, right = left - left.mean(), right - right.mean()
    scale = np.sqrt(np.square(left).sum() * np.square(right).sum())
    return float((left * right).sum() / scale) if scale > 0 else NAN


def average_ranks(values: np.ndarray) -> np.ndarray:
    """[N] ranks from 1, equal values sharing the mean of theirs."""
    _, inverse, counts = np.unique(np.asarray(values, dtype=np.float64), return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[inverse]
