"""The blocks of a feature plan side by side, as one table of doubles and strings.

In: blocks over the same examples. Out: features with example_id, and what each column is. A number that is none (NaN,
infinite) is missing; a name that is taken gets a number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from dbt_rfm.plan.blocks import Block
from dbt_rfm.plan.values import NUMERICAL
from dbt_rfm.session import Session
from dbt_rfm.snapshot import Feature


def assemble(
    session: Session, blocks: Sequence[Block], found: Sequence[pa.Table] | None = None
) -> tuple[pa.Table, tuple[Feature, ...]]:
    """Run the blocks, unless `found` has their rows, and put their features together."""
    columns: dict[str, pa.ChunkedArray] = {}
    meta: list[Feature] = []
    for number, block in enumerate(blocks):
        rows = session.query(block.select) if found is None else found[number]
        ids = rows.column("example_id").cast(pa.int64())
        columns.setdefault("example_id", ids)
        assert ids.equals(columns["example_id"]), f"block {block.name} has other examples than the first"
        for i, feature in enumerate(block.features):
            name = unused_name(feature.name, columns)
            columns[name] = _cleaned(rows.column(f"f{i}"), feature.kind)
            meta.append(replace(feature, name=name))
    return pa.table(columns), tuple(meta)


def unused_name(name: str, taken: Mapping[str, object]) -> str:
    found, k = name, 2
    while found in taken:
        found, k = f"{name}#{k}", k + 1
    return found


def _cleaned(values: pa.ChunkedArray, kind: str) -> pa.ChunkedArray:
    if kind != NUMERICAL:
        return values.cast(pa.string())
    values = values.cast(pa.float64())
    return pc.if_else(pc.is_finite(values), values, pa.scalar(None, pa.float64()))
