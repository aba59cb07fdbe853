"""The snapshot bundle: everything a prediction depends on, besides the weights, as one value and one folder.

    manifest.json        query, schema fingerprint, anchor, columns, counts, sha256 of each file, package version
    examples.parquet     example_id, split, entity, anchor_time, label (a closed window's outcome; null in a query)
    features.parquet     example_id and one column per feature: what the model reads
    rows/<table>.parquet the sampled neighbourhood: example_id, hop, the row's own columns

`split` is `context` (labelled, shown to the model), `query` (to be predicted), and for the backtest, which is the same
procedure one horizon earlier, `backtest_context` and `backtest`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dbt_rfm.task_kind import TaskKind

if TYPE_CHECKING:
    import pyarrow as pa

CONTEXT, QUERY, BACKTEST_CONTEXT, BACKTEST = "context", "query", "backtest_context", "backtest"


@dataclass(frozen=True)
class Feature:
    """A column of features.parquet."""

    name: str  # e.g. orders.count.90d
    kind: str  # 'numerical' (double, null = missing) | 'categorical' (string, null = missing)
    source: str  # 'own' | 'parent' | 'child' | 'co-parent' | 'past label' | 'calendar'
    table: str = ""  # the table it summarises


@dataclass(frozen=True)
class Snapshot:
    query: str
    kind: TaskKind
    classes: tuple[str, ...]  # multiclass: the labels seen, ordered; binary: ('false', 'true'); else ()
    entity: str  # name of the entity key column
    anchor: datetime
    schema_fingerprint: str
    features_meta: tuple[Feature, ...]
    examples: pa.Table  # ordered by example_id
    features: pa.Table  # same order
    rows: Mapping[str, pa.Table] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # what a reader should know: empty table, capped context, …
    options: Mapping[str, Any] = field(default_factory=dict)
