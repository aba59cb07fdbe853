from __future__ import annotations

import numpy as np
import pytest

from dbt_rfm.model.linear import ClassLine, NumberLine
from dbt_rfm.pretrain.held_out import auroc

ROWS = 400


def draw(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((ROWS, 6)), rng.standard_normal((200, 6))


def test__class_line__additive_signal__near_the_best_possible():
    x, asked = draw()
    rng = np.random.default_rng(1)
    truth = asked[:, 0] - asked[:, 3]
    labels = (x[:, 0] - x[:, 3] + 0.3 * rng.standard_normal(ROWS) > 0).astype(int)
    odds = ClassLine.fit(x, np.zeros(6, bool), labels, 2, 0).log_odds(asked)
    assert auroc((truth > 0).astype(int), odds[:, 1]) > 0.97
    np.testing.assert_allclose(np.exp(odds).sum(1), 1)


def test__class_line__rare_class_and_many_columns__does_not_diverge():
    """Whole Newton steps jumped to log-odds in the hundreds here and turned the ranking round."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1000, 120))
    signal = x[:, 0] + 0.7 * rng.standard_normal(1000)
    labels = (signal > np.quantile(signal, 0.94)).astype(int)
    asked = rng.standard_normal((500, 120))
    odds = ClassLine.fit(x, np.zeros(120, bool), labels, 2, 0).log_odds(asked)
    assert np.abs(odds).max() < 30
    assert auroc((asked[:, 0] > 1.5).astype(int), odds[:, 1]) > 0.85


def test__class_line__categories_tell_the_class__found():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, (ROWS, 1)).astype(float)
    odds = ClassLine.fit(x, np.ones(1, bool), x[:, 0].astype(int), 3, 0).log_odds(
        np.array([[0.0], [1.0], [2.0], [3.0]])
    )
    assert odds[:3].argmax(1).tolist() == [0, 1, 2]
    assert np.isfinite(odds).all()  # and a category that is new


def test__class_line__missing_tells_the_class__found():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, ROWS)
    x = np.where(labels == 1, np.nan, rng.standard_normal(ROWS))[:, None]
    odds = ClassLine.fit(x, np.zeros(1, bool), labels, 2, 0).log_odds(np.array([[np.nan], [0.0]]))
    assert odds[0, 1] > -0.2 and odds[1, 1] < -2


def test__number_line__additive_signal__cover_what_they_say():
    x, asked = draw()
    rng = np.random.default_rng(1)
    scores = 0.8 * x[:, 1] + 0.6 * rng.standard_normal(ROWS)
    truth = 0.8 * asked[:, 1] + 0.6 * rng.standard_normal(200)
    line = NumberLine.fit(x, np.zeros(6, bool), scores, 0)
    found, held_out = line.quantiles(asked, (0.1, 0.5, 0.9)), line.held_out
    assert np.abs(scores - held_out).mean() == pytest.approx(0.48, abs=0.1), "the noise, which no fold can foresee"
    inside = ((truth > found[:, 0]) & (truth < found[:, 2])).mean()
    assert inside == pytest.approx(0.8, abs=0.1)
    assert np.corrcoef(found[:, 1], asked[:, 1])[0, 1] > 0.95


def test__number_line__two_rows_and_no_columns__finite():
    two = np.array([-1.0, 1.0])
    found = NumberLine.fit(np.zeros((2, 0)), np.zeros(0, bool), two, 0).quantiles(np.zeros((3, 0)), (0.5,))
    assert found.shape == (3, 1) and np.isfinite(found).all()
