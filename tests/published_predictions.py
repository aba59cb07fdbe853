"""A prediction of each kind, published by hand: few rows, so that what is counted of them can be said beforehand."""

from __future__ import annotations

from datetime import datetime, timedelta

import pyarrow as pa

from dbt_rfm.job import Contract, JobTarget
from dbt_rfm.report.gather import Published
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.versions.history import publish
from dbt_rfm.versions.registry import Release, list_versions
from dbt_rfm.warehouse.base import Warehouse

ANCHOR = datetime(2024, 6, 1)
_TIME = pa.timestamp("us")
_WEEK = timedelta(days=7)


def _table(**columns: list) -> pa.Table:
    made = pa.table(columns)
    moments = [name for name in columns if isinstance(columns[name][0], datetime)]
    for name in moments:
        made = made.set_column(made.column_names.index(name), name, made[name].cast(_TIME))
    return made


ROWS = {
    TaskKind.BINARY: _table(
        customer_id=[1, 2, 3, 4],
        anchor_time=[ANCHOR] * 4,
        probability=[0.05, 0.95, 1.0, 0.55],
        prediction=[False, True, True, True],
    ),
    TaskKind.MULTICLASS: _table(
        customer_id=[1, 1, 2, 2, 3, 3],
        anchor_time=[ANCHOR] * 6,
        **{"class": ["toys", "food", "toys", "food", "food", "toys"]},
        probability=[0.7, 0.3, 0.6, 0.4, 0.9, 0.1],
        rank=[1, 2] * 3,
    ),
    TaskKind.REGRESSION: _table(
        customer_id=[1, 2, 3, 4],
        anchor_time=[ANCHOR] * 4,
        prediction=[0.0, 12.0, 12.0, 6.0],
        p10=[0.0, 1.0, 1.0, 0.0],
        p50=[0.0, 12.0, 12.0, 6.0],
        p90=[1.0, 24.0, 24.0, 9.0],
    ),
    TaskKind.LINK: _table(
        customer_id=[1, 1, 2, 2],
        anchor_time=[ANCHOR] * 4,
        product_id=["a", "b", "b", "c"],
        score=[0.9, 0.5, 0.8, 0.1],
        rank=[1, 2, 1, 2],
    ),
    TaskKind.FORECAST: _table(
        store_id=[1, 1, 2, 2],
        anchor_time=[ANCHOR] * 4,
        step=[1, 2, 1, 2],
        forecast_from=[ANCHOR, ANCHOR + _WEEK] * 2,
        forecast_until=[ANCHOR + _WEEK, ANCHOR + 2 * _WEEK] * 2,
        prediction=[10.0, 20.0, 1.0, 2.0],
        p10=[5.0, 10.0, 0.0, 0.0],
        p50=[10.0, 20.0, 1.0, 2.0],
        p90=[20.0, 40.0, 3.0, 4.0],
    ),
}
_FIGURES = (("auroc", 0.8, ""), ("auroc", 0.5, "constant"), ("auroc", 0.7, "entity history"), ("ece", 0.1, ""))


def published(
    warehouse: Warehouse,
    served: JobTarget,
    kind: TaskKind = TaskKind.BINARY,
    rows: pa.Table | None = None,
    *,
    beats: bool | None = True,
    value: float = 0.8,
    hold: bool = False,
    query: str = "PREDICT …",
) -> Published:
    """With one version more than before."""
    release = Release(
        run_id="run",
        query=query,
        kind=kind,
        schema_fingerprint="",
        rfm_model="rfm-1",
        checkpoint_sha="",
        snapshot_sha="",
        anchor_time=ANCHOR,
        package_version="0",
        metrics=tuple((m, v, "backtest", b) for m, v, b in _FIGURES) if beats is not None else (),
        backtest_metric="auroc" if beats is not None else None,
        backtest_value=value if beats is not None else None,
        baseline_value=0.7 if beats is not None else None,
        beats_baseline=beats,
    )
    publish(warehouse, served, ROWS[kind] if rows is None else rows, release, hold=hold, contract=Contract())
    versions = list_versions(warehouse, served, served.identifier).to_pylist()
    return Published(served.identifier, served, served, versions)
