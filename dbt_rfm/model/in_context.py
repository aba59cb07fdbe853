"""`rfm`: answer from labelled examples with the bundled network, without training.

In: context examples with labels and query examples, as feature tables. Out: predictions for the queries. The context
is sampled down and its columns screened (`reading`), encoded once, and the queries are scored in chunks at flat memory.
A linear reading of the same context (`linear`) is averaged in: where columns simply add up it is hard to beat, and
where they do not, the network is (figures in docs/model_card.md). The same input and seed give the same answer.
"""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import torch

from dbt_rfm.errors import DataError, ModelError, did_you_mean
from dbt_rfm.model.interface import FeatureTable, Predictions
from dbt_rfm.model.linear import class_log_odds, normal_quantiles
from dbt_rfm.model.network import IDENTITY, QUANTILE_LEVELS, RelationalTransformer
from dbt_rfm.model.reading import ClassSlots, Question, Reading
from dbt_rfm.model.tail import raised, tail_values
from dbt_rfm.model.target_scale import TargetScale
from dbt_rfm.task_kind import TaskKind

_KINDS = (TaskKind.BINARY, TaskKind.MULTICLASS, TaskKind.REGRESSION)
_CATEGORY_VECTORS = 64
_LINEAR_SHARE = 0.5  # of the linear reading in the answer
_CELL_KEYS = 512  # context rows that cells attend to; attention among all of them would be most of the time
_forward = threading.Lock()  # two dbt threads take turns: side by side each would take twice the memory and time


@dataclass(frozen=True)
class InContextOptions:
    context_size: int = 1000  # examples read at once
    columns: int = 64  # at most, after screening
    members: int = 1  # readings by the network, averaged; each costs a full pass
    chunk: int = 1024  # query rows scored at once

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
        return InContextModel(self.network, version=self._version, checkpoint_sha=self._sha, options=options)

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
        if kind is TaskKind.REGRESSION:
            return self._numbers(Question(context, labels, query, kind, 0, seed, times_context))
        slots = ClassSlots.of(labels, len(classes))
        if len(np.unique(labels)) == 1:
            shares = (np.bincount(labels, minlength=len(classes)) + 0.5) / (len(labels) + 1)
            found = np.tile(shares / shares.sum(), (query.num_rows, 1))
            return Predictions(kind, classes, probabilities=found)
        question = Question(context, slots.position[labels], query, kind, slots.number, seed, times_context)
        return Predictions(kind, classes, probabilities=slots.spread(self._probabilities(question)))

    def _numbers(self, question: Question) -> Predictions:
        if len(np.unique(question.labels)) == 1:  # nothing varies, so nothing can be said but the value itself
            quantiles = np.full((question.query.num_rows, len(QUANTILE_LEVELS)), question.labels[0])
        else:
            quantiles = self._quantiles(question)
        mean = quantiles @ _level_weights()
        return Predictions(question.kind, (), mean=mean, levels=QUANTILE_LEVELS, quantiles=quantiles)

    def _quantiles(self, question: Question) -> np.ndarray:
        """[Q, L]"""
        readings = self._readings(question)
        network = np.mean([self._network_quantiles(question, r, member) for member, r in enumerate(readings)], 0)
        first = readings[0]
        scores, held_out = normal_quantiles(
            first.matrix,
            first.categorical,
            first.targets[:, 0],
            first.asked,
            QUANTILE_LEVELS,
            abs(question.seed),
        )
        scale = TargetScale.of(first.labels)
        quantiles = (1 - _LINEAR_SHARE) * network + _LINEAR_SHARE * scale.to_label(scores)
        numbers = first.chosen[~first.categorical]
        values = tail_values(
            question.context.take(first.rows).select(tuple(numbers)).columns,
            first.labels,
            scale.to_label(held_out),
            question.query.select(tuple(numbers)).columns,
        )
        return quantiles if values is None else raised(quantiles, quantiles[:, QUANTILE_LEVELS.index(0.5)], values)

    def _probabilities(self, question: Question) -> np.ndarray:
        """[Q, slots]"""
        readings = self._readings(question)
        network = np.mean([self._network_log_odds(question, r, member) for member, r in enumerate(readings)], 0)
        odds = (1 - _LINEAR_SHARE) * network + _LINEAR_SHARE * self._linear_log_odds(question, readings[0])
        return np.exp(odds - np.logaddexp.reduce(odds, axis=1, keepdims=True))

    def _readings(self, question: Question) -> list[Reading]:
        """One per member of the ensemble; the linear reading uses the first."""
        size, columns = self.options.context_size, self.options.columns
        return [question.read(member, context_size=size, columns=columns) for member in range(self.options.members)]

    def _network_quantiles(self, question: Question, reading: Reading, member: int) -> np.ndarray:
        labels = reading.labels
        unit = (labels - np.median(labels)) / (np.abs(labels - np.median(labels)).mean() or 1.0)
        scores = self._scores(question, reading, unit, "regression", member)
        return TargetScale.of(labels).to_label(np.sort(scores, 1))

    def _network_log_odds(self, question: Question, reading: Reading, member: int) -> np.ndarray:
        """[Q, slots] log-probabilities."""
        number = question.num_slots
        renamed = question.rng(member, "classes").permutation(number)  # slots mean nothing to the network: mix them
        kind = "binary" if number == 2 else "multiclass"
        odds = self._scores(question, reading, renamed[reading.labels], kind, member)[:, renamed] + reading.log_odds
        return odds - np.logaddexp.reduce(odds, axis=1, keepdims=True)

    def _linear_log_odds(self, question: Question, reading: Reading) -> np.ndarray:
        odds = class_log_odds(
            reading.matrix,
            reading.categorical,
            reading.labels,
            reading.asked,
            question.num_slots,
            abs(question.seed),
        )
        odds = odds + reading.log_odds
        return odds - np.logaddexp.reduce(odds, axis=1, keepdims=True)

    def _scores(self, question: Question, reading: Reading, labels: np.ndarray, kind: str, member: int) -> np.ndarray:
        """[Q, outputs] of the network for all queries; the context is encoded once."""
        draws = torch.Generator().manual_seed(int(question.rng(member, "identities").integers(2**62)))
        device = self.network.summary.device
        width, asked, chunk = len(reading.categorical), reading.asked, self.options.chunk

        def batched(x: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(x)).unsqueeze(0).to(device)

        with _forward, torch.inference_mode():
            encoded = self.network.encode(
                batched(reading.matrix),
                batched(reading.categorical),
                batched(labels),
                kind,
                identities=torch.randn(1, width, IDENTITY, generator=draws).to(device),
                categories=torch.randn(1, width, _CATEGORY_VECTORS, IDENTITY, generator=draws).to(device),
                key_rows=_key_rows(len(labels), draws),
            )
            parts = [
                self.network.score(encoded, batched(asked[start : start + chunk]), kind)[0].cpu().numpy()
                for start in range(0, max(len(asked), 1), chunk)
            ]
        return np.concatenate(parts).astype(np.float64)


def _key_rows(rows: int, draws: torch.Generator) -> torch.Tensor | None:
    return torch.randperm(rows, generator=draws)[:_CELL_KEYS].sort().values if rows > _CELL_KEYS else None


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
        raise ModelError(
            f"expected labels to be positions among {len(classes)} classes, got {np.unique(positions)[:5]}"
        )
    return positions.astype(np.int64)
