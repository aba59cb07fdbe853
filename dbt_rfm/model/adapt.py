"""Weights adapted to a task: those kept from an earlier run while they will do, new ones otherwise.

In: the bundled model, a snapshot, what is asked for. Out: a model that answers with the adapted weights too, or the
model as it was, and a line that says which and why.
Time rule: what is learnt from is the context of the backtest, so that the backtest stays a test; without one it is the
context of the query. Kept weights are not used for an anchor earlier than what they were learnt from.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from dbt_rfm import __version__
from dbt_rfm.errors import ModelError
from dbt_rfm.model.checkpoint import read_checkpoint
from dbt_rfm.model.fine_tune import Progress, Tuned, fine_tune, watch
from dbt_rfm.model.in_context import InContextModel
from dbt_rfm.model.interface import Labelled, RelationalModel
from dbt_rfm.model.step import labelled, split_rows
from dbt_rfm.model.store import Card, WeightStore
from dbt_rfm.snapshot import BACKTEST, BACKTEST_CONTEXT, CONTEXT, Snapshot
from dbt_rfm.task_kind import TaskKind

KINDS = (TaskKind.BINARY, TaskKind.MULTICLASS, TaskKind.REGRESSION)


@dataclass(frozen=True)
class Adaptation:
    minutes: float
    root: Path
    prediction: str  # under which name weights are kept
    retrain: Mapping[str, float] = field(default_factory=dict)  # days, drop
    fresh: bool = False  # train in any case
    seed: int = 0


def adapt(
    model: InContextModel,
    snapshot: Snapshot,
    asked: Adaptation,
    *,
    progress: Progress = lambda stage: None,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[InContextModel, str]:
    """The model to answer with and what to tell of it. Raises ModelError for a kind that is not fine-tuned."""
    if snapshot.kind not in KINDS:
        raise ModelError(
            f"a {snapshot.kind} is not fine-tuned (option meta.rfm.fine_tune)",
            hint=f"Leave fine_tune out. It is for: {', '.join(KINDS)}.",
        )
    store = WeightStore(asked.root, asked.prediction)
    kept = store.newest(snapshot.anchor)
    why = "" if kept is None else _why_again(model, snapshot, asked, kept, store)
    if kept is not None and not why:
        return _with(model, store, kept), f"{kept.note} (kept from the anchor {kept.anchor[:16]})"
    progress("fine-tuning" + (f" again: {why}" if why else ""))
    known = _untested(snapshot)
    tuned = fine_tune(
        model,
        known,
        minutes=asked.minutes,
        seed=asked.seed,
        state=store.unfinished,
        progress=progress,
        clock=clock,
    )
    card = _card(model, snapshot, asked, known, tuned, store.next_number())
    card = store.put(card, tuned.weights, model.network.config)
    return _with(model, store, card), card.note + (f" (trained again: {why})" if why else "")


def with_weights(model: RelationalModel, file: Path) -> InContextModel:
    """The model with kept weights. Raises ModelError if it cannot have any, or if the file holds none."""
    if not isinstance(model, InContextModel):
        raise ModelError(f"the model {model.name!r} is not fine-tuned, so it takes no weights")
    network, _, sha = read_checkpoint(file)
    return model.with_tuned(network.to(model.network.summary.device), sha)


def _untested(snapshot: Snapshot) -> Labelled:
    """The examples that nothing is tested on."""
    rows = split_rows(snapshot, BACKTEST_CONTEXT)
    if not len(rows) or not len(split_rows(snapshot, BACKTEST)):
        rows = split_rows(snapshot, CONTEXT)
    return labelled(snapshot, rows)


def _with(model: InContextModel, store: WeightStore, card: Card) -> InContextModel:
    if card.weights is None:
        return model
    device = model.network.summary.device
    return model.with_tuned(store.read(card).to(device), card.weights)


def _why_again(model: InContextModel, snapshot: Snapshot, asked: Adaptation, kept: Card, store: WeightStore) -> str:
    """Why what is kept will not do, or nothing."""
    days = (snapshot.anchor - datetime.fromisoformat(kept.anchor)).total_seconds() / 86_400
    reasons = {
        "it was asked for": asked.fresh,
        "the query changed": kept.query != snapshot.query or kept.kind != snapshot.kind,
        "the schema changed": kept.schema_fingerprint != snapshot.schema_fingerprint,
        "other minutes or another seed": (kept.minutes, kept.seed) != (asked.minutes, asked.seed),
        "the bundled weights changed": kept.base_sha != model.checkpoint_sha,
        f"what is kept is {days:.0f} days old": days >= asked.retrain.get("days", math.inf),
    }
    for reason, holds in reasons.items():
        if holds:
            return reason
    return _why_worse(model, snapshot, asked, kept, store) if "drop" in asked.retrain else ""


def _why_worse(model: InContextModel, snapshot: Snapshot, asked: Adaptation, kept: Card, store: WeightStore) -> str:
    """Whether the answer of what is kept has lost more than `drop` percent on the rows that are the newest now."""
    watched = watch(model, _untested(snapshot), seed=asked.seed)
    if watched is None:
        return ""
    network = store.read(kept) if kept.weights is not None else None
    tuned = network.to(model.network.summary.device) if network is not None else None
    now = float(watched.losses(tuned).mean())
    limit = kept.after * (1 + asked.retrain["drop"] / 100)
    return f"{watched.measure} went from {kept.after:.4g} to {now:.4g}" if now > limit else ""


def _card(
    model: InContextModel, snapshot: Snapshot, asked: Adaptation, known: Labelled, tuned: Tuned, number: int
) -> Card:
    times = known.times
    assert times is not None, "examples of a snapshot have anchors"
    since, until = (datetime.fromtimestamp(t, UTC).replace(tzinfo=None).isoformat() for t in (times.min(), times.max()))
    return Card(
        number=number,
        query=snapshot.query,
        kind=str(snapshot.kind),
        base_sha=model.checkpoint_sha,
        schema_fingerprint=snapshot.schema_fingerprint,
        anchor=snapshot.anchor.isoformat(),
        since=since,
        until=until,
        seed=asked.seed,
        minutes=asked.minutes,
        steps=tuned.steps,
        rows=tuned.rows,
        measure=tuned.measure,
        before=tuned.before,
        after=tuned.after,
        note=tuned.note,
        package_version=__version__,
    )
