"""The backtest of a forecast: all steps of the newest anchor whose windows have closed, beside three simple forecasts.

In: a snapshot of kind FORECAST and the predictions for its `backtest` examples. Out: figures of the model and of
    seasonal naive  the value of the newest closed window of the same season (hour of the day, day of the week, week of
                    the year); the last value where there is none yet
    last value      the newest closed window of the entity
    entity mean     the mean of all its closed windows
each as of the anchor; an entity without a closed window gets the median of the context.
MAE, WAPE and pinball loss score the quantiles, whose middle is the median. `total_wape` scores what the steps add up
to, the sum of the means, against the one window over the whole horizon; it is told of COUNT and SUM, which add up.
"""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa

from dbt_rfm import metrics as m
from dbt_rfm.evaluate.scores import Tested, numbers_of
from dbt_rfm.forecast_names import LAST, MEAN, SEASONS
from dbt_rfm.model.examples import label_array, split_rows
from dbt_rfm.model.interface import LEVELS, Predictions
from dbt_rfm.pql.ast import Aggregation
from dbt_rfm.pql.parser import parse
from dbt_rfm.snapshot import BACKTEST_CONTEXT, Snapshot

SEASONAL_NAIVE, LAST_VALUE, ENTITY_MEAN = "seasonal naive", "last value", "entity mean"


def tested_steps(snapshot: Snapshot, predictions: Predictions, rows: np.ndarray) -> Tested:
    """Figures of the steps `rows`, which there are."""
    labels = label_array(snapshot, rows)
    assert predictions.mean is not None, "a forecast has a mean"
    quantiles = np.stack([predictions.quantile(level) for level in LEVELS], 1)
    figures = _figures(labels, quantiles)
    figures["coverage"] = m.coverage(labels, quantiles[:, 0], quantiles[:, -1])
    totals = _totals(snapshot, rows)
    baselines = {}
    for name, values in _baselines(snapshot, rows).items():
        baselines[name] = _figures(labels, np.repeat(values[:, None], len(LEVELS), 1))
        if totals is not None:
            baselines[name]["total_wape"] = _total_wape(labels, values, totals)
    if totals is not None:
        figures["total_wape"] = _total_wape(labels, predictions.mean, totals)
    primary = "mae" if math.isnan(figures["wape"]) else "wape"
    return Tested(figures, baselines, primary, len(rows))


def _figures(labels: np.ndarray, quantiles: np.ndarray) -> dict[str, float]:
    median = quantiles[:, LEVELS.index(0.5)]
    return {
        "wape": m.wape(labels, median),
        "mae": m.mae(labels, median),
        "pinball": m.pinball(labels, quantiles, LEVELS),
    }


def _baselines(snapshot: Snapshot, rows: np.ndarray) -> dict[str, np.ndarray]:
    median = float(np.median(label_array(snapshot, split_rows(snapshot, BACKTEST_CONTEXT))))
    last = _first_known([numbers_of(snapshot, LAST, rows), np.full(len(rows), median)])
    mean = _first_known([numbers_of(snapshot, MEAN, rows), np.full(len(rows), median)])
    seasons = [numbers_of(snapshot, name, rows) for name in SEASONS if name in snapshot.features.column_names]
    found = {LAST_VALUE: last, ENTITY_MEAN: mean}
    if not all(np.isnan(season).all() for season in seasons):
        found = {SEASONAL_NAIVE: _first_known([*seasons, last])} | found
    return found


def _totals(snapshot: Snapshot, rows: np.ndarray) -> np.ndarray | None:
    """[rows] the number of the entity, for those with all steps, else -1; None for a target that does not add up."""
    target = parse(snapshot.query).target
    if not isinstance(target, Aggregation) or target.function not in ("COUNT", "SUM"):
        return None
    entity = snapshot.examples.column("entity").take(pa.array(rows)).combine_chunks().dictionary_encode()
    number = entity.indices.to_numpy(zero_copy_only=False)
    steps = snapshot.examples.column("step").take(pa.array(rows)).to_numpy()
    whole = np.bincount(number) == steps.max()
    return np.where(whole[number], number, -1)


def _total_wape(labels: np.ndarray, values: np.ndarray, number: np.ndarray) -> float:
    kept = number >= 0
    true, found = (np.bincount(number[kept], weights=v[kept]) for v in (labels, values))
    return m.wape(true, found)


def _first_known(candidates: list[np.ndarray]) -> np.ndarray:
    found = candidates[0]
    for candidate in candidates[1:]:
        found = np.where(np.isnan(found), candidate, found)
    return found
