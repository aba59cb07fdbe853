"""A regularised linear reading of the context: a steady second opinion beside the network.

Columns become normal scores of their ranks among the context, a flag where values are missing, and one column per
common category. The strength of the penalty is the one with the least squared error over five folds of the context.
Classes: logistic regression, one against the rest. Numbers: ridge regression on the normal scale, with the quantiles of
its out-of-fold errors around it. It takes a few hundredths of a second and no training beyond the call.

Shapes: N context rows, R rows of any kind, C columns, F linear features, K classes or 1, L quantile levels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dbt_rfm.model.log_odds import one_against_the_rest
from dbt_rfm.model.target_scale import normal_score

_PENALTIES = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
_FOLDS = 5
_NEWTON_STEPS = 10
_COMMON_CATEGORIES = 8
_SHARES = (np.arange(2000) + 0.5) / 2000
_SCORES = normal_score(_SHARES)


@dataclass(frozen=True)
class ClassLine:
    """Logistic regressions; `weights` [F + 1, K], the intercepts first, one column for two classes."""

    features: _Features
    weights: np.ndarray

    @classmethod
    def fit(cls, matrix: np.ndarray, categorical: np.ndarray, labels: np.ndarray, classes: int, seed: int) -> ClassLine:
        """Labels are positions among the classes; matrices as `ColumnCodes.matrix` gives them."""
        features = _Features.of(matrix, categorical)
        x, onehot = features(matrix), np.eye(classes)[labels]
        penalty = _choose_penalty(x, onehot, seed)[0]
        columns = [0] if classes == 2 else range(classes)
        return cls(features, np.stack([_logistic(x, onehot[:, k], penalty) for k in columns], 1))

    def log_odds(self, rows: np.ndarray) -> np.ndarray:
        """[R, K] log-probabilities."""
        return one_against_the_rest(self.features(rows) @ self.weights[1:] + self.weights[0])


@dataclass(frozen=True)
class NumberLine:
    """Ridge regression on the normal scale."""

    features: _Features
    weights: np.ndarray  # [F]
    centre: float
    held_out: np.ndarray  # [N] what the context rows get from folds without them
    errors: np.ndarray  # [N] of these

    @classmethod
    def fit(cls, matrix: np.ndarray, categorical: np.ndarray, scores: np.ndarray, seed: int) -> NumberLine:
        """Scores [N] are the labels on the normal scale."""
        features = _Features.of(matrix, categorical)
        x = features(matrix)
        penalty, errors = _choose_penalty(x, scores[:, None], seed)
        centre = float(scores.mean())
        weights = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ (scores - centre))
        return cls(features, weights, centre, scores - errors[:, 0], errors[:, 0])

    def quantiles(self, rows: np.ndarray, levels: tuple[float, ...]) -> np.ndarray:
        """[R, L] on the normal scale."""
        middle = self.features(rows) @ self.weights + self.centre
        return middle[:, None] + np.quantile(self.errors, levels)


@dataclass(frozen=True)
class _Features:
    """How columns become linear features, by what the context holds."""

    categorical: np.ndarray  # [C]
    known: list[np.ndarray]  # per numerical column its values in order; per categorical one its common codes
    gaps: list[bool]  # whether values are missing in some rows of a numerical column
    centre: np.ndarray  # [F]

    @classmethod
    def of(cls, matrix: np.ndarray, categorical: np.ndarray) -> _Features:
        known, gaps = [], []
        for j in range(matrix.shape[1]):
            column = matrix[:, j]
            if categorical[j]:
                known.append(np.arange(min(int(np.nanmax(column, initial=-1.0)) + 1, _COMMON_CATEGORIES)))
                gaps.append(False)
                continue
            known.append(np.sort(column[~np.isnan(column)]))
            gaps.append(0 < len(known[-1]) < len(column))
        raw = cls(categorical, known, gaps, np.zeros(0))
        return replace(raw, centre=raw._raw(matrix).mean(0))

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """[R, F], centred on the context."""
        return self._raw(rows) - self.centre

    def _raw(self, rows: np.ndarray) -> np.ndarray:
        parts = [np.zeros((len(rows), 0))]
        for j, known in enumerate(self.known):
            if self.categorical[j]:  # codes go by falling frequency
                parts.append((rows[:, j, None] == known).astype(np.float64))
                continue
            parts.append(_ranks(known, rows[:, j])[:, None])
            if self.gaps[j]:
                parts.append(np.isnan(rows[:, j])[:, None].astype(np.float64))
        return np.concatenate(parts, 1)


def _ranks(ordered: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """[R] normal scores of the ranks among the ordered values, missing values at 0."""
    missing = np.isnan(rows)
    known = np.where(missing, 0.0, rows)
    place = np.searchsorted(ordered, known) + np.searchsorted(ordered, known, side="right")
    share = (place / 2 + 0.5) / (len(ordered) + 1)
    return np.where(missing, 0.0, np.interp(share, _SHARES, _SCORES))


def _choose_penalty(x: np.ndarray, targets: np.ndarray, seed: int) -> tuple[float, np.ndarray]:
    """The best penalty and its out-of-fold errors [N, K]."""
    fold = np.random.default_rng(seed).permutation(len(x)) % _FOLDS
    errors = np.zeros((len(_PENALTIES), *targets.shape))
    for each in range(_FOLDS):
        out = fold == each
        if out.all() or not out.any():
            continue
        centre, offset = x[~out].mean(0), targets[~out].mean(0)
        inside = x[~out] - centre
        values, vectors = np.linalg.eigh(inside.T @ inside)
        turned = vectors.T @ (inside.T @ (targets[~out] - offset))
        asked = (x[out] - centre) @ vectors
        for i, penalty in enumerate(_PENALTIES):
            found = asked @ (turned / (values + penalty)[:, None]) + offset
            errors[i, out] = targets[out] - found
    best = int((errors**2).sum((1, 2)).argmin())
    return _PENALTIES[best], errors[best]


def _logistic(x: np.ndarray, truth: np.ndarray, penalty: float) -> np.ndarray:
    """[F + 1] weights by Newton's method, the intercept first.

    The penalty was chosen for squared errors, whose curvature is larger.
    """
    share = np.clip(truth.mean(), 0.5 / len(truth), 1 - 0.5 / len(truth))
    design = np.concatenate([np.ones((len(x), 1)), x], 1)
    weight = np.zeros(design.shape[1])
    weight[0] = np.log(share / (1 - share))
    ridge = np.full(design.shape[1], penalty * share * (1 - share))
    ridge[0] = 1e-3

    def cost(w: np.ndarray) -> float:
        odds = design @ w
        return float((np.logaddexp(0, odds) - truth * odds).sum() + 0.5 * (ridge * w) @ w)

    before = cost(weight)
    for _ in range(_NEWTON_STEPS):
        found = 1 / (1 + np.exp(-np.clip(design @ weight, -30, 30)))
        curvature = (design * (found * (1 - found))[:, None]).T @ design + np.diag(ridge)
        step = np.linalg.solve(curvature, design.T @ (truth - found) - ridge * weight)
        while (after := cost(weight + step)) > before:  # a rare class makes a whole step jump too far
            step *= 0.5
            if np.abs(step).max() < 1e-6:
                return weight
        weight, before = weight + step, after
    return weight
