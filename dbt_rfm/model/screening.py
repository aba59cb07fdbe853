"""Choose the columns that are worth their time: those that tell most of the label, without near-copies.

A column's worth is the share of the label's variance that bands of it explain on the context rows, adjusted for the
number of bands (so a key with many values earns nothing by chance), or its squared rank correlation if that is more.
The plan writes the same signal over several windows, so near-copies are common: one is left out if its rank
correlation with a chosen column is over 0.93. Counts of a category's values are many and partly copies of the count of
all rows, so they take a quarter of the places at most.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_NEAR_COPY = 0.93
_BANDS = 8
_OF_VALUES = 0.25  # of the places


def choose_columns(
    matrix: np.ndarray,  # [N, C] context rows, NaN missing, codes in categorical columns
    categorical: np.ndarray,  # [C]
    targets: np.ndarray,  # [N, K] one column per class, or the normal scores of a number
    limit: int,
    of_values: np.ndarray,  # [C] whether a column counts rows with one value of a category
) -> np.ndarray:
    """Positions of at most `limit` columns, the most telling first; constant columns never."""
    targets = targets - targets.mean(0)
    groups = _Groups.of(matrix)
    ranks = groups.ranks(matrix)
    worth = _worth(groups, ranks, categorical, targets)
    chosen: list[int] = []
    for j in np.argsort(-worth, kind="stable"):
        if len(chosen) == limit or np.isneginf(worth[j]):
            break
        if of_values[j] and of_values[chosen].sum() >= limit * _OF_VALUES:
            continue
        if categorical[j] or not _copies(ranks, j, chosen, categorical, matrix):
            chosen.append(int(j))
    return np.array(chosen, dtype=int)


@dataclass(frozen=True)
class _Groups:
    """Equal values of each column, in rising order, missing values last: all columns sorted at once."""

    group: np.ndarray  # [N, C] the number of a row's value among the distinct ones
    middle: np.ndarray  # [N, C] the mid-rank of that value, from 0.5 to N − 0.5
    size: np.ndarray  # [N, C] how many rows share it
    distinct: np.ndarray  # [C]

    @classmethod
    def of(cls, matrix: np.ndarray) -> _Groups:
        rows = len(matrix)
        order = np.argsort(matrix, axis=0, kind="stable")
        ordered = np.take_along_axis(matrix, order, 0)
        first = np.ones(matrix.shape, dtype=bool)
        first[1:] = (ordered[1:] != ordered[:-1]) & ~(np.isnan(ordered[1:]) & np.isnan(ordered[:-1]))
        place = np.arange(rows)[:, None]
        start = np.maximum.accumulate(np.where(first, place, 0), 0)
        last = np.ones(matrix.shape, dtype=bool)
        last[:-1] = first[1:]
        end = np.minimum.accumulate(np.where(last, place, rows)[::-1], 0)[::-1]
        found = [np.empty(matrix.shape, dtype=x.dtype) for x in (place, np.zeros(1), place)]
        for out, values in zip(found, (np.cumsum(first, 0) - 1, (start + end + 1) / 2, end - start + 1), strict=True):
            np.put_along_axis(out, order, values, 0)
        return cls(found[0], found[1], found[2], first.sum(0))

    def ranks(self, matrix: np.ndarray) -> np.ndarray:
        """[N, C] mid-ranks of what is known, centred to mean 0 and length 1; missing values at the mean."""
        known = ~np.isnan(matrix)
        mean = np.where(known, self.middle, 0.0).sum(0) / np.maximum(known.sum(0), 1)
        out = np.where(known, self.middle - mean, 0.0)
        return out / (np.sqrt((out**2).sum(0)) + 1e-12)

    def bands(self, categorical: np.ndarray) -> np.ndarray:
        """[N, C] at most `_BANDS` bands: the values themselves if few, else by quantile, or rare categories as one."""
        band = np.where(self.distinct <= _BANDS, self.group, (self.middle / len(self.middle) * _BANDS).astype(int))
        for j in np.flatnonzero(categorical & (self.distinct > _BANDS)):
            size = np.zeros(self.distinct[j])
            size[self.group[:, j]] = self.size[:, j]
            by_size = np.argsort(np.argsort(-size, kind="stable"))
            band[:, j] = np.minimum(by_size[self.group[:, j]], _BANDS - 1)
        return band


def _worth(groups: _Groups, ranks: np.ndarray, categorical: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """[C] explained share of variance, summed over targets; minus infinity for constant columns."""
    rows, columns = ranks.shape
    place = (groups.bands(categorical) + np.arange(columns) * _BANDS).T.ravel()  # column by column
    weight = np.bincount(place, minlength=columns * _BANDS)
    total = (targets**2).sum() + 1e-12
    explained = np.zeros(columns)
    for target in targets.T:
        sums = np.bincount(place, np.tile(target, columns), columns * _BANDS)
        explained += (sums**2 / np.maximum(weight, 1)).reshape(columns, _BANDS).sum(1) / total
    bands = (weight.reshape(columns, _BANDS) > 0).sum(1)
    adjusted = 1 - (1 - explained) * (rows - 1) / np.maximum(rows - bands, 1)
    monotone = np.where(categorical, 0.0, ((ranks.T @ targets) ** 2).sum(1) / total - 1 / rows)
    return np.where(groups.distinct > 1, np.maximum(adjusted, monotone), -np.inf)


def _copies(ranks: np.ndarray, j: int, chosen: list[int], categorical: np.ndarray, matrix: np.ndarray) -> bool:
    others = [k for k in chosen if not categorical[k]]
    if not others:
        return False
    close = [others[i] for i in np.flatnonzero(np.abs(ranks[:, others].T @ ranks[:, j]) > _NEAR_COPY)]
    gone = np.isnan(matrix[:, j])
    return any((np.isnan(matrix[:, k]) == gone).mean() > _NEAR_COPY for k in close)
