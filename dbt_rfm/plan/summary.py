"""A summary: of which rows, as of what, and how much it tells.

`summary_rows.py` finds the rows, `summary_sums.py` adds them up, `summary_block.py` reads features from the sums.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sqlglot import exp

from dbt_rfm.plan.paths import Path
from dbt_rfm.plan.values import Value
from dbt_rfm.plan.windows import LookBack


@dataclass(frozen=True)
class Detail:
    """How much a summary tells."""

    windows: tuple[LookBack, ...]  # shortest first
    sums: bool = True  # totals of numbers, how long there have been rows and how many a day
    spread: bool = True  # min, max, std in the second and the last window; the newest values against all of them
    newest: int = 3  # how many newest rows are shown
    categories: bool = True  # distinct count, most frequent
    flags: bool = False  # how many rows have each frequent value of a category
    parents: int = 2  # hops to other parents of the rows
    texts: bool = False  # the texts of the newest row whose words are read

    def brief(self) -> Detail:
        """Without what costs more time than it adds to a quick answer."""
        return replace(self, sums=False, spread=False, categories=False)


@dataclass(frozen=True)
class Summary:
    """One block in the making."""

    name: str  # prefix of the features
    source: str  # snapshot.Feature.source
    path: Path
    keyed: exp.Expression
    detail: Detail
    bounds: str | None = None  # session table (lo, hi] of window bounds; None: every row is a cell of its own
    exclude_self: bool = False  # `keyed` has `self`, the example's own primary key in the table
    strict: bool = False  # rows at the very moment of `as_of` do not count
    only: tuple[Value, ...] = field(default=())  # instead of the table's own values
