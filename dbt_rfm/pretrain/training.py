"""The training loop of one process: draw, step, average, log, save; as often as the time allows.

Muon steps the matrices inside the layers, AdamW the rest; the learning rate follows a cosine of the *time* spent, so a
run ends where it was told to. Several processes average their gradients at every step (two one-thread processes share
a small machine better than one process with two threads does). Saved: raw weights and optimisers to go on from, and an
exponential average of the weights, which is what is exported.
"""

from __future__ import annotations

import json
import math
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from dbt_rfm.errors import ModelError
from dbt_rfm.model.families.rfm.network import NetworkConfig, RelationalTransformer
from dbt_rfm.model.packing import packed, unpacked
from dbt_rfm.pretrain.batches import BatchSource, Step
from dbt_rfm.pretrain.held_out import held_out_batches, score_baselines, score_network
from dbt_rfm.pretrain.losses import loss_of, outputs
from dbt_rfm.pretrain.prior import Batch

STATE_FILE = "state.safetensors"
LOG_FILE = "log.jsonl"


@dataclass(frozen=True)
class TrainingConfig:
    out: Path
    minutes: float
    processes: int = 2
    process: int = 0
    port: int = 29511
    seed: int = 0
    resume: bool = True
    device: str = "cpu"
    tokens: int = 18_000  # cells per process and step
    workers: int = 0  # processes that draw batches ahead; 0 draws in this one
    muon_rate: float = 3e-3
    adam_rate: float = 2e-3
    warmup_steps: int = 60
    clip: float = 1.0
    average_decay: float = 0.998
    log_every: float = 180.0  # seconds
    evaluate_every: float = 1200.0  # held-out tasks are dear on a busy CPU
    save_every: float = 120.0


class Trainer:
    def __init__(self, config: TrainingConfig, network: NetworkConfig | None = None) -> None:
        self.config = config
        torch.manual_seed(config.seed)
        self.network = RelationalTransformer(network).to(config.device).train()
        self.average = {k: v.detach().clone() for k, v in self.network.state_dict().items()}
        self.muon, self.adam = _optimisers(self.network, config)
        self.parameters = list(self.network.parameters())
        self.source = BatchSource(config.workers)
        self.step, self.spent = 0, 0.0
        self.counts: dict[str, int] = defaultdict(int)
        self.recent: dict[str, list[float]] = defaultdict(list)
        self._leads = config.process == 0
        if config.resume and (config.out / STATE_FILE).exists():
            self._load()

    def run(self) -> None:
        """Train until the time is spent; returns at once if it is."""
        config = self.config
        held_out = held_out_batches() if self._leads else {}
        if self._leads and self.step == 0:
            self._write({"config": _plain(config), "baselines": score_baselines(held_out)})
        started, before = time.monotonic(), self.spent
        saved = logged = evaluated = started
        progress = self.spent / (60 * config.minutes)
        while progress < 1:
            progress, norm = self._one_step(progress)
            now = time.monotonic()
            self.spent = before + now - started
            if not self._leads:
                continue
            if now - logged > config.log_every or progress >= 1:
                logged = now
                line = self._report(progress, norm)
                if now - evaluated > config.evaluate_every or progress >= 1:
                    evaluated = now
                    line["held_out"] = self._score(held_out)
                self._write(line)
            if now - saved > config.save_every or progress >= 1:
                saved = now
                self._save()
        self.source.close()

    def _one_step(self, progress: float) -> tuple[float, float]:
        """One update; returns the progress all processes agree on, and the gradient's norm."""
        config = self.config
        self._set_rates(progress)
        batch = self.source.get(self._next(progress))
        draws = torch.Generator().manual_seed((config.seed * 1_000_003 + self.step) * 64 + config.process)
        loss = loss_of(outputs(self.network, batch, draws), batch)
        loss.backward()
        progress, norm = self._share_gradients(self.spent / (60 * config.minutes))
        if math.isfinite(norm):  # a rare overflow is skipped, by all processes alike
            self.muon.step()
            self.adam.step()
        self.network.zero_grad(set_to_none=True)
        self.step += 1
        self._count(batch, float(loss.detach()))
        self._average_weights()
        return progress, norm

    def _next(self, progress: float) -> Step:
        config = self.config
        return Step(config.seed, config.process, self.step, progress, config.tokens, self.network.config.group)

    def _share_gradients(self, progress: float) -> tuple[float, float]:
        """Average gradients over processes and clip them; progress is averaged along."""
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters]
        flat = torch.cat([part.reshape(-1) for part in parts] + [torch.tensor([progress], device=parts[0].device)])
        if self.config.processes > 1:
            dist.all_reduce(flat)
            flat /= self.config.processes
        norm = float(flat[:-1].norm())
        flat_grad = flat[:-1] * min(1.0, self.config.clip / (norm + 1e-9))
        sizes = [p.numel() for p in self.parameters]
        for parameter, part in zip(self.parameters, flat_grad.split(sizes), strict=True):
            parameter.grad = part.view_as(parameter)
        return float(flat[-1]), norm

    def _set_rates(self, progress: float) -> None:
        warm = min(1.0, (self.step + 1) / self.config.warmup_steps)
        late = max(0.0, (progress - 0.1) / 0.9)
        factor = warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(late, 1.0))))
        for optimiser, rate in ((self.muon, self.config.muon_rate), (self.adam, self.config.adam_rate)):
            for group in optimiser.param_groups:
                group["lr"] = rate * factor

    @torch.no_grad()
    def _average_weights(self) -> None:
        decay = min(self.config.average_decay, (1 + self.step) / (20 + self.step))
        for name, value in self.network.state_dict().items():
            self.average[name].lerp_(value, 1 - decay)

    def _count(self, batch: Batch, loss: float) -> None:
        self.recent[str(batch.kind)].append(loss)
        self.counts["tasks"] += batch.num_tasks * self.config.processes
        self.counts["cells"] += batch.columns.size * self.config.processes

    def _report(self, progress: float, norm: float) -> dict[str, Any]:
        losses = {kind: round(sum(v) / len(v), 4) for kind, v in self.recent.items()}
        self.recent.clear()
        return {
            "seconds": round(self.spent),
            "step": self.step,
            **self.counts,
            "progress": round(progress, 4),
            "gradient_norm": round(norm, 3),
            "loss": losses,
        }

    def _score(self, held_out: dict[str, Batch]) -> dict[str, dict[str, float]]:
        """Of the averaged weights, which are the ones that ship."""
        own = {k: v.clone() for k, v in self.network.state_dict().items()}
        self.network.load_state_dict(self.average)
        scores = score_network(self.network, held_out)
        self.network.load_state_dict(own)
        return scores

    def _write(self, line: dict[str, Any]) -> None:
        text = json.dumps(line)
        print(text, flush=True)
        with (self.config.out / LOG_FILE).open("a") as log:
            log.write(text + "\n")

    def _save(self) -> None:
        state = {
            "network": self.network.state_dict(),
            "average": self.average,
            "muon": self.muon.state_dict(),
            "adam": self.adam.state_dict(),
            "network_config": self.network.config.to_dict(),
            "training_config": _plain(self.config),
            "step": self.step,
            "spent": self.spent,
            "counts": dict(self.counts),
        }
        fresh = self.config.out / (STATE_FILE + ".new")
        fresh.write_bytes(packed(state))
        fresh.replace(self.config.out / STATE_FILE)  # a reader never sees half a file

    def _load(self) -> None:
        state = read_state(self.config.out / STATE_FILE, self.config.device)
        self.network.load_state_dict(state["network"])
        self.average = state["average"]
        self.muon.load_state_dict(state["muon"])
        self.adam.load_state_dict(state["adam"])
        self.step, self.spent = state["step"], state["spent"]
        self.counts.update(state["counts"])


def read_state(path: Path, device: str = "cpu") -> dict[str, Any]:
    """What `_save` wrote. Raises ModelError if the file cannot be read or holds no training."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read the training state {path}: {error.strerror}") from error
    return unpacked(data, where=str(path), device=device)


def _optimisers(
    network: RelationalTransformer, config: TrainingConfig
) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
    inner = ("cell_layers.", "row_layers.", "to_row.", "readout_")
    matrices: list[torch.nn.Parameter] = []
    rest: list[torch.nn.Parameter] = []
    for name, parameter in network.named_parameters():
        is_matrix = parameter.ndim == 2 and name.startswith(inner) and not name.endswith("temperature")
        (matrices if is_matrix else rest).append(parameter)
    muon = torch.optim.Muon(
        matrices, lr=config.muon_rate, weight_decay=0.01, momentum=0.95, adjust_lr_fn="match_rms_adamw"
    )
    return muon, torch.optim.AdamW(rest, lr=config.adam_rate, betas=(0.9, 0.98), weight_decay=0.0)


def _plain(config: TrainingConfig) -> dict[str, Any]:
    return {k: str(v) if isinstance(v, Path) else v for k, v in asdict(config).items()}
