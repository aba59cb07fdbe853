"""The backtest stands beside what needs no model, on the same rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest

from dbt_rfm.evaluate.backtest import CONSTANT, ENTITY_HISTORY, Backtest, backtest, point_prediction
from dbt_rfm.evaluate.scores import score
from dbt_rfm.model.interface import Predictions
from dbt_rfm.plan.past_labels import HISTORY_LATEST, HISTORY_MEAN
from dbt_rfm.snapshot import Snapshot
from dbt_rfm.task_kind import TaskKind


def snapshot(kind: TaskKind, context: list, labels: list, history: list, classes: tuple[str, ...] = ()) -> Snapshot:
    """A bundle of context labels and of backtest examples with what their entities' past says."""
    count = len(context) + len(labels)
    name = HISTORY_LATEST if kind == TaskKind.MULTICLASS else HISTORY_MEAN
    return Snapshot(
        query="PREDICT …",
        kind=kind,
        classes=classes,
        entity="id",
        anchor=datetime(2024, 1, 1),
        schema_fingerprint="",
        features_meta=(),
        examples=pa.table(
            {"split": ["backtest_context"] * len(context) + ["backtest"] * len(labels), "label": context + labels}
        ),
        features=pa.table({"example_id": range(count), name: [None] * len(context) + history}),
    )


def binary(*probabilities: float) -> Predictions:
    positive = np.array(probabilities)
    return Predictions(TaskKind.BINARY, ("false", "true"), probabilities=np.stack([1 - positive, positive], 1))


def test__backtest__binary__is_compared_with_the_entity_s_own_mean() -> None:
    bundle = snapshot(
        TaskKind.BINARY,
        [True, False, False, False],
        [True, True, False, False],
        [0.9, 0.1, 0.2, None],  # unknown history stands at the base rate, 0.25
        ("false", "true"),
    )
    found = backtest(bundle, binary(0.9, 0.8, 0.2, 0.1))
    assert found is not None
    assert (found.rows, found.context, found.primary, found.beats) == (4, 4, "auroc", True)
    assert found.metrics["auroc"] == 1.0
    assert found.baselines[CONSTANT]["auroc"] == 0.5
    assert found.baselines[ENTITY_HISTORY]["auroc"] == 0.5
    assert "auroc 1 beats" in found.line()


def test__backtest__no_better_than_history__does_not_beat_it() -> None:
    bundle = snapshot(TaskKind.BINARY, [True, False], [True, False], [0.9, 0.1], ("false", "true"))
    found = backtest(bundle, binary(0.9, 0.1))
    assert found is not None and not found.beats
    assert found.best_baseline == (ENTITY_HISTORY, 1.0)
    assert "DOES NOT BEAT entity history" in found.line()


def test__backtest__one_class_in_the_window__is_judged_by_log_loss() -> None:
    bundle = snapshot(TaskKind.BINARY, [True, False], [False, False], [None, None], ("false", "true"))
    found = backtest(bundle, binary(0.1, 0.2))
    assert found is not None
    assert found.primary == "logloss" and found.beats
    assert np.isnan(found.metrics["auroc"])


def test__backtest__regression__scores_mae_on_the_median_and_rmse_on_the_mean() -> None:
    bundle = snapshot(TaskKind.REGRESSION, [0.0, 0.0, 9.0], [0.0, 9.0], [None, 5.0])
    found = backtest(bundle, point_prediction(np.array([0.0, 9.0]), np.array([1.0, 8.0])))
    assert found is not None and found.beats and found.primary == "mae"
    assert (found.metrics["mae"], found.metrics["rmse"]) == (0.0, 1.0)
    assert found.baselines[CONSTANT]["mae"] == 4.5, "the median of the context is 0"
    assert found.baselines[ENTITY_HISTORY]["mae"] == 2.0


def test__backtest__multiclass__is_compared_with_the_latest_class() -> None:
    classes = ("a", "b", "c")
    bundle = snapshot(TaskKind.MULTICLASS, ["a", "a", "b"], ["b", "c", "a"], ["b", "a", None], classes)
    sure = Predictions(TaskKind.MULTICLASS, classes, probabilities=np.eye(3)[[1, 2, 0]] * 0.8 + 0.2 / 3)
    found = backtest(bundle, sure)
    assert found is not None and found.beats
    assert found.metrics["accuracy"] == 1.0
    assert found.baselines[CONSTANT]["accuracy"] == pytest.approx(1 / 3)
    assert found.baselines[ENTITY_HISTORY]["accuracy"] == pytest.approx(2 / 3)
    assert np.isfinite(found.baselines[ENTITY_HISTORY]["logloss"])


def test__backtest__nothing_to_compare__is_none() -> None:
    bundle = snapshot(TaskKind.BINARY, [True], [], [], ("false", "true"))
    assert backtest(bundle, binary()) is None
    assert backtest(replace(bundle), None) is None


def test__score__perfect_regression__has_no_error() -> None:
    labels = np.array([1.0, 2.0, 3.0])
    assert score(TaskKind.REGRESSION, labels, point_prediction(labels, labels)) == {
        "mae": 0.0,
        "rmse": 0.0,
        "spearman": pytest.approx(1.0),
    }


def test__best_baseline__of_an_error__is_the_smaller() -> None:
    found = Backtest({"mae": 1.0}, {CONSTANT: {"mae": 3.0}, ENTITY_HISTORY: {"mae": 2.0}}, "mae", 1, 1)
    assert found.best_baseline == (ENTITY_HISTORY, 2.0)
