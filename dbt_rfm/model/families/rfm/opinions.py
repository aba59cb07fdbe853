"""Opinions on the same context: the pretrained network's, a line's and boosted trees', ready to be asked.

In: a `Reading`. Out: for any rows, log-odds of classes or quantiles of a number, one array per opinion, always in this
order. Of a number, line and trees have a view by rank and one in the label's own unit: where labels have a long tail,
or add up, sizes tell what ranks hide. The two views of the line make one opinion, those of the trees two.
Fitting costs once what the context costs; asking is cheap and takes any number of rows in chunks.

Shapes: R rows asked, C columns, K classes, L quantile levels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dbt_rfm.model.families.rfm.network import CATEGORY_VECTORS, IDENTITY, Context, RelationalTransformer
from dbt_rfm.model.families.rfm.spread import carried
from dbt_rfm.model.families.rfm.trees import ClassTrees, MedianTrees
from dbt_rfm.model.families.rfm.turn import turn
from dbt_rfm.model.families.rfm.unit_line import UnitLine
from dbt_rfm.model.linear import ClassLine, NumberLine
from dbt_rfm.model.log_odds import normalised
from dbt_rfm.model.memory import LACK, halved
from dbt_rfm.model.prepared import MEDIAN, QUANTILE_LEVELS
from dbt_rfm.model.reading import Question, Reading
from dbt_rfm.model.target_scale import TargetScale

#: How many opinions a quick answer has, and a thorough one of classes and of a number.
QUICK, CLASSES, NUMBERS = 2, 3, 4

_CELL_KEYS = 512  # context rows that cells attend to; attention among all of them would be most of the time


@dataclass(frozen=True)
class ClassOpinions:
    members: list[Member]
    line: ClassLine
    trees: ClassTrees | None

    @classmethod
    def fit(
        cls,
        networks: Sequence[RelationalTransformer],
        question: Question,
        reading: Reading,
        *,
        attended: int,
        members: int,
        thorough: bool,
    ) -> ClassOpinions:
        made = class_members(Turns(networks, question, reading, attended, members))
        given = (reading.matrix, reading.categorical, reading.labels, question.num_slots, abs(question.seed))
        return cls(made, ClassLine.fit(*given), ClassTrees.fit(*given) if thorough else None)

    def log_odds(self, rows: np.ndarray) -> list[np.ndarray]:
        """[R, K] each."""
        said = [mean_log_odds(self.members, rows), self.line.log_odds(rows)]
        return said if self.trees is None else [*said, self.trees.log_odds(rows)]


@dataclass(frozen=True)
class NumberOpinions:
    members: list[Member]
    line: NumberLine
    more: Thorough | None
    scale: TargetScale

    @classmethod
    def fit(
        cls,
        networks: Sequence[RelationalTransformer],
        question: Question,
        reading: Reading,
        *,
        attended: int,
        members: int,
        thorough: bool,
    ) -> NumberOpinions:
        made = number_members(Turns(networks, question, reading, attended, members))
        seed = abs(question.seed)
        line = NumberLine.fit(reading.matrix, reading.categorical, reading.targets[:, 0], seed)
        more = Thorough.fit(reading, seed) if thorough else None
        return cls(made, line, more, TargetScale.of(reading.labels))

    def tree_errors(self, rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """[R] of the ranked trees on rows that were held out, on the normal scale."""
        assert self.more is not None, "only a thorough answer holds rows out"
        return self._normal(labels) - self.more.trees.medians(rows)

    def quantiles(self, rows: np.ndarray, tree_errors: np.ndarray | None) -> list[np.ndarray]:
        """[R, L] each, in the label's unit.

        About the median of the ranked trees lie their errors on rows held out, or the line's; about a median in the
        label's own unit what the network says of the row.
        """
        network, line = mean_quantiles(self.members, rows), self.line.quantiles(rows, QUANTILE_LEVELS)
        if self.more is None:
            return [network, self.scale.to_label(line)]
        errors = self.line.errors if tree_errors is None else tree_errors
        about = np.quantile(errors, QUANTILE_LEVELS) - np.median(errors)
        trees = self.scale.to_label(self.more.trees.medians(rows)[:, None] + about)
        lines = (self.scale.to_label(line[:, MEDIAN]) + self._within(self.more.line.medians(rows))) / 2
        unit_trees = self._within(self.more.unit_trees.medians(rows))
        floor = bool(self.scale.ordered[0] >= 0)
        moved = [carried(network, network[:, MEDIAN], medians, floor=floor) for medians in (lines, unit_trees)]
        return [network, moved[0], trees, moved[1]]

    def _normal(self, labels: np.ndarray) -> np.ndarray:
        return np.mean(self.scale.to_normal(labels), 0)

    def _within(self, labels: np.ndarray) -> np.ndarray:
        """The labels, but no further past those of the context than the scale goes."""
        return self.scale.to_label(self._normal(labels))


@dataclass(frozen=True)
class Thorough:
    """What a thorough answer of a number reads besides the network and the ranked line."""

    line: UnitLine
    trees: MedianTrees  # of the normal scale
    unit_trees: MedianTrees

    @classmethod
    def fit(cls, reading: Reading, seed: int) -> Thorough:
        given = reading.matrix, reading.categorical
        return cls(
            UnitLine.fit(*given, reading.labels, seed),
            MedianTrees.fit(*given, reading.targets[:, 0], seed),
            MedianTrees.fit(*given, reading.labels, seed),
        )


@dataclass(frozen=True)
class Turns:
    """Networks that read by turns, each as many times as there are `members` and each time other rows."""

    networks: Sequence[RelationalTransformer]
    question: Question
    reading: Reading
    attended: int
    members: int
    first: int = 0  # the number of the first reading, from which its draws follow

    def __iter__(self) -> Iterator[tuple[int, RelationalTransformer, Reading]]:
        for place in range(self.members * len(self.networks)):
            number = self.first + place
            part = self.reading.sampled(self.attended, self.question.rng(number, "attended"))
            yield number, self.networks[place % len(self.networks)], part


def class_members(turns: Turns) -> list[Member]:
    question, slots, made = turns.question, turns.question.num_slots, []
    kind = "binary" if slots == 2 else "multiclass"
    for number, network, part in turns:
        renamed = question.rng(number, "classes").permutation(slots)  # slots mean nothing to the network: mix them
        made.append(Member.encode(network, question, part, renamed[part.labels], kind, number, renamed))
    return made


def number_members(turns: Turns) -> list[Member]:
    return [
        Member.encode(network, turns.question, part, in_units(part.labels), "regression", number, None)
        for number, network, part in turns
    ]


def in_units(labels: np.ndarray) -> np.ndarray:
    """Labels as their distance from their median in mean distances from it."""
    middle = np.median(labels)
    return (labels - middle) / (np.abs(labels - middle).mean() or 1.0)


def mean_log_odds(members: Sequence[Member], rows: np.ndarray) -> np.ndarray:
    """[R, K] log-probabilities, the mean of what each says."""
    return np.mean([normalised(member.log_odds(rows)) for member in members], 0)


def mean_quantiles(members: Sequence[Member], rows: np.ndarray) -> np.ndarray:
    """[R, L] in the label's unit."""
    return np.mean([member.quantiles(rows) for member in members], 0)


@dataclass(frozen=True)
class Member:
    """The network with one part of the context encoded."""

    network: RelationalTransformer
    encoded: Context
    kind: str
    chunk: int
    renamed: np.ndarray | None  # [K] the slot of the network that stands for each class
    shift: np.ndarray  # [K] log-odds that lead back to the whole context
    scale: TargetScale | None

    @classmethod
    def encode(
        cls,
        network: RelationalTransformer,
        question: Question,
        part: Reading,
        labels: np.ndarray,
        kind: str,
        member: int,
        renamed: np.ndarray | None,
    ) -> Member:
        draws = torch.Generator().manual_seed(int(question.rng(member, "identities").integers(2**62)))
        device, width = network.summary.device, len(part.categorical)
        with turn(), torch.inference_mode():
            encoded = network.encode(
                batched(part.matrix, device),
                batched(part.categorical, device),
                batched(labels, device),
                kind,
                identities=torch.randn(1, width, IDENTITY, generator=draws).to(device),
                categories=torch.randn(1, width, CATEGORY_VECTORS, IDENTITY, generator=draws).to(device),
                key_rows=_key_rows(len(labels), draws),
            )
        scale = TargetScale.of(part.labels) if renamed is None else None
        return cls(network, encoded, kind, question.chunk, renamed, part.log_odds, scale)

    def log_odds(self, rows: np.ndarray) -> np.ndarray:
        return self._score(rows)[:, self.renamed] + self.shift

    def quantiles(self, rows: np.ndarray) -> np.ndarray:
        assert self.scale is not None, "classes have no quantiles"
        return self.scale.to_label(np.sort(self._score(rows), 1))

    def _score(self, rows: np.ndarray) -> np.ndarray:
        """[R, outputs], a chunk at a time; smaller ones where the memory is too little."""
        device, parts, start, at_once = self.network.summary.device, [], 0, self.chunk
        with turn(), torch.inference_mode():
            while start < max(len(rows), 1):
                chunk = batched(rows[start : start + at_once], device)
                try:
                    parts.append(self.network.score(self.encoded, chunk, self.kind)[0].cpu())
                except LACK as error:
                    at_once = halved(at_once, error, one="a single question", hint="Lower context_size.")
                    continue
                start += at_once
        return torch.cat(parts).numpy().astype(np.float64)


def batched(x: np.ndarray, device: torch.device) -> torch.Tensor:
    """As a batch of one, where the network is."""
    return torch.from_numpy(np.ascontiguousarray(x)).unsqueeze(0).to(device)


def _key_rows(rows: int, draws: torch.Generator) -> torch.Tensor | None:
    return torch.randperm(rows, generator=draws)[:_CELL_KEYS].sort().values if rows > _CELL_KEYS else None
