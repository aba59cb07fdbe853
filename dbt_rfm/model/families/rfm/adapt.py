"""The bundled weights adapted to a task: those kept from an earlier run while they will do, new ones otherwise.

In: the bundled model, a snapshot, what is asked for. Out: a model that answers with the adapted weights too, or the
model as it was, and a line that says which and why.
Time rule: what is learnt from is the context of the backtest, so that the backtest stays a test; without one it is the
context of the query. Which kept weights may be used: `keeping`.
"""

from __future__ import annotations

import hashlib
import math
import os
import time
from collections.abc import Callable

from dbt_rfm.errors import ModelError
from dbt_rfm.model.examples import labelled, split_rows
from dbt_rfm.model.families.rfm.akin import has_kin, kin_of
from dbt_rfm.model.families.rfm.checkpoint import network_bytes, network_of
from dbt_rfm.model.families.rfm.fine_tune import Tuned, fine_tune, watch
from dbt_rfm.model.families.rfm.in_context import InContextModel
from dbt_rfm.model.families.rfm.network import RelationalTransformer
from dbt_rfm.model.families.rfm.word_scores import WordScores, has_words
from dbt_rfm.model.files import file_at
from dbt_rfm.model.interface import Labelled, Progress, RelationalModel
from dbt_rfm.model.keeping import Keeping, Lesson, told, worse
from dbt_rfm.model.store import Card, WeightStore
from dbt_rfm.snapshot import BACKTEST, BACKTEST_CONTEXT, CONTEXT, Snapshot
from dbt_rfm.task_kind import ONE_LABEL


def adapt(
    model: InContextModel,
    snapshot: Snapshot,
    keeping: Keeping,
    *,
    minutes: float,
    seed: int = 0,
    progress: Progress = lambda stage: None,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[InContextModel, str]:
    """The model to answer with and what to tell of it. Raises ModelError for a kind that is not fine-tuned."""
    if snapshot.kind not in ONE_LABEL:
        raise ModelError(
            f"a {snapshot.kind} is not fine-tuned (option meta.rfm.fine_tune)",
            hint=f"Leave fine_tune out. It is for: {', '.join(ONE_LABEL)}.",
        )
    lesson = Lesson(snapshot, _untested(snapshot), model.name, model.version, {"minutes": minutes}, seed)
    store = WeightStore(keeping.root, snapshot.prediction)
    known = labelled(snapshot, split_rows(snapshot, lesson.split))
    if has_kin(known, thorough=True):
        _, known = kin_of(known, seed=seed)
    if has_words(known.examples):
        _, known = WordScores.of(known, seed=seed)
    card, why = lesson.kept(store, keeping)
    if card is not None and not why:
        network = _network(store, card)
        why = _why_worse(model, known, network, card, keeping, seed) if "drop" in keeping.retrain else ""
        if not why:
            return _with(model, network, card), told(card.note, card, "")
    progress("fine-tuning" + (f" again: {why}" if why else ""))
    tuned = fine_tune(
        model, known, minutes=minutes, seed=seed, state=store.unfinished(), progress=progress, clock=clock
    )
    data = network_bytes(tuned.weights, model.network.config) if tuned.weights is not None else None
    card = store.put(_card(lesson, tuned, store.next_number()), data)
    return _with(model, _network(store, card), card), told(card.note, None, why)


def with_weights(model: RelationalModel, file: str | os.PathLike[str]) -> InContextModel:
    """The model with the weights at a path or URL. Raises ModelError if it takes none, or the file holds none."""
    if not isinstance(model, InContextModel):
        raise ModelError(
            f"the model {model.name!r} is not fine-tuned, so it takes no file of weights",
            hint="Where it keeps what it trained, name that folder with --train --weights.",
        )
    data = file_at(file).read()
    if data is None:
        raise ModelError(f"no weights at {file}", hint="Name a file that fine_tune or `dbt-rfm step --train` kept.")
    network, _ = network_of(data, where=str(file))
    return model.with_tuned(network.to(model.network.summary.device), hashlib.sha256(data).hexdigest())


def _untested(snapshot: Snapshot) -> str:
    """The split whose examples nothing is tested on."""
    tested = len(split_rows(snapshot, BACKTEST_CONTEXT)) and len(split_rows(snapshot, BACKTEST))
    return BACKTEST_CONTEXT if tested else CONTEXT


def _network(store: WeightStore, card: Card) -> RelationalTransformer | None:
    return network_of(store.read(card), where=store.where(card))[0] if card.weights is not None else None


def _with(model: InContextModel, network: RelationalTransformer | None, card: Card) -> InContextModel:
    if network is None or card.weights is None:
        return model
    return model.with_tuned(network.to(model.network.summary.device), card.weights)


def _why_worse(
    model: InContextModel,
    known: Labelled,
    network: RelationalTransformer | None,
    card: Card,
    keeping: Keeping,
    seed: int,
) -> str:
    """Whether the answer of what is kept has lost too much on the rows that are the newest now."""
    watched = watch(model, known, seed=seed)
    if watched is None:
        return ""
    tuned = network.to(model.network.summary.device) if network is not None else None
    return worse(float(watched.losses(tuned).mean()), card, keeping)


def _card(lesson: Lesson, tuned: Tuned, number: int) -> Card:
    measured = not math.isnan(tuned.before)
    return lesson.card(
        number,
        steps=tuned.steps,
        rows=tuned.rows,
        measure=tuned.measure,
        before=tuned.before if measured else None,
        after=tuned.after if measured else None,
        note=tuned.note,
    )
