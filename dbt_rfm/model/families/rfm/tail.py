"""The far end of a long-tailed number, where ranks say no more.

Network and linear reading see ranks: a customer who spends a hundred times the usual ranks hardly above one who spends
ten times. Where some column is in proportion to the label (an entity's past labels, a sum over the last window), that
column times one factor tells the size. Which column, and from where on, is what makes the absolute error of the context
least; where nothing lowers it clearly, nothing is changed. The factor is the median of the ratios, each weighted by its
column (the least absolute error through the origin).

In: numerical columns and labels of the context, and what a model would say of it without having seen it. Out: a `Tail`
that raises the quantiles of the rows it concerns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dbt_rfm.model.families.rfm.spread import carried

_FROM = (0.7, 0.8, 0.9)  # quantiles of the context's labels from which on a column may speak
_GAIN = 0.03  # the least share of the context's error that has to go
_LEAST_ROWS = 10  # of the context beyond the limit


@dataclass(frozen=True)
class Tail:
    """Which column speaks, how it is scaled, and the value from which on it is heard."""

    column: int
    factor: float
    limit: float

    @classmethod
    def of(
        cls,
        columns: Sequence[np.ndarray],  # [N] each, context, NaN missing
        labels: np.ndarray,  # [N]
        expected: np.ndarray,  # [N] medians of a model that had not seen the row
    ) -> Tail | None:
        """None if no column is to be heard."""
        best, chosen = (1 - _GAIN) * np.abs(labels - expected).sum(), None
        limits = [float(limit) for limit in np.quantile(labels, _FROM) if limit > 0]
        for j, column in enumerate(columns):
            factor = _factor(column, labels)
            value = _known(column) * factor
            for limit in limits:
                beyond = value > limit
                if beyond.sum() < _LEAST_ROWS:
                    continue
                error = np.abs(labels - np.where(beyond, np.maximum(value, expected), expected)).sum()
                if error < best:
                    best, chosen = error, cls(j, factor, limit)
        return chosen

    def raise_to(self, quantiles: np.ndarray, middle: int, columns: Sequence[np.ndarray]) -> np.ndarray:
        """[R, L] the quantiles with medians at least at the column's value, for rows beyond the limit."""
        values = _known(columns[self.column]) * self.factor
        return raised(quantiles, quantiles[:, middle], np.where(values > self.limit, values, np.nan))


def raised(quantiles: np.ndarray, median: np.ndarray, values: np.ndarray) -> np.ndarray:
    """[Q, L] quantiles moved so that the median reaches the value, where the value is above a median above 0."""
    higher = (median > 0) & (np.nan_to_num(values) > median)
    return carried(quantiles, median, np.where(higher, values, median))


def _factor(column: np.ndarray, labels: np.ndarray) -> float:
    """The factor of the least absolute error where the column is above 0; 0 where it hardly ever is, or if it falls."""
    used = _known(column) > 0
    if used.sum() < _LEAST_ROWS:
        return 0.0
    ratio, weight = labels[used] / column[used], column[used]
    order = np.argsort(ratio, kind="stable")
    place = np.searchsorted(np.cumsum(weight[order]), weight.sum() / 2)
    return max(float(ratio[order][min(place, len(order) - 1)]), 0.0)


def _known(column: np.ndarray) -> np.ndarray:
    """The column with 0 where it is missing or infinite."""
    return np.where(np.isfinite(column), column, 0.0)
