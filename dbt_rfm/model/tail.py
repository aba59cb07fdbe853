"""The far end of a long-tailed number, where ranks say no more.

Network and linear reading see ranks: a customer who spends a hundred times the usual ranks hardly above one who spends
ten times. Where some column is in proportion to the label (an entity's past labels, a sum over the last window), that
column times one factor tells the size. Which column, and from where on, is what makes the absolute error of the context
least; where nothing lowers it clearly, nothing is changed. The factor is the median of the ratios, each weighted by its
column (the least absolute error through the origin).

In: numerical columns and labels of the context, and what a model would say of it without having seen it. Out: for each
query the value that the median should at least have; NaN where the model's own stands.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_FROM = (0.7, 0.8, 0.9)  # quantiles of the context's labels from which on a column may speak
_GAIN = 0.03  # the least share of the context's error that has to go
_LEAST_ROWS = 10  # of the context beyond the limit


def tail_values(
    columns: Sequence[np.ndarray],  # [N] each, context, NaN missing
    labels: np.ndarray,  # [N]
    expected: np.ndarray,  # [N] medians of a model that had not seen the row
    asked: Sequence[np.ndarray],  # [Q] each, the same columns of the queries
) -> np.ndarray | None:
    """[Q] values for the rows beyond the limit, NaN for all others; None if no column is to be heard."""
    best, chosen = (1 - _GAIN) * np.abs(labels - expected).sum(), None
    limits = [limit for limit in np.quantile(labels, _FROM) if limit > 0]
    for j, column in enumerate(columns):
        value = _known(column) * _factor(column, labels)
        for limit in limits:
            beyond = value > limit
            if beyond.sum() < _LEAST_ROWS:
                continue
            error = np.abs(labels - np.where(beyond, np.maximum(value, expected), expected)).sum()
            if error < best:
                best, chosen = error, (j, limit)
    if chosen is None:
        return None
    j, limit = chosen
    values = _known(asked[j]) * _factor(columns[j], labels)
    return np.where(values > limit, values, np.nan)


def raised(quantiles: np.ndarray, median: np.ndarray, values: np.ndarray) -> np.ndarray:
    """[Q, L] quantiles moved so that the median reaches the value, where the value is above a median above 0.

    What lies above the median moves by as much; what lies below keeps its proportion, so that a zero stays one.
    """
    higher = (median > 0) & (np.nan_to_num(values) > median)
    stretch = np.where(higher, values, 1.0) / np.where(higher, median, 1.0)
    shift = np.where(higher, values - median, 0.0)
    below = quantiles <= median[:, None]
    return np.where(below, quantiles * stretch[:, None], quantiles + shift[:, None])


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
