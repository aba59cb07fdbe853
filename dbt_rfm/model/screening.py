"""Choose the columns that are worth their time: those that tell most of the label, without near-copies.

A column's worth is the share of the label's variance that bands of it explain on the context rows, adjusted for the
number of bands (so a key with many values earns nothing by chance), or its squared rank correlation if that is more.
The plan writes the same signal over several windows, so near-copies are common: one is left out if its rank
correlation with a chosen column is over 0.93.
"""

from __future__ import annotations

import numpy as np

_NEAR_COPY = 0.93
_BANDS = 8


def choose_columns(
    matrix: np.ndarray,  # [N, C] context rows, NaN missing, codes in categorical columns
    categorical: np.ndarray,  # [C]
    targets: np.ndarray,  # [N, K] one column per class, or the normal scores of a number
    limit: int,
) -> np.ndarray:
    """Positions of at most `limit` columns, the most telling first; constant columns never."""
    targets = targets - targets.mean(0)
    ranks = np.stack([_ranks(column) for column in matrix.T], 1)
    worth = np.array([_worth(matrix[:, j], ranks[:, j], categorical[j], targets) for j in range(matrix.shape[1])])
    chosen: list[int] = []
    for j in np.argsort(-worth, kind="stable"):
        if len(chosen) == limit or np.isneginf(worth[j]):
            break
        if categorical[j] or not _copies(ranks, j, chosen, categorical, matrix):
            chosen.append(int(j))
    return np.array(chosen, dtype=int)


def _ranks(column: np.ndarray) -> np.ndarray:
    """Mid-ranks, centred to mean 0 and length 1; missing values at the mean."""
    known = ~np.isnan(column)
    out = np.zeros(len(column))
    _, place, size = np.unique(column[known], return_inverse=True, return_counts=True)
    out[known] = (np.cumsum(size) - (size - 1) / 2)[place]
    out[known] -= out[known].mean() if known.any() else 0.0
    return out / (np.sqrt((out**2).sum()) + 1e-12)


def _worth(column: np.ndarray, rank: np.ndarray, categorical: bool, targets: np.ndarray) -> float:
    """Explained share of variance, summed over targets; minus infinity for a constant column."""
    missing = np.isnan(column)
    _, place, size = np.unique(np.where(missing, np.inf, column), return_inverse=True, return_counts=True)
    if len(size) == 1:
        return -np.inf
    if len(size) > _BANDS:
        place = _banded(place, size, categorical)
    bands = int(place.max()) + 1
    weight = np.maximum(np.bincount(place, minlength=bands), 1)
    total = (targets**2).sum() + 1e-12
    sums = np.stack([np.bincount(place, t, bands) for t in targets.T], 1)
    explained = ((sums**2) / weight[:, None]).sum() / total
    rows = len(column)
    adjusted = 1 - (1 - explained) * (rows - 1) / max(rows - bands, 1)
    monotone = 0.0 if categorical else ((rank @ targets) ** 2).sum() / total - 1 / rows
    return float(max(adjusted, monotone))


def _banded(place: np.ndarray, size: np.ndarray, categorical: bool) -> np.ndarray:
    """Positions of distinct values as at most `_BANDS` bands: by quantile, or the rare categories as one."""
    if categorical:
        return np.minimum(np.argsort(np.argsort(-size, kind="stable"))[place], _BANDS - 1)
    middle = (np.cumsum(size) - size / 2) / size.sum()
    _, band = np.unique((middle * _BANDS).astype(int), return_inverse=True)
    return band[place]


def _copies(ranks: np.ndarray, j: int, chosen: list[int], categorical: np.ndarray, matrix: np.ndarray) -> bool:
    others = [k for k in chosen if not categorical[k]]
    if not others:
        return False
    close = [others[i] for i in np.flatnonzero(np.abs(ranks[:, others].T @ ranks[:, j]) > _NEAR_COPY)]
    gone = np.isnan(matrix[:, j])
    return any((np.isnan(matrix[:, k]) == gone).mean() > _NEAR_COPY for k in close)
