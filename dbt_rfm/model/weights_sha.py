"""A name for weights that come in no file of ours: the sha256 of what they are."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch


def weights_sha(*networks: Mapping[str, torch.Tensor]) -> str:
    """Of the networks in their order, of each its weights in order of their names; the same on every device."""
    digest = hashlib.sha256()
    for weights in networks:
        for name, values in sorted(weights.items()):
            digest.update(name.encode())
            digest.update(values.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
