"""The rows around examples as a graph: which row belongs to whom, which points at which, and how old they are."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest

from dbt_rfm.errors import ModelError
from dbt_rfm.model.neighbourhood import Neighbourhood, neighbourhood
from dbt_rfm.snapshot import Snapshot
from dbt_rfm.task_kind import TaskKind

A = datetime(2024, 7, 1)
GRAPH = {
    "entity": "customers",
    "tables": {
        "customers": {"key": ["customer_id"], "columns": {"customer_id": "id", "segment": "categorical"}},
        "orders": {
            "key": ["order_id"],
            "columns": {"order_id": "id", "customer_id": "id", "ordered_at": "timestamp", "amount": "numerical"},
        },
    },
    "links": [["orders", "customer_id", "customers", "customer_id"]],
}


def snapshot(**changes: object) -> Snapshot:
    """Example 0 is about customer 7 with two orders; example 1 about customer 9, who has no row, with one."""
    customers = pa.table({"example_id": [0], "hop": [0], "link": [""], "customer_id": [7], "segment": ["even"]})
    orders = pa.table(
        {
            "example_id": [0, 0, 0, 1],
            "hop": [1, 1, 2, 1],
            "link": ["<orders", "<orders", "<orders<x", "<orders"],
            "order_id": [70, 71, 71, 90],
            "customer_id": [7, 7, 7, 9],
            "ordered_at": [datetime(2024, 6, 29), datetime(2024, 6, 30, 12), datetime(2024, 6, 30, 12), None],
            "amount": [1.0, None, None, 3.0],
        }
    )
    given = {
        "query": "",
        "kind": TaskKind.BINARY,
        "classes": ("false", "true"),
        "entity": "customer_id",
        "anchor": A,
        "schema_fingerprint": "",
        "features_meta": (),
        "examples": pa.table({"example_id": [0, 1], "split": ["context", "query"], "anchor_time": [A, A]}),
        "features": pa.table({"example_id": [0, 1]}),
        "rows": {"customers": customers, "orders": orders},
        "graph": GRAPH,
    }
    return Snapshot(**(given | changes))


def edges(found: Neighbourhood) -> list[tuple[int, int]]:
    (link,) = found.links
    return list(zip(link.child_rows.tolist(), link.parent_rows.tolist(), strict=True))


def test__neighbourhood__a_row_on_two_paths__is_there_once_and_as_near_as_can_be() -> None:
    found = neighbourhood(snapshot(), np.array([0, 1]))
    assert found.tables["orders"].example.tolist() == [0, 0, 1]
    assert found.tables["orders"].hop.tolist() == [1, 1, 1]


def test__neighbourhood__links__join_rows_of_the_same_example() -> None:
    assert edges(neighbourhood(snapshot(), np.array([0, 1]))) == [(0, 0), (1, 0)]


def test__neighbourhood__an_entity_without_a_row__has_none() -> None:
    assert neighbourhood(snapshot(), np.array([0, 1])).own.tolist() == [0, -1]


def test__neighbourhood__cells__are_numbers_words_and_days_before_the_anchor() -> None:
    found = neighbourhood(snapshot(), np.array([0, 1]))
    np.testing.assert_equal(found.tables["orders"].cells.columns, (np.array([1.0, np.nan, 3.0]),))
    np.testing.assert_equal(found.tables["orders"].ages.columns, (np.array([2.0, 0.5, np.nan]),))
    assert found.tables["customers"].cells.columns[0].tolist() == ["even"]


def test__neighbourhood__keys__are_no_cells() -> None:
    assert neighbourhood(snapshot(), np.array([0])).tables["orders"].cells.names == ("amount",)


@pytest.mark.parametrize("positions", [[0, 1], [1], [1, 0], []])
def test__neighbourhood__taken__is_that_of_the_examples_alone(positions: list[int]) -> None:
    whole, alone = neighbourhood(snapshot(), np.array([0, 1])), neighbourhood(snapshot(), np.array(positions, int))
    taken = whole.take(np.array(positions, dtype=int))
    assert sorted(taken.own >= 0) == sorted(alone.own >= 0)
    for name, table in alone.tables.items():
        assert sorted(taken.tables[name].example.tolist()) == sorted(table.example.tolist())
    pairs = [sorted(n.tables["orders"].example[n.links[0].child_rows].tolist()) for n in (taken, alone)]
    assert pairs[0] == pairs[1]


def test__neighbourhood__without_rows__says_so() -> None:
    with pytest.raises(ModelError, match="reads the rows around each entity"):
        neighbourhood(snapshot(rows={}), np.array([0]))
