from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dbt_rfm.pretrain.prior_events import _labels, _Past, _stream, draw_event_task
from dbt_rfm.task_kind import TaskKind


@pytest.fixture
def stream():
    return _stream(np.random.default_rng(4), 120)


def _columns(stream, labels, picked, *, window=3.0, delay=1.0):
    return [column()[0] for column in _Past(stream, labels, picked, [window], delay).columns(stream.source)]


@pytest.mark.parametrize("kind", [TaskKind.BINARY, TaskKind.MULTICLASS, TaskKind.REGRESSION])
def test__draw_event_task__each_kind__rows_and_columns_asked_for(kind):
    columns, categorical, labels, classes = draw_event_task(np.random.default_rng(1), 60, 30, 12, kind)
    assert columns.shape == (90, 12) and categorical.shape == (12,) and labels.shape == (90,)
    assert classes == {TaskKind.BINARY: 2, TaskKind.REGRESSION: 0}.get(kind, classes)
    assert not np.isinf(columns).any() and np.isfinite(labels).all()


def test__columns__against_plain_loops__siblings_before_the_event_and_labels_known_by_then(stream):
    labels = np.random.default_rng(0).random(120).round()
    picked, window, delay = np.array([119, 60, 3]), 3.0, 1.0
    count, mean, above, known_sum, known_mean = _columns(stream, labels, picked, window=window, delay=delay)[:5]
    for row, m in enumerate(picked):
        now = stream.time[m]
        before = (stream.source == stream.source[m]) & (stream.time < now) & (stream.time >= max(now - window, 0))
        known = before & (stream.time < now - delay)
        assert count[row] == before.sum() and known_sum[row] == labels[known].sum()
        if before.any():
            assert mean[row] == pytest.approx(stream.amount[before].mean())
            assert above[row] == pytest.approx(stream.amount[m] - mean[row])
        assert np.isnan(known_mean[row]) if not known.any() else known_mean[row] == pytest.approx(labels[known].mean())


def test__columns__with_other_amounts_and_labels_later__unchanged(stream):
    labels = np.random.default_rng(0).random(120)
    picked = np.arange(20, 60)
    amount, changed = stream.amount.copy(), labels.copy()
    amount[60:] += 5
    changed[np.searchsorted(stream.time, stream.time[20] - 1.0) :] += 5  # not known by any of the picked
    for one, two in zip(
        _columns(stream, labels, np.array([20])),
        _columns(replace(stream, amount=amount), changed, np.array([20])),
        strict=True,
    ):
        np.testing.assert_allclose(one, two, atol=1e-9)
    for one, two in zip(
        _columns(stream, None, picked), _columns(replace(stream, amount=amount), None, picked), strict=True
    ):
        np.testing.assert_allclose(one, two, atol=1e-9)


def test__labels__of_many_streams__rare_and_common_events_both():
    shares = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        shares.append(_labels(rng, _stream(rng, 400), TaskKind.BINARY)[0].mean())
    assert min(shares) < 0.02 and max(shares) > 0.4
