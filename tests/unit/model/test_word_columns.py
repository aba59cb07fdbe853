"""Texts as columns of a model, and what their words say together."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dbt_rfm.errors import ModelError
from dbt_rfm.model import load_model
from dbt_rfm.model.families.rfm.word_scores import WordScores, has_words
from dbt_rfm.model.interface import FeatureTable, Labelled
from dbt_rfm.model.word_columns import word_columns
from dbt_rfm.task_kind import TaskKind

WORDS = tuple(f"word{i}" for i in range(40))


def known(kind: TaskKind, *, tells: bool, rows: int = 600, seed: int = 0, classes: int = 2) -> Labelled:
    """Texts of 40 words, eight in each; with `tells` every second word moves the label."""
    rng = np.random.default_rng(seed)
    has = rng.random((rows, len(WORDS))) < 0.2
    said = has[:, ::2].astype(float) @ np.random.default_rng(1).standard_normal((20, classes)) if tells else 0.0
    said = said + 0.3 * rng.standard_normal((rows, classes))
    labels = said[:, 0] if kind is TaskKind.REGRESSION else said.argmax(1)
    names = tuple(f"tickets.subject~{word}" for word in WORDS)
    columns = (rng.standard_normal(rows), *(column.astype(np.float32) for column in has.T))
    table = FeatureTable(("tickets.amount", *names), ("numerical",) * 41, columns)
    named = () if kind is TaskKind.REGRESSION else tuple(f"class{i}" for i in range(classes))
    return Labelled(table, labels, kind, named)


def test__word_columns__a_text_has_a_word__one_else_zero_and_unknown_without_a_text() -> None:
    texts = pa.chunked_array([["Refund, please", None], ["please wait", "", "Refund, please"]])
    found = dict(word_columns(texts, ["refund", "please"]))
    np.testing.assert_array_equal(found["refund"], [1, np.nan, 0, 0, 1])
    np.testing.assert_array_equal(found["please"], [1, np.nan, 1, 0, 1])


def test__word_columns__no_text_at_all__unknown() -> None:
    ((_, column),) = word_columns(pa.chunked_array([pa.nulls(3, pa.string())]), ["refund"])
    assert np.isnan(column).all() and len(column) == 3


@pytest.mark.parametrize("kind, classes", [(TaskKind.BINARY, 2), (TaskKind.MULTICLASS, 3), (TaskKind.REGRESSION, 2)])
def test__word_scores__words_tell_together__one_column_per_class_that_orders_queries(kind, classes) -> None:
    scores, told = WordScores.of(known(kind, tells=True, classes=classes), seed=0)
    asked = known(kind, tells=True, seed=7, classes=classes)
    query = scores.scored(asked.examples)
    assert query.names == told.examples.names and not has_words(query)
    assert len(query.names) == 1 + (3 if classes == 3 else 1)
    label = asked.labels if kind is TaskKind.REGRESSION else asked.labels == (0 if classes == 3 else 1)
    place = query.names.index("words.score0") if classes == 2 else None
    best = max(np.corrcoef(column, label)[0, 1] for column in query.columns[1:])
    assert best > 0.6 and (place is None or place == 1)


@pytest.mark.parametrize("kind", [TaskKind.BINARY, TaskKind.REGRESSION])
def test__word_scores__words_tell_nothing__what_is_said_of_the_context_tells_nothing_either(kind) -> None:
    for seed in range(5):
        _, told = WordScores.of(known(kind, tells=False, seed=seed), seed=seed)
        for column in told.examples.columns[1:]:
            assert abs(np.corrcoef(column, told.labels)[0, 1]) < 0.15


def test__word_scores__an_entity_at_many_anchors_with_the_same_text__does_not_tell_its_own_labels() -> None:
    """Fifty texts of random words, each at twelve anchors with the same label: memory would tell it, words do not."""
    rng = np.random.default_rng(3)
    has, label = np.repeat(rng.random((50, 40)) < 0.2, 12, axis=0), np.repeat(rng.integers(0, 2, 50), 12)
    table = FeatureTable(tuple(f"t~{w}" for w in WORDS), ("numerical",) * 40, tuple(has.T.astype(np.float32)))
    _, told = WordScores.of(Labelled(table, label, TaskKind.BINARY, ("false", "true")), seed=0)
    assert all(np.corrcoef(column, label)[0, 1] < 0.3 for column in told.examples.columns)


def test__word_scores__texts_of_a_few_templates__tell_the_label_of_each() -> None:
    """Four texts, each of three hundred entities: no fold may be without one of them."""
    template = np.arange(1200) % 4
    has = np.eye(4)[template].repeat(10, axis=1)
    table = FeatureTable(tuple(f"t~{w}" for w in WORDS), ("numerical",) * 40, tuple(has.T.astype(np.float32)))
    _, told = WordScores.of(Labelled(table, template // 2, TaskKind.BINARY, ("false", "true")), seed=0)
    assert np.corrcoef(told.examples.columns[0], template // 2)[0, 1] > 0.9


def test__word_scores__other_words_than_the_context__an_error_that_names_them() -> None:
    scores, _ = WordScores.of(known(TaskKind.BINARY, tells=True), seed=0)
    other = known(TaskKind.BINARY, tells=True).examples
    with pytest.raises(ModelError, match="word39"):
        scores.scored(other.select(tuple(range(40))))


def test__word_scores__a_column_of_the_users_with_the_mark_in_its_name__is_no_word() -> None:
    table = known(TaskKind.BINARY, tells=True).examples
    mine = FeatureTable(
        ("a~b", "c~d", *table.names),
        ("numerical", "categorical", *table.kinds),
        (np.arange(600.0), np.array(["x"] * 600, dtype=object), *table.columns),
    )
    labels = known(TaskKind.BINARY, tells=True).labels
    _, told = WordScores.of(Labelled(mine, labels, TaskKind.BINARY, ("false", "true")), seed=0)
    assert told.examples.names == ("a~b", "c~d", "tickets.amount", "words.score0")


def test__model__words_tell_the_class__is_answered_from_them() -> None:
    model, context, asked = (
        load_model("rfm"),
        known(TaskKind.BINARY, tells=True),
        known(TaskKind.BINARY, tells=True, seed=7),
    )
    said = model.prepare(context, seed=0).answer(asked.examples).probabilities
    assert said is not None and (said.argmax(1) == asked.labels).mean() > 0.8


def test__model__same_words_in_another_number_of_rows__the_same_answers() -> None:
    context, asked = known(TaskKind.BINARY, tells=True), known(TaskKind.BINARY, tells=True, seed=7).examples
    read = load_model("rfm").prepare(context, seed=0)
    whole, part = read.answer(asked).probabilities, read.answer(asked.take(np.arange(5))).probabilities
    assert whole is not None and part is not None
    np.testing.assert_allclose(part, whole[:5], atol=1e-5)
