from __future__ import annotations

import numpy as np
import pytest

from dbt_rfm.model.families.rfm.trees import ClassTrees, MedianTrees
from dbt_rfm.model.linear import ClassLine
from dbt_rfm.pretrain.held_out import auroc

ROWS = 800
PLAIN = np.zeros(5, dtype=bool)


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    return rng.standard_normal((ROWS, 5)), rng.standard_normal((400, 5))


def test__class_trees__classes_in_opposite_corners__told_where_a_line_cannot(rows):
    x, asked = rows
    labels, truth = ((each[:, 0] * each[:, 1] > 0).astype(int) for each in (x, asked))
    found = ClassTrees.fit(x, PLAIN, labels, 2, 0).log_odds(asked)
    assert auroc(truth, found[:, 1]) > 0.9
    assert auroc(truth, ClassLine.fit(x, PLAIN, labels, 2, 0).log_odds(asked)[:, 1]) < 0.65
    np.testing.assert_allclose(np.exp(found).sum(1), 1)


def test__class_trees__rare_class_at_the_far_end_of_a_column__found(rows):
    """Thirty-two equal bins could not part the highest three in a thousand from the rest."""
    rng = np.random.default_rng(1)
    x, asked = rng.standard_normal((6000, 5)), rng.standard_normal((6000, 5))
    edge = np.quantile(x[:, 2], 0.997)
    found = ClassTrees.fit(x, PLAIN, (x[:, 2] > edge).astype(int), 2, 0).log_odds(asked)
    rare = asked[:, 2] > edge
    assert found[rare, 1].min() > found[asked[:, 2] < np.quantile(x[:, 2], 0.98), 1].max()


def test__class_trees__three_classes__likeliest_where_they_are(rows):
    x, asked = rows
    labels, truth = (np.digitize(each[:, 3], [-0.5, 0.5]) for each in (x, asked))
    found = ClassTrees.fit(x, PLAIN, labels, 3, 0).log_odds(asked)
    assert (found.argmax(1) == truth).mean() > 0.9


def test__class_trees__missing_tells_the_class__found():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, ROWS)
    x = np.where(labels == 1, np.nan, rng.standard_normal(ROWS))[:, None]
    found = ClassTrees.fit(x, np.zeros(1, bool), labels, 2, 0).log_odds(np.array([[np.nan], [0.0]]))
    assert np.exp(found[0, 1]) > 0.9 and np.exp(found[1, 1]) < 0.1


def test__class_trees__categories_without_order__told_apart_and_a_new_one_is_average():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 8, (ROWS, 1)).astype(float)
    labels = (x[:, 0] % 2).astype(int)
    found = np.exp(ClassTrees.fit(x, np.ones(1, bool), labels, 2, 0).log_odds(np.array([[2.0], [3.0], [8.0]])))
    assert found[0, 1] < 0.1 and found[1, 1] > 0.9 and np.isfinite(found[2]).all()


def test__median_trees__skewed_errors__the_median_and_not_the_mean(rows):
    x, asked = rows
    rng = np.random.default_rng(2)
    scores = np.where(x[:, 0] > 0, 1.0, -1.0) + rng.exponential(1.0, ROWS)
    found = MedianTrees.fit(x, PLAIN, scores, 0).medians(asked)
    for side, level in ((asked[:, 0] > 0.1, 1.0), (asked[:, 0] < -0.1, -1.0)):
        assert np.median(found[side]) == pytest.approx(level + np.log(2), abs=0.2)


@pytest.mark.parametrize("columns", [0, 1])
def test__without_telling_columns__the_overall_answer(columns):
    x, asked = np.zeros((50, columns)), np.zeros((3, columns))
    labels = np.arange(50) % 5 == 0
    found = np.exp(ClassTrees.fit(x, np.zeros(columns, bool), labels.astype(int), 2, 0).log_odds(asked))
    np.testing.assert_allclose(found[:, 1], 0.2, atol=1e-6)
    assert MedianTrees.fit(x, np.zeros(columns, bool), np.arange(50.0), 0).medians(asked) == pytest.approx(
        [24.5] * 3, abs=0.6
    )


def test__same_seed__same_answer__another_seed_another(rows):
    x, asked = rows
    labels = (x[:, 0] > 0).astype(int)
    one, again, other = (ClassTrees.fit(x, PLAIN, labels, 2, seed).log_odds(asked) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)
