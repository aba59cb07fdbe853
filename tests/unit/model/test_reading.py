from __future__ import annotations

import numpy as np
import pytest

from dbt_rfm.model.interface import NUMERICAL, FeatureTable
from dbt_rfm.model.reading import Question
from dbt_rfm.task_kind import TaskKind


def _reading(make_table, labels, times, kind=TaskKind.BINARY):
    slots = 0 if kind is TaskKind.REGRESSION else 2
    question = Question(make_table(len(labels)), labels, kind, slots, 0, times)
    return question, question.read(context_size=10_000, columns=8)


def test__held_out__with_times__asks_the_newest_about_the_oldest(make_table):
    labels, times = np.arange(200) % 2, np.repeat(np.arange(20.0), 10)
    question, reading = _reading(make_table, labels, times)
    held = reading.held_out(500, question.rng(0, "held out"))
    inner, truth = held.inner, held.labels
    assert inner.times.max() < 15 <= times[150] and len(truth) == len(held.asked) == 50
    np.testing.assert_array_equal(held.asked, reading.matrix[times[reading.rows] >= 15])


def test__held_out__a_moment_is_never_parted(make_table):
    labels, times = np.arange(200) % 2, np.repeat([0.0, 1.0], [120, 80])
    question, reading = _reading(make_table, labels, times)
    held = reading.held_out(500, question.rng(0, "held out"))
    inner, truth = held.inner, held.labels
    assert len(truth) == 80 and inner.times.max() == 0


@pytest.mark.parametrize("times", [None, np.zeros(400)])
def test__held_out__no_order_in_time__a_quarter_by_lot(make_table, times):
    question, reading = _reading(make_table, np.arange(400) % 2, times)
    held = reading.held_out(500, question.rng(0, "held out"))
    inner, truth = held.inner, held.labels
    assert 70 < len(truth) < 130 and len(inner.labels) + len(truth) == 400


def test__held_out__rare_class__gets_more_rows_and_the_log_odds_say_so(make_table):
    labels = (np.arange(8000) % 100 == 0).astype(int)
    question, reading = _reading(make_table, labels, np.arange(8000.0))
    held = reading.held_out(300, question.rng(0, "held out"))
    truth, shift = held.labels, held.log_odds
    assert truth.sum() > 10 and shift[1] < 0 < shift[0]


def test__held_out__too_few_rows_or_one_label_before__none(make_table):
    question, reading = _reading(make_table, np.arange(40) % 2, np.arange(40.0))
    assert reading.held_out(500, question.rng(0, "held out")) is None
    late = (np.arange(200) >= 150).astype(int)
    question, reading = _reading(make_table, late, np.arange(200.0))
    assert reading.held_out(500, question.rng(0, "held out")) is None


def test__held_out__numbers__targets_of_the_older_rows_alone(make_table):
    labels = np.arange(200.0)
    question, reading = _reading(make_table, labels, np.arange(200.0), TaskKind.REGRESSION)
    held = reading.held_out(500, question.rng(0, "held out"))
    inner, truth = held.inner, held.labels
    assert truth.min() > inner.labels.max()
    assert inner.targets.mean() == pytest.approx(0, abs=1e-6)


def test__sampled__fewer_rows__columns_stay_and_log_odds_lead_back(make_table):
    labels = (np.arange(2000) % 50 == 0).astype(int)
    question, reading = _reading(make_table, labels, np.arange(2000.0))
    part = reading.sampled(200, question.rng(0, "attended"))
    assert len(part.labels) == 200 and part.matrix.shape[1] == reading.matrix.shape[1]
    assert part.labels.mean() > labels.mean() and part.log_odds[1] < 0


@pytest.mark.parametrize("seed", range(5))
def test__read__rare_class_of_many_rows__columns_are_screened_by_enough_of_it(seed):
    """One of 60 columns says a little more of a class of four in a thousand than chance does of the others."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(40_000) % 250 == 0).astype(int)
    numbers = [rng.normal(size=len(labels)) for _ in range(60)]
    numbers[31] += 0.8 * labels
    names = tuple(f"c{i}" for i in range(60))
    table = FeatureTable(names, (NUMERICAL,) * 60, tuple(numbers))
    reading = Question(table, labels, TaskKind.BINARY, 2, seed, None).read(context_size=40_000, columns=1)
    assert reading.chosen == [31]
