"""Our examples in the form that structured-data-models reads: a task table and the tables related to it.

In: a `FeatureTable` with the rows around its examples. Out: its task table (features, anchor) and `RelatedTables`.
A row's id and a link's value are positions (`examples.py`). Which of the entity table's rows an example is about is
said by one more column, `rfm_own`.
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

from dbt_rfm.model.families.kumo.examples import around, owners, padded, pointers
from dbt_rfm.model.interface import NUMERICAL, FeatureTable
from dbt_rfm.model.neighbourhood import RowTable

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
    rows = around(examples)
    pointing = pointers(rows, _LINK)
    tables = {
        name: _related(table, pointing[name], owners(rows) if name == rows.entity else None, device)
        for name, table in rows.tables.items()
    }
    relationships = [
        {
            "left_table": link.child,
            "left_columns": f"{_LINK}{i}",
            "right_table": link.parent,
            "right_columns": _ROW,
        }
        for i, link in enumerate(rows.links)
    ]
    link = {"task_columns": EXAMPLE, "table": rows.entity, "table_columns": _OWN}
    return RelatedTables(tables=tables, relationships=relationships, task_links=[link])


def _related(table: RowTable, pointing: Mapping[str, np.ndarray], whose: np.ndarray | None, device: str) -> TableTensor:
    """`whose`: for the entity's table, the example each row is the own row of; more of them than rows where an
    example has none."""
    count = table.num_rows if whose is None else len(whose)
    meanings = {_ROW: "id", **dict.fromkeys(pointing, "id")}
    columns: dict[str, Any] = {_ROW: pa.array(np.arange(count))}
    columns |= {name: pa.array(padded(rows, count, -1)) for name, rows in pointing.items()}
    if whose is not None:
        columns[_OWN], meanings[_OWN] = pa.array(whose), "id"
    columns |= _cells(table.cells, meanings, "cell", count)
    for i, ages in enumerate(table.ages.columns):
        moments = padded(-ages * _MICROSECONDS_PER_DAY, count, np.nan)
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
        filled = padded(values, count, np.nan if number else None)
        found[f"{name}{i}"] = pa.array(filled.astype(np.float32) if number else filled.tolist())
        if not number:
            found[f"{name}{i}"] = found[f"{name}{i}"].cast(pa.string())
        meanings[f"{name}{i}"] = "numerical" if number else "categorical"
    return found


def as_numpy(values: TableTensor) -> np.ndarray:
    """[rows, columns] the numbers of a prediction."""
    found: torch.Tensor = values.numerical
    return found.reshape(-1, found.shape[-1]).double().cpu().numpy()
