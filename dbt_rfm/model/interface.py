"""What goes into a predictive model and what comes out: numpy and the standard library only.

In: a `FeatureTable` of labelled context examples, their labels, and a `FeatureTable` of query examples with the same
columns. Out: `Predictions`, one row per query example, in the order given.
Time rule: none here. Whoever builds the tables answers for it that no column of an example looks past its anchor;
the `times` of examples (any numbers that grow with time) only let a model prefer recent context.
The convention follows in-context learners (context, labels, query), so that other models can stand in for ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from dbt_rfm.errors import DataError, ModelError
from dbt_rfm.task_kind import TaskKind

if TYPE_CHECKING:
    from dbt_rfm.model.neighbourhood import Neighbourhood
    from dbt_rfm.model.prepared import Prepared

NUMERICAL = "numerical"
CATEGORICAL = "categorical"
KEYS = "keys"  # lists of keys, as `snapshot.KEYS`
Progress = Callable[[str], None]  # told the name of each stage as it starts
LEVELS = (0.1, 0.5, 0.9)  # of a quantile where three are enough: the middle and four fifths around it


@dataclass(frozen=True)
class FeatureTable:
    """Columns side by side, one row per example.

    A numerical column is float64 (float32 of a word) with NaN for missing; a categorical one is an object array of str,
    None for missing; one of keys too, several of them with `snapshot.BETWEEN_KEYS` in between.
    """

    names: tuple[str, ...]
    kinds: tuple[str, ...]
    columns: tuple[np.ndarray, ...]
    rows: Neighbourhood | None = None  # of the same examples, for models that read them

    def __post_init__(self) -> None:
        if not len(self.names) == len(self.kinds) == len(self.columns):
            raise ModelError(
                f"a feature table needs one name, kind and array per column, got {len(self.names)} names, "
                f"{len(self.kinds)} kinds and {len(self.columns)} arrays"
            )
        for name, kind, column in zip(self.names, self.kinds, self.columns, strict=True):
            if kind not in (NUMERICAL, CATEGORICAL, KEYS):
                raise ModelError(f"column {name}: kind is {kind!r}, expected 'numerical', 'categorical' or 'keys'")
            if len(column) != self.num_rows:
                raise ModelError(f"column {name}: expected {self.num_rows} rows, got {len(column)}")

    @property
    def num_rows(self) -> int:
        return len(self.columns[0]) if self.columns else 0

    def take(self, rows: np.ndarray) -> FeatureTable:
        """The given rows (positions or a mask), in that order."""
        around = self.rows.take(rows) if self.rows is not None else None
        return FeatureTable(self.names, self.kinds, tuple(column[rows] for column in self.columns), around)

    def parts(self, most: int) -> Iterator[FeatureTable]:
        """The rows in order, at most so many at once; a table without rows is one part."""
        for start in range(0, max(self.num_rows, 1), most):
            yield self.take(np.arange(start, min(start + most, self.num_rows)))

    def select(self, positions: tuple[int, ...]) -> FeatureTable:
        """The columns at the given positions, in that order."""
        return FeatureTable(
            tuple(self.names[i] for i in positions),
            tuple(self.kinds[i] for i in positions),
            tuple(self.columns[i] for i in positions),
            self.rows,
        )

    def without(self, kind: str) -> FeatureTable:
        """The columns of all other kinds."""
        return self.select(tuple(i for i, each in enumerate(self.kinds) if each != kind))


def require_columns(found: Sequence[str], wanted: Sequence[str]) -> None:
    """Raises ModelError if a query has other columns than the context, and names some."""
    if found != wanted:
        other = sorted({*found} ^ {*wanted}) or ["their order"]
        raise ModelError(
            f"query and context differ in their columns: {', '.join(other[:5])}",
            hint="Give both tables the same columns in the same order.",
        )


@dataclass(frozen=True)
class Labelled:
    """Examples and what came of them."""

    examples: FeatureTable
    labels: np.ndarray  # [N] class positions (binary: 1 = true) or float64
    kind: TaskKind
    classes: tuple[str, ...]  # () for a number
    times: np.ndarray | None = None  # [N] any numbers that grow with time, to prefer what is recent

    def require(self, least: int) -> None:
        """Raises DataError where there are fewer to learn from."""
        if len(self.labels) < least:
            raise DataError(
                f"there are too few labelled examples to learn from: {len(self.labels)}, expected at least {least}",
                hint="Widen the window or the WHERE of the query, or choose an earlier anchor.",
            )

    def take(self, rows: np.ndarray) -> Labelled:
        """The given examples (positions or a mask), in that order."""
        times = None if self.times is None else self.times[rows]
        return replace(self, examples=self.examples.take(rows), labels=self.labels[rows], times=times)

    def newest(self, most: int) -> Labelled:
        """At most so many of them, the newest, in their order; without times the last."""
        if len(self.labels) <= most:
            return self
        order = np.arange(len(self.labels)) if self.times is None else np.argsort(self.times, kind="stable")
        return self.take(np.sort(order[-most:]))


@dataclass(frozen=True)
class Predictions:
    """One row per query example. Which arrays are there depends on `kind`."""

    kind: TaskKind
    classes: tuple[str, ...]  # () for regression, ('false', 'true') for binary
    probabilities: np.ndarray | None = None  # [Q, K], rows sum to 1
    mean: np.ndarray | None = None  # [Q]
    levels: tuple[float, ...] = ()
    quantiles: np.ndarray | None = None  # [Q, L], non-decreasing along L

    @property
    def num_rows(self) -> int:
        values = self.probabilities if self.probabilities is not None else self.quantiles
        return 0 if values is None else len(values)

    def quantile(self, level: float) -> np.ndarray:
        """[Q] the quantile at `level`, linear between the model's own levels, flat outside them."""
        if self.quantiles is None:
            raise ModelError(f"a {self.kind} prediction has no quantiles")
        levels = np.asarray(self.levels)
        at = float(np.clip(level, levels[0], levels[-1]))
        right = int(np.clip(np.searchsorted(levels, at), 1, len(levels) - 1))
        share = (at - levels[right - 1]) / (levels[right] - levels[right - 1])
        return self.quantiles[:, right - 1] * (1 - share) + self.quantiles[:, right] * share


@dataclass(frozen=True)
class Provenance:
    """Whose answer it is, for the registry and the reader."""

    version: str  # name and release of the weights
    checkpoint_sha: str  # sha256 of the weights, hexadecimal
    notes: tuple[str, ...] = ()  # how they came about, where the question itself had a part in it


class RelationalModel(Protocol):
    """A model that answers from labelled examples."""

    name: str
    reads_rows: bool  # whether its tables should bring the rows around the examples (`FeatureTable.rows`)

    @property
    def version(self) -> str:
        """Name and release of the weights, for the registry."""
        ...

    @property
    def checkpoint_sha(self) -> str:
        """sha256 of the weights file, hexadecimal."""
        ...

    def prepare(self, known: Labelled, *, seed: int = 0) -> Prepared:
        """Read, or learn from, examples whose outcome is known, to be asked any number of times.

        Raises DataError if there is nothing to learn from, ModelError if the kind is not the model's.
        """
        ...
