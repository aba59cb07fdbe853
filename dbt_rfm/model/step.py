"""The step: a snapshot in, predictions out, on any machine that has the weights.

A pure function of the bundle, the checkpoint and the seed; it opens no warehouse. The backtest is answered the same
way from its own, older context.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dbt_rfm.model.blas import one_blas_thread
from dbt_rfm.model.forecast import PreparedForecast, prepare_forecast
from dbt_rfm.model.interface import (
    CATEGORICAL,
    LEVELS,
    FeatureTable,
    Labelled,
    Predictions,
    Provenance,
    RelationalModel,
)
from dbt_rfm.model.neighbourhood import neighbourhood
from dbt_rfm.model.prepared import Prepared
from dbt_rfm.model.ranking import PreparedRanking, group_numbers, prepare_ranking, ranked_rows
from dbt_rfm.snapshot import BACKTEST, BACKTEST_CONTEXT, CONTEXT, QUERY, Snapshot
from dbt_rfm.task_kind import TaskKind

if TYPE_CHECKING:
    from dbt_rfm.model.shelf import Shelf


@dataclass(frozen=True)
class StepResult:
    """`None` where a split has no examples or nothing to learn from; rows follow the split's order of example_id."""

    query: Predictions | None
    backtest: Predictions | None
    seconds: float
    provenance: Provenance  # of the answer to the query
    learnt: Learnt | None  # what answered the query, for more of them


def run_step(
    snapshot: Snapshot, model: RelationalModel, *, seed: int, ask: bool = True, shelf: Shelf | None = None
) -> StepResult:
    """Without `ask` the query is left to whoever asks `learnt`. `shelf`: where what the model learns is kept."""
    started = time.perf_counter()
    learnt = _learn(snapshot, model, CONTEXT, QUERY, seed, shelf)
    query = learnt.answer(snapshot, QUERY) if ask and learnt is not None else None
    tested = _learn(snapshot, model, BACKTEST_CONTEXT, BACKTEST, seed, shelf)
    backtest = tested.answer(snapshot, BACKTEST) if tested is not None else None
    made_by = learnt.provenance if learnt is not None else Provenance(model.version, model.checkpoint_sha)
    return StepResult(query, backtest, time.perf_counter() - started, made_by, learnt)


def _learn(
    snapshot: Snapshot, model: RelationalModel, context: str, query: str, seed: int, shelf: Shelf | None
) -> Learnt | None:
    """What answers one split from another; None where either is empty."""
    if not len(split_rows(snapshot, context)) or not len(split_rows(snapshot, query)):
        return None
    if shelf is not None:
        return shelf.learnt(snapshot, context, seed=seed)
    return learn(snapshot, model, context, seed=seed)


@dataclass(frozen=True)
class Learnt:
    """A context that has been read, to be asked any number of times about snapshots of the same features."""

    read: Prepared | PreparedRanking | PreparedForecast
    odds: np.ndarray | None  # [K] by which a class counts more in the world than in the context; None: as there
    with_rows: bool
    weights: Provenance  # of the model as it was loaded

    @property
    def provenance(self) -> Provenance:
        return self.read.provenance or self.weights

    @one_blas_thread()
    def answer(self, snapshot: Snapshot, split: str) -> Predictions:
        query = split_rows(snapshot, split)
        asked = _examples(snapshot, query, self.with_rows)
        if isinstance(self.read, PreparedRanking):
            said = self.read.answer(asked, group_numbers(snapshot, query), of=snapshot.shards.get("groups"))
        else:
            said = self.read.answer(asked)
        return _at_true_shares(said, self.odds)


@one_blas_thread()
def learn(snapshot: Snapshot, model: RelationalModel, split: str, *, seed: int) -> Learnt:
    """Read the examples of a split that has some."""
    rows = split_rows(snapshot, split)
    labels = label_array(snapshot, rows)
    odds = _odds(labels, snapshot.label_shares.get(split, {}), snapshot.classes or ("false", "true"))
    weights = Provenance(model.version, model.checkpoint_sha)
    if snapshot.kind == TaskKind.FORECAST:
        sources, ends = tuple(f.source for f in snapshot.features_meta), seconds_of(snapshot, "forecast_until", rows)
        context = _examples(snapshot, rows, with_rows=False)
        series = prepare_forecast(model, context, sources, labels, seed=seed, ends=ends)
        return Learnt(series, None, False, weights)
    times = seconds_of(snapshot, "anchor_time", rows)
    if snapshot.kind == TaskKind.LINK:
        number, context = int(snapshot.ranking["number"]), _examples(snapshot, rows, with_rows=False)
        read = prepare_ranking(model, context, labels, number=number, seed=seed, times=times)
        return Learnt(read, odds, False, weights)
    known = labelled(snapshot, rows, with_rows=model.reads_rows)
    return Learnt(model.prepare(known, seed=seed), odds, model.reads_rows, weights)


def labelled(snapshot: Snapshot, rows: np.ndarray, *, with_rows: bool = False) -> Labelled:
    """Examples of a snapshot whose outcome is known."""
    times = seconds_of(snapshot, "anchor_time", rows)
    examples = _examples(snapshot, rows, with_rows)
    return Labelled(examples, label_array(snapshot, rows), snapshot.kind, snapshot.classes, times)


def _examples(snapshot: Snapshot, rows: np.ndarray, with_rows: bool) -> FeatureTable:
    taken = feature_table(snapshot, rows)
    return replace(taken, rows=neighbourhood(snapshot, rows)) if with_rows else taken


def _odds(labels: np.ndarray, shares: Mapping[str, float], classes: tuple[str, ...]) -> np.ndarray | None:
    """[K] true over shown share of each class; None where they are the same."""
    if not shares:
        return None
    shown = np.bincount(labels, minlength=len(classes)) + 0.5
    shown = shown / shown.sum()
    true = np.array([shares.get(name, share) for name, share in zip(classes, shown, strict=True)])
    return true / shown


def _at_true_shares(predictions: Predictions, odds: np.ndarray | None) -> Predictions:
    """Undo that the context holds more of a rare class than the world (Bayes)."""
    if predictions.probabilities is None or odds is None:
        return predictions
    weighted = predictions.probabilities * odds
    return replace(predictions, probabilities=weighted / weighted.sum(axis=1, keepdims=True))


def split_rows(snapshot: Snapshot, split: str) -> np.ndarray:
    """Positions of a split's examples."""
    return np.flatnonzero(pc.equal(snapshot.examples.column("split"), split).to_numpy(zero_copy_only=False))


def feature_table(snapshot: Snapshot, rows: np.ndarray | None = None) -> FeatureTable:
    """The features of the examples at these positions, or of all, as the model takes them."""
    columns = []
    taken = snapshot.features if rows is None else snapshot.features.take(pa.array(rows, type=pa.int64()))
    for feature in snapshot.features_meta:
        values = taken.column(feature.name)
        if feature.kind == CATEGORICAL:
            columns.append(np.array(values.cast(pa.string()).to_pylist(), dtype=object))
        else:
            columns.append(values.cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64))
    return FeatureTable(
        names=tuple(f.name for f in snapshot.features_meta),
        kinds=tuple(f.kind for f in snapshot.features_meta),
        columns=tuple(columns),
    )


def label_array(snapshot: Snapshot, rows: np.ndarray) -> np.ndarray:
    """[rows] class positions for binary and multiclass, float64 for numbers."""
    labels = snapshot.examples.column("label").take(pa.array(rows))
    if snapshot.kind in (TaskKind.REGRESSION, TaskKind.FORECAST):
        return labels.cast(pa.float64()).to_numpy(zero_copy_only=False).astype(np.float64)
    if snapshot.kind in (TaskKind.BINARY, TaskKind.LINK):
        return labels.cast(pa.int8()).to_numpy(zero_copy_only=False).astype(np.int64)
    position = {name: i for i, name in enumerate(snapshot.classes)}
    return np.array([position[v] for v in labels.cast(pa.string()).to_pylist()], dtype=np.int64)


def prediction_rows(snapshot: Snapshot, predictions: Predictions | None) -> pa.Table:
    """The query examples in the form of the prediction table, without version columns; no rows without predictions.

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
        probability = _present(predictions.probabilities)[:, 1]
        return pa.table({**keys, "probability": probability, "prediction": probability >= 0.5})
    if snapshot.kind == TaskKind.FORECAST:
        keys |= {name: examples.column(name) for name in ("step", "forecast_from", "forecast_until")}
        keys["step"] = keys["step"].cast(pa.int32())
    return pa.table(
        {
            **keys,
            "prediction": _present(predictions.mean),
            "p10": predictions.quantile(0.1),
            "p50": predictions.quantile(0.5),
            "p90": predictions.quantile(0.9),
        }
    )


def _class_rows(keys: dict[str, pa.ChunkedArray], predictions: Predictions) -> pa.Table:
    probabilities = _present(predictions.probabilities)
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


def _present(values: np.ndarray | None) -> np.ndarray:
    assert values is not None, "the model left out what its kind of prediction needs"
    return values


def seconds_of(snapshot: Snapshot, column: str, rows: np.ndarray) -> np.ndarray:
    times = snapshot.examples.column(column).take(pa.array(rows, type=pa.int64()))
    return times.cast(pa.timestamp("us")).cast(pa.int64()).to_numpy(zero_copy_only=False) / 1e6
