"""Turn a training state into the weights file that ships: `python -m dbt_rfm.pretrain.export STATE OUT`.

Safetensors with the averaged weights; network shape, steps, tasks and seed are in its metadata.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from dbt_rfm.errors import ModelError


def export(state_file: Path, out: Path) -> Path:
    """Raises ModelError if the state cannot be read."""
    try:
        state = torch.load(state_file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError) as error:
        raise ModelError(f"cannot read the training state {state_file}: {error}") from error
    metadata = {
        "network": json.dumps(state["network_config"]),
        "steps": str(state["step"]),
        "tasks": str(state["counts"]["tasks"]),
        "cells": str(state["counts"]["cells"]),
        "minutes": f"{state['spent'] / 60:.1f}",
        "seed": str(state["training_config"]["seed"]),
        "processes": str(state["training_config"]["processes"]),
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in state["average"].items()}, out, metadata)
    return out


if __name__ == "__main__":
    print(export(Path(sys.argv[1]), Path(sys.argv[2])))
