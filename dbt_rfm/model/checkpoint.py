"""Read and write weights: one safetensors file, the network's shape and its history in the metadata."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from dbt_rfm.errors import ModelError
from dbt_rfm.model.network import NetworkConfig, RelationalTransformer

CHECKPOINTS = Path(__file__).parent / "checkpoints"


def write_checkpoint(
    path: Path, weights: Mapping[str, Tensor], config: NetworkConfig, history: Mapping[str, str]
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"network": json.dumps(config.to_dict()), **history}
    save_file({name: value.detach().cpu().contiguous() for name, value in weights.items()}, path, metadata)
    path.chmod(0o644)


def read_checkpoint(path: Path) -> tuple[RelationalTransformer, dict[str, str], str]:
    """The network, the metadata and the file's sha256. Raises ModelError if the file is absent or not ours."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        network = RelationalTransformer(NetworkConfig(**json.loads(metadata["network"])))
        network.load_state_dict(weights)
    except FileNotFoundError as error:
        raise ModelError(f"no weights at {path}", hint="Reinstall dbt-rfm, or run `dbt-rfm pretrain`.") from error
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{path} does not hold weights of this release: {error}") from error
    return network, metadata, hashlib.sha256(path.read_bytes()).hexdigest()
