"""What examples that share a key say of each other."""

from __future__ import annotations

import numpy as np
import pytest

from dbt_rfm.model import load_model
from dbt_rfm.model.families.rfm.akin import has_kin, kin_of
from dbt_rfm.model.families.rfm.codes import Coding
from dbt_rfm.model.families.rfm.votes import Votes
from dbt_rfm.model.interface import CATEGORICAL, KEYS, NUMERICAL, FeatureTable, Labelled
from dbt_rfm.snapshot import BETWEEN_KEYS
from dbt_rfm.task_kind import TaskKind

BRANDS = 40


def keyed(keys: np.ndarray) -> np.ndarray:
    return np.array([f"k{key}" for key in keys], dtype=object)


def products(rows: int, seed: int, *, brands: int = BRANDS) -> tuple[FeatureTable, np.ndarray]:
    """Of each supplier a brand or two; the customers of a brand buy little else; the price says nothing."""
    rng = np.random.default_rng(seed)
    brand = rng.integers(0, brands, rows)
    supplier = np.where(rng.random(rows) < 0.5, brand // 2, rng.integers(0, brands // 2, rows))
    buyers = np.where(rng.random((rows, 3)) < 0.5, brand[:, None], rng.integers(0, brands, (rows, 3)))
    listed = [BETWEEN_KEYS.join(f"u{u}" for u in sorted({*some})) for some in buyers]
    columns = (keyed(supplier), np.array(listed, dtype=object), rng.standard_normal(rows))
    return FeatureTable(("supplier", "buyers", "price"), (KEYS, KEYS, NUMERICAL), columns), brand


def known(table: FeatureTable, labels: np.ndarray, kind: TaskKind = TaskKind.MULTICLASS, classes: int = 0) -> Labelled:
    return Labelled(table, labels, kind, tuple(f"c{k:03d}" for k in range(classes)))


def test__model__more_classes_than_slots__tells_them_all_apart() -> None:
    table, brand = products(1200, 0)
    asked, truth = products(400, 1)
    said = load_model("rfm", "cpu", {}).prepare(known(table, brand, classes=BRANDS), seed=0).answer(asked)
    assert said.probabilities is not None and said.probabilities.shape == (400, BRANDS)
    np.testing.assert_allclose(said.probabilities.sum(1), 1.0)
    assert (said.probabilities.argmax(1) == truth).mean() > 0.5
    assert -np.log(said.probabilities[np.arange(400), truth]).mean() < 1.6, "ln 40 is 3.7"


@pytest.mark.parametrize("kind", [TaskKind.BINARY, TaskKind.REGRESSION])
def test__scores__of_two_classes_and_of_numbers__are_those_of_the_others_with_the_key(kind: TaskKind) -> None:
    table, brand = products(1200, 0)
    worth = np.random.default_rng(5).standard_normal(BRANDS)
    labels = worth[brand] if kind is TaskKind.REGRESSION else (worth[brand] > 0).astype(np.int64)
    _, told = kin_of(known(table, labels, kind, 0 if kind is TaskKind.REGRESSION else 2), seed=0)
    assert told.examples.names == ("price", "kin.score0", "kin.score1") and KEYS not in told.examples.kinds
    assert all(np.corrcoef(column, labels)[0, 1] > 0.25 for column in told.examples.columns[1:])
    assert not has_kin(told, thorough=True)


@pytest.mark.parametrize("kind", [TaskKind.BINARY, TaskKind.MULTICLASS, TaskKind.REGRESSION])
def test__scores__keys_that_tell_nothing__say_nothing_of_the_row_itself(kind: TaskKind) -> None:
    """Pairs share a key. A row that saw its own label in the score would look told."""
    classes = {TaskKind.BINARY: 2, TaskKind.MULTICLASS: 3, TaskKind.REGRESSION: 0}[kind]
    found = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, classes, 600) if classes else rng.standard_normal(600)
        table = FeatureTable(("group",), (KEYS,), (keyed(rng.permutation(600) // 2),))
        _, told = kin_of(known(table, labels, kind, classes), seed=seed)
        first = (labels == 0).astype(float) if classes == 3 else labels
        found.append(np.corrcoef(told.examples.columns[0], first)[0, 1])
    assert abs(np.nan_to_num(found).mean()) < 0.06


def test__scores__a_row_that_is_alone_with_its_key__has_what_everybody_has() -> None:
    table = FeatureTable(("group",), (KEYS,), (keyed(np.r_[np.zeros(50), 7, 8]),))
    _, told = kin_of(known(table, np.r_[np.ones(50), 5.0, 9.0], TaskKind.REGRESSION), seed=0)
    assert (told.examples.columns[0][-2:] == 0).all()


def test__votes__order_of_columns_and_of_keys__does_not_matter() -> None:
    table, brand = products(600, 0, brands=12)
    turned = [BETWEEN_KEYS.join(reversed(text.split(BETWEEN_KEYS))) for text in table.columns[1]]
    other = FeatureTable(
        ("buyers", "price", "supplier"),
        (KEYS, NUMERICAL, KEYS),
        (np.array(turned, dtype=object), table.columns[2], table.columns[0]),
    )
    (one, held), (two, again) = (Votes.of(t, brand, 12, 0) for t in (table, other))
    np.testing.assert_allclose(held, again, atol=1e-4)
    np.testing.assert_allclose(one.log_odds(table), two.log_odds(other), atol=1e-4)


def test__codes__no_key_a_new_one_and_a_missing_category() -> None:
    keys = np.array(["a␟b", None, "a", "b␟z", "z"], dtype=object)
    names = np.array(["x", None, "x", None, "y"], dtype=object)
    table = FeatureTable(
        ("keys", "name", "n"), (KEYS, CATEGORICAL, NUMERICAL), (keys, names, np.array([1.0, 2, 3, np.nan, 4]))
    )
    of_keys, of_names, of_numbers = (Coding.of(table, (j,)) for j in range(3))
    told = np.eye(of_keys.size + 1)
    assert of_keys(table).sums(told).sum(1).tolist() == [2, 0, 1, 2, 1]
    asked = FeatureTable(
        table.names, table.kinds, (np.array(["q"], dtype=object), np.array(["q"], dtype=object), np.array([9.0]))
    )
    assert of_keys(asked).codes.tolist() == [of_keys.size]
    assert of_names.size == 2 and len({*of_names(table).codes.tolist()}) == 3, "x, missing, and what is there once"
    assert of_names(asked).codes.tolist() == [of_names.size]
    assert of_numbers(table).codes[3] == 0 and of_numbers(asked).codes[0] == of_numbers.size - 1


def test__has_kin__many_classes_without_keys__only_for_a_thorough_answer() -> None:
    table = FeatureTable(("price",), (NUMERICAL,), (np.arange(30.0),))
    many = known(table, np.arange(30) % 11, classes=11)
    assert has_kin(many, thorough=True) and not has_kin(many, thorough=False)
    assert not has_kin(known(table, np.arange(30) % 10, classes=10), thorough=True)
