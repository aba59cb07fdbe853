"""`rfm`: answer from labelled examples with the bundled network, without training.

In: context examples with labels and query examples, as feature tables. Out: predictions for the queries. The context
is sampled down and its columns screened (`reading`). Three readings of it answer: the pretrained network, which attends
to up to a thousand rows encoded once, a line and boosted trees over up to ten thousand (`linear`, `trees`). What each
is worth is learnt on the newest rows of the context (`mixing`). A quick answer does without trees and learning. Figures
of each alone: docs/model_card.md. Queries are scored in chunks at flat memory; input and seed decide the answer.
"""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import torch

from dbt_rfm.errors import DataError, ModelError, did_you_mean
from dbt_rfm.model import linear, trees
from dbt_rfm.model.interface import FeatureTable, Predictions
from dbt_rfm.model.mixing import Mix
from dbt_rfm.model.network import IDENTITY, QUANTILE_LEVELS, RelationalTransformer
from dbt_rfm.model.reading import ClassSlots, Question, Reading
from dbt_rfm.model.tail import raised, tail_values
from dbt_rfm.model.target_scale import TargetScale
from dbt_rfm.task_kind import TaskKind

_KINDS = (TaskKind.BINARY, TaskKind.MULTICLASS, TaskKind.REGRESSION)
_CATEGORY_VECTORS = 64
_MEDIAN = QUANTILE_LEVELS.index(0.5)
_HELD_ROWS = 500  # asked to learn what the readings are worth
_CELL_KEYS = 512  # context rows that cells attend to; attention among all of them would be most of the time
_forward = threading.Lock()  # two dbt threads take turns: side by side each would take twice the memory and time


@dataclass(frozen=True)
class InContextOptions:
    context_size: int = 10_000  # examples read, by line and trees
    attended: int = 1000  # of these, by the network
    columns: int = 64  # at most, after screening
    members: int = 1  # readings by the network, averaged; each costs a full pass
    chunk: int = 1024  # query rows scored at once
    thorough: bool = True  # with trees, and weights learnt on held-out rows; without: network and line, half each

    @classmethod
    def read(cls, given: dict[str, Any] | None) -> InContextOptions:
        """Raises ModelError for an unknown name or a value that is not a whole number ≥ 1 (context_size ≥ 2)."""
        known = [f.name for f in fields(cls)]
        for name, value in (given or {}).items():
            if name not in known:
                raise ModelError(f"the model 'rfm' has no option {name}", hint=did_you_mean(name, known))
            if name == "thorough":
                if not isinstance(value, bool):
                    raise ModelError(f"option thorough is {value!r}, expected true or false")
                continue
            least = 2 if name in ("context_size", "attended") else 1
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
        reading = self._read(question)
        mix, errors = self._mix(question, reading)
        said, linear_held_out = self._numbers_said(question, reading, errors)
        quantiles = mix.quantiles(said, _MEDIAN)
        numbers = reading.chosen[~reading.categorical]
        values = tail_values(
            question.context.take(reading.rows).select(tuple(numbers)).columns,
            reading.labels,
            linear_held_out,
            question.query.select(tuple(numbers)).columns,
        )
        return quantiles if values is None else raised(quantiles, quantiles[:, _MEDIAN], values)

    def _probabilities(self, question: Question) -> np.ndarray:
        """[Q, slots]"""
        reading = self._read(question)
        mix, _ = self._mix(question, reading)
        odds = mix.log_odds(self._classes_said(question, reading)) + reading.log_odds
        return np.exp(odds - np.logaddexp.reduce(odds, axis=1, keepdims=True))

    def _read(self, question: Question) -> Reading:
        return question.read(0, context_size=self.options.context_size, columns=self.options.columns)

    def _mix(self, question: Question, reading: Reading) -> tuple[Mix, np.ndarray | None]:
        """What each reading is worth here, and for numbers the errors [H] of the trees, on the normal scale."""
        alike = Mix.equal(3 if self.options.thorough else 2)
        held_out = reading.held_out(_HELD_ROWS, question.rng(0, "held out")) if self.options.thorough else None
        if held_out is None:
            return alike, None
        inner, labels, shift = held_out
        if question.kind is TaskKind.REGRESSION:
            scale = TargetScale.of(inner.labels)
            errors = np.mean(scale.to_normal(labels), 0) - self._tree_medians(question, inner)
            said, _ = self._numbers_said(question, inner, errors)
            return Mix.of_numbers(said, labels, QUANTILE_LEVELS), errors
        said = [odds - shift for odds in self._classes_said(question, inner)]  # to the shares of the rows drawn
        return Mix.of_classes(said, labels), None

    def _classes_said(self, question: Question, reading: Reading) -> list[np.ndarray]:
        """[Q, slots] log-odds of the network, of the line and, if thorough, of the trees."""
        given = (reading.matrix, reading.categorical, reading.labels, reading.asked, question.num_slots)
        seed = abs(question.seed)
        members = [self._network_log_odds(question, reading, member) for member in range(self.options.members)]
        said = [np.mean(members, 0), linear.class_log_odds(*given, seed)]
        return [*said, trees.class_log_odds(*given, seed)] if self.options.thorough else said

    def _numbers_said(
        self, question: Question, reading: Reading, errors: np.ndarray | None
    ) -> tuple[list[np.ndarray], np.ndarray]:
        """[Q, L] quantiles of each reading, and what the line says of the context's rows without having seen them [N].

        The trees give a median only: about it lie their errors on rows held out, or the line's.
        """
        scale = TargetScale.of(reading.labels)
        scores, held_out = linear.normal_quantiles(
            reading.matrix,
            reading.categorical,
            reading.targets[:, 0],
            reading.asked,
            QUANTILE_LEVELS,
            abs(question.seed),
        )
        members = [self._network_quantiles(question, reading, member) for member in range(self.options.members)]
        said = [np.mean(members, 0), scale.to_label(scores)]
        if self.options.thorough:
            about = reading.targets[:, 0] - held_out if errors is None else errors
            around = self._tree_medians(question, reading)[:, None] + np.quantile(about, QUANTILE_LEVELS)
            said.append(scale.to_label(around))
        return said, scale.to_label(held_out)

    def _tree_medians(self, question: Question, reading: Reading) -> np.ndarray:
        return trees.medians(
            reading.matrix, reading.categorical, reading.targets[:, 0], reading.asked, abs(question.seed)
        )

    def _network_quantiles(self, question: Question, reading: Reading, member: int) -> np.ndarray:
        attended = reading.sampled(self.options.attended, question.rng(member, "attended"))
        labels = attended.labels
        unit = (labels - np.median(labels)) / (np.abs(labels - np.median(labels)).mean() or 1.0)
        scores = self._scores(question, attended, unit, "regression", member)
        return TargetScale.of(labels).to_label(np.sort(scores, 1))

    def _network_log_odds(self, question: Question, reading: Reading, member: int) -> np.ndarray:
        """[Q, slots] log-probabilities."""
        number = question.num_slots
        attended = reading.sampled(self.options.attended, question.rng(member, "attended"))
        renamed = question.rng(member, "classes").permutation(number)  # slots mean nothing to the network: mix them
        kind = "binary" if number == 2 else "multiclass"
        odds = self._scores(question, attended, renamed[attended.labels], kind, member)[:, renamed] + attended.log_odds
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
