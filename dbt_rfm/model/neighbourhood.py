"""The sampled rows around examples, as a graph: for models that read rows instead of features.

In: a snapshot with `rows/` and the positions of some of its examples. Out: per table its rows in numpy, each belonging
to one example, and per link which row points at which. A row that is reached by several paths is there once, so are
its links; an example whose entity has no row of its own has `own` -1.
Time rule: that of the bundle's rows (`plan/neighbours.py`): none lies after its example's anchor. `age` is how long
before the anchor a time lies, in days.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dbt_rfm.errors import ModelError
from dbt_rfm.model.interface import CATEGORICAL, NUMERICAL, FeatureTable
from dbt_rfm.snapshot import Snapshot

AGE = "age"  # a column of a moment: days before the example's anchor, NaN for none
_SECONDS = 86_400.0
_KINDS = {
    "numerical": NUMERICAL,
    "categorical": CATEGORICAL,
    "boolean": CATEGORICAL,
    "timestamp": AGE,
}


@dataclass(frozen=True)
class RowTable:
    """Rows of one table: [N] each."""

    cells: FeatureTable  # numbers and categories
    ages: FeatureTable  # moments, as days before the anchor of the row's example
    example: np.ndarray  # position of the example among those asked for
    hop: np.ndarray  # links between the row and its entity, 0 to 2

    @property
    def num_rows(self) -> int:
        return len(self.example)

    def take(self, rows: np.ndarray, place: np.ndarray) -> RowTable:
        """The given rows; `place` is the new number of each example."""
        return RowTable(self.cells.take(rows), self.ages.take(rows), place[self.example[rows]], self.hop[rows])


@dataclass(frozen=True)
class RowLink:
    """Edges between rows of the same example: `child_rows[i]` points at `parent_rows[i]`."""

    name: str  # orders.customer_id -> customers
    child: str
    parent: str
    child_rows: np.ndarray
    parent_rows: np.ndarray

    def among(self, moved: Mapping[str, np.ndarray]) -> RowLink:
        """The edges between the rows that are left; `moved`: per table the new number of each row, -1 for gone."""
        child, parent = moved[self.child][self.child_rows], moved[self.parent][self.parent_rows]
        left = (child >= 0) & (parent >= 0)
        return replace(self, child_rows=child[left], parent_rows=parent[left])


@dataclass(frozen=True)
class Neighbourhood:
    entity: str  # the table of the examples' own rows
    own: np.ndarray  # [examples] row in that table, -1 without one
    tables: Mapping[str, RowTable]
    links: tuple[RowLink, ...]

    @property
    def num_examples(self) -> int:
        return len(self.own)

    def take(self, examples: np.ndarray) -> Neighbourhood:
        """The rows of the given examples (positions or a mask), which are numbered anew in that order."""
        chosen = np.arange(self.num_examples)[examples]
        place = np.full(self.num_examples, -1)
        place[chosen] = np.arange(len(chosen))
        kept = {name: np.flatnonzero(place[table.example] >= 0) for name, table in self.tables.items()}
        moved = {name: _numbering(rows, self.tables[name].num_rows) for name, rows in kept.items()}
        tables = {name: table.take(kept[name], place) for name, table in self.tables.items()}
        own = np.where(self.own[chosen] >= 0, moved[self.entity][self.own[chosen]], -1)
        return Neighbourhood(self.entity, own, tables, tuple(link.among(moved) for link in self.links))


def neighbourhood(snapshot: Snapshot, positions: np.ndarray) -> Neighbourhood:
    """The rows around the examples at `positions`, in their order. Raises ModelError if the bundle has no rows.

    Tables and columns come in the order of their names: a bundle that is read again has them in no other.
    """
    if not snapshot.rows:
        raise ModelError(
            "this model reads the rows around each entity, and the snapshot has none",
            hint="It was collected for a model that reads features, or for too many examples at once: lower "
            "context_size, ask about fewer with WHERE, or use the model 'rfm'.",
        )
    found = {name: _Rows(snapshot, name, positions) for name in sorted(snapshot.rows)}
    links = tuple(
        _edges(found, child, column, parent, key)
        for child, column, parent, key in snapshot.graph["links"]
        if child in found and parent in found
    )
    entity = snapshot.graph["entity"]
    own = np.full(len(positions), -1)
    mine = np.flatnonzero(found[entity].hop == 0)
    own[found[entity].example[mine]] = mine
    return Neighbourhood(entity, own, {name: rows.table() for name, rows in found.items()}, links)


def _numbering(kept: np.ndarray, count: int) -> np.ndarray:
    """The new number of each of `count` rows, -1 for those that are not kept."""
    numbers = np.full(count, -1)
    numbers[kept] = np.arange(len(kept))
    return numbers


class _Rows:
    """One table's rows of the examples asked for, each once."""

    def __init__(self, snapshot: Snapshot, name: str, positions: np.ndarray) -> None:
        self.name, self.known = name, snapshot.graph["tables"][name]
        examples = snapshot.examples.take(pa.array(positions, type=pa.int64()))
        place = pc.index_in(snapshot.rows[name]["example_id"].cast(pa.int64()), examples["example_id"].cast(pa.int64()))
        rows = snapshot.rows[name].append_column("rfm_place", place).filter(pc.is_valid(place))
        self.rows = _once(rows, self.known["key"])
        self.example = _ints(self.rows["rfm_place"])
        self.hop = _ints(self.rows["hop"])
        self.anchors = _moments(examples["anchor_time"])[self.example]

    def table(self) -> RowTable:
        cells: list[tuple[str, str, np.ndarray]] = []
        ages: list[tuple[str, str, np.ndarray]] = []
        for column, meaning in sorted(self.known["columns"].items()):
            kind = _KINDS.get(meaning)
            if kind is None or column not in self.rows.column_names:
                continue
            values = self.rows[column]
            if kind == AGE:
                ages.append((column, NUMERICAL, (self.anchors - _moments(values)) / _SECONDS))
            elif kind == NUMERICAL:
                cells.append((column, kind, _numbers(values)))
            else:
                cells.append((column, kind, np.array(values.cast(pa.string()).to_pylist(), dtype=object)))
        return RowTable(_features(cells), _features(ages), self.example, self.hop)

    def keyed(self, column: str) -> pa.Table:
        """(place, value, row) where the column has a value; values as text, so that both sides of a link compare."""
        rows = pa.array(np.arange(len(self.example)))
        values = self.rows[column].cast(pa.string())
        table = pa.table({"place": self.rows["rfm_place"].cast(pa.int64()), "value": values, "row": rows})
        return table.filter(pc.is_valid(values))


def _once(rows: pa.Table, key: list[str]) -> pa.Table:
    """The nearest of the rows with the same example and key."""
    rows = rows.sort_by([("rfm_place", "ascending"), ("hop", "ascending")])
    if not key or not len(rows):
        return rows
    numbered = rows.select(["rfm_place", *key]).append_column("rfm_row", pa.array(np.arange(len(rows))))
    first = numbered.group_by(["rfm_place", *key]).aggregate([("rfm_row", "min")])["rfm_row_min"]
    return rows.take(pa.array(np.sort(_ints(first))))


def _edges(found: Mapping[str, _Rows], child: str, column: str, parent: str, key: str) -> RowLink:
    pointing, pointed = found[child].keyed(column), found[parent].keyed(key)
    pointed = pointed.rename_columns(["place", "value", "parent_row"])
    both = pointing.join(pointed, keys=["place", "value"], join_type="inner").sort_by("row")
    return RowLink(f"{child}.{column} -> {parent}", child, parent, _ints(both["row"]), _ints(both["parent_row"]))


def _features(columns: list[tuple[str, str, np.ndarray]]) -> FeatureTable:
    names, kinds, values = zip(*columns, strict=True) if columns else ((), (), ())
    return FeatureTable(tuple(names), tuple(kinds), tuple(values))


def _numbers(values: pa.ChunkedArray) -> np.ndarray:
    numbers = values.cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _moments(values: pa.ChunkedArray) -> np.ndarray:
    """Seconds, NaN for none."""
    return _numbers(values.cast(pa.timestamp("us")).cast(pa.int64())) / 1e6


def _ints(values: pa.ChunkedArray) -> np.ndarray:
    return values.cast(pa.int64()).to_numpy(zero_copy_only=False).astype(np.int64)
