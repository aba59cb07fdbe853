"""A large answer part by part: where its shards begin, and the snapshot of each.

In: the session table of examples, numbered so that the query examples are one range of example_id, and the tables of
the run (`run_tables.py`). Out: the bounds of the shards and, shard by shard, snapshots of query examples only, with the
rows around them for models that read them. What is learnt from and tested on, a few thousand examples, is fetched with
the first shard; memory does not grow with the number of entities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.examples import of_split
from dbt_rfm.plan.neighbours import RESULT
from dbt_rfm.snapshot import QUERY, Feature, Snapshot
from dbt_rfm.warehouse.session import Session

if TYPE_CHECKING:
    from dbt_rfm.shards.run_tables import RunTables

ROW, GROUP = "row", "group"  # a block has a row per example, or per entity and anchor
FIRST = "first_id"  # of examples, where blocks have a row per group: the example_id that the group goes by


def bounds_of(session: Session, table: str, size: int, *, unit: int = 1) -> list[int]:
    """Where the shards of the query examples begin, and where the last ends; none where one shard holds them all.

    Each is a multiple of `unit` examples.
    """
    example_id = sql.column("example_id")
    asked = sql.select(
        sql.aliased(exp.Min(this=example_id), "first"), sql.aliased(exp.Count(this=exp.Star()), "n")
    ).from_(sql.temporary(table), copy=False)
    (found,) = session.query(asked.where(of_split(QUERY, None), copy=False)).to_pylist()
    if found["n"] <= size:
        return []
    first, until = int(found["first"]), int(found["first"] + found["n"])
    return [*range(first, until, max(size // unit, 1) * unit), until]


def group_bounds(session: Session, table: str, size: int) -> tuple[list[int], int]:
    """The same where rows of one `group_id` stay together; and how many groups are asked."""
    first = sql.aliased(exp.Min(this=sql.column("example_id")), "first")
    counted = sql.aliased(exp.Count(this=exp.Star()), "n")
    groups = sql.select(sql.column("group_id"), first, counted).from_(sql.temporary(table), copy=False)
    groups = groups.where(of_split(QUERY, None), copy=False).group_by(sql.column("group_id"), copy=False)
    total = sql.select(
        sql.aliased(exp.Count(this=exp.Star()), "groups"),
        sql.aliased(exp.Min(this=sql.column("first", "g")), "first"),
        sql.aliased(exp.Sum(this=sql.column("n", "g")), "n"),
    )
    (found,) = session.query(total.from_(sql.subquery(groups, "g"), copy=False)).to_pylist()
    if not found["groups"] or found["n"] <= size:
        return [], int(found["groups"])
    since = exp.Paren(this=exp.Sub(this=sql.column("first", "g"), expression=sql.literal(int(found["first"]))))
    shard = exp.Floor(this=exp.Div(this=sql.as_double(since), expression=sql.as_double(sql.literal(size))))
    starts = sql.select(sql.aliased(exp.Min(this=sql.column("first", "g")), "first"))
    starts = starts.from_(sql.subquery(groups.copy(), "g"), copy=False).group_by(shard, copy=False)
    begins = sorted(int(row) for row in session.query(starts).column(0).to_pylist())
    return [*begins, int(found["first"] + found["n"])], int(found["groups"])


def head(bounds: Sequence[int]) -> exp.Expression:
    """Everything but the query examples after the first shard."""
    example_id = sql.column("example_id")
    before = exp.LT(this=example_id, expression=sql.literal(bounds[1]))
    return exp.or_(before, exp.GTE(this=example_id.copy(), expression=sql.literal(bounds[-1])))  # type: ignore[return-value]


def fetch(
    tables: RunTables, shapes: Sequence[str], meta: Sequence[Feature], condition: exp.Expression
) -> tuple[pa.Table, pa.Table]:
    """Examples and features of a range."""
    examples = tables.rows("examples", condition)
    ids = examples.column("example_id").cast(pa.int64())
    columns: dict[str, pa.ChunkedArray] = {"example_id": ids}
    features = iter(meta)
    for number, shape in enumerate(shapes):
        rows = tables.rows(f"block{number}", condition.copy())
        if shape == GROUP:
            rows = _spread(rows, ids, examples.column(FIRST))
        assert rows.column("example_id").cast(pa.int64()).equals(ids), f"block {number} has other examples"
        for values in rows.columns[1:]:
            feature = next(features)
            columns[feature.name] = feature.cleaned(values)
    if GROUP in shapes:
        examples = examples.drop_columns([FIRST])
    return examples, pa.table(columns)


def fetch_rows(
    tables: RunTables, names: Sequence[str], graph: Mapping[str, Any], condition: exp.Expression
) -> dict[str, pa.Table]:
    """The rows around the examples of a range, by table, in the order of `plan/neighbours.py`."""
    return {
        name: tables.rows(f"rows{number}", condition.copy(), (*RESULT, *graph["tables"][name]["key"]))
        for number, name in enumerate(names)
    }


def part(tables: RunTables, snapshot: Snapshot, shard: int, *, with_rows: bool) -> Snapshot:
    """The query examples of a shard with their features and, if asked for, the rows around them; nothing else."""
    bounds = snapshot.shards["bounds"]
    within = sql.every(
        [
            exp.GTE(this=sql.column("example_id"), expression=sql.literal(bounds[shard])),
            exp.LT(this=sql.column("example_id"), expression=sql.literal(bounds[shard + 1])),
        ]
    )
    examples, features = fetch(tables, snapshot.shards["blocks"], snapshot.features_meta, within)
    names = snapshot.shards["rows"] if with_rows else ()
    return replace(
        snapshot, examples=examples, features=features, rows=fetch_rows(tables, names, snapshot.graph, within)
    )


def with_head(tables: RunTables, snapshot: Snapshot) -> Snapshot:
    """The snapshot with what is learnt from and tested on, for another worker than the one that planned."""
    shards, condition = snapshot.shards, head(snapshot.shards["bounds"])
    examples, features = fetch(tables, shards["blocks"], snapshot.features_meta, condition)
    rows = fetch_rows(tables, shards["rows"], snapshot.graph, condition)
    return replace(snapshot, examples=examples, features=features, rows=rows)


def number_of(snapshot: Snapshot) -> int:
    """How many shards the answer has; 0 where it is whole."""
    return max(len(snapshot.shards.get("bounds", ())) - 1, 0)


def said_of(shards: Mapping[str, Any]) -> str:
    """For the notes of a snapshot: how much of a sharded answer its bundle holds."""
    if not shards:
        return ""
    bounds = shards["bounds"]
    return (
        f"answered in {len(bounds) - 1} shards: the bundle holds the first {bounds[1] - bounds[0]} of "
        f"{bounds[-1] - bounds[0]} examples that are asked{'' if shards['rows'] else ', and no rows/'}"
    )


def _spread(rows: pa.Table, ids: pa.ChunkedArray, firsts: pa.ChunkedArray) -> pa.Table:
    """Rows of entities at anchors for each of their examples; `firsts` [examples] are their own example_ids."""
    places = np.searchsorted(rows.column("example_id").to_numpy(), firsts.to_numpy())
    return rows.take(pa.array(places)).set_column(0, "example_id", ids)
