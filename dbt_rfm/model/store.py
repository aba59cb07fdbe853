"""Trained weights kept in a folder: by prediction, named by their content, each with a card.

    <root>/<prediction>/<sha256>.safetensors   the weights, as `checkpoint` writes them
    <root>/<prediction>/<id>.json              the card: what they were learnt from, how, and what they were worth
    <root>/<prediction>/unfinished.pt          of a training that was interrupted

A card without weights says that training brought nothing. A file whose content is not what its name says is refused.
Nothing is removed that is among the weights named as needed.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from torch import Tensor

from dbt_rfm.errors import ModelError
from dbt_rfm.model.checkpoint import read_checkpoint, write_checkpoint
from dbt_rfm.model.network import NetworkConfig, RelationalTransformer

_WEIGHTS, _CARD = ".safetensors", ".json"


@dataclass(frozen=True)
class Card:
    """`until` and `anchor` are moments of the data, in ISO form; `number` grows with each training."""

    number: int
    query: str
    kind: str
    base_sha: str  # of the weights it began with
    schema_fingerprint: str
    anchor: str  # of the snapshot that was learnt from
    since: str  # anchors of the first and the last example learnt from or measured on
    until: str
    seed: int
    minutes: float
    steps: int
    rows: int
    measure: str
    before: float  # the whole answer's loss on rows held back, with the bundled weights
    after: float
    note: str
    package_version: str
    weights: str | None = None  # sha256


class WeightStore:
    def __init__(self, root: Path, prediction: str) -> None:
        """`prediction` names the folder: letters, digits, _ and - are kept, and a hash tells the rest apart."""
        plain = re.sub(r"[^A-Za-z0-9_-]+", "_", prediction)[:80]
        tail = "" if plain == prediction else "-" + hashlib.sha256(prediction.encode()).hexdigest()[:8]
        self.folder = root / (plain + tail)

    @property
    def unfinished(self) -> Path:
        return self.folder / "unfinished.pt"

    def newest(self, until: datetime) -> Card | None:
        """The card of the last training on data up to this anchor. Raises ModelError where a card cannot be read."""
        cards = [card for card, _ in self._cards() if datetime.fromisoformat(card.anchor) <= until]
        return max(cards, key=lambda card: (card.anchor, card.number), default=None)

    def read(self, card: Card) -> RelationalTransformer:
        """Raises ModelError if the weights are gone or are not what the card says."""
        assert card.weights is not None, "a card without weights has nothing to read"
        path = self.folder / (card.weights + _WEIGHTS)
        network, _, sha = read_checkpoint(path)
        if sha != card.weights:
            raise ModelError(
                f"{path} was changed: expected sha256 {card.weights[:12]}…, got {sha[:12]}…",
                hint="Build with --full-refresh to train again.",
            )
        return network

    def next_number(self) -> int:
        return max((card.number for card, _ in self._cards()), default=0) + 1

    def put(self, card: Card, weights: Mapping[str, Tensor] | None, config: NetworkConfig) -> Card:
        """Keep weights and card; the card comes back with their sha256."""
        sha = None
        self.folder.mkdir(parents=True, exist_ok=True)
        if weights is not None:
            fresh = self.folder / f"new-{uuid.uuid4().hex}"
            write_checkpoint(fresh, weights, config, {})  # one entry of metadata: several are written in any order
            sha = hashlib.sha256(fresh.read_bytes()).hexdigest()
            fresh.replace(self.folder / (sha + _WEIGHTS))
        kept = Card(**{**asdict(card), "weights": sha})
        text = json.dumps(asdict(kept), indent=1, sort_keys=True, ensure_ascii=False)
        name = sha or hashlib.sha256(text.encode()).hexdigest()
        fresh = self.folder / f"new-{uuid.uuid4().hex}"
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(self.folder / (name + _CARD))
        return kept

    def prune(self, needed: Collection[str], keep: int = 2) -> list[str]:
        """Remove all but the newest `keep` trainings and the weights needed. Gives the sha256 of those removed."""
        old = sorted(self._cards(), key=lambda each: -each[0].number)[keep:]
        gone = [(card, path) for card, path in old if card.weights is None or card.weights not in needed]
        for _, path in gone:
            path.unlink(missing_ok=True)
            path.with_suffix(_WEIGHTS).unlink(missing_ok=True)
        return [card.weights for card, _ in gone if card.weights is not None]

    def _cards(self) -> list[tuple[Card, Path]]:
        found = []
        for path in sorted(self.folder.glob(f"*{_CARD}")):
            try:
                found.append((Card(**json.loads(path.read_text(encoding="utf-8"))), path))
            except (OSError, ValueError, TypeError) as error:
                raise ModelError(
                    f"the card of trained weights cannot be read: {error}", where=str(path), hint="Remove the file."
                ) from error
        return found
