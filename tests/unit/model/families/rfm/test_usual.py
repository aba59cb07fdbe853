"""The largest entities are answered by what they usually come to; everybody else as before."""

from __future__ import annotations

import numpy as np
import pytest

from dbt_rfm.model.families.rfm.usual import Usual, usual_labels
from dbt_rfm.model.interface import FeatureTable
from dbt_rfm.snapshot import PAST_LABELS

SIZES = np.r_[np.ones(4900), np.full(100, 1000.0)]  # of the usual entity, and of the two in a hundred that are large


def past(*lags: np.ndarray) -> FeatureTable:
    names = PAST_LABELS[: len(lags)]
    return FeatureTable(names, ("numerical",) * len(lags), tuple(np.asarray(lag, dtype=np.float64) for lag in lags))


def steady(seed: int) -> tuple[FeatureTable, np.ndarray]:
    """Four past labels and the next one of entities that keep their size."""
    rng = np.random.default_rng(seed)
    labels = [SIZES * rng.uniform(0.5, 1.5, len(SIZES)) for _ in range(5)]
    return past(*labels[:4]), labels[4]


def test__usual_labels__median_of_what_is_known__from_three_on() -> None:
    gap = np.nan
    table = past([1.0, 1.0, gap], [9.0, 2.0, gap], [3.0, gap, gap], [gap, gap, gap])
    np.testing.assert_array_equal(usual_labels(table), [3.0, gap, gap])


def test__usual__model_leads_back_to_the_crowd__large_entities_are_raised_alone() -> None:
    context, labels = steady(0)
    usual = Usual.of(context, labels, np.minimum(labels, 10.0))
    assert usual is not None
    query = past([5000.0, 1.0], [4000.0, 2.0], [6000.0, 1.0])
    found = usual.raise_to(np.tile([0.0, 2.0, 4.0], (2, 1)), 1, query)
    assert found.tolist() == [[0.0, 5000.0, 5002.0], [0.0, 2.0, 4.0]]


def test__usual__model_knows_the_large_ones__changes_nothing() -> None:
    context, labels = steady(1)
    assert Usual.of(context, labels, labels) is None


def test__usual__past_tells_nothing__changes_nothing() -> None:
    _, labels = steady(2)
    rng = np.random.default_rng(3)
    context = past(*(rng.permutation(labels) for _ in range(3)))
    assert Usual.of(context, labels, np.full(len(labels), np.median(labels))) is None


def test__usual__few_large_ones__changes_nothing() -> None:
    context, labels = steady(4)
    some = np.r_[0:1000, 4900:4910]
    assert Usual.of(context.take(some), labels[some], np.zeros(len(some))) is None


@pytest.mark.parametrize("lags", [0, 2])
def test__usual__no_past_labels_among_the_columns__changes_nothing(lags: int) -> None:
    context = FeatureTable(("x",), ("numerical",), (SIZES,)) if lags == 0 else past(SIZES, SIZES)
    assert Usual.of(context, SIZES, np.zeros(len(SIZES))) is None
