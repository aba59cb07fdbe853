"""Read and write weights of the network: safetensors, its shape and history as JSON in the metadata. Nothing is ever
unpickled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from dbt_rfm.errors import ModelError
from dbt_rfm.model.families.rfm.network import NetworkConfig, RelationalTransformer
from dbt_rfm.model.packing import metadata_of, plain

CHECKPOINTS = Path(__file__).parent / "checkpoints"


def write_checkpoint(
    path: Path, weights: Mapping[str, Tensor], config: NetworkConfig, history: Mapping[str, str]
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(network_bytes(weights, config, history))


def network_bytes(
    weights: Mapping[str, Tensor], config: NetworkConfig, history: Mapping[str, str] | None = None
) -> bytes:
    """The same bytes for the same weights where there is no history: entries of metadata are written in any order."""
    metadata = {"network": json.dumps(config.to_dict()), **(history or {})}
    return save({name: plain(value) for name, value in weights.items()}, metadata)


def read_checkpoint(path: Path) -> tuple[RelationalTransformer, dict[str, str], str]:
    """The network, the metadata and the file's sha256. Raises ModelError if the file is absent or not ours."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"no weights at {path}", hint="Reinstall dbt-rfm, or run `dbt-rfm pretrain`.") from error
    return *network_of(data, where=str(path)), hashlib.sha256(data).hexdigest()


def network_of(data: bytes, *, where: str) -> tuple[RelationalTransformer, dict[str, str]]:
    """The network and the metadata. Raises ModelError if the bytes are not ours; `where` they come from."""
    try:
        weights, metadata = load(data), metadata_of(data)
        network = RelationalTransformer(NetworkConfig(**json.loads(metadata["network"])))
        network.load_state_dict(weights)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{where} does not hold weights of this release: {error}") from error
    return network, metadata
