"""The backtest: how the model did on the newest closed window, beside what needs no model.

In: a snapshot and the predictions for its `backtest` examples. Out: figures of the model and of two baselines on the
same rows, and whether the model is ahead of both.
    constant        the context's base rate, commonest class or median
    entity history  the mean (binary, regression) or the latest (multiclass) of the entity's own closed labels as of
                    the example's anchor, the constant where it has none
    history of …    of events: the same over the outcomes of each parent's events (the terminal's) known by then
Lists are compared in `ranking.py`, forecasts in `forecast.py`. The figures are those of `scores.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dbt_rfm.evaluate.forecast import tested_steps
from dbt_rfm.evaluate.ranking import tested_lists
from dbt_rfm.evaluate.scores import LOWER_IS_BETTER, Tested, is_better, numbers_of, primary_of, score
from dbt_rfm.model.examples import label_array, split_rows
from dbt_rfm.model.interface import LEVELS, Predictions
from dbt_rfm.plan.event_outcome import KNOWN_LATEST, KNOWN_MEAN
from dbt_rfm.plan.past_labels import HISTORY_LATEST, HISTORY_MEAN
from dbt_rfm.snapshot import BACKTEST, BACKTEST_CONTEXT, Snapshot
from dbt_rfm.task_kind import TaskKind

CONSTANT, ENTITY_HISTORY = "constant", "entity history"


@dataclass(frozen=True)
class Backtest(Tested):
    """How it did, and on how many examples of context."""

    context: int

    @property
    def beats(self) -> bool:
        """Whether the model is ahead of every baseline."""
        return all(
            is_better(self.primary, self.metrics[self.primary], b[self.primary]) for b in self.baselines.values()
        )

    @property
    def best_baseline(self) -> tuple[str, float]:
        """Name and primary figure of the strongest baseline."""
        pick = min if self.primary in LOWER_IS_BETTER else max
        defined = {name: figures[self.primary] for name, figures in self.baselines.items()}
        name = pick(defined, key=lambda n: defined[n])
        return name, defined[name]

    def line(self) -> str:
        """One line for a log: the primary figure against the strongest baseline, then the others."""
        name, value = self.best_baseline
        verdict = "beats" if self.beats else "DOES NOT BEAT"
        defined = {k: v for k, v in self.metrics.items() if k != self.primary and not np.isnan(v)}
        others = ", ".join(f"{k} {_short(v)}" for k, v in defined.items())
        return (
            f"backtest on {self.rows} rows: {self.primary} {_short(self.metrics[self.primary])} {verdict} "
            f"{name} {_short(value)}" + (f" ({others})" if others else "")
        )


def backtest(snapshot: Snapshot, predictions: Predictions | None) -> Backtest | None:
    """None where the snapshot has no backtest examples or nothing to learn from before them."""
    rows, context = split_rows(snapshot, BACKTEST), split_rows(snapshot, BACKTEST_CONTEXT)
    if predictions is None or not len(rows) or not len(context):
        return None
    if snapshot.kind == TaskKind.LINK:
        test = tested_lists(snapshot, predictions, rows)
    elif snapshot.kind == TaskKind.FORECAST:
        test = tested_steps(snapshot, predictions, rows)
    else:
        test = _tested(snapshot, predictions, rows, label_array(snapshot, context))
    return Backtest(test.metrics, test.baselines, test.primary, test.rows, len(context))


def _tested(snapshot: Snapshot, predictions: Predictions, rows: np.ndarray, context_labels: np.ndarray) -> Tested:
    labels = label_array(snapshot, rows)
    figures = score(snapshot.kind, labels, predictions)
    baselines = {
        CONSTANT: score(snapshot.kind, labels, _constant(snapshot, context_labels, len(rows))),
        **{name: score(snapshot.kind, labels, p) for name, p in _histories(snapshot, context_labels, rows).items()},
    }
    return Tested(figures, baselines, primary_of(snapshot.kind, figures), len(rows))


def _constant(snapshot: Snapshot, context_labels: np.ndarray, rows: int) -> Predictions:
    if snapshot.kind == TaskKind.REGRESSION:
        return point_prediction(np.full(rows, np.median(context_labels)), np.full(rows, context_labels.mean()))
    rates = _class_rates(context_labels, len(snapshot.classes))
    return Predictions(snapshot.kind, snapshot.classes, probabilities=np.tile(rates, (rows, 1)))


def _histories(snapshot: Snapshot, context_labels: np.ndarray, rows: np.ndarray) -> dict[str, Predictions]:
    """By name: the entity's own history, or for events, which happen once, that of each parent."""
    first = KNOWN_LATEST if snapshot.kind == TaskKind.MULTICLASS else KNOWN_MEAN
    features = {name.removeprefix(first): name for name in snapshot.features.column_names if name.startswith(first)}
    if not features:
        own = HISTORY_LATEST if snapshot.kind == TaskKind.MULTICLASS else HISTORY_MEAN
        return {ENTITY_HISTORY: _history(snapshot, own, context_labels, rows)}
    return {f"history of {p}": _history(snapshot, name, context_labels, rows) for p, name in features.items()}


def _history(snapshot: Snapshot, feature: str, context_labels: np.ndarray, rows: np.ndarray) -> Predictions:
    if snapshot.kind == TaskKind.MULTICLASS:
        return _latest_class(snapshot, feature, context_labels, rows)
    history = numbers_of(snapshot, feature, rows)
    if snapshot.kind == TaskKind.REGRESSION:
        known = ~np.isnan(history)
        median = np.where(known, history, np.median(context_labels))
        return point_prediction(median, np.where(known, history, context_labels.mean()))
    positive = np.where(np.isnan(history), context_labels.mean(), history)
    return Predictions(snapshot.kind, snapshot.classes, probabilities=np.stack([1 - positive, positive], axis=1))


def _latest_class(snapshot: Snapshot, feature: str, context_labels: np.ndarray, rows: np.ndarray) -> Predictions:
    rates = _class_rates(context_labels, len(snapshot.classes))
    probabilities = np.tile(rates, (len(rows), 1))
    if feature not in snapshot.features.column_names:  # of an attribute
        return Predictions(snapshot.kind, snapshot.classes, probabilities=probabilities)
    position = {name: i for i, name in enumerate(snapshot.classes)}
    known = snapshot.features.column(feature).take(pa.array(rows)).cast(pa.string())
    for row, latest in enumerate(known.to_pylist()):
        if latest in position:  # mixed with the base rates, so that log loss stays finite
            probabilities[row] = 0.5 * rates
            probabilities[row, position[latest]] += 0.5
    return Predictions(snapshot.kind, snapshot.classes, probabilities=probabilities)


def _class_rates(labels: np.ndarray, classes: int) -> np.ndarray:
    counts = np.bincount(labels.astype(np.int64), minlength=classes)
    return (counts + 0.5) / (counts.sum() + 0.5 * classes)


def point_prediction(median: np.ndarray, mean: np.ndarray) -> Predictions:
    """A regression that knows only its point: every quantile is the median."""
    return Predictions(
        TaskKind.REGRESSION, (), mean=mean, levels=LEVELS, quantiles=np.repeat(median[:, None], len(LEVELS), 1)
    )


def _short(value: float) -> str:
    return f"{value:.4g}" if abs(value) >= 1 else f"{value:z.3f}"
