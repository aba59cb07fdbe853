"""Predictive models behind one interface: `load_model('rfm')` gives the bundled one, ready to answer.

This room and `pretrain/` are the only ones that import torch, and only once a model is loaded. What models there are
is what `families/` holds, each in a folder of its own. Beside them is what all of them share:

    interface, prepared, trainable            what goes in and what comes out
    examples, neighbourhood, step, prediction_rows
                                              from a snapshot to rows of the prediction table
    ranking, forecast                         lists and forecasts as questions that any of them answers
    columns, linear, log_odds, target_scale, reading, context_sample, screening
                                              a first, cheap reading of the context
    keeping, store, shelf, packing, files, weights_sha
                                              trained weights: whether they will do, and where they are
    blas, memory, stop                        the machine: threads, too little memory, SIGTERM
"""

from __future__ import annotations

import importlib
import os
import pkgutil
from types import ModuleType
from typing import Any

from dbt_rfm.errors import ModelError, did_you_mean
from dbt_rfm.model import families
from dbt_rfm.model.interface import RelationalModel

__all__ = [
    "MODELS",
    "can_fine_tune",
    "candidates",
    "load_model",
    "max_context",
    "quick_options",
    "rare_context",
    "reads_rows",
    "trains",
]

MODELS = tuple(sorted(found.name for found in pkgutil.iter_modules(families.__path__)))


def reads_rows(name: str) -> bool:
    """Whether the model reads the rows around each entity, so that the snapshot must have them."""
    return bool(_family(name).READS_ROWS)


def max_context(name: str) -> int:
    """How many labelled examples the model reads at most."""
    return int(_family(name).MAX_CONTEXT)


def rare_context(name: str) -> int:
    """How many labelled examples of a rare event the model reads at most where nobody says how many; 0: no more."""
    return int(getattr(_family(name), "RARE_CONTEXT", 0))


def can_fine_tune(name: str) -> bool:
    """Whether the model's weights can be adapted to a task."""
    return bool(getattr(_family(name), "FINE_TUNES", False))


def trains(name: str) -> bool:
    """Whether the model makes its weights where it is asked, so that they are worth keeping."""
    return bool(getattr(_family(name), "TRAINS", False))


def candidates(minutes: float) -> dict[str, dict[str, Any]]:
    """What `model: auto` tries, readers of features first: name -> options that differ. `minutes` for each training."""
    found: dict[str, dict[str, Any]] = {}
    for name in sorted(MODELS, key=reads_rows):
        found |= _family(name).candidates(minutes)
    return found


def quick_options(name: str) -> dict[str, Any]:
    """The options under which the model answers a question about a few entities."""
    return dict(_family(name).QUICK)


def load_model(name: str = "rfm", device: str = "cpu", options: dict[str, Any] | None = None) -> RelationalModel:
    """The model of this name; weights are read once per process and device.

    `options` are the family's own. Device 'auto' is a CUDA device if there is one. Raises ModelError for an unknown
    name, option or device, or where the family's weights or packages are missing.
    """
    _family(name)
    # Threads that spin while they wait double the time of an answer on a busy machine. OpenMP reads this only once.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # torch takes a second to import: only a process that predicts should pay for it.
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ModelError("device 'cuda' was asked for, but torch finds none", hint="Use device 'cpu' or 'auto'.")
    family = importlib.import_module(f"{families.__name__}.{name}.family")
    return family.load(device, dict(options or {}))


def _family(name: str) -> ModuleType:
    if name not in MODELS:
        raise ModelError(f"there is no model named {name!r}", hint=did_you_mean(name, MODELS))
    return importlib.import_module(f"{families.__name__}.{name}")
