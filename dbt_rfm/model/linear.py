"""A regularised linear reading of the context: a steady second opinion beside the network.

Columns become normal scores of their ranks among the context, a flag where values are missing, and one column per
common category. The strength of the penalty is the one with the least squared error over five folds of the context.
Classes: logistic regression, one against the rest. Numbers: ridge regression on the normal scale, with the quantiles of
its out-of-fold errors around it. It takes a few hundredths of a second and no training beyond the call.

Shapes: N context rows, Q query rows, C columns, F linear features, K classes or 1.
"""

from __future__ import annotations

import numpy as np

from dbt_rfm.model.target_scale import normal_score

_PENALTIES = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
_FOLDS = 5
_NEWTON_STEPS = 10
_COMMON_CATEGORIES = 8
_SHARES = (np.arange(2000) + 0.5) / 2000
_SCORES = normal_score(_SHARES)


def class_log_odds(
    matrix: np.ndarray, categorical: np.ndarray, labels: np.ndarray, query: np.ndarray, classes: int, seed: int
) -> np.ndarray:
    """[Q, K] log-probabilities of classes 0 … K − 1; matrices as `ColumnCodes.matrix` gives them."""
    x, asked = _features(matrix, categorical, query)
    onehot = np.eye(classes)[labels]
    penalty = _choose_penalty(x, onehot, seed)[0]
    columns = [0] if classes == 2 else range(classes)
    odds = np.stack([_logistic(x, onehot[:, k], asked, penalty) for k in columns], 1)
    if classes == 2:
        odds = np.concatenate([odds, -odds], 1)
    log_odds = -np.logaddexp(0, -odds)
    return log_odds - np.logaddexp.reduce(log_odds, axis=1, keepdims=True)


def normal_quantiles(
    matrix: np.ndarray,
    categorical: np.ndarray,
    scores: np.ndarray,  # [N] labels on the normal scale
    query: np.ndarray,
    levels: tuple[float, ...],
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """[Q, L] quantiles on the normal scale, and [N] what the context rows get from folds without them."""
    x, asked = _features(matrix, categorical, query)
    penalty, errors = _choose_penalty(x, scores[:, None], seed)
    centre = scores.mean()
    weight = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ (scores - centre))
    return (asked @ weight + centre)[:, None] + np.quantile(errors[:, 0], levels), scores - errors[:, 0]


def _features(matrix: np.ndarray, categorical: np.ndarray, query: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[N, F] and [Q, F], centred on the context."""
    context_parts, query_parts = [np.zeros((len(matrix), 0))], [np.zeros((len(query), 0))]
    for j in range(matrix.shape[1]):
        make = _categories if categorical[j] else _ranks
        for parts, rows in zip((context_parts, query_parts), (matrix[:, j], query[:, j]), strict=True):
            parts.append(make(matrix[:, j], rows))
    x, asked = np.concatenate(context_parts, 1), np.concatenate(query_parts, 1)
    centre = x.mean(0)
    return x - centre, asked - centre


def _ranks(context: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """[R, 1 or 2] normal scores with missing values at 0, and whether a value is missing if that varies."""
    ordered = np.sort(context[~np.isnan(context)])
    missing = np.isnan(rows)
    known = np.where(missing, 0.0, rows)
    place = np.searchsorted(ordered, known) + np.searchsorted(ordered, known, side="right")
    share = (place / 2 + 0.5) / (len(ordered) + 1)
    score = np.where(missing, 0.0, np.interp(share, _SHARES, _SCORES))
    if not 0 < len(ordered) < len(context):
        return score[:, None]
    return np.stack([score, missing.astype(np.float64)], 1)


def _categories(context: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """[R, ≤ 8] one column per common category; codes go by falling frequency."""
    number = int(np.nanmax(context, initial=-1.0)) + 1
    return (rows[:, None] == np.arange(min(number, _COMMON_CATEGORIES))).astype(np.float64)


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


def _logistic(x: np.ndarray, truth: np.ndarray, asked: np.ndarray, penalty: float) -> np.ndarray:
    """[Q] log-odds by Newton's method; the penalty was chosen for squared errors, whose curvature is larger."""
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
                return asked @ weight[1:] + weight[0]
        weight, before = weight + step, after
    return asked @ weight[1:] + weight[0]
