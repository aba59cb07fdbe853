"""A snapshot in the making: what is asked, where it runs and how much is told, for all ways to collect one.

In: what `snapshots.py`, `forecast.py` or `recommendation.py` found. Out: a `Snapshot` with what all of them say alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa
from sqlglot import exp

from dbt_rfm.collect.assemble import named_features
from dbt_rfm.collect.kept_features import KeptFeatures
from dbt_rfm.options import Options
from dbt_rfm.plan.blocks import Block
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.neighbours import shown_graph
from dbt_rfm.pql.task import Task
from dbt_rfm.schema.fingerprint import fingerprint
from dbt_rfm.shards.parts import fetch, head
from dbt_rfm.shards.run_tables import RunTables
from dbt_rfm.snapshot import Feature, Snapshot
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.warehouse.session import Session


@dataclass(frozen=True)
class Found:
    """Examples in order, their features, and what these are. Of a large answer the first shard only."""

    examples: pa.Table
    features: pa.Table
    meta: tuple[Feature, ...]
    shards: Mapping[str, Any] = field(default_factory=dict)  # as a snapshot has them


@dataclass(frozen=True)
class Collecting:
    session: Session
    graph: Graph
    task: Task
    options: Options
    anchor: datetime
    with_rows: bool = False
    kept: KeptFeatures | None = None  # what earlier predictions of the same dbt run have computed
    tables: RunTables | None = None  # where a large answer keeps its examples
    brief: bool = False  # a quick answer, for which less is told
    with_words: bool = False  # of texts

    @property
    def shown(self) -> dict[str, Any]:
        """What the rows around the examples are to each other."""
        return shown_graph(self.graph.schema, self.task.entity.table.name)

    def snapshot(self, found: Found, notes: Iterable[str]) -> Snapshot:
        """What was found, without the classes of a multiclass task, rows, label shares and lists."""
        two = self.task.kind in (TaskKind.BINARY, TaskKind.LINK)
        return Snapshot(
            query=self.task.text,
            kind=self.task.kind,
            classes=("false", "true") if two else (),
            entity=self.task.entity.column.name,
            anchor=self.anchor,
            schema_fingerprint=fingerprint(self.graph.schema),
            features_meta=found.meta,
            examples=found.examples,
            features=found.features,
            notes=tuple(notes),
            options=self.options.recorded(),
            graph=self.shown,
            shards=found.shards,
        )


def in_tables(
    tables: RunTables,
    bounds: Sequence[int],
    examples: exp.Select,
    blocks: Sequence[Block],
    shapes: Sequence[str],
    around: Mapping[str, exp.Expression] = {},
) -> Found:
    """Keep all examples, features and the rows `around` in the tables of the run, and fetch the first shard but its
    rows."""
    tables.keep(examples, blocks, around.values())
    meta, shards = named_features(blocks), {"bounds": list(bounds), "blocks": list(shapes), "rows": list(around)}
    return Found(*fetch(tables, shapes, meta, head(bounds)), meta, shards)
