"""Predictive models behind one interface: `load_model('rfm')` gives the bundled one, ready to answer.

This room and `pretrain/` are the only ones that import torch, and only once a model is loaded.
"""

from __future__ import annotations

import os
import threading
from typing import Any

from dbt_rfm.errors import ModelError, did_you_mean
from dbt_rfm.model.interface import FeatureTable, Predictions, RelationalModel

__all__ = ["MODELS", "FeatureTable", "Predictions", "RelationalModel", "load_model"]

MODELS = ("rfm",)

_loaded: dict[tuple[str, str], Any] = {}
_loading = threading.Lock()


def load_model(name: str = "rfm", device: str = "cpu", options: dict[str, Any] | None = None) -> RelationalModel:
    """The model of this name; weights are read once per process and device.

    `options` of 'rfm': the fields of `in_context.InContextOptions`. Device 'auto' is a CUDA
    device if there is one. Raises ModelError for an unknown name, option or device.
    """
    if name not in MODELS:
        raise ModelError(f"there is no model named {name!r}", hint=did_you_mean(name, MODELS))
    # Threads that spin while they wait double the time of an answer on a busy machine. OpenMP reads this only once.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # torch takes a second to import: only a process that predicts should pay for it.
    import torch

    from dbt_rfm.model.checkpoint import CHECKPOINTS, read_checkpoint
    from dbt_rfm.model.in_context import InContextModel

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ModelError("device 'cuda' was asked for, but torch finds none", hint="Use device 'cpu' or 'auto'.")
    with _loading:
        if (name, device) not in _loaded:
            network, metadata, sha = read_checkpoint(CHECKPOINTS / f"{name}.safetensors")
            version = f"{name}-{metadata.get('steps', '0')}-{sha[:8]}"
            _loaded[name, device] = InContextModel(network.to(device), version=version, checkpoint_sha=sha)
    model = _loaded[name, device]
    return model.with_options(**options) if options else model
