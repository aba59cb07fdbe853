"""A line in the label's own unit, by least absolute errors: sizes, where ranks say no more.

Network, ranked line and ranked trees see who is above whom. Where columns are in proportion to the label (past labels,
sums over a window), the size itself is worth as much: here numbers keep their own scale, cut at twenty mean distances
from the middle, and what is fitted is the conditional median. Missing values are at the middle, with a flag;
categories are left to the others. The strength of the penalty is the one with the least absolute error over folds of
the context.

Shapes: N context rows, R rows of any kind, C columns, F linear features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_PENALTIES = (1000.0, 100.0, 10.0)  # falling: each fit starts from the one before
_FOLDS = 4
_FOLDED_ROWS = 2000  # enough to choose a penalty by
_STEPS, _FOLDED_STEPS = 25, 6  # of reweighted least squares
_LEAST_ERROR = 0.02  # of the usual distance of labels from their median: smaller errors weigh no more
_CUT = 20.0


@dataclass(frozen=True)
class UnitLine:
    features: _Features
    weights: np.ndarray  # [F + 1], the intercept last

    @classmethod
    def fit(cls, matrix: np.ndarray, categorical: np.ndarray, labels: np.ndarray, seed: int) -> UnitLine:
        """Matrices as `ColumnCodes.matrix` gives them."""
        features = _Features.of(matrix, categorical)
        x = features(matrix)
        return cls(features, _least_absolute(x, labels, _choose_penalty(x, labels, seed), _STEPS))

    def medians(self, rows: np.ndarray) -> np.ndarray:
        """[R] in the label's unit."""
        return self.features(rows) @ self.weights


@dataclass(frozen=True)
class _Features:
    numbers: np.ndarray  # positions of the numerical columns
    centres: np.ndarray  # of each
    scales: np.ndarray
    gaps: np.ndarray  # positions, among the numerical columns, of those missing in some rows

    @classmethod
    def of(cls, matrix: np.ndarray, categorical: np.ndarray) -> _Features:
        numbers = np.flatnonzero(~categorical)
        columns = matrix[:, numbers].astype(np.float64)
        missing = np.isnan(columns)
        known = ~missing.all(0)
        centres, scales = np.zeros(len(numbers)), np.ones(len(numbers))
        centres[known] = np.nanmedian(columns[:, known], 0)
        scales[known] = np.nanmean(np.abs(columns[:, known] - centres[known]), 0)
        return cls(numbers, centres, np.where(scales > 0, scales, 1.0), np.flatnonzero(missing.any(0) & known))

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """[R, F + 1], the last column all ones."""
        columns = rows[:, self.numbers].astype(np.float64)
        missing = np.isnan(columns)
        scaled = np.clip((np.where(missing, self.centres, columns) - self.centres) / self.scales, -_CUT, _CUT)
        return np.concatenate([scaled, missing[:, self.gaps], np.ones((len(rows), 1))], 1)


def _choose_penalty(x: np.ndarray, labels: np.ndarray, seed: int) -> float:
    rng = np.random.default_rng([seed, 5])
    some = rng.permutation(len(x))[:_FOLDED_ROWS]
    x, labels, fold = x[some], labels[some], np.arange(len(some)) % _FOLDS
    errors = dict.fromkeys(_PENALTIES, 0.0)
    for each in range(_FOLDS):
        out = fold == each
        if out.all() or not out.any():
            continue
        weights = None
        for penalty in _PENALTIES:
            weights = _least_absolute(x[~out], labels[~out], penalty, _FOLDED_STEPS, start=weights)
            errors[penalty] += float(np.abs(labels[out] - x[out] @ weights).sum())
    return min(errors, key=lambda penalty: errors[penalty])


def _least_absolute(
    x: np.ndarray, labels: np.ndarray, penalty: float, steps: int, start: np.ndarray | None = None
) -> np.ndarray:
    """[F + 1] weights of the least absolute error, by reweighted least squares; the intercept goes without penalty."""
    middle = float(np.median(labels))
    away = np.abs(labels - middle)
    unit = float(np.median(away[away > 0])) if away.any() else 1.0
    ridge = np.diag(np.r_[np.full(x.shape[1] - 1, penalty / unit), 0.0])
    weights = np.r_[np.zeros(x.shape[1] - 1), middle] if start is None else start
    for _ in range(steps):
        heard = x / np.maximum(np.abs(labels - x @ weights), _LEAST_ERROR * unit)[:, None]
        weights = np.linalg.solve(heard.T @ x + ridge, heard.T @ labels)
    return weights
