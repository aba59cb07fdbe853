from __future__ import annotations

import numpy as np
import pytest

from dbt_rfm.model.linear import class_log_odds, normal_quantiles
from dbt_rfm.pretrain.held_out import auroc

ROWS = 400


def draw(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((ROWS, 6)), rng.standard_normal((200, 6))


def test__class_log_odds__additive_signal__near_the_best_possible():
    x, asked = draw()
    rng = np.random.default_rng(1)
    truth = asked[:, 0] - asked[:, 3]
    labels = (x[:, 0] - x[:, 3] + 0.3 * rng.standard_normal(ROWS) > 0).astype(int)
    odds = class_log_odds(x, np.zeros(6, bool), labels, asked, 2, 0)
    assert auroc((truth > 0).astype(int), odds[:, 1]) > 0.97
    np.testing.assert_allclose(np.exp(odds).sum(1), 1)


def test__class_log_odds__rare_class_and_many_columns__does_not_diverge():
    """Whole Newton steps jumped to log-odds in the hundreds here and turned the ranking round."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1000, 120))
    signal = x[:, 0] + 0.7 * rng.standard_normal(1000)
    labels = (signal > np.quantile(signal, 0.94)).astype(int)
    asked = rng.standard_normal((500, 120))
    odds = class_log_odds(x, np.zeros(120, bool), labels, asked, 2, 0)
    assert np.abs(odds).max() < 30
    assert auroc((asked[:, 0] > 1.5).astype(int), odds[:, 1]) > 0.85


def test__class_log_odds__categories_tell_the_class__found():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, (ROWS, 1)).astype(float)
    odds = class_log_odds(x, np.ones(1, bool), x[:, 0].astype(int), np.array([[0.0], [1.0], [2.0], [3.0]]), 3, 0)
    assert odds[:3].argmax(1).tolist() == [0, 1, 2]
    assert np.isfinite(odds).all()  # and a category that is new


def test__class_log_odds__missing_tells_the_class__found():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, ROWS)
    x = np.where(labels == 1, np.nan, rng.standard_normal(ROWS))[:, None]
    odds = class_log_odds(x, np.zeros(1, bool), labels, np.array([[np.nan], [0.0]]), 2, 0)
    assert odds[0, 1] > -0.2 and odds[1, 1] < -2


def test__normal_quantiles__additive_signal__cover_what_they_say():
    x, asked = draw()
    rng = np.random.default_rng(1)
    scores = 0.8 * x[:, 1] + 0.6 * rng.standard_normal(ROWS)
    truth = 0.8 * asked[:, 1] + 0.6 * rng.standard_normal(200)
    found, held_out = normal_quantiles(x, np.zeros(6, bool), scores, asked, (0.1, 0.5, 0.9), 0)
    assert np.abs(scores - held_out).mean() == pytest.approx(0.48, abs=0.1), "the noise, which no fold can foresee"
    inside = ((truth > found[:, 0]) & (truth < found[:, 2])).mean()
    assert inside == pytest.approx(0.8, abs=0.1)
    assert np.corrcoef(found[:, 1], asked[:, 1])[0, 1] > 0.95


def test__normal_quantiles__two_rows_and_no_columns__finite():
    two = np.array([-1.0, 1.0])
    found, _ = normal_quantiles(np.zeros((2, 0)), np.zeros(0, bool), two, np.zeros((3, 0)), (0.5,), 0)
    assert found.shape == (3, 1) and np.isfinite(found).all()
