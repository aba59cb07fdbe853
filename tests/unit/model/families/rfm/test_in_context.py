"""The calling side of the model, on a tiny network with random weights: shapes, seeds, odd input."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from asking import ask

from dbt_rfm.errors import DataError, ModelError
from dbt_rfm.model.families.rfm.in_context import InContextOptions
from dbt_rfm.model.interface import FeatureTable, Labelled
from dbt_rfm.task_kind import TaskKind

BINARY = (TaskKind.BINARY, ("false", "true"))


def labels_of(table: FeatureTable) -> np.ndarray:
    return (table.columns[0] > 0).astype(int)


def test__predict__binary__probabilities_sum_to_one(model, make_table):
    context = make_table(60)
    found = ask(model, context, labels_of(context), make_table(20, 1), *BINARY)
    assert found.probabilities.shape == (20, 2) and found.classes == ("false", "true")
    np.testing.assert_allclose(found.probabilities.sum(1), 1)


def test__predict__multiclass__a_class_absent_from_context_stays_small(model, make_table):
    context = make_table(60)
    labels = np.arange(60) % 3
    found = ask(model, context, labels, make_table(9, 1), TaskKind.MULTICLASS, ("a", "b", "c", "never"))
    assert found.probabilities.shape == (9, 4)
    np.testing.assert_allclose(found.probabilities.sum(1), 1)


def test__predict__more_than_ten_classes__all_answered(model, make_table):
    context = make_table(150)
    labels = np.random.default_rng(0).integers(0, 15, 150)
    classes = tuple("abcdefghijklmno")
    found = ask(model, context, labels, make_table(9, 1), TaskKind.MULTICLASS, classes)
    assert found.probabilities.shape == (9, 15) and (found.probabilities > 0).all()
    np.testing.assert_allclose(found.probabilities.sum(1), 1)


def test__predict__regression__quantiles_rise_and_mean_lies_between(model, make_table):
    context = make_table(60)
    found = ask(model, context, context.columns[1] * 10, make_table(20, 1), TaskKind.REGRESSION, ())
    assert found.quantiles.shape == (20, len(found.levels)) and found.classes == ()
    assert (np.diff(found.quantiles) >= 0).all()
    assert ((found.mean >= found.quantiles[:, 0]) & (found.mean <= found.quantiles[:, -1])).all()


def test__predict__every_label_a_whole_number__so_are_the_quantiles_and_the_mean_is_not(model, make_table):
    context, query = make_table(60), make_table(20, 1)
    counts = np.floor(np.abs(context.columns[1] * 10))
    of_counts = ask(model, context, counts, query, TaskKind.REGRESSION, ())
    assert (of_counts.quantiles == np.round(of_counts.quantiles)).all()
    assert (np.diff(of_counts.quantiles) >= 0).all()
    assert (of_counts.mean != np.round(of_counts.mean)).any()
    of_halves = ask(model, context, counts + 0.5, query, TaskKind.REGRESSION, ())
    assert (of_halves.quantiles != np.round(of_halves.quantiles)).any()


def test__predict__sums_added_up_in_another_order__same_answer(model, make_table):
    context, query = make_table(200), make_table(20, 1)
    sums = np.round(context.columns[0] * 3) * 10.1
    noise = 1 + 2e-16 * np.random.default_rng(0).choice([-1, 0, 1], 200)
    assert (sums * noise != sums).any()
    found = [ask(model, context, labels, query, TaskKind.REGRESSION, ()).quantiles for labels in (sums, sums * noise)]
    assert (found[0] == found[1]).all()


@pytest.mark.parametrize("kind", [TaskKind.BINARY, TaskKind.REGRESSION])
def test__predict__columns_added_up_in_another_order__same_answer(model, make_table, kind):
    context, query = make_table(200), make_table(20, 1)
    spent = [(5 + np.round(table.columns[0] * 3)) * 10.1 for table in (context, query)]
    labels = spent[0] * 2 if kind is TaskKind.REGRESSION else (spent[0] > 50).astype(np.int64)
    classes = () if kind is TaskKind.REGRESSION else ("false", "true")
    noise = 1 + 2e-16 * np.random.default_rng(0).choice([-1, 0, 1], 200)
    assert (spent[0] * noise != spent[0]).any()
    asked = replace(query, columns=(spent[1], *query.columns[1:]))
    found = []
    for column in (spent[0], spent[0] * noise):
        told = replace(context, columns=(column, *context.columns[1:]))
        found.append(ask(model, told, labels, asked, kind, classes))
    for value in ("probabilities", "quantiles"):
        if getattr(found[0], value) is not None:
            np.testing.assert_allclose(getattr(found[1], value), getattr(found[0], value), rtol=1e-9)


@pytest.mark.parametrize("kind", [TaskKind.BINARY, TaskKind.REGRESSION])
def test__predict__same_seed__same_answer(model, make_table, kind):
    context, query = make_table(300), make_table(20, 1)
    labels = labels_of(context) if kind is TaskKind.BINARY else context.columns[0]
    classes = ("false", "true") if kind is TaskKind.BINARY else ()

    def asked(seed: int) -> np.ndarray:
        found = ask(model, context, labels, query, kind, classes, seed=seed)
        return found.probabilities if kind is TaskKind.BINARY else found.quantiles

    np.testing.assert_array_equal(asked(5), asked(5))
    assert not np.allclose(asked(5), asked(6))


def test__predict__one_query_or_many__same_answer(model, make_table):
    context, query = make_table(60), make_table(20, 1)
    many = ask(model, context, labels_of(context), query, *BINARY).probabilities
    for row in (0, 13):
        one = ask(model, context, labels_of(context), query.take(np.array([row])), *BINARY).probabilities
        np.testing.assert_allclose(one[0], many[row], atol=1e-4)


def test__predict__one_label_only__that_class_smoothed(model, make_table):
    found = ask(model, make_table(19), np.ones(19, dtype=int), make_table(3, 1), *BINARY)
    np.testing.assert_allclose(found.probabilities, [[0.025, 0.975]] * 3)


def test__predict__constant_number__that_number(model, make_table):
    found = ask(model, make_table(19), np.full(19, 7.0), make_table(3, 1), TaskKind.REGRESSION, ())
    assert (found.quantiles == 7).all() and found.mean == pytest.approx([7, 7, 7])


def test__predict__two_context_rows__answers(model, make_table):
    found = ask(model, make_table(2), np.array([0, 1]), make_table(3, 1), *BINARY)
    assert np.isfinite(found.probabilities).all()


def test__predict__more_rows_than_cells_attend_to__near_the_exact_answer(model, make_table, monkeypatch):
    context, query = make_table(200), make_table(10, 1)
    exact = ask(model, context, labels_of(context), query, *BINARY).probabilities
    monkeypatch.setattr("dbt_rfm.model.families.rfm.opinions._CELL_KEYS", 120)
    found = ask(model, context, labels_of(context), query, *BINARY).probabilities
    assert 0 < np.abs(found - exact).max() < 0.2


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test__prepare__asked_row_by_row__the_answers_of_one_call(model, make_table, kind, monkeypatch):
    context, query = make_table(200), make_table(30, 1)
    labels = labels_of(context) if kind == "binary" else context.columns[0] + 1.0
    classes = ("false", "true") if kind == "binary" else ()
    prepared = model.prepare(Labelled(context, labels, TaskKind(kind), classes, times=np.arange(200.0)))
    whole = prepared.answer(query)
    monkeypatch.setattr("dbt_rfm.model.families.rfm.answers._CHUNK", 7)
    for found in (
        prepared.answer(query),
        ask(model, context, labels, query, TaskKind(kind), classes, times=np.arange(200.0)),
    ):
        for name in ("probabilities", "mean", "quantiles"):
            if (expected := getattr(whole, name)) is not None:
                np.testing.assert_allclose(getattr(found, name), expected, rtol=1e-5, atol=1e-5)


def test__predict__quick__network_and_line_alone(model, make_table):
    context, query = make_table(200), make_table(10, 1)
    quick = model.with_options(thorough=False).prepare(Labelled(context, labels_of(context), *BINARY))
    assert quick.opinions.trees is None and quick.mix.weights.tolist() == [0.5, 0.5]
    assert np.isfinite(quick.answer(query).probabilities).all()


def test__predict__no_query_rows__empty(model, make_table):
    context = make_table(30)
    assert ask(model, context, labels_of(context), make_table(0), *BINARY).probabilities.shape == (0, 2)


def test__predict__nothing_varies__answers_alike(model):
    context = FeatureTable(("x",), ("numerical",), (np.full(40, np.nan),))
    query = FeatureTable(("x",), ("numerical",), (np.array([1.0, np.nan]),))
    found = ask(model, context, np.arange(40) % 2, query, *BINARY).probabilities
    np.testing.assert_allclose(found[0], found[1])


def test__predict__unseen_category_and_odd_numbers__finite(model, make_table):
    context, query = make_table(60), make_table(4, 1)
    columns = list(query.columns)
    columns[0] = np.array([1e300, -1e300, np.inf, np.nan])
    columns[3] = np.array(["Oslo", None, "Bern", "x" * 500], dtype=object)
    odd = FeatureTable(query.names, query.kinds, tuple(columns))
    assert np.isfinite(ask(model, context, labels_of(context), odd, *BINARY).probabilities).all()


def test__predict__no_examples__says_what_to_do(model, make_table):
    with pytest.raises(DataError, match="too few labelled examples to learn from: 0, expected at least 1"):
        ask(model, make_table(0), np.zeros(0, dtype=int), make_table(3), *BINARY)


def test__predict__label_not_finite__says_where(model, make_table):
    with pytest.raises(DataError, match="1 of 3 labels are not finite numbers"):
        ask(model, make_table(3), np.array([1, np.nan, 2]), make_table(3), TaskKind.REGRESSION, ())


def test__predict__link__says_what_it_answers(model, make_table):
    with pytest.raises(ModelError, match="does not answer link tasks"):
        ask(model, make_table(3), np.zeros(3), make_table(3), TaskKind.LINK, ())


def test__options__typo__names_the_near_one():
    with pytest.raises(ModelError, match="Did you mean members"):
        InContextOptions.read({"member": 3})


def test__options__not_a_whole_number__refused():
    with pytest.raises(ModelError, match="context_size is 1, expected a whole number of at least 2"):
        InContextOptions.read({"context_size": 1})
