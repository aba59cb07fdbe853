"""Train one network on encoded examples: pass after pass, until no better, told to, or out of time.

In: encoded examples, targets, which to learn from and which to watch. Out: averaged weights and the number of passes
they took. Every draw follows from the seed, the pass and the step, so a training that is interrupted and goes on gives
the weights of one that was not. Weights are an exponential average over the steps, which needs no falling rate and can
be taken at any pass.

Bad luck: too little memory halves the part of a batch that is worked on at once, and the step is done again; SIGTERM
writes a checkpoint before the process ends. Several processes under torchrun share the batches of a pass and average
their gradients by hand rather than inside backward, so that one that has to repeat a step does not leave the others
waiting within theirs.
Time rule: which examples are watched is decided by the caller, the newest of the context.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from dbt_rfm.model.families.graph_transformer.batch import batch_of, in_batches
from dbt_rfm.model.families.graph_transformer.encoding import Encoded
from dbt_rfm.model.families.graph_transformer.heads import Head
from dbt_rfm.model.families.graph_transformer.network import GraphTransformer
from dbt_rfm.model.families.graph_transformer.options import GraphTransformerOptions
from dbt_rfm.model.files import File
from dbt_rfm.model.memory import LACK, halved
from dbt_rfm.model.packing import packed, unpacked
from dbt_rfm.model.stop import Stop

log = logging.getLogger("dbt_rfm")

_WARMUP = 50  # steps
_LEAST_PATIENCE = 150  # steps: a pass over a small context is a few, too few to tell that it gets no better
_AVERAGE = 0.99  # of the weights, per step
_CLIP = 1.0
_SAVE_SECONDS = 20.0


@dataclass(frozen=True)
class Material:
    encoded: Encoded
    targets: np.ndarray
    head: Head
    device: str


@dataclass(frozen=True)
class Plan:
    """One training: what is learnt from, what it is watched on, when it must end."""

    learnt: np.ndarray
    watched: np.ndarray
    seed: int
    ends: float  # time.monotonic() after which no further step is made
    name: str = "training"
    checkpoint: File | None = None


@dataclass
class State:
    """Everything that changes; what a checkpoint holds."""

    network: GraphTransformer
    optimiser: torch.optim.Optimizer
    average: dict[str, Tensor]
    best: dict[str, Tensor] = field(default_factory=dict)
    best_loss: float = math.inf
    best_pass: int = 0
    best_step: int = 0
    passes: int = 0
    step_of_pass: int = 0
    step: int = 0
    watched_loss: float = math.nan

    def saved(self) -> dict[str, Any]:
        plain = {k: v for k, v in vars(self).items() if k not in ("network", "optimiser")}
        return plain | {"network": self.network.state_dict(), "optimiser": self.optimiser.state_dict()}

    def load(self, saved: dict[str, Any]) -> None:
        self.network.load_state_dict(saved["network"])
        self.optimiser.load_state_dict(saved["optimiser"])
        for name, value in saved.items():
            if name not in ("network", "optimiser"):
                setattr(self, name, value)


@dataclass(frozen=True)
class Trained:
    weights: dict[str, Tensor]
    passes: int  # that the weights saw
    loss: float  # on what was watched
    steps: int


class Training:
    def __init__(self, make: Callable[[], GraphTransformer], material: Material, options: GraphTransformerOptions):
        self.make, self.material, self.options = make, material, options
        self.at_once = options.batch  # examples in memory together
        self.rank, self.world = (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)

    def run(self, plan: Plan) -> Trained:
        """Raises ModelError where not even one example fits in memory."""
        state = self._begin(plan)
        with torch.random.fork_rng(devices=[]), Stop(armed=plan.checkpoint is not None) as stop:
            saved = time.monotonic()
            while not self._done(state) and self._time_left(plan, state):
                batches = self._batches(plan, state.passes)
                while state.step_of_pass < len(batches) and self._time_left(plan, state):
                    self._step(plan, state, batches[state.step_of_pass])
                    if stop.asked or time.monotonic() - saved > _SAVE_SECONDS:
                        self._save(plan, state)
                        saved = time.monotonic()
                    if stop.asked:
                        stop.obey()
                if state.step_of_pass == len(batches) or not state.best:
                    self._close_pass(plan, state)
        self._save(plan, state)
        return self._trained(plan, state)

    def network_of(self, weights: dict[str, Tensor]) -> GraphTransformer:
        with torch.random.fork_rng(devices=[]):
            network = self.make().to(self.material.device)
        network.load_state_dict(weights)
        return network.eval()

    def said(self, network: GraphTransformer, examples: np.ndarray) -> np.ndarray:
        """[examples, outputs]"""
        network.eval()
        found = np.empty((len(examples), self.material.head.outputs))
        places = np.argsort(self.material.encoded.sizes[examples], kind="stable")
        start = 0
        while start < len(places):
            part = places[start : start + self.at_once]
            try:
                with torch.no_grad():
                    found[part] = self._outputs(network, examples[part]).double().cpu().numpy()
            except LACK as error:
                self._less_at_once(error)
                continue
            start += len(part)
        return found

    def _begin(self, plan: Plan) -> State:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(plan.seed)
            network = self.make().to(self.material.device)
        rate, decay = self.options.rate, self.options.weight_decay
        flat = [p for p in network.parameters() if p.ndim < 2]
        matrices = [p for p in network.parameters() if p.ndim >= 2]
        groups = [{"params": matrices, "weight_decay": decay}, {"params": flat, "weight_decay": 0.0}]
        state = State(network, torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.99)), _copied(network.state_dict()))
        if plan.checkpoint is not None and (data := plan.checkpoint.read()) is not None:
            state.load(unpacked(data, where=plan.checkpoint.name, device=self.material.device))
            log.info("%s goes on from pass %d", plan.name, state.passes + 1)
        return state

    def _batches(self, plan: Plan, number: int) -> list[np.ndarray]:
        """The batches of a pass; of several processes each gets as many."""
        rng = np.random.default_rng([abs(plan.seed), number])
        found = list(in_batches(self.material.encoded, rng.permutation(plan.learnt), self.options.batch))
        found = [found[i] for i in rng.permutation(len(found))]
        short = -len(found) % self.world
        return (found + found[:short])[self.rank :: self.world]

    def _step(self, plan: Plan, state: State, examples: np.ndarray) -> None:
        rate = self.options.rate * min(1.0, (state.step + 1) / _WARMUP)
        for group in state.optimiser.param_groups:
            group["lr"] = rate
        seed = int(np.random.SeedSequence([abs(plan.seed), state.step, self.rank]).generate_state(1)[0])
        while True:
            torch.manual_seed(seed)
            state.network.train().zero_grad(set_to_none=True)
            try:
                for start in range(0, len(examples), self.at_once):
                    part = examples[start : start + self.at_once]
                    (self._loss(state.network, part) * (len(part) / len(examples))).backward()
                break
            except LACK as error:
                self._less_at_once(error)
        self._share_gradients(state.network)
        norm = torch.nn.utils.clip_grad_norm_(state.network.parameters(), _CLIP)
        if torch.isfinite(norm):
            state.optimiser.step()
        state.step += 1
        state.step_of_pass += 1
        decay = min(_AVERAGE, (1 + state.step) / (10 + state.step))
        with torch.no_grad():
            for name, value in state.network.state_dict().items():
                state.average[name].lerp_(value, 1 - decay)

    def _loss(self, network: GraphTransformer, examples: np.ndarray) -> Tensor:
        targets = torch.from_numpy(self.material.targets[examples]).to(self.material.device)
        return self.material.head.loss(self._outputs(network, examples), targets)

    def _outputs(self, network: GraphTransformer, examples: np.ndarray) -> Tensor:
        """Half precision inside on a GPU that has it."""
        batch = batch_of(self.material.encoded, examples, self.material.device)
        kind = torch.device(self.material.device).type
        half = kind == "cuda" and torch.cuda.is_bf16_supported()
        with torch.autocast(kind, dtype=torch.bfloat16, enabled=half):
            found = network(batch)
        return found.float()

    def _less_at_once(self, error: BaseException) -> None:
        hint = "Keep fewer rows per link (meta.rfm.neighbors) or make channels smaller."
        self.at_once = halved(self.at_once, error, one="the rows of a single example", hint=hint)

    def _share_gradients(self, network: GraphTransformer) -> None:
        if self.world == 1:
            return
        for each in network.parameters():
            each.grad = torch.zeros_like(each) if each.grad is None else each.grad
            dist.all_reduce(each.grad)
            each.grad /= self.world

    def _close_pass(self, plan: Plan, state: State) -> None:
        state.passes += 1
        state.step_of_pass = 0
        network = self.network_of(state.average)
        said = torch.from_numpy(self.said(network, plan.watched))
        loss = self.material.head.loss(said, torch.from_numpy(self.material.targets[plan.watched]))
        state.watched_loss = self._agreed(float(loss))
        log.info("%s: pass %d, loss %.4f on the newest examples", plan.name, state.passes, state.watched_loss)
        if not state.best or state.watched_loss < state.best_loss:
            state.best, state.best_loss = _copied(state.average), state.watched_loss
            state.best_pass, state.best_step = state.passes, state.step

    def _trained(self, plan: Plan, state: State) -> Trained:
        """The best weights, at the level of the newer half of what was watched: the older would hold it back."""
        network, targets = self.network_of(state.best), self.material.targets[plan.watched]
        said, newer = self.said(network, plan.watched), slice(len(plan.watched) // 2, None)
        by = self._agreed(self.material.head.level(said[newer], targets[newer]))
        network.move(by)
        loss = self.material.head.loss(torch.from_numpy(said + by), torch.from_numpy(targets))
        return Trained(_copied(network.state_dict()), state.best_pass, self._agreed(float(loss)), state.step)

    def _done(self, state: State) -> bool:
        waited = state.passes - state.best_pass >= self.options.patience
        return state.passes >= self.options.epochs or (waited and state.step - state.best_step >= _LEAST_PATIENCE)

    def _time_left(self, plan: Plan, state: State) -> bool:
        """At least one step is made."""
        return bool(self._agreed(float(state.step == 0 or time.monotonic() < plan.ends)))

    def _agreed(self, value: float) -> float:
        """What the first process says, so that none goes on where another stops."""
        if self.world == 1:
            return value
        shared = torch.tensor(value, dtype=torch.float64, device=self.material.device)
        dist.broadcast(shared, src=0)
        return float(shared)

    def _save(self, plan: Plan, state: State) -> None:
        if plan.checkpoint is None or self.rank:
            return
        plan.checkpoint.write(packed(state.saved()))


def _copied(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in weights.items()}
