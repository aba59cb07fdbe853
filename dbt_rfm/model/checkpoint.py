"""Read and write weights: safetensors, with what is no tensor as JSON in its metadata. Nothing is ever unpickled.

Two forms. A network of this release: its tensors by name, its shape and its history in the metadata. A tree: mappings,
lists and plain values with tensors among them, for what a training has to keep beside its weights.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from dbt_rfm.errors import ModelError
from dbt_rfm.model.network import NetworkConfig, RelationalTransformer

CHECKPOINTS = Path(__file__).parent / "checkpoints"
_TREE, _TENSOR, _ARRAY, _MAP = "tree", "tensor", "array", "map"


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
    return save({name: _plain(value) for name, value in weights.items()}, metadata)


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
        weights, metadata = load(data), _metadata(data)
        network = RelationalTransformer(NetworkConfig(**json.loads(metadata["network"])))
        network.load_state_dict(weights)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{where} does not hold weights of this release: {error}") from error
    return network, metadata


def packed(tree: Any) -> bytes:
    """A tree of mappings, sequences, tensors, arrays, numbers, texts and None; the same bytes for the same tree."""
    tensors: dict[str, Tensor] = {}

    def placed(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return {_ARRAY: placed(torch.from_numpy(np.ascontiguousarray(value)))[_TENSOR]}
        if isinstance(value, Tensor):
            name = f"{len(tensors)}"
            tensors[name] = _plain(value)
            return {_TENSOR: name}
        if isinstance(value, Mapping):
            return {_MAP: [[key, placed(each)] for key, each in value.items()]}
        if isinstance(value, list | tuple):
            return [placed(each) for each in value]
        return value

    said = json.dumps(placed(tree), ensure_ascii=False)
    return save(tensors, {_TREE: said})


def unpacked(data: bytes, *, where: str, device: str = "cpu") -> Any:
    """The tree, sequences as lists. Raises ModelError if the bytes hold none; `where` they come from."""
    try:
        tensors, said = load(data), json.loads(_metadata(data)[_TREE])
        return _unplaced(said, tensors, device)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{where} does not hold what a training of this release keeps: {error}") from error


def _unplaced(said: Any, tensors: Mapping[str, Tensor], device: str) -> Any:
    if isinstance(said, list):
        return [_unplaced(each, tensors, device) for each in said]
    if not isinstance(said, dict):
        return said
    ((form, inside),) = said.items()
    if form == _MAP:
        return {key: _unplaced(each, tensors, device) for key, each in inside}
    return tensors[inside].to(device) if form == _TENSOR else tensors[inside].numpy()


def _plain(value: Tensor) -> Tensor:
    return value.detach().cpu().contiguous()


def _metadata(data: bytes) -> dict[str, str]:
    """From the header: eight bytes that say its length, then JSON (https://huggingface.co/docs/safetensors)."""
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]).get("__metadata__", {})
