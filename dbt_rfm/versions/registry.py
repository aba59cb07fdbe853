"""The registry: a row per version of a prediction, and one per figure of its backtest.

    rfm_versions      where a version came from and its status: serving | held | retired | ready
    rfm_metrics       a row per version and figure of its backtest; baseline '' is the model itself

In: a warehouse and the target whose schema holds them. Out: the versions, or the registry with one more of them. What
is written here becomes valid with the transaction of whoever calls (`history.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
from sqlglot import exp

from dbt_rfm.job import JobTarget
from dbt_rfm.plan import sql
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.warehouse.base import Warehouse
from dbt_rfm.warehouse.relations import ensure, exists, matching, named, update

VERSIONS, METRICS = "rfm_versions", "rfm_metrics"
SERVING, HELD, RETIRED, READY = "serving", "held", "retired", "ready"

_VERSION_COLUMNS = {
    "model_name": "text",
    "version": "int",
    "run_id": "text",
    "status": "text",
    "query": "text",
    "kind": "text",
    "schema_fingerprint": "text",
    "rfm_model": "text",
    "checkpoint_sha": "text",
    "snapshot_sha": "text",
    "anchor_time": "timestamp",
    "num_rows": "bigint",
    "backtest_metric": "text",
    "backtest_value": "double",
    "baseline_value": "double",
    "beats_baseline": "boolean",
    "created_at": "timestamp",
    "served_at": "timestamp",
    "package_version": "text",
}
_METRIC_COLUMNS = {
    "model_name": "text",
    "version": "int",
    "run_id": "text",
    "metric": "text",
    "value": "double",
    "split": "text",
    "baseline": "text",
    "created_at": "timestamp",
}


@dataclass(frozen=True)
class Release:
    """What the registry records of a new version besides its rows."""

    run_id: str
    query: str
    kind: TaskKind
    schema_fingerprint: str
    rfm_model: str
    checkpoint_sha: str
    snapshot_sha: str
    anchor_time: datetime
    package_version: str
    metrics: tuple[tuple[str, float, str, str], ...] = ()  # (metric, value, split, baseline)
    backtest_metric: str | None = None
    backtest_value: float | None = None
    baseline_value: float | None = None
    beats_baseline: bool | None = None


def prepare(warehouse: Warehouse, target: JobTarget) -> None:
    """Make both tables where they are not there yet."""
    for name, columns in ((VERSIONS, _VERSION_COLUMNS), (METRICS, _METRIC_COLUMNS)):
        ensure(warehouse, target.named(name), columns)


def list_versions(warehouse: Warehouse, target: JobTarget, model: str | None = None) -> pa.Table:
    """The registry, newest version first; empty if nothing was ever published in the target's schema."""
    if not exists(warehouse, target.named(VERSIONS)):
        return pa.table({name: pa.array([], type=pa.string()) for name in _VERSION_COLUMNS})
    select = exp.select(*sql.columns(_VERSION_COLUMNS)).from_(named(target.named(VERSIONS)))
    if model is not None:
        select = select.where(matching(model_name=model))
    return warehouse.query(select.order_by("model_name", exp.column("version").desc()))


def list_figures(warehouse: Warehouse, target: JobTarget, number: int) -> pa.Table:
    """metric, baseline and value of the target's version, in the order of names; empty without a backtest."""
    names = ("metric", "baseline", "value")
    if not exists(warehouse, target.named(METRICS)):
        return pa.table({name: pa.array([], type=pa.string()) for name in names})
    select = exp.select(*sql.columns(names)).from_(named(target.named(METRICS)))
    of_it = matching(model_name=target.identifier, version=number)
    return warehouse.query(select.where(of_it).order_by(*sql.columns(names[:2])))


def next_number(warehouse: Warehouse, target: JobTarget) -> int:
    newest = exp.func("coalesce", exp.Max(this=sql.column("version")), exp.Literal.number(0))
    select = exp.select(newest.as_("newest")).from_(named(target.named(VERSIONS)))
    return int(warehouse.query(select.where(matching(model_name=target.identifier))).column(0)[0].as_py()) + 1


def set_status(warehouse: Warehouse, target: JobTarget, status: str, where: exp.Expression, **also: Any) -> None:
    ours = sql.every([matching(model_name=target.identifier), where])
    update(warehouse, target.named(VERSIONS), {"status": status, **also}, ours)


def record(
    warehouse: Warehouse,
    target: JobTarget,
    number: int,
    release: Release,
    status: str,
    num_rows: int,
    now: datetime,
) -> None:
    """A version, and the figures of its backtest."""
    values = {
        **{c: getattr(release, c) for c in _VERSION_COLUMNS if hasattr(release, c)},
        "model_name": target.identifier,
        "version": number,
        "status": status,
        "kind": str(release.kind),
        "num_rows": num_rows,
        "created_at": now,
        "served_at": now if status == SERVING else None,
    }
    _insert(warehouse, target.named(VERSIONS), _VERSION_COLUMNS, [values])
    figures = [
        {
            "model_name": target.identifier,
            "version": number,
            "run_id": release.run_id,
            "metric": metric,
            "value": value,
            "split": split,
            "baseline": baseline,
            "created_at": now,
        }
        for metric, value, split, baseline in release.metrics
    ]
    if figures:
        _insert(warehouse, target.named(METRICS), _METRIC_COLUMNS, figures)


def _insert(warehouse: Warehouse, table: JobTarget, columns: dict[str, str], rows: Sequence[dict[str, Any]]) -> None:
    tuples = [
        exp.Tuple(expressions=[exp.cast(exp.convert(row[c]), exp.DataType.build(t)) for c, t in columns.items()])
        for row in rows
    ]
    into = exp.Schema(this=named(table), expressions=[sql.name(c) for c in columns])
    warehouse.execute(exp.Insert(this=into, expression=exp.Values(expressions=tuples)))
