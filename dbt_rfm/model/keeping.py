"""Whether weights that are kept will do for a question, and the card of those that are made for it.

In: a snapshot, which of its splits is learnt from, what the weights depend on. Out: the card of kept weights, or the
reason why they will not do.
Time rule: what is kept has learnt from a split of the same name, all of it known no later than all of this one; the
context of the backtest is known by the first moment that is tested.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from dbt_rfm import __version__
from dbt_rfm.model.examples import seconds_of, split_rows
from dbt_rfm.model.store import Card, WeightStore
from dbt_rfm.snapshot import BACKTEST, BACKTEST_CONTEXT, Snapshot


@dataclass(frozen=True)
class Keeping:
    """Where the weights of predictions are kept, and when they are made again."""

    root: str
    retrain: Mapping[str, float] = field(default_factory=dict)  # days, drop
    fresh: bool = False  # in any case


@dataclass(frozen=True)
class Lesson:
    """One training: who learns what from which split."""

    snapshot: Snapshot
    split: str
    model: str  # the family
    base: str  # version of what it begins with
    options: Mapping[str, Any]  # that the weights depend on
    seed: int

    @property
    def known_by(self) -> datetime:
        """When all that is learnt from was known."""
        if self.split != BACKTEST_CONTEXT:
            return self.snapshot.anchor
        return _moment(seconds_of(self.snapshot, "anchor_time", split_rows(self.snapshot, BACKTEST)).min())

    def kept(self, store: WeightStore, keeping: Keeping) -> tuple[Card | None, str]:
        """The newest card, and why its weights will not do; '' where they will. Their worth is not looked at."""
        card = store.newest(self.model, self.split, known_by=self.known_by, anchor=self.snapshot.anchor)
        return (None, "") if card is None else (card, self._why_not(card, keeping))

    def _why_not(self, card: Card, keeping: Keeping) -> str:
        snapshot = self.snapshot
        days = (snapshot.anchor - datetime.fromisoformat(card.anchor)).total_seconds() / 86_400
        reasons = {
            "it was asked for": keeping.fresh,
            "the query changed": card.query != snapshot.query or card.kind != snapshot.kind,
            "the schema changed": card.schema_fingerprint != snapshot.schema_fingerprint,
            "other options or another seed": (card.options, card.seed) != (self.options, self.seed),
            "the model of the package changed": card.base != self.base,
            f"what is kept is {days:.0f} days old": days >= keeping.retrain.get("days", math.inf),
        }
        return next((reason for reason, holds in reasons.items() if holds), "")

    def card(self, number: int, **worth: Any) -> Card:
        """`worth`: the fields of a card that tell how the training went."""
        snapshot = self.snapshot
        times = seconds_of(snapshot, "anchor_time", split_rows(snapshot, self.split))
        return Card(
            number=number,
            model=self.model,
            base=self.base,
            query=snapshot.query,
            kind=str(snapshot.kind),
            schema_fingerprint=snapshot.schema_fingerprint,
            split=self.split,
            known_by=self.known_by.isoformat(),
            anchor=snapshot.anchor.isoformat(),
            since=_moment(times.min()).isoformat(),
            until=_moment(times.max()).isoformat(),
            seed=self.seed,
            options=self.options,
            package_version=__version__,
            **worth,
        )


def worse(now: float, card: Card, keeping: Keeping) -> str:
    """Whether an answer has lost more than `drop` percent since the training; '' where it has not."""
    if "drop" not in keeping.retrain or card.after is None:
        return ""
    limit = card.after * (1 + keeping.retrain["drop"] / 100)
    return f"{card.measure} went from {card.after:.4g} to {now:.4g}" if now > limit else ""


def told(note: str, card: Card | None, why: str) -> str:
    """A note on weights, with why they were made again, or since when they are kept."""
    if why:
        return f"{note} (trained again: {why})"
    return note if card is None else f"{note} (kept from the anchor {card.anchor[:16]})"


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(float(seconds), UTC).replace(tzinfo=None)
