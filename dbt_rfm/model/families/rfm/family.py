"""The weights that come with the package, read once per process and device."""

from __future__ import annotations

import threading
from typing import Any

from dbt_rfm.model.families.rfm.checkpoint import CHECKPOINTS, read_checkpoint
from dbt_rfm.model.families.rfm.in_context import InContextModel
from dbt_rfm.model.interface import RelationalModel

_loaded: dict[str, InContextModel] = {}
_loading = threading.Lock()


def load(device: str, options: dict[str, Any]) -> RelationalModel:
    """`options`: the fields of `in_context.InContextOptions`. Raises ModelError for an unknown one."""
    with _loading:
        if device not in _loaded:
            network, metadata, sha = read_checkpoint(CHECKPOINTS / "rfm.safetensors")
            version = f"rfm-{metadata.get('steps', '0')}-{sha[:8]}"
            _loaded[device] = InContextModel(network.to(device), version=version, checkpoint_sha=sha)
    return _loaded[device].with_options(**options) if options else _loaded[device]
