"""How sure a figure is: percentile intervals over resampled rows, paired between models.

In: per-row labels and predictions of several models on the *same* rows. Out: the 95 % interval of each model's figure
and of our figure minus each peer's, over the same resamples, so that the rows' common luck cancels.
Rows are resampled one by one; rows of one entity or anchor are alike, so true intervals are somewhat wider.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from dbt_rfm.model.interface import Predictions

Interval = tuple[float, float]
LOW, HIGH = 2.5, 97.5


def intervals(
    figure: Callable[[np.ndarray, Predictions], float],
    labels: np.ndarray,
    predictions: Mapping[str, Predictions],
    *,
    ours: str,
    resamples: int,
) -> tuple[dict[str, Interval], dict[str, Interval]]:
    """(model -> interval of its figure, peer -> interval of ours minus the peer's)."""
    rng = np.random.default_rng(0)
    drawn: dict[str, list[float]] = {name: [] for name in predictions}
    for _ in range(resamples):
        rows = rng.integers(0, len(labels), len(labels))
        for name, each in predictions.items():
            drawn[name].append(figure(labels[rows], take(each, rows)))
    values = {name: np.array(each) for name, each in drawn.items()}
    own = {name: _interval(each) for name, each in values.items()}
    differences = {name: _interval(values[ours] - each) for name, each in values.items() if name != ours}
    return own, differences


def take(predictions: Predictions, rows: np.ndarray) -> Predictions:
    """The predictions of some rows."""

    def part(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else values[rows]

    return Predictions(
        predictions.kind,
        predictions.classes,
        probabilities=part(predictions.probabilities),
        mean=part(predictions.mean),
        levels=predictions.levels,
        quantiles=part(predictions.quantiles),
    )


def _interval(values: np.ndarray) -> Interval:
    """NaN resamples (one class drawn) are left out."""
    defined = values[~np.isnan(values)]
    if not len(defined):
        return (float("nan"), float("nan"))
    low, high = np.percentile(defined, [LOW, HIGH])
    return float(low), float(high)
