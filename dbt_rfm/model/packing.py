"""Trees with tensors among them as safetensors, what is no tensor as JSON in its metadata. Nothing is ever unpickled.

In: mappings, lists and plain values, as a training keeps them beside its weights. Out: bytes, and back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from dbt_rfm.errors import ModelError

_TREE, _TENSOR, _ARRAY, _MAP = "tree", "tensor", "array", "map"


def packed(tree: Any) -> bytes:
    """A tree of mappings, sequences, tensors, arrays, numbers, texts and None; the same bytes for the same tree."""
    tensors: dict[str, Tensor] = {}

    def placed(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return {_ARRAY: placed(torch.from_numpy(np.ascontiguousarray(value)))[_TENSOR]}
        if isinstance(value, Tensor):
            name = f"{len(tensors)}"
            tensors[name] = plain(value)
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
        tensors, said = load(data), json.loads(metadata_of(data)[_TREE])
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


def plain(value: Tensor) -> Tensor:
    return value.detach().cpu().contiguous()


def metadata_of(data: bytes) -> dict[str, str]:
    """From the header: eight bytes that say its length, then JSON (https://huggingface.co/docs/safetensors)."""
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]).get("__metadata__", {})
