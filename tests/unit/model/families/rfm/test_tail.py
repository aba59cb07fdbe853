"""Beyond what ranks can tell, a column in proportion to the label may speak; elsewhere nothing changes."""

from __future__ import annotations

import numpy as np

from dbt_rfm.model.families.rfm.tail import Tail, raised


def spending(rng: np.random.Generator, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Past and coming spending with a long tail: the future is about half of the past."""
    past = np.exp(rng.normal(3, 1.8, number))
    return past, 0.5 * past * np.exp(rng.normal(0, 0.2, number))


def test__tail__column_in_proportion__tells_the_size_of_the_largest() -> None:
    rng = np.random.default_rng(0)
    past, labels = spending(rng, 400)
    noise = np.exp(rng.normal(3, 1.8, 400))
    expected = np.minimum(labels, np.quantile(labels, 0.8))  # a model that cannot look over the edge
    tail = Tail.of([noise, past], labels, expected)
    assert tail is not None and tail.column == 1
    said = np.tile([1.0, 2.0, 3.0], (3, 1))
    found = tail.raise_to(said, 1, [np.full(3, 5.0), np.array([np.nan, 1.0, 1e6])])
    assert found[:2].tolist() == said[:2].tolist()
    assert 0.45e6 < found[2, 1] < 0.55e6


def test__tail__model_sees_the_tail_itself__changes_nothing() -> None:
    past, labels = spending(np.random.default_rng(1), 400)
    assert Tail.of([past], labels, labels) is None


def test__tail__nothing_in_proportion__changes_nothing() -> None:
    rng = np.random.default_rng(2)
    _, labels = spending(rng, 400)
    noise = np.exp(rng.normal(3, 1.8, 400))
    expected = np.full(400, np.median(labels))
    columns = [noise, -noise, np.full(400, np.inf)]
    assert Tail.of(columns, labels, expected) is None


def test__tail__no_column__gives_nothing() -> None:
    assert Tail.of([], np.arange(5.0), np.zeros(5)) is None


def test__raised__quantiles__are_moved_to_the_value_and_never_lowered() -> None:
    quantiles = np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [0.0, 0.0, 1.0]])
    found = raised(quantiles, quantiles[:, 1], np.array([8.0, 1.0, np.nan, 9.0]))
    assert found.tolist() == [[4.0, 8.0, 9.0], [1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [0.0, 0.0, 1.0]]
