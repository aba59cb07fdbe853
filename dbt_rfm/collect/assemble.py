"""The blocks of a feature plan side by side, as one table of doubles and strings.

In: blocks over the same examples. Out: features with example_id, and what each column is. A number that is none (NaN,
infinite) is missing; a name that is taken gets a number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pyarrow as pa
from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.blocks import Block
from dbt_rfm.snapshot import Feature
from dbt_rfm.warehouse.session import Session


def assemble(
    session: Session, blocks: Sequence[Block], found: Sequence[pa.Table] | None = None
) -> tuple[pa.Table, tuple[Feature, ...]]:
    """Run the blocks, unless `found` has their rows, and put their features together."""
    columns: dict[str, pa.ChunkedArray] = {}
    meta = named_features(blocks)
    features = iter(meta)
    for number, block in enumerate(blocks):
        rows = session.query(block.select) if found is None else found[number]
        ids = rows.column("example_id").cast(pa.int64())
        columns.setdefault("example_id", ids)
        assert ids.equals(columns["example_id"]), f"block {block.name} has other examples than the first"
        for i in range(len(block.features)):
            feature = next(features)
            columns[feature.name] = feature.cleaned(rows.column(f"f{i}"))
    return pa.table(columns), meta


def in_order(table: str, columns: Sequence[str], alias: str | None = None) -> exp.Select:
    """SELECT columns of a session table in the order of example_id, as blocks are."""
    query = sql.select(*sql.columns(columns, alias)).from_(sql.temporary(table, alias), copy=False)
    return query.order_by(exp.Ordered(this=sql.column("example_id", alias)), copy=False)


def named_features(blocks: Sequence[Block]) -> tuple[Feature, ...]:
    """What the columns of the blocks are, in order, under names of their own."""
    meta: dict[str, Feature] = {}
    for feature in (feature for block in blocks for feature in block.features):
        name = unused_name(feature.name, {"example_id": None, **meta})
        meta[name] = replace(feature, name=name)
    return tuple(meta.values())


def unused_name(name: str, taken: Mapping[str, object]) -> str:
    found, k = name, 2
    while found in taken:
        found, k = f"{name}#{k}", k + 1
    return found
