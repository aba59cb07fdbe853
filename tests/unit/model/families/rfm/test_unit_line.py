from __future__ import annotations

import numpy as np
import pytest

from dbt_rfm.model.families.rfm.unit_line import UnitLine

ROWS = 600


@pytest.fixture
def past() -> np.ndarray:
    """[N, 3] past sizes with a long tail, and two columns that tell nothing."""
    rng = np.random.default_rng(0)
    return np.stack([rng.exponential(10.0, ROWS), rng.standard_normal(ROWS), rng.standard_normal(ROWS)], 1)


def fitted(matrix: np.ndarray, labels: np.ndarray, categorical: np.ndarray | None = None) -> UnitLine:
    none = np.zeros(matrix.shape[1], dtype=bool)
    return UnitLine.fit(matrix, none if categorical is None else categorical, labels, 0)


def test__unit_line__label_in_proportion_to_a_column__sizes_past_the_context_are_told(past):
    labels = 5.0 * past[:, 0] + 2.0
    found = fitted(past, labels).medians(np.array([[past[:, 0].max() * 1.5, 0.0, 0.0]]))
    assert found[0] == pytest.approx(5.0 * past[:, 0].max() * 1.5 + 2.0, rel=0.05)


def test__unit_line__one_label_in_ten_is_absurd__the_median_does_not_move(past):
    labels = 5.0 * past[:, 0]
    spoilt = np.where(np.arange(ROWS) % 10 == 0, labels + 1e5, labels)
    asked = np.array([[10.0, 0.0, 0.0]])
    assert fitted(past, spoilt).medians(asked)[0] == pytest.approx(50.0, rel=0.15)


def test__unit_line__missing_means_another_level__told(past):
    gone = np.arange(ROWS) % 3 == 0
    labels = np.where(gone, 100.0, past[:, 0])
    matrix = past.copy()
    matrix[gone, 0] = np.nan
    found = fitted(matrix, labels).medians(np.array([[np.nan, 0.0, 0.0], [10.0, 0.0, 0.0]]))
    assert found == pytest.approx([100.0, 10.0], rel=0.1)


def test__unit_line__value_a_thousand_times_the_usual__is_cut(past):
    line = fitted(past, past[:, 0])
    huge, larger = line.medians(np.array([[1e4, 0.0, 0.0], [1e9, 0.0, 0.0]]))
    assert huge == larger


@pytest.mark.parametrize(
    "matrix",
    [np.zeros((40, 0)), np.full((40, 1), np.nan), np.ones((40, 2))],
    ids=["no column", "all missing", "constant"],
)
def test__unit_line__nothing_to_tell_by__the_median(matrix):
    labels = np.r_[np.zeros(25), np.full(15, 9.0)]
    assert fitted(matrix, labels).medians(matrix[:2]) == pytest.approx([0.0, 0.0], abs=0.2)


def test__unit_line__categories__are_left_to_others(past):
    labels = 5.0 * past[:, 0]
    codes = np.c_[past, np.arange(ROWS) % 4]
    line = fitted(codes, labels, np.array([False, False, False, True]))
    one, other = line.medians(np.array([[10.0, 0.0, 0.0, 0.0], [10.0, 0.0, 0.0, 3.0]]))
    assert one == other == pytest.approx(50.0, rel=0.05)
