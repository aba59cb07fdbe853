"""A reading of the context by boosted trees: thresholds and interactions, which a line does not see.

Each tree asks the same question at every node of a level (oblivious trees), so a row's leaf is a number of a few bits
and a tree is fitted by adding up gradients over bins. Numbers are cut into bins at quantiles of the context, missing
values have a bin of their own below all others, categories are ordered by their smoothed mean label.
Classes: Newton steps on the log loss, one class against the rest. Numbers: steps by the sign of the residual, leaves
hold the median of their residuals, so the answer is the conditional median.
Source: Friedman 2001 (gradient boosting), Prokhorenkova et al. 2018 (oblivious trees); the code is ours.

Shapes: N context rows, Q query rows, C columns, B bins, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_TAIL = (0.001, 0.003, 0.01, 0.02)  # rare things are often told by extreme values
_EDGES = np.r_[_TAIL, np.linspace(0.04, 0.96, 22), 1 - np.array(_TAIL[::-1])]
_BINS = len(_EDGES) + 2
_TREES = 120
_DEPTH = 4
_RATE = 0.08
_ROWS, _COLUMNS = 0.7, 0.5  # share of each that a tree sees
_RIDGE = 3.0  # added to a leaf's curvature, which is at most a quarter a row
_LEAST_GAIN = 1e-6
_SMOOTHING = 10.0  # rows of the mean label that a category starts with


def class_log_odds(
    matrix: np.ndarray, categorical: np.ndarray, labels: np.ndarray, query: np.ndarray, classes: int, seed: int
) -> np.ndarray:
    """[Q, K] log-probabilities of classes 0 … K − 1; matrices as `ColumnCodes.matrix` gives them."""
    each = [0] if classes == 2 else range(classes)
    odds = np.stack([_log_odds(matrix, categorical, labels == k, query, seed) for k in each], 1)
    if classes == 2:
        odds = np.concatenate([odds, -odds], 1)
    found = -np.logaddexp(0, -odds)
    return found - np.logaddexp.reduce(found, axis=1, keepdims=True)


def medians(
    matrix: np.ndarray, categorical: np.ndarray, scores: np.ndarray, query: np.ndarray, seed: int
) -> np.ndarray:
    """[Q] conditional medians of the scores [N]."""
    start = float(np.median(scores))
    if not matrix.shape[1]:
        return np.full(len(query), start)
    inside, asked = _binned(matrix, categorical, scores, query)
    found, answer = np.full(len(scores), start), np.full(len(query), start)
    rng = np.random.default_rng([seed, 3])
    for _ in range(_TREES):
        residual = scores - found
        tree = _grow(inside, np.sign(residual), np.ones(len(scores)), rng)
        leaf = tree.leaves(inside)
        value = _RATE * _leaf_medians(leaf, residual, 1 << len(tree.columns))
        found += value[leaf]
        answer += value[tree.leaves(asked)]
    return answer


def _log_odds(
    matrix: np.ndarray, categorical: np.ndarray, truth: np.ndarray, query: np.ndarray, seed: int
) -> np.ndarray:
    """[Q] log-odds of one class."""
    truth = truth.astype(np.float64)
    share = np.clip(truth.mean(), 0.5 / len(truth), 1 - 0.5 / len(truth))
    start = float(np.log(share / (1 - share)))
    if not matrix.shape[1]:
        return np.full(len(query), start)
    inside, asked = _binned(matrix, categorical, truth, query)
    odds, answer = np.full(len(truth), start), np.full(len(query), start)
    rng = np.random.default_rng([seed, 3])
    for _ in range(_TREES):
        found = 1 / (1 + np.exp(-odds))
        gradient, curvature = truth - found, found * (1 - found)
        tree = _grow(inside, gradient, curvature, rng)
        leaf, number = tree.leaves(inside), 1 << len(tree.columns)
        value = _RATE * np.bincount(leaf, gradient, number) / (np.bincount(leaf, curvature, number) + _RIDGE / 4)
        odds += value[leaf]
        answer += value[tree.leaves(asked)]
    return answer


@dataclass(frozen=True)
class _Tree:
    columns: list[int]  # one per level
    bins: list[int]  # above which bin a row goes to the right

    def leaves(self, binned: np.ndarray) -> np.ndarray:
        """[R] the leaf of each row."""
        leaf = np.zeros(binned.shape[1], dtype=np.int64)
        for column, edge in zip(self.columns, self.bins, strict=True):
            leaf = 2 * leaf + (binned[column] > edge)
        return leaf


def _grow(binned: np.ndarray, gradient: np.ndarray, curvature: np.ndarray, rng: np.random.Generator) -> _Tree:
    """One tree on a part of the rows and columns; binned is [C, N]."""
    columns, rows = binned.shape
    some = rng.permutation(columns)[: max(1, round(columns * _COLUMNS))]
    used = np.sort(rng.permutation(rows)[: max(2, round(rows * _ROWS))])
    bins = binned[np.ix_(some, used)]
    slot = bins + (np.arange(len(some)) * _BINS)[:, None]
    gradients, curvatures = (np.broadcast_to(x[used], slot.shape).ravel() for x in (gradient, curvature))
    node, tree = np.zeros(len(used), dtype=np.int64), _Tree([], [])
    for level in range(_DEPTH):
        shape = (1 << level, len(some), _BINS)
        place = (slot + node * (len(some) * _BINS)).ravel()
        left = [np.bincount(place, x, np.prod(shape)).reshape(shape).cumsum(2) for x in (gradients, curvatures)]
        column, edge, gain = _best_cut(*left)
        if gain < _LEAST_GAIN:
            break
        tree.columns.append(int(some[column]))
        tree.bins.append(edge)
        node = 2 * node + (bins[column] > edge)
    return tree


def _best_cut(gradient: np.ndarray, curvature: np.ndarray) -> tuple[int, int, float]:
    """Column, bin and gain of the cut that tells most over all nodes; sums up to each bin are [nodes, C, B]."""
    total = gradient[:, :, -1:], curvature[:, :, -1:]

    def worth(g: np.ndarray, h: np.ndarray) -> np.ndarray:
        return g**2 / (h + _RIDGE)

    gain = worth(gradient, curvature) + worth(total[0] - gradient, total[1] - curvature) - worth(*total)
    gain = gain.sum(0)
    best = int(gain.argmax())
    return best // _BINS, best % _BINS, float(gain.flat[best])


def _leaf_medians(leaf: np.ndarray, residual: np.ndarray, number: int) -> np.ndarray:
    """[leaves] shrunk towards 0 where a leaf has few rows."""
    order = np.lexsort((residual, leaf))
    ordered, values = leaf[order], residual[order]
    start, end = np.searchsorted(ordered, np.arange(number)), np.searchsorted(ordered, np.arange(number), "right")
    count = end - start
    middle = np.minimum(start + count // 2, len(values) - 1)
    below = np.maximum(middle - (count % 2 == 0), 0)
    median = (values[middle] + values[below]) / 2
    return np.where(count > 0, median, 0.0) * count / (count + _RIDGE)


def _binned(
    matrix: np.ndarray, categorical: np.ndarray, target: np.ndarray, query: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """[C, N] and [C, Q] bins from 0 (missing) to B − 1."""
    inside = np.zeros((matrix.shape[1], len(matrix)), dtype=np.int64)
    asked = np.zeros((matrix.shape[1], len(query)), dtype=np.int64)
    for j in range(matrix.shape[1]):
        column, rows = matrix[:, j].astype(np.float64), query[:, j].astype(np.float64)
        if categorical[j]:
            column, rows = _by_mean_label(column, target, column), _by_mean_label(column, target, rows)
        known = column[~np.isnan(column)]
        edges = np.unique(np.quantile(known, _EDGES)) if len(known) else np.zeros(0)
        inside[j], asked[j] = (
            np.where(np.isnan(x), 0, 1 + np.searchsorted(edges, np.nan_to_num(x))) for x in (column, rows)
        )
    return inside, asked


def _by_mean_label(context: np.ndarray, target: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """[R] the smoothed mean target of each row's category; new categories get the overall mean."""
    known = ~np.isnan(context)
    number = int(context[known].max(initial=-1)) + 2  # one more for categories that the context does not have
    codes = context[known].astype(np.int64)
    total = np.bincount(codes, target[known], number) + _SMOOTHING * target.mean()
    mean = total / (np.bincount(codes, minlength=number) + _SMOOTHING)
    found = mean[np.minimum(np.nan_to_num(rows).astype(np.int64), number - 1)]
    return np.where(np.isnan(rows), np.nan, found)
