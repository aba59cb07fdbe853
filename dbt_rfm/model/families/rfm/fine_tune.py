"""Fine-tuning: the bundled network adapted, for minutes, to the closed windows of one task.

In: labelled examples with their times, a budget. Out: a second network beside the bundled one (`InContextModel.tuned`),
or none where the answer did not get better. The network learns from episodes of the older rows (`episodes`); the
newest quarter is held back, and several times in between the *whole* answer, network, line, trees and their weights, is
measured there. The best weights win, those of the start included. All of the network is trained: it is small enough.
Time rule: no row held back is trained on, and nothing later than the examples given is seen.
Training that was interrupted goes on from its last saved state, if the examples are the same; SIGTERM saves it. Too
little memory halves the number of questions worked on at once, and the step is made again.
"""

from __future__ import annotations

import copy
import hashlib
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dbt_rfm.model.families.rfm.episodes import QUESTIONS, Episode, draw_episode
from dbt_rfm.model.families.rfm.in_context import InContextModel, checked
from dbt_rfm.model.families.rfm.network import CATEGORY_VECTORS, IDENTITY, RelationalTransformer
from dbt_rfm.model.families.rfm.opinions import batched
from dbt_rfm.model.families.rfm.pinball import pinball
from dbt_rfm.model.families.rfm.watched import Watched
from dbt_rfm.model.files import File
from dbt_rfm.model.interface import Labelled, Progress
from dbt_rfm.model.memory import LACK, halved
from dbt_rfm.model.packing import packed, unpacked
from dbt_rfm.model.reading import Reading
from dbt_rfm.model.stop import Stop
from dbt_rfm.task_kind import TaskKind

_RATE = 1e-3
_WARM_UP = 10  # steps
_CLIP = 1.0
_AVERAGED = 0.95  # decay of the averaged weights, which are the ones measured
_LOOKS = 4  # at the rows held back, at equal parts of the budget
_CLEAR = 2.5  # standard errors of the gain: of four looks at nothing, one in forty gets so far
_SAVE_EVERY = 20.0  # seconds
_LEAST_ROWS = 120
_LESS = "Lower context_size, or leave fine_tune out."
_turn = threading.Lock()  # two dbt threads train one after the other: side by side each would get half of its minutes


@dataclass(frozen=True)
class Tuned:
    """`weights` None: the bundled network answers as well or better. Losses are of the answer on rows held back."""

    weights: dict[str, Tensor] | None
    before: float
    after: float
    measure: str  # 'log loss' | 'MAE'
    steps: int
    rows: int  # learnt from
    held: int
    note: str


def fine_tune(
    model: InContextModel,
    known: Labelled,
    *,
    minutes: float,
    seed: int = 0,
    state: File | None = None,
    progress: Progress = lambda stage: None,
    clock: Callable[[], float] = time.monotonic,
) -> Tuned:
    """`state`: the file that an interrupted training goes on from; gone once it is over. Raises as `model.prepare`."""
    watched = watch(model, known, seed=seed)
    if watched is None:
        note = (
            f"not fine-tuned: in {len(known.labels)} examples there is too little to learn from and to hold some back"
        )
        return Tuned(None, math.nan, math.nan, "", 0, 0, 0, note)
    with _turn:
        training = _Training(model.network, watched, minutes * 60, seed, state, progress, clock)
        return training.run()


def watch(model: InContextModel, known: Labelled, *, seed: int) -> Watched | None:
    """Part the examples into those to learn from and those held back; None where they are too few or all alike."""
    known = checked(known)
    if len(known.labels) < _LEAST_ROWS or len(np.unique(known.labels)) == 1:
        return None
    thorough = model.with_options(thorough=True)
    question, _ = thorough.question(known, seed=seed)
    return Watched.of(thorough, question, thorough.read(question))


class _Training:
    def __init__(
        self,
        start: RelationalTransformer,
        watched: Watched,
        budget: float,
        seed: int,
        state: File | None,
        progress: Progress,
        clock: Callable[[], float],
    ) -> None:
        self.watched, self.budget, self.seed = watched, budget, seed
        self.state, self.progress, self.clock = state, progress, clock
        self.network = copy.deepcopy(start).train()
        self.average = {name: value.detach().clone() for name, value in start.state_dict().items()}
        self.optimiser = torch.optim.AdamW(self.network.parameters(), lr=_RATE, betas=(0.9, 0.98), weight_decay=0.0)
        self.number, self.steps, self.spent, self.looks = 0, 0, 0.0, 0
        self.at_once = QUESTIONS
        self.losses = watched.losses(None)
        self.before = self.best = float(self.losses.mean())
        self.best_weights: dict[str, Tensor] | None = None
        self.identity = _identity(watched.inner, seed, budget, start)
        self._load()

    def run(self) -> Tuned:
        saved = began = self.clock()
        before = self.spent
        reading = self.watched.inner
        with Stop(armed=self.state is not None) as stop:
            while self.spent < self.budget:
                episode = draw_episode(reading, self.seed, self.number)
                self.number += 1
                if episode is not None:
                    self._step(episode)
                self.spent = before + self.clock() - began
                if self.spent >= self.budget * (self.looks + 1) / _LOOKS:
                    self._look()
                    before, began = self.spent, self.clock()  # a look is not training
                if stop.asked or self.clock() - saved > _SAVE_EVERY:
                    self._save()
                    saved = self.clock()
                if stop.asked:
                    stop.obey()
        if self.state is not None:
            self.state.remove()
        return self._result()

    def _step(self, episode: Episode) -> None:
        late = 0.5 * (1 + math.cos(math.pi * min(self.spent / self.budget, 1.0)))
        for group in self.optimiser.param_groups:
            group["lr"] = _RATE * min(1.0, (self.steps + 1) / _WARM_UP) * (0.05 + 0.95 * late)
        self._learn(episode)
        norm = torch.nn.utils.clip_grad_norm_(self.network.parameters(), _CLIP)
        if torch.isfinite(norm):
            self.optimiser.step()
        self.network.zero_grad(set_to_none=True)
        self.steps += 1
        decay = min(_AVERAGED, (1 + self.steps) / (10 + self.steps))
        with torch.no_grad():
            for name, value in self.network.state_dict().items():
                self.average[name].lerp_(value, 1 - decay)

    def _learn(self, episode: Episode) -> None:
        """The gradients of an episode, whole or in as many parts as the memory asks for."""
        kind, whole = str(self.watched.inner.kind), len(episode.low)
        while True:
            self.network.zero_grad(set_to_none=True)
            try:
                for part in episode.parts(self.at_once):
                    draws = torch.Generator().manual_seed(abs(self.seed) * 1_000_003 + self.number)
                    (_loss(self.network, part, kind, draws) * (len(part.low) / whole)).backward()
                return
            except LACK as error:
                self.at_once = halved(self.at_once, error, one="a single question", hint=_LESS)

    def _look(self) -> None:
        """Measure the answer with the averaged weights and keep them if it is the best so far."""
        candidate = copy.deepcopy(self.network)
        candidate.load_state_dict(self.average)
        losses = self.watched.losses(candidate.eval())
        loss = float(losses.mean())
        self.looks += 1
        if loss < self.best and clearly_less(losses, self.losses):
            self.best = loss
            self.best_weights = {name: value.clone() for name, value in self.average.items()}
        self.progress(
            f"fine-tuning: {100 * self.looks / _LOOKS:.0f} %, {self.steps} steps, "
            f"{self.watched.measure} {loss:.4g} (without: {self.before:.4g})"
        )

    def _result(self) -> Tuned:
        measure, held = self.watched.measure, len(self.watched.held.labels)
        found = f"{measure} of the answer on {held} held-back rows"
        if self.best_weights is None:
            note = f"not fine-tuned: after {self.steps} steps the {found} was not clearly below {self.before:.4g}"
        else:
            note = f"fine-tuned in {self.steps} steps: the {found} is {self.best:.4g} instead of {self.before:.4g}"
        rows = len(self.watched.inner.labels)
        return Tuned(self.best_weights, self.before, self.best, measure, self.steps, rows, held, note)

    def _save(self) -> None:
        if self.state is None:
            return
        kept: dict[str, Any] = {
            "identity": self.identity,
            "network": self.network.state_dict(),
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
            "best": self.best,
            "best_weights": self.best_weights,
            "counts": [self.number, self.steps, self.spent, self.looks],
        }
        self.state.write(packed(kept))

    def _load(self) -> None:
        data = self.state.read() if self.state is not None else None
        if self.state is None or data is None:
            return
        kept = unpacked(data, where=self.state.name, device=str(self.network.summary.device))
        if kept["identity"] != self.identity:
            return
        self.network.load_state_dict(kept["network"])
        self.average, self.best, self.best_weights = kept["average"], kept["best"], kept["best_weights"]
        self.optimiser.load_state_dict(kept["optimiser"])
        self.number, self.steps, self.spent, self.looks = kept["counts"]
        self.progress(f"fine-tuning goes on after {self.steps} steps")


def clearly_less(losses: np.ndarray, others: np.ndarray) -> bool:
    """Whether the same rows lose less, by more than the chance of their draw may do."""
    gained = others - losses
    return bool(gained.mean() > _CLEAR * gained.std() / math.sqrt(len(gained)))


def _loss(network: RelationalTransformer, episode: Episode, kind: str, draws: torch.Generator) -> Tensor:
    device, width = network.summary.device, len(episode.categorical)
    found = network(
        batched(episode.matrix, device),
        batched(episode.categorical, device),
        batched(episode.labels, device),
        kind,
        identities=torch.randn(1, width, IDENTITY, generator=draws).to(device),
        categories=torch.randn(1, width, CATEGORY_VECTORS, IDENTITY, generator=draws).to(device),
    )
    if kind == TaskKind.REGRESSION:
        return pinball(found, batched(episode.low, device).float(), batched(episode.high, device).float())
    shift = torch.from_numpy(episode.log_odds).float().to(device)
    return F.cross_entropy(found[0, :, : len(shift)] + shift, batched(episode.low, device)[0])


def _identity(reading: Reading, seed: int, budget: float, start: RelationalTransformer) -> str:
    """Of everything that decides a training: one saved under another identity is not gone on with."""
    digest = hashlib.sha256(f"{reading.kind} {seed} {budget} {start.config}".encode())
    for part in (reading.matrix, reading.labels, reading.times, start.summary.detach().cpu().numpy()):
        digest.update(b"" if part is None else np.ascontiguousarray(part).tobytes())
    return digest.hexdigest()
