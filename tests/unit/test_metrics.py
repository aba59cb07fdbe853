"""Each figure against scikit-learn (or scipy) on random rows with ties, and by hand at the edges."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dbt_rfm import metrics as m

SEEDS = range(8)


def _binary(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(20, 300))
    labels = rng.integers(0, 2, rows)
    labels[:2] = 0, 1
    scores = np.round(rng.normal(0.4 + 0.2 * labels, 0.2), 1 + seed % 2)  # many ties
    return labels, np.clip(scores, 0.01, 0.99)


def _classes(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(4), rng.integers(0, 4, 100)])
    probabilities = rng.dirichlet(np.ones(4), len(labels))
    return labels, probabilities


@pytest.mark.parametrize("seed", SEEDS)
def test__binary_figures__random_rows_with_ties__equal_scikit_learn(seed: int) -> None:
    sk = pytest.importorskip("sklearn.metrics")
    labels, scores = _binary(seed)
    both = np.stack([1 - scores, scores], axis=1)
    assert m.auroc(labels, scores) == pytest.approx(sk.roc_auc_score(labels, scores))
    assert m.average_precision(labels, scores) == pytest.approx(sk.average_precision_score(labels, scores))
    assert m.log_loss(labels, both) == pytest.approx(sk.log_loss(labels, both))
    predicted = (scores >= 0.5).astype(int)
    assert m.accuracy(labels, predicted) == pytest.approx(sk.accuracy_score(labels, predicted))


@pytest.mark.parametrize("seed", SEEDS)
def test__class_figures__random_rows__equal_scikit_learn(seed: int) -> None:
    sk = pytest.importorskip("sklearn.metrics")
    labels, probabilities = _classes(seed)
    expected = sk.roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
    assert m.auroc_one_vs_rest(labels, probabilities) == pytest.approx(expected)
    assert m.log_loss(labels, probabilities) == pytest.approx(sk.log_loss(labels, probabilities))


@pytest.mark.parametrize("seed", SEEDS)
def test__regression_figures__random_rows_with_ties__equal_scikit_learn_and_scipy(seed: int) -> None:
    sk = pytest.importorskip("sklearn.metrics")
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(seed)
    labels = rng.poisson(3, 200).astype(float)
    predicted = np.round(labels + rng.normal(0, 2, 200))
    assert m.mae(labels, predicted) == pytest.approx(sk.mean_absolute_error(labels, predicted))
    assert m.rmse(labels, predicted) == pytest.approx(math.sqrt(sk.mean_squared_error(labels, predicted)))
    assert m.spearman(labels, predicted) == pytest.approx(stats.spearmanr(labels, predicted).statistic)


def test__auroc__all_scores_equal__is_one_half() -> None:
    assert m.auroc(np.array([0, 1, 1, 0]), np.full(4, 0.3)) == 0.5


def test__auroc__one_class_only__is_undefined() -> None:
    assert math.isnan(m.auroc(np.ones(3), np.array([0.1, 0.2, 0.3])))


def test__auroc_one_vs_rest__absent_class__is_left_out() -> None:
    probabilities = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1]])
    assert m.auroc_one_vs_rest(np.array([0, 1]), probabilities) == 1.0


def test__average_precision__no_positive__is_undefined() -> None:
    assert math.isnan(m.average_precision(np.zeros(3), np.array([0.1, 0.2, 0.3])))


def test__log_loss__certain_and_wrong__stays_finite() -> None:
    assert m.log_loss(np.array([1]), np.array([[1.0, 0.0]])) == pytest.approx(-math.log(m.CLIP))


def test__expected_calibration_error__by_hand() -> None:
    # 0.05 twice, one of them true: gap |0.1 - 1|; 1.0 once, true: gap 0 (the last slice includes 1).
    assert m.expected_calibration_error(np.array([0, 1, 1]), np.array([0.05, 0.05, 1.0])) == pytest.approx(0.9 / 3)


def test__expected_calibration_error__exact_frequencies__is_zero() -> None:
    labels = np.array([1, 0, 0, 0, 1, 1, 1, 0])
    assert m.expected_calibration_error(labels, np.repeat([0.25, 0.75], 4)) == pytest.approx(0.0)


def test__spearman__constant_prediction__is_undefined() -> None:
    assert math.isnan(m.spearman(np.array([1.0, 2.0, 3.0]), np.zeros(3)))


@pytest.mark.parametrize(
    "figure",
    [m.mae, m.rmse, m.accuracy, m.spearman, m.auroc, m.average_precision, m.expected_calibration_error],
)
def test__any_figure__no_rows__is_undefined(figure) -> None:
    assert math.isnan(figure(np.empty(0), np.empty(0)))
