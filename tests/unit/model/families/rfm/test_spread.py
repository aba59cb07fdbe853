from __future__ import annotations

import numpy as np
import pytest

from dbt_rfm.model.families.rfm.spread import carried

SAID = np.array([[0.0, 1.0, 2.0, 6.0]])
MEDIAN = np.array([2.0])


@pytest.mark.parametrize(
    ("to", "expected"),
    [(4.0, [0.0, 2.0, 4.0, 8.0]), (1.0, [0.0, 0.5, 1.0, 5.0]), (0.0, [0.0, 0.0, 0.0, 4.0])],
)
def test__carried__label_never_below_0__a_zero_stays_one_and_what_is_above_moves_as_much(to, expected):
    assert carried(SAID, MEDIAN, np.array([to])).tolist() == [expected]


def test__carried__labels_below_0__everything_moves_as_much():
    assert carried(SAID, MEDIAN, np.array([5.0]), floor=False).tolist() == [[3.0, 4.0, 5.0, 9.0]]


def test__carried__median_of_0__zeros_below_it_stay_and_what_is_above_moves_as_much():
    said = np.array([[0.0, 0.0, 0.0, 1.0, 6.0]])
    assert carried(said, np.zeros(1), np.array([3.0])).tolist() == [[0.0, 0.0, 3.0, 4.0, 9.0]]
    assert carried(said - 1.0, np.full(1, -1.0), np.array([2.0]), floor=False).tolist() == [[2.0, 2.0, 2.0, 3.0, 8.0]]


def test__carried__any_median__quantiles_still_rise():
    rng = np.random.default_rng(0)
    said = np.sort(rng.exponential(1.0, (200, 5)), 1)
    said[::4, :3] = 0.0
    found = carried(said, said[:, 2], rng.exponential(3.0, 200))
    assert (np.diff(found) >= 0).all()
