"""Turn a training state into the weights file that ships: `python -m dbt_rfm.pretrain.export STATE OUT`.

The averaged weights go in; steps, tasks, minutes and seed go into the metadata.
"""

from __future__ import annotations

import sys
from pathlib import Path

from dbt_rfm.model.families.rfm.checkpoint import write_checkpoint
from dbt_rfm.model.families.rfm.network import NetworkConfig
from dbt_rfm.pretrain.training import read_state


def export(state_file: Path, out: Path) -> Path:
    """Raises ModelError if the state cannot be read."""
    state = read_state(state_file)
    given = state["training_config"]
    history = {
        "steps": str(state["step"]),
        "tasks": str(state["counts"]["tasks"]),
        "cells": str(state["counts"]["cells"]),
        "minutes": f"{state['spent'] / 60:.1f}",
        "seed": str(given["seed"]),
        "processes": str(given["processes"]),
    }
    write_checkpoint(out, state["average"], NetworkConfig(**state["network_config"]), history)
    return out


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python -m dbt_rfm.pretrain.export STATE OUT")
    print(export(Path(sys.argv[1]), Path(sys.argv[2])))
