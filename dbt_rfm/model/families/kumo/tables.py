"""Our examples in the form that structured-data-models reads: a task table and the tables related to it.

In: a `FeatureTable` with the rows around its examples. Out: its task table (features, anchor) and `RelatedTables`.
Every example has rows of its own, so a neighbourhood never overlaps with another: a row's id is its position in its
table, and a link's column holds the position of the row it points at. Which of the entity table's rows an example is
about is said by one more column, `rfm_own`. An example without a row of its own gets an empty one.
Time rule: that of the rows. A moment is given as microseconds after the anchor of its example (negative: before), so
the task table's anchor is 0 for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from sdm import RelatedTables, TableTensor

from dbt_rfm.model.interface import NUMERICAL, FeatureTable
from dbt_rfm.model.neighbourhood import Neighbourhood, RowTable

EXAMPLE, ANCHOR = "rfm_example", "rfm_anchor"
_ROW, _OWN, _LINK = "rfm_row", "rfm_own", "rfm_link"
_MICROSECONDS_PER_DAY = 86_400_000_000


def task_table(examples: FeatureTable, device: str) -> TableTensor:
    """[examples] one row each: its number, its features, its anchor."""
    count = examples.num_rows
    columns: dict[str, Any] = {EXAMPLE: pa.array(np.arange(count))}
    meanings = {EXAMPLE: "id", ANCHOR: "datetime"}
    columns |= _cells(examples, meanings, "feature")
    columns[ANCHOR] = pa.array(np.zeros(count, dtype="datetime64[us]"))
    return TableTensor.from_arrow(pa.table(columns), meanings, device=device)


def target_column(labels: np.ndarray, *, numbers: bool, device: str) -> TableTensor:
    """[examples, 1] class positions or numbers."""
    values = pa.array(labels.astype(np.float32 if numbers else np.int64))
    return TableTensor.from_arrow(
        pa.table({"target": values}), {"target": "numerical" if numbers else "categorical"}, device=device
    )


def related_tables(examples: FeatureTable, device: str) -> RelatedTables:
    around = examples.rows if examples.rows is not None else _only_themselves(examples)
    pointers = _pointers(around)
    tables = {
        name: _related(table, pointers[name], _owners(around) if name == around.entity else None, device)
        for name, table in around.tables.items()
    }
    relationships = [
        {
            "left_table": link.child,
            "left_columns": f"{_LINK}{i}",
            "right_table": link.parent,
            "right_columns": _ROW,
        }
        for i, link in enumerate(around.links)
    ]
    link = {"task_columns": EXAMPLE, "table": around.entity, "table_columns": _OWN}
    return RelatedTables(tables=tables, relationships=relationships, task_links=[link])


def _related(
    table: RowTable, pointers: Mapping[str, np.ndarray], owners: np.ndarray | None, device: str
) -> TableTensor:
    """`owners`: for the entity's table, the example each row is the own row of; more of them than rows where an
    example has none."""
    count = table.num_rows if owners is None else len(owners)
    meanings = {_ROW: "id", **dict.fromkeys(pointers, "id")}
    columns: dict[str, Any] = {_ROW: pa.array(np.arange(count))}
    columns |= {name: pa.array(_padded(rows, count, -1)) for name, rows in pointers.items()}
    if owners is not None:
        columns[_OWN], meanings[_OWN] = pa.array(owners), "id"
    columns |= _cells(table.cells, meanings, "cell", count)
    for i, ages in enumerate(table.ages.columns):
        moments = _padded(-ages * _MICROSECONDS_PER_DAY, count, np.nan)
        missing = np.isnan(moments)
        whole = np.where(missing, 0, moments).astype(np.int64)
        columns[f"moment{i}"] = pa.array(whole, mask=missing).cast(pa.timestamp("us"))
        meanings[f"moment{i}"] = "datetime"
    return TableTensor.from_arrow(pa.table(columns), meanings, device=device)


def _cells(table: FeatureTable, meanings: dict[str, str], name: str, count: int | None = None) -> dict[str, pa.Array]:
    """Numbers and categories under names of our own; missing at the end up to `count` rows."""
    found: dict[str, pa.Array] = {}
    count = table.num_rows if count is None else count
    for i, (kind, values) in enumerate(zip(table.kinds, table.columns, strict=True)):
        number = kind == NUMERICAL
        filled = _padded(values, count, np.nan if number else None)
        found[f"{name}{i}"] = pa.array(filled.astype(np.float32) if number else filled.tolist())
        if not number:
            found[f"{name}{i}"] = found[f"{name}{i}"].cast(pa.string())
        meanings[f"{name}{i}"] = "numerical" if number else "categorical"
    return found


def _pointers(around: Neighbourhood) -> dict[str, dict[str, np.ndarray]]:
    """Per table and link that leaves it: the row each of its rows points at, -1 for none."""
    found: dict[str, dict[str, np.ndarray]] = {name: {} for name in around.tables}
    for i, link in enumerate(around.links):
        rows = np.full(around.tables[link.child].num_rows, -1)
        rows[link.child_rows] = link.parent_rows
        found[link.child][f"{_LINK}{i}"] = rows
    return found


def _owners(around: Neighbourhood) -> np.ndarray:
    """Of each row of the entity's table, and of an empty one per example without: the example it is the own row of;
    a number that no example has for the others."""
    table = around.tables[around.entity]
    owners = np.full(table.num_rows, -1)
    has = around.own >= 0
    owners[around.own[has]] = np.flatnonzero(has)
    return np.r_[owners, np.flatnonzero(~has)]


def _only_themselves(examples: FeatureTable) -> Neighbourhood:
    """A graph of nothing but one row per example, for questions whose examples are no entities (pairs, steps)."""
    count = examples.num_rows
    nothing = FeatureTable((), (), ())
    table = RowTable(examples, nothing, np.arange(count), np.zeros(count, dtype=np.int64))
    return Neighbourhood("examples", np.arange(count), {"examples": table}, ())


def _padded(values: np.ndarray, count: int, missing: Any) -> np.ndarray:
    short = count - len(values)
    if short <= 0:
        return values
    filler = np.full(short, missing, dtype=object if values.dtype == object else type(missing))
    return np.concatenate([values, filler])


def as_numpy(values: TableTensor) -> np.ndarray:
    """[rows, columns] the numbers of a prediction."""
    found: torch.Tensor = values.numerical
    return found.reshape(-1, found.shape[-1]).double().cpu().numpy()
