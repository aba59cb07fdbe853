"""The options of the graph transformer (`meta.rfm.model_options`), checked once, with their defaults.

A training that was interrupted goes on under the same options, `minutes` excepted.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from dbt_rfm.errors import ModelError, did_you_mean

#: The least of each whole number, the most of each share.
_WHOLE = {
    "context_size": 2,
    "channels": 8,
    "layers": 1,
    "heads": 1,
    "members": 1,
    "epochs": 1,
    "patience": 1,
    "batch": 2,
}
_SHARES = {"dropout": 0.9, "row_dropout": 0.9, "held_out": 0.5}


@dataclass(frozen=True)
class GraphTransformerOptions:
    """`members` networks are trained and their answers averaged; each is watched on the newest `held_out` share of the
    context, of classes no more than are enough, which it does not learn from. `features`: also read the features that
    the model 'rfm' reads."""

    context_size: int = 10_000
    channels: int = 64
    layers: int = 2
    heads: int = 4
    dropout: float = 0.3
    row_dropout: float = 0.3  # share of the rows that a training step does not see
    features: bool = False
    members: int = 5
    epochs: int = 100
    patience: int = 4  # passes without a better answer on the held-out part, after which no further is made
    minutes: float = 30.0
    batch: int = 128
    rate: float = 3e-4
    weight_decay: float = 0.05
    held_out: float = 0.15

    @classmethod
    def read(cls, given: dict[str, Any]) -> GraphTransformerOptions:
        """Raises ModelError for an unknown name or a value of the wrong form."""
        known = [f.name for f in fields(cls)]
        for name in given:
            if name not in known:
                raise ModelError(
                    f"the model graph_transformer has no option {name}",
                    hint=f"{did_you_mean(name, known)} Its options: {', '.join(known)}.".strip(),
                )
        options = cls(**given)
        options._check()
        return options

    def deciding(self) -> dict[str, Any]:
        """Those that each step depends on."""
        return {name: value for name, value in asdict(self).items() if name != "minutes"}

    def _check(self) -> None:
        for name, least in _WHOLE.items():
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            _expect(whole and value >= least, name, value, f"a whole number from {least}")
        for name, most in _SHARES.items():
            value = getattr(self, name)
            _expect(_number(value) and 0 <= value <= most, name, value, f"a share from 0 to {most}")
        for name in ("minutes", "rate"):
            value = getattr(self, name)
            _expect(_number(value) and value > 0, name, value, "a number above 0")
        _expect(self.channels % self.heads == 0, "channels", self.channels, f"a multiple of heads ({self.heads})")
        _expect(_number(self.weight_decay) and self.weight_decay >= 0, "weight_decay", self.weight_decay, "0 or more")
        _expect(isinstance(self.features, bool), "features", self.features, "true or false")


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _expect(ok: bool, name: str, got: object, expected: str) -> None:
    if not ok:
        raise ModelError(f"the option {name} of the model graph_transformer is {got!r}, expected {expected}")
