"""Trees of tensors and plain values go into safetensors and come back as they were."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from safetensors.torch import save

from dbt_rfm.errors import ModelError
from dbt_rfm.model.packing import packed, unpacked

TREE = {
    "weights": {"a.b": torch.arange(6.0).reshape(2, 3), "step": torch.tensor(3)},
    "grid": np.linspace(0, 1, 5),
    "nothing": np.empty(0),
    "groups": [{"rate": 1e-3, "betas": (0.9, 0.99), "decay": None, "params": [0, 1]}],
    "by number": {0: {"moment": torch.ones(2, dtype=torch.float64)}, 1: {}},
    "best": math.inf,
    "words": ["Züge", "tensor", "map"],
}


def test__packed__a_tree__comes_back_in_form_and_type() -> None:
    found = unpacked(packed(TREE), where="here")
    assert torch.equal(found["weights"]["a.b"], TREE["weights"]["a.b"]) and found["weights"]["step"].ndim == 0
    assert isinstance(found["grid"], np.ndarray) and np.array_equal(found["grid"], TREE["grid"])
    assert found["nothing"].shape == (0,) and found["nothing"].dtype == np.float64
    assert found["groups"] == [{"rate": 1e-3, "betas": [0.9, 0.99], "decay": None, "params": [0, 1]}]
    assert found["by number"][0]["moment"].dtype == torch.float64 and found["by number"][1] == {}
    assert found["best"] == math.inf and found["words"] == TREE["words"]


def test__packed__the_same_tree__the_same_bytes() -> None:
    assert packed(TREE) == packed(unpacked(packed(TREE), where="here"))


def test__packed__the_state_of_an_optimiser__goes_on_as_if_it_had_not_stopped() -> None:
    def after(stopped: bool) -> torch.Tensor:
        weight = torch.nn.Parameter(torch.ones(3))
        optimiser = torch.optim.AdamW([weight], lr=0.1, betas=(0.9, 0.98))
        for step in range(4):
            if stopped and step == 2:
                state = unpacked(packed(optimiser.state_dict()), where="here")
                optimiser = torch.optim.AdamW([weight], lr=0.5)
                optimiser.load_state_dict(state)
            (weight * torch.arange(3.0)).sum().backward()
            optimiser.step()
        return weight.detach()

    assert torch.equal(after(False), after(True))


@pytest.mark.parametrize("data", [b"", b"{}", b"\x80\x04pickle", packed([1])[:-1], save({"a": torch.ones(1)})])
def test__unpacked__what_holds_no_tree__one_message(data: bytes) -> None:
    with pytest.raises(ModelError, match="here does not hold what a training of this release keeps"):
        unpacked(data, where="here")
