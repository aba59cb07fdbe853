"""A reading of the context by boosted trees: thresholds and interactions, which a line does not see.

Each tree asks the same question at every node of a level (oblivious trees), so a row's leaf is a number of a few bits
and a tree is fitted by adding up gradients over bins. Numbers are cut into bins at quantiles of the context, missing
values have a bin of their own below all others, categories are ordered by their smoothed mean label.
Classes: Newton steps on the log loss, one class against the rest. Numbers: steps by the sign of the residual, leaves
hold the median of their residuals, so the answer is the conditional median.
Source: Friedman 2001 (gradient boosting), Prokhorenkova et al. 2018 (oblivious trees); the code is ours.

Shapes: N context rows, R rows of any kind, C columns, B bins, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dbt_rfm.model.log_odds import one_against_the_rest

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


@dataclass(frozen=True)
class ClassTrees:
    """One forest per class, one alone for two classes."""

    forests: list[_Forest]

    @classmethod
    def fit(
        cls, matrix: np.ndarray, categorical: np.ndarray, labels: np.ndarray, classes: int, seed: int
    ) -> ClassTrees:
        """Labels are positions among the classes; matrices as `ColumnCodes.matrix` gives them."""
        each = [0] if classes == 2 else range(classes)
        return cls([_fit_class(matrix, categorical, (labels == k).astype(np.float64), seed) for k in each])

    def log_odds(self, rows: np.ndarray) -> np.ndarray:
        """[R, K] log-probabilities."""
        return one_against_the_rest(np.stack([forest(rows) for forest in self.forests], 1))


@dataclass(frozen=True)
class MedianTrees:
    forest: _Forest

    @classmethod
    def fit(cls, matrix: np.ndarray, categorical: np.ndarray, scores: np.ndarray, seed: int) -> MedianTrees:
        bins = _Bins.of(matrix, categorical, scores)
        inside, rng = bins(matrix), np.random.default_rng([seed, 3])
        forest = _Forest(bins, float(np.median(scores)), [], [])
        found = np.full(len(scores), forest.start)
        for _ in range(_TREES if len(inside) else 0):
            residual = scores - found
            tree = _grow(inside, np.sign(residual), np.ones(len(scores)), rng)
            leaf = tree.leaves(inside)
            value = _RATE * _leaf_medians(leaf, residual, 1 << len(tree.columns))
            found += forest.add(tree, value)[leaf]
        return cls(forest)

    def medians(self, rows: np.ndarray) -> np.ndarray:
        """[R] conditional medians of the scores."""
        return self.forest(rows)


def _fit_class(matrix: np.ndarray, categorical: np.ndarray, truth: np.ndarray, seed: int) -> _Forest:
    share = np.clip(truth.mean(), 0.5 / len(truth), 1 - 0.5 / len(truth))
    bins = _Bins.of(matrix, categorical, truth)
    inside, rng = bins(matrix), np.random.default_rng([seed, 3])
    forest = _Forest(bins, float(np.log(share / (1 - share))), [], [])
    odds = np.full(len(truth), forest.start)
    for _ in range(_TREES if len(inside) else 0):
        found = 1 / (1 + np.exp(-odds))
        gradient, curvature = truth - found, found * (1 - found)
        tree = _grow(inside, gradient, curvature, rng)
        leaf, number = tree.leaves(inside), 1 << len(tree.columns)
        value = _RATE * np.bincount(leaf, gradient, number) / (np.bincount(leaf, curvature, number) + _RIDGE / 4)
        odds += forest.add(tree, value)[leaf]
    return forest


@dataclass(frozen=True)
class _Forest:
    bins: _Bins
    start: float
    trees: list[_Tree]
    values: list[np.ndarray]  # per tree, of its leaves

    def add(self, tree: _Tree, value: np.ndarray) -> np.ndarray:
        self.trees.append(tree)
        self.values.append(value)
        return value

    def __call__(self, rows: np.ndarray) -> np.ndarray:  # [R, C] → [R]
        binned, answer = self.bins(rows), np.full(len(rows), self.start)
        for tree, value in zip(self.trees, self.values, strict=True):
            answer += value[tree.leaves(binned)]
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


@dataclass(frozen=True)
class _Bins:
    """How values become bins, by what the context holds."""

    edges: list[np.ndarray]  # per column
    means: list[np.ndarray | None]  # per categorical column the smoothed mean target of each code, last of a new one

    @classmethod
    def of(cls, matrix: np.ndarray, categorical: np.ndarray, target: np.ndarray) -> _Bins:
        edges, means = [], []
        for j in range(matrix.shape[1]):
            column = matrix[:, j].astype(np.float64)
            means.append(_mean_targets(column, target) if categorical[j] else None)
            column = _numbers(column, means[-1])
            known = column[~np.isnan(column)]
            edges.append(np.unique(np.quantile(known, _EDGES)) if len(known) else np.zeros(0))
        return cls(edges, means)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """[C, R] bins from 0 (missing) to B − 1."""
        found = np.zeros((len(self.edges), len(rows)), dtype=np.int64)
        for j, (edges, means) in enumerate(zip(self.edges, self.means, strict=True)):
            column = _numbers(rows[:, j].astype(np.float64), means)
            found[j] = np.where(np.isnan(column), 0, 1 + np.searchsorted(edges, np.nan_to_num(column)))
        return found


def _mean_targets(codes: np.ndarray, target: np.ndarray) -> np.ndarray:
    """[codes + 1] the smoothed mean target of each category, and last of one that the context does not have."""
    known = ~np.isnan(codes)
    number = int(codes[known].max(initial=-1)) + 2
    places = codes[known].astype(np.int64)
    total = np.bincount(places, target[known], number) + _SMOOTHING * target.mean()
    return total / (np.bincount(places, minlength=number) + _SMOOTHING)


def _numbers(column: np.ndarray, means: np.ndarray | None) -> np.ndarray:
    """[R] the column, categories as their mean targets."""
    if means is None:
        return column
    places = np.minimum(np.nan_to_num(column).astype(np.int64), len(means) - 1)
    return np.where(np.isnan(column), np.nan, means[places])
