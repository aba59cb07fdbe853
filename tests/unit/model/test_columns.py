from __future__ import annotations

import numpy as np
import pytest

from dbt_rfm.errors import ModelError
from dbt_rfm.model.columns import ColumnCodes
from dbt_rfm.model.interface import FeatureTable


def table(kind: str, *values: object) -> FeatureTable:
    dtype = object if kind == "categorical" else np.float64
    return FeatureTable(("x",), (kind,), (np.array(values, dtype=dtype),))


def test__matrix__categories__by_falling_frequency_missing_is_nan():
    codes = ColumnCodes.of(table("categorical", "b", "a", "b", None))
    np.testing.assert_array_equal(codes.matrix(table("categorical", "b", "a", None))[:, 0], [0, 1, np.nan])


def test__matrix__category_not_in_context__own_code():
    codes = ColumnCodes.of(table("categorical", "b", "a", "b"))
    assert codes.matrix(table("categorical", "new", "other"))[:, 0].tolist() == [2, 2]


def test__matrix__large_close_numbers__stay_apart():
    times = 1.7e9 + np.arange(5.0)
    codes = ColumnCodes.of(table("numerical", *times))
    assert len(np.unique(codes.matrix(table("numerical", *times)))) == 5


def test__matrix__sums_added_up_in_another_order__equal_sums_are_equal():
    usual = 0.1 + 0.2 + 0.3
    reordered = 0.3 + 0.2 + 0.1
    assert usual != reordered
    columns = table("numerical", usual, reordered, usual, reordered, 0.1, 5.0)
    assert len(np.unique(ColumnCodes.of(columns).matrix(columns)[:4])) == 1


def test__matrix__infinite_and_missing_everywhere__nan():
    codes = ColumnCodes.of(table("numerical", np.nan, np.inf))
    assert np.isnan(codes.matrix(table("numerical", -np.inf, np.nan))).all()


def test__matrix__other_columns__says_which():
    codes = ColumnCodes.of(table("numerical", 1.0, 2.0))
    other = FeatureTable(("y",), ("numerical",), (np.ones(1),))
    with pytest.raises(ModelError, match="differ in their columns: x, y"):
        codes.matrix(other)
