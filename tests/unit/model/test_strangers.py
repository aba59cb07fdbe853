from __future__ import annotations

import numpy as np
import pytest

from dbt_rfm.model.interface import FeatureTable, Labelled
from dbt_rfm.model.strangers import blanks, with_strangers
from dbt_rfm.snapshot import Feature
from dbt_rfm.task_kind import TaskKind

ROWS = 200
FEATURES = (
    Feature("customers.age", "numerical", "own"),
    Feature("orders.count.90d", "numerical", "child"),
    Feature("orders.count.mean.all", "numerical", "child"),  # of a column called count
    Feature("orders.city.last", "categorical", "child"),
    Feature("orders>shops<orders.count.all#2", "numerical", "co-parent"),
    Feature("past.lag1", "numerical", "past label"),
    Feature("past.count", "numerical", "past label"),
    Feature("everybody.lag1", "numerical", "past label"),
    Feature("anchor.month", "numerical", "calendar"),
    Feature("shops.size", "numerical", "parent"),
)


@pytest.fixture
def known() -> Labelled:
    def column(i: int, feature: Feature) -> np.ndarray:
        if feature.kind == "categorical":
            return np.array([f"town {row}" for row in range(ROWS)], dtype=object)
        return 1000.0 * (i + 1) + np.arange(ROWS)

    columns = tuple(column(i, feature) for i, feature in enumerate(FEATURES))
    table = FeatureTable(tuple(f.name for f in FEATURES), tuple(f.kind for f in FEATURES), columns)
    return Labelled(table, np.arange(ROWS) / 2, TaskKind.REGRESSION, (), np.arange(ROWS) * 10.0, blanks(FEATURES))


def test__blanks__what_happened_to_the_entity__counts_are_0_and_the_rest_is_null():
    found = {FEATURES[i].name: value for i, value in blanks(FEATURES).items()}
    counts = {"orders.count.90d", "orders>shops<orders.count.all#2", "past.count"}
    assert {name for name, value in found.items() if value == 0} == counts
    assert {name for name, value in found.items() if np.isnan(value)} == {
        "orders.count.mean.all",
        "orders.city.last",
        "past.lag1",
    }


def test__strangers__a_twentieth_more_rows__without_a_past_and_otherwise_those_they_are_made_of(known):
    found = with_strangers(known, np.random.default_rng(0))
    more = found.take(np.arange(ROWS, len(found.labels)))
    assert len(more.labels) == ROWS // 20
    made_of = more.examples.columns[0] - 1000.0
    assert (more.labels == made_of / 2).all() and (more.times == made_of * 10).all()
    for i, feature in enumerate(FEATURES):
        column = more.examples.columns[i]
        if i not in known.blanks:
            assert (column == 1000.0 * (i + 1) + made_of).all()
        elif feature.kind == "categorical":
            assert all(value is None for value in column)
        else:
            np.testing.assert_array_equal(column, known.blanks[i])


def test__strangers__the_examples_themselves__stay_as_they_are(known):
    found = with_strangers(known, np.random.default_rng(0)).take(np.arange(ROWS))
    np.testing.assert_array_equal(found.labels, known.labels)
    for before, after in zip(known.examples.columns, found.examples.columns, strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("rows", [ROWS, 5])
def test__strangers__nothing_known_of_blanks_or_few_rows__no_more_rows(known, rows):
    some = known.take(np.arange(rows))
    if rows == ROWS:
        some = Labelled(some.examples, some.labels, some.kind, some.classes, some.times)
    assert len(with_strangers(some, np.random.default_rng(0)).labels) == rows


def test__strangers__label_hangs_on_a_past__what_is_said_of_a_newcomer_is_near_the_middle(model):
    """Without them the line goes on to a count of 0, far below any that a context of busy entities holds."""
    rng = np.random.default_rng(0)
    count = rng.integers(40, 60, ROWS).astype(np.float64)
    names, kinds = ("customers.age", "orders.count.all"), ("numerical", "numerical")
    table = FeatureTable(names, kinds, (rng.standard_normal(ROWS), count))
    newcomer = FeatureTable(names, kinds, (np.zeros(1), np.zeros(1)))
    with_past, both = (
        Labelled(table, count, TaskKind.REGRESSION, (), np.arange(ROWS, dtype=float), each) for each in ({}, {1: 0.0})
    )
    before, after = (model.prepare(each).answer(newcomer).quantile(0.5)[0] for each in (with_past, both))
    assert abs(after - np.median(count)) < abs(before - np.median(count))
