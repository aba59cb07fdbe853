from __future__ import annotations

import numpy as np
import pytest

from dbt_rfm import metrics as m
from dbt_rfm.bench.bootstrap import intervals, take
from dbt_rfm.model.interface import Predictions
from dbt_rfm.task_kind import TaskKind


def _binary(positive: np.ndarray) -> Predictions:
    both = np.stack([1 - positive, positive], axis=1)
    return Predictions(TaskKind.BINARY, ("false", "true"), probabilities=both)


def _auroc(labels: np.ndarray, predictions: Predictions) -> float:
    return m.auroc(labels, predictions.probabilities[:, 1])


@pytest.fixture
def drawn() -> tuple[np.ndarray, dict[str, Predictions]]:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    good, poor = (np.clip(0.5 + s * (labels - 0.5) + rng.normal(0, 0.2, 400), 0, 1) for s in (0.5, 0.1))
    return labels, {"good": _binary(good), "poor": _binary(poor)}


def test__intervals__clearly_better_model__difference_is_above_zero(drawn) -> None:
    labels, predictions = drawn
    own, minus = intervals(_auroc, labels, predictions, ours="good", resamples=200)
    low, high = own["good"]
    assert low < _auroc(labels, predictions["good"]) < high
    assert minus["poor"][0] > 0 and "good" not in minus


def test__intervals__same_predictions__difference_is_exactly_zero(drawn) -> None:
    labels, predictions = drawn
    twins = {"ours": predictions["good"], "twin": predictions["good"]}
    _, minus = intervals(_auroc, labels, twins, ours="ours", resamples=50)
    assert minus["twin"] == (0.0, 0.0)  # paired: the rows' luck cancels


def test__intervals__wide_resampling__matches_the_known_error_of_a_mean() -> None:
    rng = np.random.default_rng(1)
    labels = rng.normal(0, 1, 900)
    zero = Predictions(TaskKind.REGRESSION, (), mean=np.zeros(900), levels=(0.5,), quantiles=np.zeros((900, 1)))
    own, _ = intervals(lambda y, p: float(np.mean(y - p.mean)), labels, {"zero": zero}, ours="zero", resamples=2000)
    half = 1.96 * labels.std() / 30
    assert own["zero"] == pytest.approx((labels.mean() - half, labels.mean() + half), abs=0.01)


def test__take__rows__every_array_follows() -> None:
    given = Predictions(
        TaskKind.REGRESSION, (), mean=np.arange(3.0), levels=(0.1, 0.9), quantiles=np.arange(6.0).reshape(3, 2)
    )
    taken = take(given, np.array([2, 0]))
    assert taken.mean.tolist() == [2.0, 0.0] and taken.quantiles.tolist() == [[4.0, 5.0], [0.0, 1.0]]
