"""What the opinions of a number are made of, on a tiny network with random weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dbt_rfm.model.families.rfm.opinions import NUMBERS, QUICK, NumberOpinions
from dbt_rfm.model.interface import FeatureTable
from dbt_rfm.model.prepared import QUANTILE_LEVELS
from dbt_rfm.model.reading import Question
from dbt_rfm.task_kind import TaskKind

ROWS = 400
MEDIAN = QUANTILE_LEVELS.index(0.5)


def table(rows: int, seed: int) -> FeatureTable:
    past = np.random.default_rng(seed).exponential(20.0, rows)
    return FeatureTable(("past",), ("numerical",), (past,))


@pytest.fixture
def read():
    context = table(ROWS, 0)
    question = Question(context, 3.0 * context.columns[0], TaskKind.REGRESSION, 0, 0, None)
    return question, question.read(context_size=ROWS, columns=8)


def fitted(network, read, *, thorough: bool) -> NumberOpinions:
    return NumberOpinions.fit([network], *read, attended=100, members=1, thorough=thorough)


def test__numbers__quick__network_and_ranked_line(network, read):
    opinions = fitted(network, read, thorough=False)
    assert opinions.more is None
    assert len(opinions.quantiles(read[1].matrix[:5], None)) == QUICK


def test__numbers__thorough__every_opinion_has_quantiles_that_rise(network, read):
    asked = table(50, 1)
    said = fitted(network, read, thorough=True).quantiles(read[1].matrix_of(asked), None)
    assert len(said) == NUMBERS
    for quantiles in said:
        assert quantiles.shape == (50, len(QUANTILE_LEVELS))
        assert (np.diff(quantiles) >= -1e-9).all()


def test__numbers__label_in_proportion__both_views_of_the_trees_and_the_lines_tell_it(network, read):
    asked = table(50, 1)
    _, lines, *trees = fitted(network, read, thorough=True).quantiles(read[1].matrix_of(asked), None)
    for quantiles in (lines, *trees):
        truth = 3.0 * asked.columns[0]
        assert np.abs(quantiles[:, MEDIAN] - truth).mean() < 0.15 * np.abs(truth - np.median(truth)).mean()


def test__numbers__a_size_far_past_the_context__no_further_than_the_scale_goes(network, read):
    far = FeatureTable(("past",), ("numerical",), (np.array([1e7]),))
    opinions = fitted(network, read, thorough=True)
    _, lines, *trees = opinions.quantiles(read[1].matrix_of(far), None)
    largest = opinions.scale.to_label(np.array(np.inf))
    for quantiles in (lines, *trees):
        assert 0.6 * read[1].labels.max() < quantiles[0, MEDIAN] <= largest


def test__numbers__errors_of_the_trees_on_rows_held_out__widen_the_ranked_trees_and_leave_their_median(network, read):
    opinions, rows = fitted(network, read, thorough=True), read[1].matrix[:20]
    narrow, wide = (opinions.quantiles(rows, scale * np.linspace(-1, 1, 101))[2] for scale in (0.1, 0.5))
    np.testing.assert_allclose(narrow[:, MEDIAN], wide[:, MEDIAN])
    assert (np.ptp(wide, 1) > np.ptp(narrow, 1)).all()


def test__score__too_little_memory__goes_on_with_fewer_rows_and_says_the_same(network, read, monkeypatch, caplog):
    opinions, rows = fitted(network, read, thorough=False), read[1].matrix[:50]
    expected, score = opinions.quantiles(rows, None)[0], type(network).score

    def greedy(self, context, asked, kind):
        if asked.shape[1] > 20:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return score(self, context, asked, kind)

    monkeypatch.setattr(type(network), "score", greedy)
    np.testing.assert_allclose(opinions.quantiles(rows, None)[0], expected, rtol=1e-4)
    assert "going on with 16 examples at once" in caplog.text


def test__score__other_errors__are_not_taken_for_lack_of_memory(network, read, monkeypatch):
    opinions = fitted(network, read, thorough=False)
    monkeypatch.setattr(type(network), "score", lambda *_: (_ for _ in ()).throw(RuntimeError("mat1 and mat2")))
    with pytest.raises(RuntimeError, match="mat1"):
        opinions.quantiles(read[1].matrix[:5], None)
