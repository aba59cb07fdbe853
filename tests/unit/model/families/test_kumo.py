"""Kumo Relational with random weights: shapes, chunks, kinds, repeatability, and what is said where it can't be had."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("sdm", reason="the extra kumo is not installed")

from asking import ask

from dbt_rfm.errors import ModelError
from dbt_rfm.model import load_model, reads_rows
from dbt_rfm.model.families.kumo import family
from dbt_rfm.model.interface import FeatureTable, Labelled
from dbt_rfm.model.neighbourhood import Neighbourhood, RowLink, RowTable
from dbt_rfm.task_kind import TaskKind

RNG = np.random.default_rng(0)
NOTHING = FeatureTable((), (), ())


@pytest.fixture(scope="module")
def kumo():
    return load_model("kumo", "cpu", {"pretrained": False})


def examples(count: int, *, lonely: int | None = None) -> FeatureTable:
    """Entities with two events each, which bring a number, a word and a moment; `lonely` has no row of its own."""
    rng = np.random.default_rng(count)
    owners = np.array([i for i in range(count) if i != lonely])
    words = np.array(list("xyz"), dtype=object)
    of_entity = RowTable(
        FeatureTable(("size",), ("numerical",), (rng.normal(size=len(owners)),)), NOTHING, owners, 0 * owners
    )
    whose = np.repeat(np.arange(count), 2)
    cells = FeatureTable(
        ("amount", "kind"),
        ("numerical", "categorical"),
        (rng.normal(size=len(whose)), words[rng.integers(0, 3, len(whose))]),
    )
    ages = FeatureTable(("at",), ("numerical",), (np.where(whose % 3, rng.uniform(0, 90, len(whose)), np.nan),))
    own = np.full(count, -1)
    own[owners] = np.arange(len(owners))
    pointing = np.flatnonzero(own[whose] >= 0)
    rows = Neighbourhood(
        "entities",
        own,
        {"entities": of_entity, "events": RowTable(cells, ages, whose, 0 * whose + 1)},
        (RowLink("events.entity -> entities", "events", "entities", pointing, own[whose[pointing]]),),
    )
    values = (rng.normal(size=count), words[rng.integers(0, 3, count)])
    return FeatureTable(("past", "segment"), ("numerical", "categorical"), values, rows)


@pytest.mark.parametrize("classes", [2, 3, 10])
def test__kumo__classes__get_a_probability_each(kumo, classes: int) -> None:
    labels = np.arange(60) % classes
    kind = TaskKind.BINARY if classes == 2 else TaskKind.MULTICLASS
    found = ask(kumo, examples(60), labels, examples(7), kind, tuple(map(str, range(classes))))
    assert found.probabilities.shape == (7, classes)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)


def test__kumo__a_class_that_the_context_lacks__gets_nothing(kumo) -> None:
    found = ask(kumo, examples(30), np.arange(30) % 2 * 2, examples(5), TaskKind.MULTICLASS, ("a", "b", "c"))
    assert (found.probabilities[:, 1] == 0).all()
    assert (found.probabilities[:, [0, 2]] > 0).all()


def test__kumo__more_classes_than_its_weights_know__are_refused(kumo) -> None:
    with pytest.raises(ModelError, match="at most 10 classes"):
        ask(kumo, examples(30), np.arange(30) % 11, examples(5), TaskKind.MULTICLASS, tuple("abcdefghijk"))


def test__kumo__numbers__come_with_rising_quantiles_on_their_own_scale(kumo) -> None:
    found = ask(kumo, examples(60), 1000 + RNG.normal(size=60), examples(7), TaskKind.REGRESSION, ())
    assert (np.diff(found.quantiles, axis=1) >= 0).all()
    assert (abs(found.mean - 1000) < 50).all()


def test__kumo__the_same_question__gets_the_same_answer(kumo) -> None:
    context, labels, query = examples(40), np.arange(40) % 2, examples(6)
    one, two = (ask(kumo, context, labels, query, TaskKind.BINARY, ("f", "t"), seed=3) for _ in range(2))
    np.testing.assert_array_equal(one.probabilities, two.probabilities)


def test__kumo__queries_in_chunks__are_answered_as_in_one(kumo, monkeypatch) -> None:
    fitted = kumo.prepare(Labelled(examples(40), np.arange(40) % 2, TaskKind.BINARY, ("f", "t")))
    whole = fitted.answer(examples(9)).probabilities
    monkeypatch.setattr(family, "_CHUNK", 4)
    np.testing.assert_allclose(fitted.answer(examples(9)).probabilities, whole, atol=1e-5)


def test__kumo__two_contexts_at_once__do_not_mix(kumo) -> None:
    query = examples(5)
    one = kumo.prepare(Labelled(examples(40), np.arange(40) % 2, TaskKind.BINARY, ("f", "t")))
    before = one.answer(query).probabilities
    kumo.prepare(Labelled(examples(20), np.arange(20) % 3 == 0, TaskKind.BINARY, ("f", "t")))
    np.testing.assert_array_equal(one.answer(query).probabilities, before)


def test__kumo__rows__change_the_answer(kumo) -> None:
    context, labels, query = examples(40), np.arange(40) % 2, examples(6)
    assert query.rows is not None
    events = query.rows.tables["events"]
    doubled = replace(events.cells, columns=(events.cells.columns[0] * 2 + 1, events.cells.columns[1]))
    rows = replace(query.rows, tables=query.rows.tables | {"events": replace(events, cells=doubled)})
    one, two = (ask(kumo, context, labels, q, TaskKind.BINARY, ("f", "t")) for q in (query, replace(query, rows=rows)))
    assert not np.allclose(one.probabilities, two.probabilities, atol=1e-7)


def test__kumo__an_entity_without_a_row__is_answered_all_the_same(kumo) -> None:
    found = ask(kumo, examples(20, lonely=3), np.arange(20) % 2, examples(6, lonely=0), TaskKind.BINARY, ("f", "t"))
    assert found.probabilities.shape == (6, 2)


def test__kumo__examples_that_are_no_entities__are_read_by_their_features(kumo) -> None:
    plain = replace(examples(20), rows=None)
    found = ask(kumo, plain, np.arange(20) % 2, plain, TaskKind.BINARY, ("f", "t"))
    assert found.probabilities.shape == (20, 2)


def test__kumo__a_large_context__keeps_its_newest_examples(kumo) -> None:
    small = load_model("kumo", "cpu", {"pretrained": False, "context_size": 10})
    context, labels, query = examples(30), np.arange(30) % 2, examples(4)
    newest = np.arange(20, 30)
    cut = ask(small, context, labels, query, TaskKind.BINARY, ("f", "t"), times=np.arange(30.0))
    alone = ask(kumo, context.take(newest), labels[newest], query, TaskKind.BINARY, ("f", "t"))
    np.testing.assert_allclose(cut.probabilities, alone.probabilities)


def test__kumo__hub_out_of_reach__names_the_cache_and_what_to_do(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    model = load_model("kumo", "cpu")
    with pytest.raises(ModelError, match="HF_HOME") as raised:
        ask(model, examples(20), np.arange(20) % 2, examples(4), TaskKind.BINARY, ("f", "t"))
    assert "use the model 'rfm'" in str(raised.value)


def test__kumo__unknown_option__says_which_there_are() -> None:
    with pytest.raises(ModelError, match="context_size, estimators, hops, pretrained"):
        load_model("kumo", "cpu", {"layers": 3})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"estimators": 0}, "estimators of the model kumo is 0, expected a whole number from 1"),
        ({"hops": "2"}, "hops of the model kumo is '2'"),
        ({"pretrained": "no"}, "pretrained of the model kumo is 'no', expected true or false"),
    ],
)
def test__kumo__option_of_the_wrong_form__says_what_is_expected(given: dict[str, object], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        load_model("kumo", "cpu", given)


def test__kumo__reads_rows__and_rfm_does_not() -> None:
    assert reads_rows("kumo") and not reads_rows("rfm")
