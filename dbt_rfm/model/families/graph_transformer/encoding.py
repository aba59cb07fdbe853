"""Examples and the rows around them as arrays that a batch can be cut from.

In: `FeatureTable`s with rows. Out: `Encoded`: per table the cells of its rows, and for every row the slot it has in
its example's set of tokens; slot 0 is the example itself, whose cells are its features. Numbers are described by the
rows of the context alone (the distance from their median, the rank among them), so are categories (a code each; the
rare and the unseen share one).
Time rule: that of the rows; a moment is its age at the example's anchor.

A set holds the rows of one example, and edges never leave it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dbt_rfm.errors import ModelError
from dbt_rfm.model.interface import CATEGORICAL, FeatureTable, require_columns
from dbt_rfm.model.neighbourhood import Neighbourhood

EXAMPLES = ""  # the name of the table of examples; no table of a warehouse is called so
MISSING, UNKNOWN, FIRST = 0, 1, 2  # codes of categories
_MAX_CODES = 2000
_LEAST_SEEN = 3
_GRID = 256  # quantiles a number's rank is read from
_HOPS = 3


@dataclass(frozen=True)
class ColumnScale:
    """A number column of the context."""

    centre: float
    scale: float
    grid: np.ndarray  # ascending quantiles; empty where nothing is known

    @classmethod
    def of(cls, values: np.ndarray) -> ColumnScale:
        known = values[np.isfinite(values)]
        if not len(known):
            return cls(0.0, 1.0, np.empty(0))
        low, centre, high = np.quantile(known, [0.1, 0.5, 0.9])
        scale = (high - low) / 2.56 if high > low else float(known.std())
        return cls(float(centre), float(scale) or 1.0, np.quantile(known, np.linspace(0, 1, _GRID)))

    def coded(self, values: np.ndarray) -> np.ndarray:
        """[N, 2] distance from the median in spreads, share of the context below; NaN for missing."""
        values = np.where(np.isfinite(values), values, np.nan)
        if not len(self.grid):
            return np.full((len(values), 2), np.nan, dtype=np.float32)
        below = np.searchsorted(self.grid, values, side="left") + np.searchsorted(self.grid, values, side="right")
        share = np.where(np.isnan(values), np.nan, (below + 1) / (2 * _GRID + 2))
        distance = np.clip((values - self.centre) / self.scale, -1e6, 1e6)
        return np.stack([distance, share], axis=1).astype(np.float32)


@dataclass(frozen=True)
class TableCodes:
    """What the context says about the columns of one table."""

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    scales: tuple[ColumnScale, ...]  # of the numbers, in their order
    categories: tuple[Mapping[str, int], ...]  # of the categories, in theirs
    ages: tuple[str, ...]

    @classmethod
    def of(cls, cells: FeatureTable, ages: FeatureTable) -> TableCodes:
        scales, categories = [], []
        for kind, column in zip(cells.kinds, cells.columns, strict=True):
            if kind == CATEGORICAL:
                counts = Counter(str(v) for v in column if v is not None)
                common = sorted((v for v in counts if counts[v] >= _LEAST_SEEN), key=lambda v: (-counts[v], v))
                categories.append({v: FIRST + i for i, v in enumerate(common[:_MAX_CODES])})
            else:
                scales.append(ColumnScale.of(np.asarray(column, dtype=np.float64)))
        return cls(cells.names, cells.kinds, tuple(scales), tuple(categories), ages.names)

    @property
    def num_codes(self) -> tuple[int, ...]:
        return tuple(FIRST + len(each) for each in self.categories)

    def tree(self) -> dict[str, Any]:
        """As `packing.packed` keeps it."""
        scales = [[each.centre, each.scale, each.grid] for each in self.scales]
        words = [list(each) for each in self.categories]
        return {"names": self.names, "kinds": self.kinds, "scales": scales, "words": words, "ages": self.ages}

    @classmethod
    def from_tree(cls, tree: Mapping[str, Any]) -> TableCodes:
        scales = tuple(ColumnScale(*each) for each in tree["scales"])
        categories = tuple({word: FIRST + i for i, word in enumerate(words)} for words in tree["words"])
        return cls(tuple(tree["names"]), tuple(tree["kinds"]), scales, categories, tuple(tree["ages"]))

    def cells(self, cells: FeatureTable, ages: FeatureTable, hop: np.ndarray) -> Cells:
        """Raises ModelError if the table has other columns than the context's."""
        require_columns(cells.names, self.names)
        require_columns(ages.names, self.ages)
        count = len(hop)
        numbers: list[np.ndarray] = []
        codes: list[list[int]] = []
        for kind, column in zip(self.kinds, cells.columns, strict=True):
            if kind == CATEGORICAL:
                known = self.categories[len(codes)]
                codes.append([MISSING if v is None else known.get(str(v), UNKNOWN) for v in column])
            else:
                numbers.append(self.scales[len(numbers)].coded(np.asarray(column, dtype=np.float64)))
        return Cells(
            np.stack(numbers, axis=1) if numbers else np.empty((count, 0, 2), dtype=np.float32),
            np.array(codes, dtype=np.int32).T.reshape(count, len(codes)),
            np.stack(ages.columns, axis=1).astype(np.float32) if ages.columns else np.empty((count, 0), np.float32),
            hop.astype(np.int8),
        )


@dataclass(frozen=True)
class Cells:
    """The rows of one table: [N, …] each."""

    numbers: np.ndarray  # [N, numbers, 2]
    codes: np.ndarray  # [N, categories]
    ages: np.ndarray  # [N, moments] days, NaN for none
    hop: np.ndarray  # [N]

    def take(self, rows: np.ndarray) -> Cells:
        return Cells(self.numbers[rows], self.codes[rows], self.ages[rows], self.hop[rows])


@dataclass(frozen=True)
class Ranges:
    """Items that lie in order of their example: those of example i are starts[i] to starts[i + 1]."""

    starts: np.ndarray

    @classmethod
    def of(cls, example: np.ndarray, count: int) -> Ranges:
        return cls(np.searchsorted(example, np.arange(count + 1)))

    def of_examples(self, examples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(positions of the items of these examples, place of the example of each)."""
        sizes = self.starts[examples + 1] - self.starts[examples]
        place = np.repeat(np.arange(len(examples)), sizes)
        first = np.cumsum(sizes) - sizes
        return self.starts[examples][place] + np.arange(len(place)) - first[place], place


@dataclass(frozen=True)
class EncodedTable:
    cells: Cells
    ranges: Ranges
    slot: np.ndarray  # [N] place in the set of its example
    path: np.ndarray  # [N] the link and direction it was come by, 0 for none


@dataclass(frozen=True)
class Encoded:
    """All examples of a table of them."""

    tables: Mapping[str, EncodedTable]
    edges: np.ndarray  # [E, 3] slot it comes from, slot it goes to, kind of the edge
    edge_ranges: Ranges
    own: np.ndarray  # [examples] slot of the own row, 0 without one
    sizes: np.ndarray  # [examples] tokens

    @property
    def num_examples(self) -> int:
        return len(self.sizes)


@dataclass(frozen=True)
class GraphCodes:
    """What is known of a context: all that the arrays of other examples need."""

    entity: str
    tables: Mapping[str, TableCodes]
    links: tuple[str, ...]
    features: bool

    @classmethod
    def of(cls, context: FeatureTable, features: bool) -> GraphCodes:
        rows = context.rows
        found = {EXAMPLES: TableCodes.of(_cells(context, features or rows is None), _NOTHING)}
        for name, table in rows.tables.items() if rows is not None else ():
            found[name] = TableCodes.of(table.cells, table.ages)
        links = tuple(link.name for link in rows.links) if rows is not None else ()
        return cls(rows.entity if rows is not None else EXAMPLES, found, links, features or rows is None)

    @property
    def num_edge_kinds(self) -> int:
        return 2 * len(self.links)

    def tree(self) -> dict[str, Any]:
        """As `packing.packed` keeps it."""
        tables = {name: table.tree() for name, table in self.tables.items()}
        return {"entity": self.entity, "tables": tables, "links": self.links, "features": self.features}

    @classmethod
    def from_tree(cls, tree: Mapping[str, Any]) -> GraphCodes:
        tables = {name: TableCodes.from_tree(each) for name, each in tree["tables"].items()}
        return cls(tree["entity"], tables, tuple(tree["links"]), tree["features"])

    def encoded(self, examples: FeatureTable) -> Encoded:
        """Raises ModelError if these have other tables or columns than the context."""
        rows = examples.rows if examples.rows is not None else _no_rows(examples.num_rows)
        if set(rows.tables) != set(self.tables) - {EXAMPLES} or tuple(x.name for x in rows.links) != self.links:
            raise ModelError(
                "the query has rows of other tables or links than the context",
                hint="Collect both in one snapshot, or train anew.",
            )
        count = examples.num_rows
        zeros = np.zeros(count, dtype=np.int64)
        cells = self.tables[EXAMPLES].cells(_cells(examples, self.features), _NOTHING, zeros)
        tables = {EXAMPLES: EncodedTable(cells, Ranges.of(np.arange(count), count), zeros, zeros)}
        sizes, slots = np.ones(count, dtype=np.int64), {}
        paths = _paths(rows)
        for name, table in rows.tables.items():
            order = np.argsort(table.example, kind="stable")
            ranges = Ranges.of(table.example[order], count)
            rank = np.arange(len(order)) - ranges.starts[table.example[order]]
            slot = sizes[table.example[order]] + rank
            slots[name] = np.empty(len(order), dtype=np.int64)
            slots[name][order] = slot
            coded = self.tables[name].cells(table.cells, table.ages, np.minimum(table.hop, _HOPS - 1))
            tables[name] = EncodedTable(coded.take(order), ranges, slot, paths[name][order])
            sizes = sizes + np.diff(ranges.starts)
        edges, of = _edges(rows, slots)
        own = np.zeros(count, dtype=np.int64)
        has = rows.own >= 0
        own[has] = slots[rows.entity][rows.own[has]] if has.any() else 0
        return Encoded(tables, edges, Ranges.of(of, count), own, sizes)


_NOTHING = FeatureTable((), (), ())


def _cells(examples: FeatureTable, features: bool) -> FeatureTable:
    return replace(examples, rows=None) if features else _NOTHING


def _no_rows(count: int) -> Neighbourhood:
    return Neighbourhood(EXAMPLES, np.full(count, -1), {}, ())


def _paths(rows: Neighbourhood) -> dict[str, np.ndarray]:
    """Of each row the link by which it hangs on a row nearer to the entity: 1 + twice the link for the side that
    points, one more for the side that is pointed at; 0 for none."""
    found = {name: np.zeros(table.num_rows, dtype=np.int64) for name, table in rows.tables.items()}
    for i, link in enumerate(rows.links):
        child, parent = rows.tables[link.child], rows.tables[link.parent]
        near, far = parent.hop[link.parent_rows], child.hop[link.child_rows]
        found[link.child][link.child_rows[far > near]] = 1 + 2 * i
        found[link.parent][link.parent_rows[near > far]] = 2 + 2 * i
    return found


def _edges(rows: Neighbourhood, slots: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """([E, 3] in order of their examples, [E] the examples); each link gives an edge either way."""
    parts, owners = [np.empty((0, 3), dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for i, link in enumerate(rows.links):
        child, parent = slots[link.child][link.child_rows], slots[link.parent][link.parent_rows]
        of = rows.tables[link.child].example[link.child_rows]
        for kind, source, goal in ((2 * i, child, parent), (2 * i + 1, parent, child)):
            parts.append(np.stack([source, goal, np.full(len(of), kind)], axis=1))
            owners.append(of)
    edges, of = np.concatenate(parts), np.concatenate(owners)
    order = np.argsort(of, kind="stable")
    return edges[order], of[order]
