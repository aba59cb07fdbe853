"""A network goes into safetensors and comes back as it was."""

from __future__ import annotations

import pytest
import torch

from dbt_rfm.errors import ModelError
from dbt_rfm.model.families.rfm.checkpoint import network_bytes, network_of
from dbt_rfm.model.packing import packed


def test__network_of__its_bytes__the_same_network(network) -> None:
    data = network_bytes(network.state_dict(), network.config)
    found, _ = network_of(data, where="here")
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in found.state_dict().items())
    assert network_bytes(found.state_dict(), found.config) == data


def test__network_of__a_tree__is_refused() -> None:
    with pytest.raises(ModelError, match="here does not hold weights of this release"):
        network_of(packed({"weights": torch.ones(2)}), where="here")
