"""Features that several predictions of one dbt run share: computed once per entity and moment.

In: a feature plan and the session table of its examples. Out: per block its rows, some of them kept from an earlier
prediction of the same run. `dbt build` runs every prediction in its own process, one after the other, over tables that
were built before and do not change until it ends; so a block of the same SQL says the same of the same entity at the
same moment. Only the examples that no earlier prediction had are computed. What reads the labels of a task is never
shared, nor anything outside a run.
Time rule: the blocks' own; a row of features depends on no other example.

The SQL of a block (with that of the steps it may read) is its key, so nobody has to say which options or columns it
depends on. Kept is one set of examples per run, the newest, up to a limit of size; a new run begins with nothing.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from dbt_rfm.collect.assemble import in_order
from dbt_rfm.plan import sql
from dbt_rfm.plan.blocks import Block, Names
from dbt_rfm.plan.features import FeaturePlan
from dbt_rfm.warehouse.session import Session

MAX_BYTES = 512 * 2**20
_WHO = ("entity", "anchor_time", "as_of")


@dataclass(frozen=True)
class _Kept:
    examples: pa.Table  # entity, anchor_time, as_of, in the order of the columns below
    blocks: Mapping[str, pa.Table] = field(default_factory=dict)  # key of a block -> f0, f1, …


class KeptFeatures:
    """What one run has computed so far. Two dbt threads may use it at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: list[_Kept] = []

    def rows(self, session: Session, plan: FeaturePlan) -> list[pa.Table]:
        """The rows of each block of the plan, in order: example_id, f0, f1, …"""
        keys = _keys(session.names, plan)
        kept = self._best(keys)
        shared = [key is not None and key in kept.blocks for key in keys]
        examples = session.query(in_order(session.names.examples, ("example_id", *_WHO)))
        place = _places(examples, kept.examples)
        if not any(shared) or place.null_count == len(place):
            found = _run(session, plan, plan.blocks)
        else:
            known = [b for b, s in zip(plan.blocks, shared, strict=True) if s]
            fresh = _of_missing(session, plan, known, examples, place)
            # Last, so that the session tables of the steps speak of all examples to whoever reads them next.
            found = _run(session, plan, [b for b, s in zip(plan.blocks, shared, strict=True) if not s])
            for i in range(len(plan.blocks)):
                if shared[i]:
                    found.insert(i, _both(examples, kept.blocks[keys[i] or ""], fresh.pop(0), place))
        self._keep(keys, examples, found)
        return found

    def _best(self, keys: Sequence[str | None]) -> _Kept:
        """The kept examples that know most of the blocks."""
        with self._lock:
            empty = _Kept(pa.table({name: pa.array([], pa.null()) for name in _WHO}))
            return max((empty, *self._kept), key=lambda each: sum(key in each.blocks for key in keys))

    def _keep(self, keys: Sequence[str | None], examples: pa.Table, found: Sequence[pa.Table]) -> None:
        """Remember these examples, in place of fewer that are kept of the same blocks."""
        blocks = {k: rows.drop_columns("example_id") for k, rows in zip(keys, found, strict=True) if k is not None}
        if sum(rows.nbytes for rows in blocks.values()) > MAX_BYTES:
            return
        with self._lock:
            same = [each for each in self._kept if each.blocks.keys() & blocks.keys()]
            if any(len(each.examples) > len(examples) for each in same):
                return
            others = [each for each in self._kept if each not in same]
            self._kept = [*others, _Kept(examples.select(_WHO), blocks)]
            while sum(rows.nbytes for each in self._kept for rows in each.blocks.values()) > MAX_BYTES:
                self._kept.pop(0)


def _keys(names: Names, plan: FeaturePlan) -> list[str | None]:
    """A key per block, the same in every session; None for a block that reads the labels of the task."""
    steps = "\n".join(f"{step.table} {step.select.sql()}" for step in plan.steps)
    keys: list[str | None] = []
    for block in plan.blocks:
        text = block.select.sql()
        whole = f"{steps}\n{text}".replace(names.suffix, "")
        keys.append(None if names.labels in text else hashlib.sha256(whole.encode()).hexdigest())
    return keys


def _places(examples: pa.Table, kept: pa.Table) -> pa.Array:
    """For each example its row among the kept ones, null for a new one."""
    if not len(kept) or kept.schema.field("entity").type != examples.schema.field("entity").type:
        return pa.nulls(len(examples), pa.int64())
    numbered = kept.append_column("place", pa.array(range(len(kept)), pa.int64()))
    first = numbered.group_by(list(_WHO)).aggregate([("place", "min")])
    joined = examples.join(first, keys=list(_WHO), join_type="left outer").sort_by("example_id")
    return joined["place_min"].combine_chunks()


def _run(session: Session, plan: FeaturePlan, blocks: Sequence[Block]) -> list[pa.Table]:
    session.run(plan.steps)
    return [session.query(block.select) for block in blocks]


def _of_missing(
    session: Session, plan: FeaturePlan, blocks: Sequence[Block], examples: pa.Table, place: pa.Array
) -> list[pa.Table]:
    """The blocks over the examples that nothing is kept of; their session table is put back afterwards."""
    names, missing = session.names, examples.filter(pc.is_null(place)).select(["example_id"])
    if not len(missing):
        return [pa.table({})] * len(blocks)
    everyone = sql.temporary(names("everyone"))
    session.create(names("everyone"), sql.select(exp.Star()).from_(sql.temporary(names.examples), copy=False))
    session.load(names("missing"), missing)
    asked = sql.select(sql.column("example_id")).from_(sql.temporary(names("missing")), copy=False)
    some = sql.select(exp.Star()).from_(everyone, copy=False)
    some = some.where(exp.In(this=sql.column("example_id"), query=exp.Subquery(this=asked)), copy=False)
    session.create(names.examples, some)
    found = _run(session, plan, blocks)
    session.create(names.examples, sql.select(exp.Star()).from_(everyone.copy(), copy=False))
    return found


def _both(examples: pa.Table, kept: pa.Table, fresh: pa.Table, place: pa.Array) -> pa.Table:
    """Kept and fresh rows in the order of the examples."""
    new, first_fresh = pc.is_null(place), len(kept)
    if fresh.num_columns:
        kept = pa.concat_tables([kept, fresh.drop_columns("example_id").cast(kept.schema)])
    behind = pc.add(pc.cumulative_sum(pc.cast(new, pa.int64())), first_fresh - 1)
    rows = kept.take(pc.if_else(new, behind, place))
    return rows.add_column(0, "example_id", examples["example_id"])
