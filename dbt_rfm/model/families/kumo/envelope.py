"""Our examples in the form an endpoint of Kumo Relational reads: one instance table and the tables related to it.

In: a `FeatureTable` with the rows around its examples, and labels for a context. Out: the parts of one request as plain
lists and dictionaries, ready for JSON. Every row of every table carries the `instance_id` of its example; rows point at
rows by numbers of ours, and an example at its own row by its reference.
Values travel, names do not: tables, columns and classes have names of ours (`feature0`, `table1.cell2`, `c3`), which is
all the model is told in the local way of asking, too; `names_of` says what they stand for.
Time rule: that of the rows. Every example's anchor is the same moment, 2000-01-01, and moments keep their distance to
it, up to 250 years, which is as far as the nanoseconds of an endpoint reach.
Source: the requests that NVIDIA's structured-data-models-client 1.0 (Apache-2.0) makes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dbt_rfm.model.families.kumo.examples import around, owners, padded, pointers
from dbt_rfm.model.interface import NUMERICAL, FeatureTable
from dbt_rfm.model.neighbourhood import Neighbourhood, RowTable
from dbt_rfm.task_kind import TaskKind

INSTANCE, REFERENCE, ANCHOR, TARGET = "instance_id", "__kumo_entity_ref_0", "__kumo_anchor_time", "TARGET"
MODEL = "kumo-relational"
_ROW, _LINK = "__node_id", "link"
_FAST = 1000  # examples of a context that an endpoint calls fast
_AT = np.datetime64("2000-01-01", "us")
_DAY = 86_400_000_000  # microseconds
_REACH = 250 * 365.25  # days

Half = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """Cells of one column as JSON has them; `required`: none of them is null."""

    name: str
    dtype: str
    stype: str
    cells: list[Any]
    required: bool = False

    def spec(self) -> dict[str, Any]:
        return {"dtype": self.dtype, "stype": self.stype} | ({"nullable": False} if self.required else {})


@dataclass(frozen=True)
class Table:
    columns: tuple[Column, ...]
    key: str | list[str]

    def spec(self) -> dict[str, Any]:
        return {"columns": {column.name: column.spec() for column in self.columns}, "primary_key": self.key}

    def arrays(self) -> dict[str, Any]:
        rows = [list(row) for row in zip(*(column.cells for column in self.columns), strict=True)]
        return {"format": "arrays", "columns": [column.name for column in self.columns], "rows": rows}


@dataclass(frozen=True)
class Tables:
    """The tables of one half of a request: the context, or rows to predict."""

    instances: Table
    related: Mapping[str, Table]
    relationships: tuple[dict[str, Any], ...]

    def schema(self) -> dict[str, Any]:
        return {
            "instance_table": self.instances.spec(),
            "related_tables": {name: table.spec() for name, table in self.related.items()},
            "relationships": list(self.relationships),
        }

    def half(self) -> Half:
        return {
            "instance_table": self.instances.arrays(),
            "related_tables": {name: table.arrays() for name, table in self.related.items()},
        }

    @property
    def most_rows(self) -> int:
        return max(len(table.columns[0].cells) for table in self.related.values())


def tables_of(examples: FeatureTable, *, first: int = 0, first_row: int = 0, target: Column | None = None) -> Tables:
    """Examples are numbered from `first`, rows from `first_row`, so that those of two halves are never the same."""
    rows = around(examples)
    names = {name: f"table{i}" for i, name in enumerate(rows.tables)}
    pointing = pointers(rows, _LINK)
    whose = owners(rows)
    related = {
        names[name]: _related(table, pointing[name], whose if name == rows.entity else table.example, first, first_row)
        for name, table in rows.tables.items()
    }
    return Tables(_instances(examples, whose, first, first_row, target), related, _relationships(rows, names))


def target_column(labels: np.ndarray, kind: TaskKind) -> Column:
    """Of positions among the classes that the context has, or of numbers."""
    if kind == TaskKind.REGRESSION:
        return Column(TARGET, "float64", "numerical", labels.astype(np.float64).tolist())
    if kind == TaskKind.BINARY:
        return Column(TARGET, "bool", "categorical", (labels > 0).tolist())
    return Column(TARGET, "string", "categorical", [class_name(label) for label in labels])


def class_name(position: int) -> str:
    return f"c{position}"


def task_of(kind: TaskKind, target: Column, classes: int, entity: str) -> dict[str, Any]:
    kinds = {TaskKind.REGRESSION: "regression", TaskKind.BINARY: "binary_classification"}
    spec: dict[str, Any] = {"column_name": target.name, "dtype": target.dtype}
    if kind == TaskKind.BINARY:
        spec |= {"classes": ["false", "true"], "positive_class": "true"}
    elif kind != TaskKind.REGRESSION:
        spec["classes"] = [class_name(i) for i in range(classes)]
    return {
        "kind": kinds.get(kind, "multiclass_classification"),
        "target": spec,
        "entity_table_names": [entity],
        "anchor_time_column": ANCHOR,
    }


def entity_table(examples: FeatureTable) -> str:
    rows = around(examples)
    return f"table{list(rows.tables).index(rows.entity)}"


def inference_of(context: int) -> dict[str, Any]:
    return {"run_mode": "fast" if context <= _FAST else "best", "use_prediction_time": False}


def names_of(examples: FeatureTable) -> dict[str, str]:
    """What the names of ours stand for, to be read in an endpoint's complaint."""
    rows = around(examples)
    told = {f"feature{i}": name for i, name in enumerate(examples.names)}
    for i, (name, table) in enumerate(rows.tables.items()):
        told[f"table{i}"] = name
        told |= {f"table{i}.cell{j}": f"{name}.{cell}" for j, cell in enumerate(table.cells.names)}
        told |= {f"table{i}.moment{j}": f"{name}.{moment}" for j, moment in enumerate(table.ages.names)}
    return told


def texts_of(*halves: Half) -> set[str]:
    """The texts among all cells."""
    tables = (table for half in halves for table in (half["instance_table"], *half["related_tables"].values()))
    return {cell for table in tables for row in table["rows"] for cell in row if isinstance(cell, str)}


def _instances(examples: FeatureTable, whose: np.ndarray, first: int, first_row: int, target: Column | None) -> Table:
    count = examples.num_rows
    own = np.full(count, -1)
    own[whose[whose >= 0]] = np.flatnonzero(whose >= 0)
    at = np.datetime_as_string(_AT) + "Z"
    columns = [
        Column(INSTANCE, "int64", "ID", list(range(first, first + count)), required=True),
        Column(REFERENCE, "int64", "ID", (own + first_row).tolist()),
        Column(ANCHOR, "timestamp[us]", "timestamp", [at] * count, required=True),
        *_cells(examples, "feature", count),
    ]
    return Table((*columns, target) if target is not None else tuple(columns), INSTANCE)


def _related(
    table: RowTable, pointing: Mapping[str, np.ndarray], whose: np.ndarray, first: int, first_row: int
) -> Table:
    """`whose`: of which example each row is the own row, where the table is the entity's (more of them than rows where
    an example has none); -1 where a row says itself which example it belongs to."""
    count = len(whose)
    example = np.where(whose >= 0, whose, padded(table.example, count, -1))
    columns = [
        Column(INSTANCE, "int64", "ID", (example + first).tolist(), required=True),
        Column(_ROW, "int64", "ID", list(range(first_row, first_row + count)), required=True),
        *(Column(name, "int64", "ID", _pointed(rows, count, first_row)) for name, rows in pointing.items()),
        *_cells(table.cells, "cell", count),
        *(Column(f"moment{i}", "timestamp[us]", "timestamp", _moments(ages, count)) for i, ages in _ages(table)),
    ]
    return Table(tuple(columns), [INSTANCE, _ROW])


def _relationships(rows: Neighbourhood, names: Mapping[str, str]) -> tuple[dict[str, Any], ...]:
    own = {"source_columns": [REFERENCE], "target_table": names[rows.entity], "target_columns": [_ROW]}
    links = (
        {
            "source_table": names[link.child],
            "source_columns": [f"{_LINK}{i}"],
            "target_table": names[link.parent],
            "target_columns": [_ROW],
        }
        for i, link in enumerate(rows.links)
    )
    return (own, *links)


def _cells(table: FeatureTable, name: str, count: int) -> Iterable[Column]:
    for i, (kind, values) in enumerate(zip(table.kinds, table.columns, strict=True)):
        if kind == NUMERICAL:
            filled = padded(values, count, np.nan)
            yield Column(f"{name}{i}", "float64", "numerical", _nulls(filled, ~np.isfinite(filled)))
        else:
            yield Column(f"{name}{i}", "string", "categorical", padded(values, count, None).tolist())


def _pointed(rows: np.ndarray, count: int, first_row: int) -> list[Any]:
    filled = padded(rows, count, -1)
    return _nulls(filled + first_row, filled < 0)


def _ages(table: RowTable) -> Iterable[tuple[int, np.ndarray]]:
    return enumerate(table.ages.columns)


def _moments(ages: np.ndarray, count: int) -> list[Any]:
    filled = padded(ages, count, np.nan)
    missing = np.isnan(filled)
    before = np.clip(np.where(missing, 0, filled), -_REACH, _REACH) * _DAY
    texts = np.datetime_as_string(_AT - before.astype(np.int64).astype("timedelta64[us]"), unit="us")
    return _nulls(np.char.add(texts, "Z"), missing)


def _nulls(values: np.ndarray, missing: np.ndarray) -> list[Any]:
    cells = values.astype(object)
    cells[missing] = None
    return list(cells.tolist())
