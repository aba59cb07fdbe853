"""The rows held back from a fine-tuning, and what the whole answer loses on them with one network or another.

In: a reading of labelled examples. Out: the log loss, or the mean absolute error of the median, of network, line and
trees as the mixture would weigh them (`mixing`): what is measured is what would be served. The line and the trees are
fitted once. Time rule: the newest quarter is held back (`Reading.held_out`), as it is to learn the weights.

Shapes: H held-back rows, K classes, L quantile levels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dbt_rfm.model.families.rfm.in_context import InContextModel
from dbt_rfm.model.families.rfm.mixing import Mix
from dbt_rfm.model.families.rfm.network import RelationalTransformer
from dbt_rfm.model.families.rfm.opinions import (
    ClassOpinions,
    NumberOpinions,
    Turns,
    class_members,
    mean_log_odds,
    mean_quantiles,
    number_members,
)
from dbt_rfm.model.prepared import MEDIAN, QUANTILE_LEVELS
from dbt_rfm.model.reading import HeldOut, Question, Reading
from dbt_rfm.task_kind import TaskKind

_HELD_ROWS = 1000


@dataclass(frozen=True)
class Watched:
    question: Question
    held: HeldOut
    said: tuple[np.ndarray, ...]  # [H, K] or [H, L] each: its network, line, trees
    attended: int
    members: int

    @classmethod
    def of(cls, model: InContextModel, question: Question, reading: Reading) -> Watched | None:
        """None where too few rows are newer than the others, or no column varies."""
        if not reading.matrix.shape[1]:
            return None
        held = _in_table_order(reading).held_out(_HELD_ROWS, question.rng(0, "held back"))
        if held is None:
            return None
        options, networks = model.options, (model.network,)
        inner, fit = held.inner, {"attended": options.attended, "members": options.members}
        if question.kind is TaskKind.REGRESSION:
            numbers = NumberOpinions.fit(networks, question, inner, **fit, thorough=True)
            said = numbers.quantiles(held.asked, numbers.tree_errors(held.asked, held.labels))
        else:
            classes = ClassOpinions.fit(networks, question, inner, **fit, thorough=True)
            said = [odds - held.log_odds for odds in classes.log_odds(held.asked)]
        return cls(question, held, tuple(said), options.attended, options.members)

    @property
    def inner(self) -> Reading:
        """The rows to learn from."""
        return self.held.inner

    @property
    def measure(self) -> str:
        return "MAE" if self.question.kind is TaskKind.REGRESSION else "log loss"

    def losses(self, tuned: RelationalTransformer | None) -> np.ndarray:
        """[H] of the whole answer, with the tuned network beside the model's own if there is one."""
        said = list(self.said) if tuned is None else [self._beside(tuned), *self.said[1:]]
        labels = self.held.labels
        if self.question.kind is TaskKind.REGRESSION:
            quantiles = Mix.of_numbers(said, labels, QUANTILE_LEVELS).quantiles(said, MEDIAN)
            return np.abs(labels - quantiles[:, MEDIAN])
        odds = Mix.of_classes(said, labels).log_odds(said)
        return -odds[np.arange(len(labels)), labels]

    def _beside(self, tuned: RelationalTransformer) -> np.ndarray:
        """What both networks say on average."""
        turns = Turns([tuned], self.question, self.inner, self.attended, self.members, first=self.members)
        if self.question.kind is TaskKind.REGRESSION:
            return (self.said[0] + mean_quantiles(number_members(turns), self.held.asked)) / 2
        said = mean_log_odds(class_members(turns), self.held.asked)
        return (self.said[0] + said - self.held.log_odds) / 2


def _in_table_order(reading: Reading) -> Reading:
    """Columns in the order of the table: the order of their worth tells of labels that are held back."""
    order = np.argsort(reading.chosen)
    return replace(
        reading,
        chosen=reading.chosen[order],
        matrix=reading.matrix[:, order],
        categorical=reading.categorical[order],
    )
