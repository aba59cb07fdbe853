"""The figures of a kind of task, and which of them decides.

In: labels and predictions of the same rows. Out: figures by name, as `metrics.py` defines them. MAE is scored on the
median of the predictive distribution and RMSE on its mean, each on the point that minimises it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dbt_rfm import metrics as m
from dbt_rfm.model.interface import Predictions
from dbt_rfm.snapshot import Snapshot
from dbt_rfm.task_kind import TaskKind

#: The figures that decide between model and baseline, best first; the first that is defined counts.
PRIMARY = {
    TaskKind.BINARY: ("auroc", "logloss"),
    TaskKind.MULTICLASS: ("accuracy",),
    TaskKind.REGRESSION: ("mae",),
}
LOWER_IS_BETTER = frozenset({"mae", "rmse", "logloss", "ece", "wape", "pinball", "total_wape"})


@dataclass(frozen=True)
class Tested:
    """`metrics` of the model; `baselines` name -> the same metrics; `primary` decides."""

    metrics: dict[str, float]
    baselines: dict[str, dict[str, float]]
    primary: str
    rows: int  # tested on; of a ranking, lists


def score(kind: TaskKind, labels: np.ndarray, predictions: Predictions) -> dict[str, float]:
    """Figures by kind; NaN where a figure is undefined (AUROC of one class)."""
    if kind == TaskKind.REGRESSION:
        median, mean = predictions.quantile(0.5), predictions.mean
        assert mean is not None
        return {
            "mae": m.mae(labels, median),
            "rmse": m.rmse(labels, mean),
            "spearman": m.spearman(labels, mean),
        }
    probabilities = predictions.probabilities
    assert probabilities is not None
    if kind == TaskKind.BINARY:
        positive = probabilities[:, 1]
        return {
            "auroc": m.auroc(labels, positive),
            "ap": m.average_precision(labels, positive),
            "logloss": m.log_loss(labels, probabilities),
            "ece": m.expected_calibration_error(labels, positive),
            "accuracy": m.accuracy(labels, (positive >= 0.5).astype(np.int64)),
        }
    return {
        "accuracy": m.accuracy(labels, probabilities.argmax(axis=1)),
        "auroc": m.auroc_one_vs_rest(labels, probabilities),
        "logloss": m.log_loss(labels, probabilities),
    }


def primary_of(kind: TaskKind, figures: Mapping[str, float]) -> str:
    """The name of the figure that decides."""
    return next(name for name in PRIMARY[kind] if not math.isnan(figures[name]))


def is_better(figure: str, one: float, other: float) -> bool:
    return one < other if figure in LOWER_IS_BETTER else one > other


def numbers_of(snapshot: Snapshot, feature: str, rows: np.ndarray) -> np.ndarray:
    """[rows] a feature by which a baseline answers, NaN for missing; an attribute has no past labels at all."""
    if feature not in snapshot.features.column_names:
        return np.full(len(rows), np.nan)
    values = snapshot.features.column(feature).take(pa.array(rows)).cast(pa.float64())
    return values.to_numpy(zero_copy_only=False)
