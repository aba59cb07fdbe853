"""Whether two categories of a row and its parents say the same: a payment's country and that of its customer.

In: categories of an example's row and of its parents, as a FROM has them. Out: one output per pair, 1 where both say
the same, 0 where they do not, null where one says nothing. Which pairs can is told by their frequent values: at least
two of these are common to both, and half of those of the shorter list. Numbers are no such values: the codes 1 and 2 of
one column are not those of another.
Time rule: none here; the FROM joins what an example may see.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.blocks import Output
from dbt_rfm.plan.values import NUMERICAL
from dbt_rfm.schema.types import Column, SemanticType
from dbt_rfm.snapshot import Feature

MAX_AGREEMENTS = 8
SAME_AS = " same as "  # in the name of a feature, between the two
_LEAST, _SHARE = 2, 0.5


@dataclass(frozen=True)
class Told:
    """A column where it stands: the table, the alias in the FROM, and its name in a feature."""

    column: Column
    table: str
    alias: str
    label: str


def agreements(told: Sequence[Told]) -> list[Output]:
    """Outputs to be grouped by example, of the first pairs in the order given."""
    return [_output(one, other) for one, other in _pairs(told)][:MAX_AGREEMENTS]


def _pairs(told: Sequence[Told]) -> Iterator[tuple[Told, Told]]:
    categories = [t for t in told if t.column.semantic_type is SemanticType.CATEGORICAL]
    for one, other in combinations(categories, 2):
        words, others = _words(one.column), _words(other.column)
        if len(words & others) >= max(_LEAST, _SHARE * min(len(words), len(others))):
            yield one, other


def _words(column: Column) -> set[str]:
    return {value for value in column.values if not value.isdecimal()}


def _output(one: Told, other: Told) -> Output:
    left, right = (sql.as_text(sql.column(each.column.name, each.alias)) for each in (one, other))
    same = sql.zero_or_one(exp.EQ(this=left, expression=right))
    return Feature(f"{one.label}{SAME_AS}{other.label}", NUMERICAL, "own", one.table), exp.Max(this=same)
