"""What both ways of asking Kumo Relational begin with: which questions it takes, and how their rows hang together.

In: a `FeatureTable` with the rows around its examples. Out: positions only. Every example has rows of its own, so a
neighbourhood never overlaps with another: a row's id is its position in its table, and a link holds the position of
the row it points at. An example without a row of its own is given an empty one at the end of its table.
numpy only, so that neither way needs the packages of the other.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dbt_rfm.errors import ModelError
from dbt_rfm.model.interface import FeatureTable, Labelled
from dbt_rfm.model.neighbourhood import Neighbourhood, RowTable
from dbt_rfm.task_kind import TaskKind

MAX_CLASSES = 10  # what the weights were made for


def check_question(known: Labelled) -> None:
    """Raises DataError without two examples, ModelError for more classes than the weights know."""
    known.require(2)
    if known.kind != TaskKind.REGRESSION and len(known.classes) > MAX_CLASSES:
        raise ModelError(
            f"the model kumo knows at most {MAX_CLASSES} classes, and the target has {len(known.classes)}",
            hint="Use the model 'rfm', or ask about groups of classes.",
        )


def around(examples: FeatureTable) -> Neighbourhood:
    """The rows around the examples; their features alone where they are no entities (pairs, steps)."""
    if examples.rows is not None:
        return examples.rows
    count = examples.num_rows
    table = RowTable(examples, FeatureTable((), (), ()), np.arange(count), np.zeros(count, dtype=np.int64))
    return Neighbourhood("examples", np.arange(count), {"examples": table}, ())


def pointers(rows: Neighbourhood, link_name: str) -> dict[str, dict[str, np.ndarray]]:
    """Per table and link that leaves it: the row each of its rows points at, -1 for none."""
    found: dict[str, dict[str, np.ndarray]] = {name: {} for name in rows.tables}
    for i, link in enumerate(rows.links):
        pointed = np.full(rows.tables[link.child].num_rows, -1)
        pointed[link.child_rows] = link.parent_rows
        found[link.child][f"{link_name}{i}"] = pointed
    return found


def owners(rows: Neighbourhood) -> np.ndarray:
    """Of each row of the entity's table, and of an empty one per example without: the example it is the own row of;
    -1, which no example is, for the others."""
    found = np.full(rows.tables[rows.entity].num_rows, -1)
    has = rows.own >= 0
    found[rows.own[has]] = np.flatnonzero(has)
    return np.r_[found, np.flatnonzero(~has)]


def padded(values: np.ndarray, count: int, missing: Any) -> np.ndarray:
    """As many values as `count`, the last of them missing."""
    short = count - len(values)
    if short <= 0:
        return values
    filler = np.full(short, missing, dtype=object if values.dtype == object else type(missing))
    return np.concatenate([values, filler])
