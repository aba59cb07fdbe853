"""`rfm`: answer from labelled examples with the bundled network, without training.

In: context examples with labels and query examples, as feature tables. Out: predictions for the queries. The context
is sampled down, its columns screened, encoded once per member of a small ensemble (own column identities, own sample of
a large context), and the queries are scored in chunks at flat memory. The same input and seed give the same answer.
"""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
import torch

from dbt_rfm.errors import DataError, ModelError, did_you_mean
from dbt_rfm.model.columns import ColumnCodes
from dbt_rfm.model.context_sample import ContextSample, sample_context
from dbt_rfm.model.interface import FeatureTable, Predictions
from dbt_rfm.model.network import IDENTITY, MAX_CLASSES, QUANTILE_LEVELS, RelationalTransformer
from dbt_rfm.model.screening import choose_columns
from dbt_rfm.model.target_scale import TargetScale
from dbt_rfm.task_kind import TaskKind

_KINDS = (TaskKind.BINARY, TaskKind.MULTICLASS, TaskKind.REGRESSION)
_CATEGORY_VECTORS = 64
_forward = threading.Lock()  # two dbt threads take turns: side by side each would take twice the memory and time


@dataclass(frozen=True)
class InContextOptions:
    context_size: int = 1000  # examples read at once
    columns: int = 64  # at most, after screening
    members: int = 2  # of the ensemble
    chunk: int = 512  # query rows scored at once

    @classmethod
    def read(cls, given: dict[str, Any] | None) -> InContextOptions:
        """Raises ModelError for an unknown name or a value that is not a whole number ≥ 1 (context_size ≥ 2)."""
        known = [f.name for f in fields(cls)]
        for name, value in (given or {}).items():
            if name not in known:
                raise ModelError(f"the model 'rfm' has no option {name}", hint=did_you_mean(name, known))
            least = 2 if name == "context_size" else 1
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ModelError(f"option {name} is {value!r}, expected a whole number of at least {least}")
        return cls(**(given or {}))


class InContextModel:
    name = "rfm"

    def __init__(
        self,
        network: RelationalTransformer,
        *,
        version: str,
        checkpoint_sha: str,
        options: InContextOptions | None = None,
    ) -> None:
        self.network = network.eval()
        self.options = options or InContextOptions()
        self._version, self._sha = version, checkpoint_sha

    @property
    def version(self) -> str:
        return self._version

    @property
    def checkpoint_sha(self) -> str:
        return self._sha

    def with_options(self, **changes: Any) -> InContextModel:
        """The same network with other options."""
        options = InContextOptions.read(asdict(self.options) | changes)
        return InContextModel(
            self.network, version=self._version, checkpoint_sha=self._sha, options=options
        )

    def predict(
        self,
        context: FeatureTable,
        labels: np.ndarray,
        query: FeatureTable,
        kind: TaskKind,
        classes: tuple[str, ...],
        *,
        seed: int = 0,
        times_context: np.ndarray | None = None,
        times_query: np.ndarray | None = None,
    ) -> Predictions:
        """See `interface.RelationalModel`. `times_query` is not used: all queries read the same context."""
        labels = _checked(context, labels, kind, classes)
        task = _Task(context, labels, query, kind, classes, seed, times_context)
        if kind is TaskKind.REGRESSION:
            return self._numbers(task)
        return self._classes(task)

    def _numbers(self, task: _Task) -> Predictions:
        if len(np.unique(task.labels)) == 1:  # nothing varies, so nothing can be said but the value itself
            quantiles = np.full((task.query.num_rows, len(QUANTILE_LEVELS)), task.labels[0])
        else:
            quantiles = np.mean([self._member_quantiles(task, m) for m in range(self.options.members)], 0)
            quantiles = np.sort(quantiles, 1)
        mean = quantiles @ _level_weights()
        return Predictions(task.kind, (), mean=mean, levels=QUANTILE_LEVELS, quantiles=quantiles)

    def _member_quantiles(self, task: _Task, member: int) -> np.ndarray:
        sample = task.sample(member, 0, self.options.context_size)
        labels = task.labels[sample.rows]
        scale = TargetScale.of(labels)
        targets = np.mean(scale.to_normal(labels), 0)[:, None]
        unit = (labels - np.median(labels)) / (np.abs(labels - np.median(labels)).mean() or 1.0)
        scores = self._scores(task, sample.rows, unit, targets, "regression", member)
        return scale.to_label(np.sort(scores, 1))

    def _classes(self, task: _Task) -> Predictions:
        slots = _ClassSlots.of(task.labels, len(task.classes))
        if len(np.unique(task.labels)) == 1:
            shares = (np.bincount(task.labels, minlength=len(task.classes)) + 0.5) / (len(task.labels) + 1)
            found = np.tile(shares / shares.sum(), (task.query.num_rows, 1))
            return Predictions(task.kind, task.classes, probabilities=found)
        task = replace(task, labels=slots.position[task.labels])
        members = [self._member_log_odds(task, slots.number, m) for m in range(self.options.members)]
        odds = np.mean(members, 0)
        odds = np.exp(odds - odds.max(1, keepdims=True))
        found = slots.spread(odds / odds.sum(1, keepdims=True))
        return Predictions(task.kind, task.classes, probabilities=found)

    def _member_log_odds(self, task: _Task, number: int, member: int) -> np.ndarray:
        """[Q, number] normalised log-probabilities of one member."""
        sample = task.sample(member, number, self.options.context_size)
        slots = task.rng(member, "classes").permutation(number)  # the network's slots mean nothing: mix them
        labels = task.labels[sample.rows]
        kind = "binary" if number == 2 else "multiclass"
        scores = self._scores(task, sample.rows, slots[labels], np.eye(number)[labels], kind, member)
        odds = scores[:, slots] + sample.log_odds
        return odds - np.logaddexp.reduce(odds, axis=1, keepdims=True)

    def _scores(
        self, task: _Task, rows: np.ndarray, labels: np.ndarray, targets: np.ndarray, kind: str, member: int
    ) -> np.ndarray:
        """[Q, outputs] of the network for all queries."""
        context = task.context.take(rows)
        codes = ColumnCodes.of(context)
        matrix = codes.matrix(context)
        chosen = choose_columns(matrix, codes.categorical, targets, self.options.columns)
        asked = codes.matrix(task.query)[:, chosen]
        draws = torch.Generator().manual_seed(int(task.rng(member, "identities").integers(2**62)))
        device = self.network.summary.device

        def batched(x: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(x)).unsqueeze(0).to(device)

        with _forward, torch.inference_mode():
            encoded = self.network.encode(
                batched(matrix[:, chosen]),
                batched(codes.categorical[chosen]),
                batched(labels),
                kind,
                identities=torch.randn(1, len(chosen), IDENTITY, generator=draws).to(device),
                categories=torch.randn(1, len(chosen), _CATEGORY_VECTORS, IDENTITY, generator=draws).to(device),
            )
            parts = [
                self.network.score(encoded, batched(asked[start : start + self.options.chunk]), kind)[0].cpu().numpy()
                for start in range(0, max(len(asked), 1), self.options.chunk)
            ]
        return np.concatenate(parts).astype(np.float64)


@dataclass(frozen=True)
class _Task:
    """What a call asks, and the random draws that belong to its seed."""

    context: FeatureTable
    labels: np.ndarray
    query: FeatureTable
    kind: TaskKind
    classes: tuple[str, ...]
    seed: int
    times: np.ndarray | None

    def rng(self, member: int, purpose: str) -> np.random.Generator:
        return np.random.default_rng([abs(self.seed), member, *purpose.encode()])

    def sample(self, member: int, num_classes: int, size: int) -> ContextSample:
        rng = self.rng(member, "context")
        return sample_context(self.labels, self.kind, num_classes, size, self.times, rng)


@dataclass(frozen=True)
class _ClassSlots:
    """Classes as slots of the network. Beyond its ten, the rarest share one and split its probability by their shares."""

    position: np.ndarray  # [K] slot of each class
    share: np.ndarray  # [K] of its slot's probability
    number: int

    @classmethod
    def of(cls, labels: np.ndarray, classes: int) -> _ClassSlots:
        if classes <= MAX_CLASSES:
            return cls(np.arange(classes), np.ones(classes), classes)
        counts = np.bincount(labels, minlength=classes) + 0.5
        place = np.empty(classes, dtype=int)
        place[np.argsort(-counts, kind="stable")] = np.arange(classes)
        position = np.minimum(place, MAX_CLASSES - 1)
        return cls(position, counts / np.bincount(position, counts)[position], MAX_CLASSES)

    def spread(self, probabilities: np.ndarray) -> np.ndarray:  # [Q, number] → [Q, K]
        return probabilities[:, self.position] * self.share


def _level_weights() -> np.ndarray:
    """[L] weights that make a mean of quantiles: each level stands for the share of the distribution nearest to it."""
    levels = np.array(QUANTILE_LEVELS)
    edges = np.r_[0.0, (levels[1:] + levels[:-1]) / 2, 1.0]
    return np.diff(edges)


def _checked(context: FeatureTable, labels: np.ndarray, kind: TaskKind, classes: tuple[str, ...]) -> np.ndarray:
    """Labels as int64 or float64. Raises ModelError or DataError for what no answer can be given to."""
    if kind not in _KINDS:
        raise ModelError(f"the model 'rfm' does not answer {kind} tasks", hint=f"It answers: {', '.join(_KINDS)}.")
    if len(labels) == 0:
        raise DataError(
            "there are no labelled examples to learn from",
            hint="Widen the window or the WHERE of the query, or choose an earlier anchor.",
        )
    if context.columns and context.num_rows != len(labels):
        raise ModelError(f"expected one label per context row, got {len(labels)} for {context.num_rows}")
    if kind is TaskKind.REGRESSION:
        numbers = np.asarray(labels, dtype=np.float64)
        bad = np.flatnonzero(~np.isfinite(numbers))
        if len(bad):
            raise DataError(f"{len(bad)} of {len(numbers)} labels are not finite numbers, e.g. in row {bad[0]}")
        return numbers
    positions = np.asarray(labels)
    if len(classes) == 0 or not np.isin(positions, np.arange(len(classes))).all():
        raise ModelError(f"expected labels to be positions among {len(classes)} classes, got {np.unique(positions)[:5]}")
    return positions.astype(np.int64)
