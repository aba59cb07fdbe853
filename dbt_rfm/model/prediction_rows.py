"""Predictions in the form of the prediction table, without its version columns.

In: a snapshot and what a model said of its query examples. Out: Arrow rows with the entity's key under its own name.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from dbt_rfm.model.examples import group_numbers, split_rows
from dbt_rfm.model.interface import LEVELS, Predictions
from dbt_rfm.model.ranking import places_in
from dbt_rfm.snapshot import QUERY, Snapshot
from dbt_rfm.task_kind import TaskKind


def prediction_rows(snapshot: Snapshot, predictions: Predictions | None) -> pa.Table:
    """The query examples as rows; none without predictions.

    Regression: `prediction` is the mean of the predictive distribution, p50 its median. Forecast: the same per step.
    Multiclass: one row per entity and class, `rank` 1 for the likeliest.
    """
    if snapshot.kind == TaskKind.LINK:
        return ranked_rows(snapshot, split_rows(snapshot, QUERY), predictions)
    examples = snapshot.examples.take(pa.array(split_rows(snapshot, QUERY), type=pa.int64()))
    if predictions is None:
        predictions, examples = _nothing(snapshot), examples.slice(0, 0)
    keys = {snapshot.entity: examples.column("entity"), "anchor_time": examples.column("anchor_time")}
    if snapshot.kind == TaskKind.MULTICLASS:
        return _class_rows(keys, predictions)
    if snapshot.kind == TaskKind.BINARY:
        probability = present(predictions.probabilities)[:, 1]
        return pa.table({**keys, "probability": probability, "prediction": probability >= 0.5})
    if snapshot.kind == TaskKind.FORECAST:
        keys |= {name: examples.column(name) for name in ("step", "forecast_from", "forecast_until")}
        keys["step"] = keys["step"].cast(pa.int32())
    return pa.table(
        {
            **keys,
            "prediction": present(predictions.mean),
            "p10": predictions.quantile(0.1),
            "p50": predictions.quantile(0.5),
            "p90": predictions.quantile(0.9),
        }
    )


def _class_rows(keys: dict[str, pa.ChunkedArray], predictions: Predictions) -> pa.Table:
    probabilities = present(predictions.probabilities)
    rows, classes = probabilities.shape
    order = np.argsort(-probabilities, axis=1, kind="stable")
    which = pa.array(np.repeat(np.arange(rows), classes))
    names = np.array(predictions.classes, dtype=object)
    return pa.table(
        {
            **{name: column.take(which) for name, column in keys.items()},
            "class": pa.array(names[order.ravel()] if classes else [], type=pa.string()),
            "probability": np.take_along_axis(probabilities, order, axis=1).ravel(),
            "rank": pa.array(np.tile(np.arange(1, classes + 1), rows), type=pa.int32()),
        }
    )


def _nothing(snapshot: Snapshot) -> Predictions:
    classes = snapshot.classes
    if snapshot.kind in (TaskKind.REGRESSION, TaskKind.FORECAST):
        return Predictions(snapshot.kind, (), mean=np.empty(0), levels=LEVELS, quantiles=np.empty((0, len(LEVELS))))
    return Predictions(snapshot.kind, classes, probabilities=np.empty((0, max(len(classes), 2))))


def present(values: np.ndarray | None) -> np.ndarray:
    """An array of predictions that their kind has."""
    assert values is not None, "the model left out what its kind of prediction needs"
    return values


def ranked_rows(snapshot: Snapshot, rows: np.ndarray, predictions: Predictions | None) -> pa.Table:
    """Key, anchor_time, the item's key, score, rank."""
    asked = snapshot.examples.take(pa.array(rows, type=pa.int64()))
    if predictions is None:
        asked, score, places = asked.slice(0, 0), np.zeros(0), np.zeros(0, dtype=np.int64)
    else:
        assert predictions.probabilities is not None
        score = predictions.probabilities[:, 1]
        places = places_in(group_numbers(snapshot, rows), score)
    kept = np.flatnonzero(places < snapshot.ranking["number"])
    kept = kept[np.lexsort((places[kept], group_numbers(snapshot, rows)[kept] if len(kept) else places[kept]))]
    asked = asked.take(pa.array(kept, type=pa.int64()))
    return pa.table(
        {
            snapshot.entity: asked.column("entity"),
            "anchor_time": asked.column("anchor_time"),
            item_name(snapshot): asked.column("item"),
            "score": pa.array(score[kept], type=pa.float64()),
            "rank": pa.array(places[kept] + 1, type=pa.int32()),
        }
    )


def item_name(snapshot: Snapshot) -> str:
    """The item's key under its own name, or with a prefix where the entity's key has the same one."""
    name = str(snapshot.ranking["item"])
    return f"item_{name}" if name.casefold() in (snapshot.entity.casefold(), "anchor_time", "score", "rank") else name
