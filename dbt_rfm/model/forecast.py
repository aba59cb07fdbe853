"""A forecast by the in-context model: labels on the scale of each entity, and back.

In: a snapshot of kind FORECAST and two of its splits. Out: quantiles and a mean per example, in the label's own unit.
The model reads ranks. Among series of very different size or with growth, a store's next week is told better against
its own level; among short, noisy series (a customer's purchases) the size itself is the news. So labels and the
features in their unit are divided by the entity's recent mean plus everybody's; or plus a fifth of everybody's, or not
at all, where a linear reading of the older part of the context foretells the newer part clearly better that way. Shares
and margins were chosen on the suite's databases before their test splits (docs/LOG.md).

By themselves the columns that say how large a series is tell most, and there are many of them. What moves it from week
to week, a promotion, tells little before its size is known. So plans have a quarter of the places, by what they tell of
the rest that a linear reading of the other columns leaves.

A series that begins or wakes is many times a scale that is nearly all everybody's. As such a multiple it would lift
the upper end, and so the mean, of series with a scale of their own; so it counts as at most the largest multiple that
those came to.

Where the context holds nothing below zero, nothing below zero is forecast, and where it holds whole numbers only,
quantiles are whole.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dbt_rfm.forecast_names import LEVEL, PLAN, RECENT, SERIES
from dbt_rfm.metrics import mae, pinball
from dbt_rfm.model.columns import ColumnCodes
from dbt_rfm.model.interface import LEVELS, NUMERICAL, FeatureTable, Labelled, Predictions, Provenance, RelationalModel
from dbt_rfm.model.linear import NumberLine
from dbt_rfm.model.prepared import Prepared
from dbt_rfm.model.reading import Question
from dbt_rfm.model.screening import choose_columns
from dbt_rfm.model.target_scale import TargetScale, middle_scores
from dbt_rfm.task_kind import TaskKind

_SHARE = 1.0  # of everybody's level in an entity's scale
#: Others, each with the part of both losses by which it has to be better; None: no scale of its own.
_OTHER_SHARES: tuple[tuple[float | None, float], ...] = ((0.2, 0.1), (None, 0.03))
_LEAST_SETTLED = 10  # examples whose scale is at least half their own
_COLUMNS, _OF_PLANS = 64, 16  # that are read, and how many of them may be plans
_RIDGE = 0.01


@dataclass(frozen=True)
class PreparedForecast:
    """A context that has been read on the scale that suits it."""

    sources: tuple[str, ...]
    everybody: float
    share: float | None
    least: float
    whole: bool
    chosen: tuple[int, ...]  # positions of the columns that are read
    read: Prepared

    @property
    def provenance(self) -> Provenance | None:
        return self.read.provenance

    def answer(self, query: FeatureTable) -> Predictions:
        size = _scale(query, self.everybody, self.share)
        found = self.read.answer(_scaled(query, self.sources, size).select(self.chosen))
        assert found.mean is not None and found.quantiles is not None, "a number has a mean and quantiles"
        mean = np.maximum(found.mean * size, self.least)
        quantiles = np.maximum(found.quantiles * size[:, None], self.least)
        quantiles = np.round(quantiles) if self.whole else quantiles
        return replace(found, kind=TaskKind.FORECAST, mean=mean, quantiles=quantiles)


def prepare_forecast(
    model: RelationalModel,
    context: FeatureTable,
    sources: tuple[str, ...],
    labels: np.ndarray,  # [C]
    *,
    seed: int,
    ends: np.ndarray,  # [C] when each window ends: its label is known from then on
) -> PreparedForecast:
    everybody = float(_sizes(context, LEVEL).mean())
    # Before anybody has a past there is no scale, and one of the future would be another than that learnt on.
    share = _best_share(context, everybody, sources, labels, ends, seed) if everybody else None
    everybody = everybody or 1.0
    scale = _scale(context, everybody, share)
    scaled, targets = _scaled(context, sources, scale), labels / scale
    if share is not None:
        targets = _within_reach(targets, settled=_own(context) >= share * everybody)
    chosen = _chosen(scaled, sources, targets)
    read = model.prepare(Labelled(scaled.select(chosen), targets, TaskKind.REGRESSION, (), ends), seed=seed)
    least, whole = 0.0 if labels.min() >= 0 else -np.inf, bool((labels == np.round(labels)).all())
    return PreparedForecast(sources, everybody, share, least, whole, chosen, read)


def _chosen(context: FeatureTable, sources: tuple[str, ...], targets: np.ndarray) -> tuple[int, ...]:
    """Positions of the columns that are read: all, but where there are plans those that tell most beside them."""
    plans = [j for j, source in enumerate(sources) if source == PLAN]
    if not plans:
        return tuple(range(len(context.names)))
    codes, among = ColumnCodes.of(context), np.setdiff1d(np.arange(len(context.names)), plans)
    matrix, nothing = codes.matrix(context), np.zeros(len(context.names), dtype=bool)
    normal = middle_scores(targets)[:, None]
    first = choose_columns(matrix[:, among], codes.categorical[among], normal, _COLUMNS - _OF_PLANS, nothing[among])
    first = among[first]
    left = _left_by(matrix[:, first[~codes.categorical[first]]], normal - normal.mean(0))
    rest = choose_columns(matrix[:, plans], codes.categorical[plans], left, _OF_PLANS, nothing[plans])
    return tuple(sorted(int(j) for j in (*first, *np.array(plans)[rest])))


def _left_by(matrix: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """[N, 1] what a linear reading of the numbers [N, C] leaves of the targets."""
    numbers = _standard(matrix)
    penalty = _RIDGE * len(targets) * np.eye(numbers.shape[1])
    return targets - numbers @ np.linalg.solve(numbers.T @ numbers + penalty, numbers.T @ targets)


def _standard(matrix: np.ndarray) -> np.ndarray:
    """[N, C] columns of mean 0 and deviation 1, within four of them; missing values at the mean."""
    known = ~np.isnan(matrix)
    mean = np.where(known, matrix, 0.0).sum(0) / np.maximum(known.sum(0), 1)
    apart = np.where(known, matrix - mean, 0.0)
    return np.clip(apart / (np.sqrt((apart**2).mean(0)) + 1e-12), -4, 4)


def _best_share(
    context: FeatureTable, everybody: float, sources: tuple[str, ...], labels: np.ndarray, ends: np.ndarray, seed: int
) -> float | None:
    """Of the scale that foretells the newer part of the context best, the usual one unless clearly beaten."""

    def loss(share: float | None) -> np.ndarray:
        scale = _scale(context, everybody, share)
        return _loss(_scaled(context, sources, scale), labels, scale, ends, seed)

    best: float | None = _SHARE
    usual, least = loss(_SHARE), 1.0
    for share, margin in _OTHER_SHARES:
        part = float((loss(share) / np.maximum(usual, 1e-12)).max())
        if part < min(least, 1 - margin) and usual.min() > 0:
            least, best = part, share
    return best


def _sizes(table: FeatureTable, name: str) -> np.ndarray:
    return np.abs(np.nan_to_num(table.columns[table.names.index(name)]))


def _scale(table: FeatureTable, everybody: float, share: float | None) -> np.ndarray:
    """[rows] the entity's recent mean plus a share of everybody's, always above 0; None: the same for all."""
    if share is None:
        return np.full(table.num_rows, everybody)
    return _own(table) + share * everybody


def _own(table: FeatureTable) -> np.ndarray:
    """[rows] the entity's recent mean."""
    return (_sizes(table, RECENT) + _sizes(table, LEVEL)) / 2


def _within_reach(targets: np.ndarray, settled: np.ndarray) -> np.ndarray:
    """Labels as multiples of their scale, none beyond the largest of the `settled` examples, or once the scale."""
    if settled.sum() < _LEAST_SETTLED:
        return targets
    reach = max(float(np.abs(targets[settled]).max()), 1.0)
    return np.clip(targets, -reach, reach)


def _scaled(table: FeatureTable, sources: tuple[str, ...], scale: np.ndarray) -> FeatureTable:
    """Features in the unit of the label over the scale, which is a feature too."""
    columns = tuple(
        column / scale if source == SERIES else column for column, source in zip(table.columns, sources, strict=True)
    )
    return FeatureTable((*table.names, "series.scale"), (*table.kinds, NUMERICAL), (*columns, scale))


def _loss(context: FeatureTable, labels: np.ndarray, scale: np.ndarray, ends: np.ndarray, seed: int) -> np.ndarray:
    """Absolute error of the median, and pinball loss, of a linear reading of the older windows on the newer ones.

    In the unit of the label; 0 where the context cannot be parted in time.
    """
    older = _older_half(ends)
    if older is None:
        return np.zeros(2)
    question = Question(context.take(older), labels[older] / scale[older], TaskKind.REGRESSION, 0, seed, None)
    reading = question.read(context_size=int(older.sum()), columns=_COLUMNS)
    line = NumberLine.fit(reading.matrix, reading.categorical, reading.targets[:, 0], abs(seed))
    scores = line.quantiles(reading.matrix_of(context.take(~older)), LEVELS)
    found = TargetScale.of(reading.labels).to_label(scores) * scale[~older][:, None]
    newer = labels[~older]
    return np.array([mae(newer, found[:, LEVELS.index(0.5)]), pinball(newer, found, LEVELS)])


def _older_half(ends: np.ndarray) -> np.ndarray | None:
    """[C] the examples of the oldest windows, at least half of all and not all; None if there are too few."""
    for end in np.unique(ends)[:-1]:
        older = ends <= end
        if older.mean() >= 0.5:
            return older if older.sum() >= 10 else None
    return None
