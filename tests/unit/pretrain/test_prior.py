from __future__ import annotations

import numpy as np
import pytest

from dbt_rfm.pretrain.batches import Step
from dbt_rfm.pretrain.prior import KIND_SHARES, draw_batch
from dbt_rfm.pretrain.prior_relational import _past_labels, _window_columns
from dbt_rfm.pretrain.targets import Target, draw_target
from dbt_rfm.pretrain.world import draw_world
from dbt_rfm.task_kind import TaskKind

CONTEXT, QUERY = 48, 32


@pytest.fixture
def world():
    return draw_world(np.random.default_rng(3), 200)


@pytest.mark.parametrize("kind", list(KIND_SHARES))
@pytest.mark.parametrize("relational", [0.0, 1.0])
@pytest.mark.parametrize("width", [3, 40])
def test__draw_batch__each_kind_and_source__usable_arrays(kind, relational, width):
    batch = draw_batch(np.random.default_rng(0), kind, 6, CONTEXT, QUERY, width, relational=relational)
    assert batch.columns.shape == (6, CONTEXT + QUERY, width) and batch.columns.dtype == np.float32
    assert batch.labels.shape == (6, CONTEXT + QUERY) and np.isfinite(batch.labels).all()
    assert not np.isinf(batch.columns).any()
    assert all(len(np.unique(y[:CONTEXT])) > 1 for y in batch.labels)
    if kind is TaskKind.REGRESSION:
        assert (batch.low <= batch.high).all() and np.abs(batch.high).max() <= 4
    else:
        assert (batch.labels.max(1) < batch.num_classes).all() and batch.num_classes.max() <= 10


def test__draw_batch__same_generator__same_batch():
    one, two = (draw_batch(np.random.default_rng(5), TaskKind.BINARY, 4, 40, 20, 6) for _ in range(2))
    np.testing.assert_array_equal(one.columns, two.columns)
    np.testing.assert_array_equal(one.labels, two.labels)


def test__step__of_one_number__alike_in_shape_between_processes_and_pure():
    first, second = Step(0, 0, 17, 0.5, 4000), Step(0, 1, 17, 0.5, 4000)
    one, again, other = first.draw(), first.draw(), second.draw()
    assert one.columns.shape == other.columns.shape
    np.testing.assert_array_equal(one.columns, again.columns)
    assert one.kind is not other.kind or not np.array_equal(one.columns, other.columns)


def test__window_columns__against_plain_sums__equal(world):
    events = world.tables[0]
    who, when, width = np.array([0, 1, 2]), np.array([3, 10, 20]), 4
    count, total, mean = (column()[0] for column in _window_columns(events, who, when, [width]))
    for row, (e, t) in enumerate(zip(who, when, strict=True)):
        steps = range(max(t - width + 1, 0), t + 1)
        counts = [events.count[e, s] for s in steps]
        sums = [events.count[e, s] * events.value[e, s] for s in steps]
        assert count[row] == sum(counts) and total[row] == pytest.approx(sum(sums))
        assert np.isnan(mean[row]) if sum(counts) == 0 else mean[row] == pytest.approx(sum(sums) / sum(counts))


def test__past_labels__window_not_closed__not_seen(world):
    """Labels of anchors later than anchor − horizon change: no column of the anchor may move."""
    rng = np.random.default_rng(0)
    horizon = 3
    values = rng.standard_normal((world.num_entities, world.steps))
    later = values.copy()
    anchor = 12
    later[:, anchor - horizon + 1 :] = 99.0
    who, when = np.arange(5), np.full(5, anchor)
    before, after = (
        [column()[0] for column in _past_labels(world, Target(v, horizon, 0), who, when)] for v in (values, later)
    )
    for one, two in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, two)
    assert before[0].tolist() == values[:5, anchor - horizon].tolist()


def test__draw_target__window_beyond_the_world__no_label(world):
    for seed in range(6):
        target = draw_target(np.random.default_rng(seed), world, TaskKind.REGRESSION)
        assert np.isnan(target.values[:, world.steps - target.horizon :]).all()
        assert np.isnan(target.values[np.arange(world.steps) < world.born[:, None]]).all()
