"""What a network's outputs mean for each kind of task: the loss, the figure that stops a training, and predictions.

Classes: log-odds, cross entropy. Numbers: quantiles on a normal scale of the context's labels (`target_scale.py`),
pinball loss, which is nothing anywhere within the stretch of the scale that equal labels share. What numbers are like
changes over the years, and a network that learnt from older examples answers at their level; so the newest say by how
much the level has moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dbt_rfm.model.interface import Predictions
from dbt_rfm.model.prepared import MEDIAN, QUANTILE_LEVELS, number_predictions
from dbt_rfm.model.target_scale import TargetScale
from dbt_rfm.task_kind import TaskKind

_PRIOR_ROWS = 30.0  # how many examples it takes to move a level half of the way


class Head(Protocol):
    @property
    def outputs(self) -> int: ...

    def targets(self, labels: np.ndarray) -> np.ndarray:
        """[N, …] what the loss compares with."""
        ...

    def loss(self, said: Tensor, targets: Tensor) -> Tensor:
        """The mean over the examples."""
        ...

    def level(self, said: np.ndarray, targets: np.ndarray) -> float:
        """What to add to all outputs so that they are as high as these targets."""
        ...

    def answer(self, said: list[np.ndarray]) -> Predictions:
        """Of the outputs of each member, [Q, outputs]."""
        ...

    def fits(self, kind: TaskKind, classes: tuple[str, ...]) -> bool:
        """Whether it answers questions of this kind."""
        ...

    def tree(self) -> dict[str, Any]:
        """As `packing.packed` keeps it."""
        ...


@dataclass(frozen=True)
class ClassHead:
    kind: TaskKind
    classes: tuple[str, ...]

    @property
    def outputs(self) -> int:
        return len(self.classes)

    def targets(self, labels: np.ndarray) -> np.ndarray:
        return labels.astype(np.int64)

    def loss(self, said: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(said, targets)

    def level(self, said: np.ndarray, targets: np.ndarray) -> float:
        """None: what is added to all log-odds changes no probability."""
        return 0.0

    def answer(self, said: list[np.ndarray]) -> Predictions:
        each = [np.exp(s - np.logaddexp.reduce(s, axis=1, keepdims=True)) for s in said]
        found = np.mean(each, axis=0)
        return Predictions(self.kind, self.classes, probabilities=found / found.sum(axis=1, keepdims=True))

    def fits(self, kind: TaskKind, classes: tuple[str, ...]) -> bool:
        return (kind, classes) == (self.kind, self.classes)

    def tree(self) -> dict[str, Any]:
        return {"kind": str(self.kind), "classes": self.classes}


@dataclass(frozen=True)
class NumberHead:
    scale: TargetScale

    @property
    def outputs(self) -> int:
        return len(QUANTILE_LEVELS)

    def targets(self, labels: np.ndarray) -> np.ndarray:
        """[N, 2] the stretch of scores of each label."""
        return np.stack(self.scale.to_normal(labels), axis=1).astype(np.float32)

    def loss(self, said: Tensor, targets: Tensor) -> Tensor:
        levels = torch.tensor(QUANTILE_LEVELS, device=said.device)
        nearest = said.detach().maximum(targets[:, :1]).minimum(targets[:, 1:])
        error = nearest - said
        return torch.maximum(levels * error, (levels - 1) * error).sum(1).mean() / len(QUANTILE_LEVELS)

    def level(self, said: np.ndarray, targets: np.ndarray) -> float:
        """The median distance of the targets from the medians said; few targets move it less."""
        medians = said[:, MEDIAN]
        apart = np.clip(medians, targets[:, 0], targets[:, 1]) - medians
        return float(np.median(apart)) * len(apart) / (len(apart) + _PRIOR_ROWS)

    def answer(self, said: list[np.ndarray]) -> Predictions:
        scores = np.sort(np.mean(said, axis=0), axis=1)
        return number_predictions(self.scale.to_label(scores))

    def fits(self, kind: TaskKind, classes: tuple[str, ...]) -> bool:
        return kind == TaskKind.REGRESSION

    def tree(self) -> dict[str, Any]:
        return {"kind": str(TaskKind.REGRESSION), "scale": vars(self.scale)}


def head_of(kind: TaskKind, classes: tuple[str, ...], labels: np.ndarray) -> Head:
    return NumberHead(TargetScale.of(labels)) if kind == TaskKind.REGRESSION else ClassHead(kind, classes)


def head_from_tree(tree: Mapping[str, Any]) -> Head:
    if tree["kind"] == TaskKind.REGRESSION:
        return NumberHead(TargetScale(**tree["scale"]))
    return ClassHead(TaskKind(tree["kind"]), tuple(tree["classes"]))
