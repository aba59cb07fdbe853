"""What a model offers that makes its weights where it is asked, so that they can be kept (`shelf`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from dbt_rfm.model.files import File
from dbt_rfm.model.interface import Labelled, Provenance, RelationalModel
from dbt_rfm.model.prepared import Prepared


class Trained(Prepared, Protocol):
    """What such a model has learnt."""

    @property
    def worth(self) -> Mapping[str, Any]:
        """steps, rows (learnt from), measure, after (the loss on the rows that training was watched on)."""
        ...

    def tree(self) -> Mapping[str, Any]:
        """All of it but the provenance, as `packing.packed` keeps it."""
        ...

    def named(self, provenance: Provenance) -> Trained:
        """The same under another name."""
        ...

    def fits(self, known: Labelled) -> bool:
        """Whether these examples have the columns and classes that were learnt."""
        ...

    def loss(self, known: Labelled, *, seed: int) -> float:
        """On the rows that a training on these examples would be watched on."""
        ...


class Trainable(RelationalModel, Protocol):
    @property
    def asked(self) -> Mapping[str, Any]:
        """The options that its weights depend on."""
        ...

    def going_on(self, unfinished: Callable[[str], File]) -> Trainable:
        """The same model, whose trainings leave their state where `unfinished` says for each name, and go on there."""
        ...

    def from_tree(self, tree: Mapping[str, Any], provenance: Provenance) -> Trained:
        """What was learnt, from what was kept of it."""
        ...
