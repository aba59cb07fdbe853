"""The pieces of a feature plan.

A `Block` is one SELECT over the session table of examples, ordered by example_id: the example_id, then f0, f1, … in the
order of `features`. The names stay out of the SQL, because Postgres cuts names at 63 characters. A `Step` makes a
session table that later blocks read. `examples` has (example_id, entity, anchor_time, as_of): a row is visible at
`as_of`, windows are counted back from `anchor_time`. The two differ only where a database is cut before the anchor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.snapshot import Feature


@dataclass(frozen=True)
class Block:
    name: str
    select: exp.Select
    features: tuple[Feature, ...]


@dataclass(frozen=True)
class Step:
    table: str
    select: exp.Expression


@dataclass(frozen=True)
class Names:
    """The session tables of one run."""

    suffix: str

    def __call__(self, what: str) -> str:
        return f"rfm_{what}_{self.suffix}"

    @property
    def examples(self) -> str:
        return self("examples")

    @property
    def bounds(self) -> str:
        return self("bounds")

    @property
    def labels(self) -> str:
        return self("labels")

    @property
    def draws(self) -> str:
        return self("draws")


Output = tuple[Feature, exp.Expression]


def block(name: str, query: exp.Select, example_id: exp.Expression, outputs: Sequence[Output]) -> Block:
    """`query` (a FROM with its joins) as a block with these outputs."""
    selected = [sql.aliased(example_id, "example_id")]
    selected += [sql.aliased(expression, f"f{i}") for i, (_, expression) in enumerate(outputs)]
    query.set("expressions", selected)
    query = query.order_by(exp.Ordered(this=example_id.copy()), copy=False)
    return Block(name, query, tuple(feature for feature, _ in outputs))
