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

from dbt_rfm.model.blas import one_blas_thread
from dbt_rfm.model.examples import examples_at, group_numbers, label_array, labelled, seconds_of, split_rows
from dbt_rfm.model.forecast import PreparedForecast, prepare_forecast
from dbt_rfm.model.interface import Predictions, Provenance, RelationalModel
from dbt_rfm.model.prepared import Prepared
from dbt_rfm.model.ranking import PreparedRanking, prepare_ranking
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
        asked = examples_at(snapshot, query, with_rows=self.with_rows)
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
        context = examples_at(snapshot, rows, with_rows=False)
        series = prepare_forecast(model, context, sources, labels, seed=seed, ends=ends)
        return Learnt(series, None, False, weights)
    times = seconds_of(snapshot, "anchor_time", rows)
    if snapshot.kind == TaskKind.LINK:
        number, context = int(snapshot.ranking["number"]), examples_at(snapshot, rows, with_rows=False)
        read = prepare_ranking(model, context, labels, number=number, seed=seed, times=times)
        return Learnt(read, odds, False, weights)
    known = labelled(snapshot, rows, with_rows=model.reads_rows)
    return Learnt(model.prepare(known, seed=seed), odds, model.reads_rows, weights)


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
