"""A forecast by the in-context model: labels on the scale of each entity, and back.

In: a snapshot of kind FORECAST and two of its splits. Out: quantiles and a mean per example, in the label's own unit.
The model reads ranks. Among series of very different size or with growth, a store's next week is told better against
its own level; among short, noisy series (a customer's purchases) the size itself is the news. So labels and the
features in their unit are divided by the entity's recent mean plus everybody's; or plus a fifth of everybody's, or not
at all, where a linear reading of the older part of the context foretells the newer part clearly better that way. Shares
and margins were chosen on the suite's databases before their test splits (docs/LOG.md).

Where the context holds nothing below zero, nothing below zero is forecast.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dbt_rfm.forecast_names import LEVEL, RECENT, SERIES
from dbt_rfm.model.interface import NUMERICAL, FeatureTable, Predictions, RelationalModel
from dbt_rfm.model.linear import NumberLine
from dbt_rfm.model.reading import Question
from dbt_rfm.model.target_scale import TargetScale
from dbt_rfm.task_kind import TaskKind

_SHARE = 1.0  # of everybody's level in an entity's scale
#: Others, each with the part of both losses by which it has to be better; None: no scale of its own.
_OTHER_SHARES: tuple[tuple[float | None, float], ...] = ((0.2, 0.1), (None, 0.03))
_LEVELS = (0.1, 0.5, 0.9)
_COLUMNS = 64


def predict_forecast(
    model: RelationalModel,
    table: FeatureTable,
    sources: tuple[str, ...],
    labels: np.ndarray,  # [C] of the context
    context: np.ndarray,  # [C] rows of the table
    query: np.ndarray,  # [Q]
    *,
    seed: int,
    ends: np.ndarray,  # [rows] when each window ends: its label is known from then on
) -> Predictions:
    chosen, scale = _on_its_scale(table, sources, labels, context, ends[context], seed)
    found = model.predict(
        chosen.take(context),
        labels / scale[context],
        chosen.take(query),
        TaskKind.REGRESSION,
        (),
        seed=seed,
        times_context=ends[context],
        times_query=ends[query],
    )
    assert found.mean is not None and found.quantiles is not None, "a number has a mean and quantiles"
    size = scale[query]
    least = 0.0 if labels.min() >= 0 else -np.inf
    mean, quantiles = np.maximum(found.mean * size, least), np.maximum(found.quantiles * size[:, None], least)
    return replace(found, kind=TaskKind.FORECAST, mean=mean, quantiles=quantiles)


def _on_its_scale(
    table: FeatureTable, sources: tuple[str, ...], labels: np.ndarray, context: np.ndarray, ends: np.ndarray, seed: int
) -> tuple[FeatureTable, np.ndarray]:
    """The table and the scale that foretell the newer part of the context best, the usual one unless clearly beaten."""

    def on(share: float | None) -> tuple[np.ndarray, FeatureTable, np.ndarray]:
        scale = _scale(table, context, share)
        scaled = _scaled(table, sources, scale)
        return _loss(scaled, labels, context, scale, ends, seed), scaled, scale

    usual, best, best_scale = on(_SHARE)
    least = 1.0
    for share, margin in _OTHER_SHARES:
        losses, scaled, scale = on(share)
        part = float((losses / np.maximum(usual, 1e-12)).max())
        if part < min(least, 1 - margin) and usual.min() > 0:
            least, best, best_scale = part, scaled, scale
    return best, best_scale


def _scale(table: FeatureTable, context: np.ndarray, share: float | None) -> np.ndarray:
    """[rows] the entity's recent mean plus a share of everybody's, always above 0; None: the same for all."""
    recent, level = (np.abs(np.nan_to_num(table.columns[table.names.index(name)])) for name in (RECENT, LEVEL))
    everybody = level[context].mean() or 1.0
    return np.full(table.num_rows, everybody) if share is None else (recent + level) / 2 + share * everybody


def _scaled(table: FeatureTable, sources: tuple[str, ...], scale: np.ndarray) -> FeatureTable:
    """Features in the unit of the label over the scale, which is a feature too."""
    columns = tuple(
        column / scale if source == SERIES else column for column, source in zip(table.columns, sources, strict=True)
    )
    return FeatureTable((*table.names, "series.scale"), (*table.kinds, NUMERICAL), (*columns, scale))


def _loss(
    table: FeatureTable, labels: np.ndarray, context: np.ndarray, scale: np.ndarray, ends: np.ndarray, seed: int
) -> np.ndarray:
    """Absolute error of the median, and pinball loss, of a linear reading of the older windows on the newer ones.

    In the unit of the label; 0 where the context cannot be parted in time.
    """
    older = _older_half(ends)
    if older is None:
        return np.zeros(2)
    rows, asked = context[older], context[~older]
    question = Question(table.take(rows), labels[older] / scale[rows], TaskKind.REGRESSION, 0, seed, None)
    reading = question.read(context_size=len(rows), columns=_COLUMNS)
    line = NumberLine.fit(reading.matrix, reading.categorical, reading.targets[:, 0], abs(seed))
    scores = line.quantiles(reading.matrix_of(table.take(asked)), _LEVELS)
    found = TargetScale.of(reading.labels).to_label(scores) * scale[asked][:, None]
    error = labels[~older][:, None] - found
    levels = np.array(_LEVELS)
    pinball = np.maximum(levels * error, (levels - 1) * error).mean()
    return np.array([np.abs(error[:, _LEVELS.index(0.5)]).mean(), pinball])


def _older_half(ends: np.ndarray) -> np.ndarray | None:
    """[C] the examples of the oldest windows, at least half of all and not all; None if there are too few."""
    for end in np.unique(ends)[:-1]:
        older = ends <= end
        if older.mean() >= 0.5:
            return older if older.sum() >= 10 else None
    return None
