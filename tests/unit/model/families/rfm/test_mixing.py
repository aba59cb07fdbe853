from __future__ import annotations

import numpy as np
import pytest

from dbt_rfm.model.families.rfm.mixing import Mix

LEVELS = (0.1, 0.5, 0.9)


def _odds(score: np.ndarray) -> np.ndarray:
    """[H, 2] log-probabilities of two classes with these log-odds."""
    both = np.stack([np.zeros(len(score)), score], 1)
    return both - np.logaddexp.reduce(both, axis=1, keepdims=True)


@pytest.fixture
def classes():
    rng = np.random.default_rng(0)
    truth = 1.5 * rng.standard_normal(800)
    labels = (rng.random(800) < 1 / (1 + np.exp(-truth))).astype(int)
    return truth, labels, _odds(truth), _odds(rng.standard_normal(800))


def test__of_classes__one_reading_knows_and_one_guesses__the_first_is_heard(classes):
    _, labels, knows, guesses = classes
    mix = Mix.of_classes([knows, guesses], labels)
    assert mix.weights[0] > 0.8 and mix.weights.sum() == pytest.approx(1)


def test__of_classes__few_rows__both_are_heard(classes):
    _, labels, knows, guesses = classes
    mix = Mix.of_classes([knows[:12], guesses[:12]], labels[:12])
    assert 0.35 < mix.weights[0] < 0.65


def test__of_classes__overconfident_reading__slope_below_one(classes):
    truth, labels, *_ = classes
    mix = Mix.of_classes([_odds(3 * truth)], labels)
    assert 0.3 <= mix.slope < 0.45


def test__of_classes__labels_less_frequent_than_said__offset_lowers_by_as_much_as_the_rows_can_tell():
    rng = np.random.default_rng(1)
    truth = 1.5 * rng.standard_normal(8000)
    labels = (rng.random(8000) < 1 / (1 + np.exp(1.0 - truth))).astype(int)
    many, few = (Mix.of_classes([_odds(truth[:rows])], labels[:rows]) for rows in (8000, 100))
    assert many.offset < -0.9
    assert -0.5 < few.offset < 0
    found = np.exp(many.log_odds([_odds(truth)]))[:, 1]
    assert found.mean() == pytest.approx(labels.mean(), abs=0.01)


def test__of_classes__three_classes__probabilities_sum_to_one():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 200)
    said = [np.log(rng.dirichlet(np.ones(3), 200)) for _ in range(3)]
    found = np.exp(Mix.of_classes(said, labels).log_odds(said))
    np.testing.assert_allclose(found.sum(1), 1)


def test__of_numbers__one_median_near_and_one_far__the_near_one_is_heard():
    rng = np.random.default_rng(0)
    labels = rng.standard_normal(400)
    near = labels[:, None] + 0.3 * rng.standard_normal((400, 1)) + np.array([-0.4, 0.0, 0.4])
    far = rng.standard_normal((400, 1)) + np.array([-1.0, 0.0, 1.0])
    mix = Mix.of_numbers([near, far], labels, LEVELS)
    assert mix.weights[0] > 0.8


def test__of_numbers__quantiles_too_narrow__stretched_about_the_median():
    rng = np.random.default_rng(0)
    labels = rng.standard_normal(2000)
    narrow = np.tile([-0.7, 0.0, 0.7], (2000, 1))
    mix = Mix.of_numbers([narrow], labels, LEVELS)
    found = mix.quantiles([narrow], 1)
    assert mix.stretch > 1.2
    np.testing.assert_array_equal(found[:, 1], 0.0)
    assert found[0, 2] == pytest.approx(0.7 * mix.stretch)


def test__of_numbers__all_readings_exact__no_division_by_nothing():
    labels = np.arange(20.0)
    exact = np.repeat(labels[:, None], 3, 1)
    mix = Mix.of_numbers([exact, exact], labels, LEVELS)
    assert np.isfinite(mix.weights).all()


def test__equal__of_three__a_third_each_and_nothing_else():
    assert Mix.equal(3).weights.tolist() == pytest.approx([1 / 3] * 3)
    said = _odds(np.array([-1.0, 2.0]))
    np.testing.assert_allclose(Mix.equal(1).log_odds([said]), said)


def test__of_numbers__small_medians_of_rows_that_come_to_nothing__are_zero():
    rng = np.random.default_rng(0)
    active = np.arange(500) % 2 == 0
    labels = np.where(active, 100.0, 0.0)
    median = np.where(active, 100.0, rng.uniform(-8, 8, 500))  # of rows without: the mean of several opinions
    said = median[:, None] + np.array([-5.0, 0.0, 30.0])
    mix = Mix.of_numbers([said], labels, LEVELS)
    found = mix.quantiles([said], 1)
    assert mix.nothing >= 8
    np.testing.assert_array_equal(found[:, 1], labels)
    assert (np.diff(found, axis=1) >= 0).all()


def test__of_numbers__small_labels_and_hardly_a_zero__small_medians_stay():
    labels = np.r_[np.full(250, 1.0), np.full(250, 100.0)]
    said = labels[:, None] + np.array([-0.5, 0.0, 0.5])
    assert Mix.of_numbers([said], labels, LEVELS).nothing == 0
