from __future__ import annotations

import numpy as np

from dbt_rfm.model.context_sample import sample_context
from dbt_rfm.task_kind import TaskKind


def sample(labels, kind=TaskKind.BINARY, classes=2, size=100, times=None, seed=0):
    return sample_context(labels, kind, classes, size, times, np.random.default_rng(seed))


def test__sample__fits__all_rows():
    found = sample(np.array([0, 1] * 40))
    assert found.rows.tolist() == list(range(80)) and not found.log_odds.any()


def test__sample__too_many__half_the_newest():
    times = np.arange(1000.0)
    found = sample(np.arange(1000) % 2, times=times)
    assert len(found.rows) == 100 == len(set(found.rows))
    assert set(range(950, 1000)) <= set(found.rows)


def test__sample__rare_class__at_least_a_few_rows_and_odds_to_undo_it():
    labels = np.zeros(10_000, dtype=int)
    labels[:100] = 1
    found = sample(labels, size=200)
    assert (labels[found.rows] == 1).sum() == 30 and len(found.rows) == 200
    assert found.log_odds[1] < -1 and found.log_odds[0] > 0


def test__sample__regression__no_odds():
    found = sample(np.arange(500.0), TaskKind.REGRESSION, 0)
    assert len(found.rows) == 100 and len(found.log_odds) == 0


def test__sample__same_seed__same_rows():
    labels = np.arange(5000) % 2
    np.testing.assert_array_equal(sample(labels, seed=3).rows, sample(labels, seed=3).rows)
    assert not np.array_equal(sample(labels, seed=3).rows, sample(labels, seed=4).rows)
