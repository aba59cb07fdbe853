from __future__ import annotations

import numpy as np
import pytest

from dbt_rfm.errors import ModelError
from dbt_rfm.model.interface import FeatureTable, Predictions
from dbt_rfm.task_kind import TaskKind


def test__feature_table__columns_of_unequal_length__refused():
    with pytest.raises(ModelError, match="column b: expected 2 rows, got 3"):
        FeatureTable(("a", "b"), ("numerical", "numerical"), (np.ones(2), np.ones(3)))


def test__feature_table__unknown_kind__refused():
    with pytest.raises(ModelError, match="column a: kind is 'text'"):
        FeatureTable(("a",), ("text",), (np.ones(2),))


def test__take__rows_and_select_columns__in_that_order(make_table):
    table = make_table(6)
    taken = table.take(np.array([4, 0])).select((1, 0))
    assert taken.names == ("orders", "amount") and taken.num_rows == 2
    assert taken.columns[1].tolist() == table.columns[0][[4, 0]].tolist()


def test__parts__more_rows_than_at_once__every_row_in_order(make_table):
    table = make_table(7)
    parts = list(table.parts(3))
    assert [part.num_rows for part in parts] == [3, 3, 1]
    assert np.concatenate([part.columns[0] for part in parts]).tolist() == table.columns[0].tolist()


def test__parts__no_rows__one_part_with_the_columns(make_table):
    (only,) = make_table(7).take(np.arange(0)).parts(3)
    assert only.num_rows == 0 and only.names == make_table(1).names


def test__quantile__between_levels__linear_and_flat_outside():
    found = Predictions(TaskKind.REGRESSION, (), levels=(0.1, 0.5, 0.9), quantiles=np.array([[0.0, 10.0, 14.0]]))
    assert [found.quantile(p)[0] for p in (0.01, 0.3, 0.5, 0.7, 0.99)] == pytest.approx([0, 5, 10, 12, 14])


def test__quantile__of_a_class_prediction__refused():
    with pytest.raises(ModelError, match="binary prediction has no quantiles"):
        Predictions(TaskKind.BINARY, ("false", "true"), probabilities=np.ones((1, 2)) / 2).quantile(0.5)
