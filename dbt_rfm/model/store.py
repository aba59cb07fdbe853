"""Trained weights kept in a folder: by prediction, named by their content, each with a card.

    <root>/<prediction>/<sha256>.safetensors      the weights, as the model writes them
    <root>/<prediction>/<id>.json                 the card: what they were learnt from, how, and what they were worth
    <root>/<prediction>/unfinished….safetensors   of a training that was interrupted

A card without weights says that training brought nothing. A file whose content is not what its name says is refused.
Nothing is removed that is among the weights named as needed.
Time rule: a card says by when all that its weights were learnt from was known; nothing earlier is answered with them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from dbt_rfm.errors import ModelError
from dbt_rfm.model.files import File, Files

_WEIGHTS, _CARD, _UNFINISHED = ".safetensors", ".json", "unfinished"


@dataclass(frozen=True)
class Card:
    """Moments are of the data, in ISO form; `number` grows with each training."""

    number: int
    model: str  # the family
    base: str  # version of what it began with
    query: str
    kind: str
    schema_fingerprint: str
    split: str  # of the snapshot that was learnt from
    known_by: str  # when all of it was known
    anchor: str  # of the snapshot
    since: str  # anchors of the first and the last example learnt from or measured on
    until: str
    seed: int
    options: Mapping[str, Any]  # that the weights depend on
    steps: int
    rows: int
    measure: str
    before: float | None  # the answer's loss on rows held back without the training; None: there is no answer without
    after: float | None
    note: str
    package_version: str
    weights: str | None = None  # sha256


class WeightStore:
    def __init__(self, root: str | os.PathLike[str], prediction: str) -> None:
        """`prediction` names the folder: letters, digits, _ and - are kept, and a hash tells the rest apart.

        Raises ModelError where the root is a URL that cannot be opened.
        """
        plain = re.sub(r"[^A-Za-z0-9_-]+", "_", prediction)[:80]
        tail = "" if plain == prediction else "-" + hashlib.sha256(prediction.encode()).hexdigest()[:8]
        self.files = Files(root).within(plain + tail)

    def unfinished(self, name: str = "") -> File:
        """Where a training that may be interrupted leaves its state."""
        return File(self.files, f"{_UNFINISHED}{name and '-'}{name}{_WEIGHTS}")

    def forget_unfinished(self) -> None:
        for name in self.files.names(start=_UNFINISHED):
            self.files.remove(name)

    def newest(self, model: str, split: str, *, known_by: datetime, anchor: datetime) -> Card | None:
        """The card of the model's last training on this split of what was known by then, of this anchor or before.

        Raises ModelError where a card cannot be read.
        """
        cards = [
            card
            for card in self._cards().values()
            if (card.model, card.split) == (model, split)
            and datetime.fromisoformat(card.known_by) <= known_by
            and datetime.fromisoformat(card.anchor) <= anchor
        ]
        return max(cards, key=lambda card: (card.anchor, card.number), default=None)

    def read(self, card: Card) -> bytes:
        """Raises ModelError if the weights are gone or are not what the card says."""
        assert card.weights is not None, "a card without weights has nothing to read"
        data, hint = self.files.read(card.weights + _WEIGHTS), "Build with --full-refresh to train again."
        if data is None:
            raise ModelError(f"no weights at {self.where(card)}", hint=hint)
        sha = hashlib.sha256(data).hexdigest()
        if sha != card.weights:
            raise ModelError(
                f"{self.where(card)} was changed: expected sha256 {card.weights[:12]}…, got {sha[:12]}…", hint=hint
            )
        return data

    def where(self, card: Card) -> str:
        return self.files.where(f"{card.weights}{_WEIGHTS}")

    def next_number(self) -> int:
        return max((card.number for card in self._cards().values()), default=0) + 1

    def put(self, card: Card, weights: bytes | None) -> Card:
        """Keep weights and card; the card comes back with their sha256."""
        sha = hashlib.sha256(weights).hexdigest() if weights is not None else None
        if weights is not None:
            self.files.write(f"{sha}{_WEIGHTS}", weights)
        kept = Card(**{**asdict(card), "weights": sha})
        text = json.dumps(asdict(kept), indent=1, sort_keys=True, ensure_ascii=False).encode()
        self.files.write((sha or hashlib.sha256(text).hexdigest()) + _CARD, text)
        return kept

    def prune(self, needed: Collection[str], keep: int = 2) -> list[str]:
        """Remove all but the newest `keep` trainings of each model and split, and the weights needed.

        Gives the sha256 of those removed.
        """
        alike: dict[tuple[str, str], list[tuple[Card, str]]] = defaultdict(list)
        for name, card in self._cards().items():
            alike[card.model, card.split].append((card, name))
        old = [each for found in alike.values() for each in sorted(found, key=lambda each: -each[0].number)[keep:]]
        gone = [(card, name) for card, name in old if card.weights is None or card.weights not in needed]
        for card, name in gone:
            self.files.remove(name)
            if card.weights is not None:
                self.files.remove(card.weights + _WEIGHTS)
        return [card.weights for card, _ in gone if card.weights is not None]

    def _cards(self) -> dict[str, Card]:
        found = {}
        for name in self.files.names(end=_CARD):
            text = self.files.read(name)
            if text is None:
                continue  # removed by another process meanwhile
            try:
                found[name] = Card(**json.loads(text))
            except (ValueError, TypeError) as error:
                raise ModelError(
                    f"the card of trained weights cannot be read: {error}",
                    where=self.files.where(name),
                    hint="Remove the file.",
                ) from error
        return found
