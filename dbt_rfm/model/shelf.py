"""Weights that a model makes where it is asked, kept from run to run: a second build only answers.

In: a `Trainable` model, where weights are kept. Out: for a split of a snapshot what was learnt from it, or from an
earlier one of the same name while that will do (`keeping`). The query and the backtest are learnt for, kept and judged
each by itself, so that the backtest stays the same procedure one horizon earlier.
What is kept answers alone: networks, the words and scales of the columns, and by which odds a context that held more of
a rare class than the world has to be set right.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from dbt_rfm.model.examples import labelled, split_rows
from dbt_rfm.model.interface import Provenance
from dbt_rfm.model.keeping import Keeping, Lesson, told, worse
from dbt_rfm.model.packing import packed, unpacked
from dbt_rfm.model.step import Learnt, learn
from dbt_rfm.model.store import Card, WeightStore
from dbt_rfm.model.trainable import Trainable, Trained
from dbt_rfm.snapshot import Snapshot
from dbt_rfm.task_kind import ONE_LABEL


@dataclass(frozen=True)
class Shelf:
    model: Trainable
    keeping: Keeping
    asked: Mapping[str, Any]  # what the weights depend on beside the model's own options
    progress: Callable[[str], None]

    def learnt(self, snapshot: Snapshot, split: str, *, seed: int) -> Learnt:
        """From a split that has examples. Lists and forecasts are learnt anew: a context scales what they ask for."""
        if snapshot.kind not in ONE_LABEL:
            return learn(snapshot, self.model, split, seed=seed)
        options = {**self.model.asked, **self.asked}
        lesson = Lesson(snapshot, split, self.model.name, self.model.version, options, seed)
        store = WeightStore(self.keeping.root, snapshot.prediction)
        card, why = lesson.kept(store, self.keeping)
        if card is not None and not why:
            found = self._read(store, card)
            why = self._why_not(found, lesson, card)
            if not why:
                return found
        self.progress("training" + (f" again: {why}" if why else ""))
        return self._made(lesson, store, why)

    def _made(self, lesson: Lesson, store: WeightStore, why: str) -> Learnt:
        made = learn(lesson.snapshot, self.model.going_on(store.unfinished), lesson.split, seed=lesson.seed)
        read = cast(Trained, made.read)
        (note,) = made.provenance.notes
        data = packed({"read": read.tree(), "odds": made.odds})
        if os.environ.get("RANK", "0") == "0":  # of several processes under torchrun the first one keeps
            store.put(lesson.card(store.next_number(), before=None, note=note, **read.worth), data)
            store.forget_unfinished()
        named = self._named(hashlib.sha256(data).hexdigest(), told(note, None, why))
        return replace(made, read=read.named(named))

    def _read(self, store: WeightStore, card: Card) -> Learnt:
        tree = unpacked(store.read(card), where=store.where(card))
        provenance = self._named(card.weights or "", told(card.note, card, ""))
        weights = Provenance(self.model.version, self.model.checkpoint_sha)
        return Learnt(self.model.from_tree(tree["read"], provenance), tree["odds"], self.model.reads_rows, weights)

    def _named(self, sha: str, note: str) -> Provenance:
        return Provenance(f"{self.model.version}-{sha[:8]}", sha, (note,))

    def _why_not(self, found: Learnt, lesson: Lesson, card: Card) -> str:
        known = labelled(lesson.snapshot, split_rows(lesson.snapshot, lesson.split), with_rows=self.model.reads_rows)
        read = cast(Trained, found.read)
        if not read.fits(known):
            return "the columns or the classes changed"
        return worse(read.loss(known, seed=lesson.seed), card, self.keeping) if "drop" in self.keeping.retrain else ""
