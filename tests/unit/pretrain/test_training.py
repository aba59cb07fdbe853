"""A small pretraining, stopped and resumed: it saves, goes on, and exports what `load_model` reads."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from dbt_rfm.errors import ModelError
from dbt_rfm.model.families.rfm.checkpoint import read_checkpoint
from dbt_rfm.model.families.rfm.network import NetworkConfig, RelationalTransformer
from dbt_rfm.model.families.rfm.pinball import pinball
from dbt_rfm.pretrain import pretrain
from dbt_rfm.pretrain.export import export
from dbt_rfm.pretrain.held_out import score_baselines, score_network
from dbt_rfm.pretrain.losses import loss_of, outputs
from dbt_rfm.pretrain.prior import draw_batch
from dbt_rfm.pretrain.training import LOG_FILE, STATE_FILE, Trainer, TrainingConfig
from dbt_rfm.task_kind import TaskKind

TINY = NetworkConfig(cell_width=16, cell_layers=1, cell_heads=2, summaries=2, row_width=32, row_layers=1, row_heads=2)


@pytest.fixture
def small_held_out(monkeypatch):
    def batches():
        rng = np.random.default_rng(0)
        return {str(kind): draw_batch(rng, kind, 2, 40, 20, 4) for kind in (TaskKind.BINARY, TaskKind.REGRESSION)}

    monkeypatch.setattr("dbt_rfm.pretrain.training.held_out_batches", batches)
    return batches()


def config(out: Path, seconds: float) -> TrainingConfig:
    return TrainingConfig(out, seconds / 60, processes=1, tokens=2000, warmup_steps=3)


def test__trainer__stopped_and_resumed__goes_on_and_exports(tmp_path, small_held_out):
    torch.set_num_threads(1)
    Trainer(config(tmp_path, 2), TINY).run()
    first = Trainer(config(tmp_path, 4), TINY)
    assert first.step > 0 and first.spent >= 2
    began, kept = first.step, first.muon.state_dict()["state"]
    assert kept and all(float(each["momentum_buffer"].abs().sum()) > 0 for each in kept.values())
    first.run()
    assert first.step > began
    lines = [json.loads(line) for line in (tmp_path / LOG_FILE).read_text().splitlines()]
    assert "ridge" in lines[0]["baselines"]["binary"] and lines[-1]["step"] == first.step
    assert lines[-1]["held_out"].keys() == small_held_out.keys()
    network, metadata, sha = read_checkpoint(export(tmp_path / STATE_FILE, tmp_path / "out" / "rfm.safetensors"))
    assert metadata["steps"] == str(first.step) and len(sha) == 64
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, first.average[name])


def test__loss__same_tasks_again_and_again__falls():
    torch.manual_seed(0)
    network = RelationalTransformer(TINY).train()
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    batch = draw_batch(np.random.default_rng(0), TaskKind.REGRESSION, 2, 40, 20, 4)
    losses = []
    for _ in range(40):
        loss = loss_of(outputs(network, batch, torch.Generator().manual_seed(0)), batch)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]


def test__pinball__within_the_stretch_of_equal_labels__free():
    low, high = torch.tensor([[-1.0]]), torch.tensor([[1.0]])
    assert float(pinball(torch.full((1, 1, 23), 0.5), low, high)) == 0
    levels_cost = float(pinball(torch.full((1, 1, 23), 3.0), low, high))
    assert levels_cost == pytest.approx(2 * 0.5, abs=1e-5)  # (1 − level) × 2, and levels average one half


def test__held_out__untrained_network__no_better_than_simple(small_held_out):
    torch.manual_seed(0)
    network = RelationalTransformer(TINY)
    scores = score_network(network, small_held_out)
    assert scores["regression"]["metric"] == pytest.approx(1.0, abs=0.1)
    baselines = score_baselines(small_held_out)
    assert baselines["regression"]["majority_or_median"] == 1.0
    assert network.training


def test__pretrain__no_time__refused(tmp_path):
    with pytest.raises(ModelError, match="needs minutes > 0"):
        pretrain(tmp_path, 0)


def test__export__not_a_state__says_which_file(tmp_path):
    with pytest.raises(ModelError, match=r"cannot read the training state .*absent"):
        export(tmp_path / "absent", tmp_path / "out.safetensors")
    (tmp_path / "broken").write_bytes(b"no training")
    with pytest.raises(ModelError, match=r"broken does not hold what a training"):
        export(tmp_path / "broken", tmp_path / "out.safetensors")
