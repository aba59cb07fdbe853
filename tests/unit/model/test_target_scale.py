from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbt_rfm.model.target_scale import TargetScale, normal_score

LABELS = st.lists(st.floats(-1e6, 1e6, allow_nan=False), min_size=2, max_size=60)


@given(LABELS)
def test__to_label__scores_of_context_labels__give_them_back(labels):
    labels = np.array(labels)
    scale = TargetScale.of(labels)
    low, high = scale.to_normal(labels)
    spread = np.ptp(labels) + 1e-9
    for score in (low, (low + high) / 2, high):
        np.testing.assert_allclose(scale.to_label(score), labels, atol=1e-6 * spread, rtol=1e-6)


@given(LABELS)
def test__to_label__growing_scores__never_fall(labels):
    values = TargetScale.of(np.array(labels)).to_label(np.linspace(-5, 5, 201))
    assert (np.diff(values) >= -1e-6 * (1 + np.abs(values[:-1]))).all()


def test__to_normal__zero_inflated__zero_owns_a_stretch():
    labels = np.r_[np.zeros(70), np.arange(1.0, 31.0)]
    low, high = TargetScale.of(labels).to_normal(np.array([0.0, 15.0]))
    assert low[0] < -2 and high[0] == pytest.approx(normal_score(np.array([0.695]))[0])
    assert low[1] == high[1]


def test__to_label__floor_repeats__no_value_below_it():
    scale = TargetScale.of(np.r_[np.zeros(70), np.arange(1.0, 31.0)])
    assert scale.to_label(np.array([-4.0]))[0] == 0.0
    assert scale.to_label(np.array([4.0]))[0] > 30.0


def test__to_normal__label_beyond_context__goes_on():
    scale = TargetScale.of(np.linspace(0, 1, 101))
    low, high = scale.to_normal(np.array([1.0, 1.2, 50.0]))
    assert low[0] < low[1] <= low[2] == 4.0
    np.testing.assert_allclose(low, high)
