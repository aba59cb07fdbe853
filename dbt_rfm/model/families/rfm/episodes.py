"""Episodes of a task's own past: an older part as a labelled context, rows after it as the questions.

In: a `Reading` of labelled examples. Out: `Episode`s, a function of seed and number alone, so that a training that goes
on after an interruption sees what it would have seen. Each is seen through other columns in another order, and classes
change places, so that the network learns this task's columns and not a list of rows.
Time rule: every question is later than the whole of its context; without times both are drawn.

Shapes: N context rows, Q questions, C columns, K classes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dbt_rfm.model.context_sample import sample_context
from dbt_rfm.model.families.rfm.opinions import in_units
from dbt_rfm.model.reading import Reading
from dbt_rfm.model.target_scale import TargetScale
from dbt_rfm.task_kind import TaskKind

_CONTEXT, QUESTIONS, _COLUMNS = 256, 512, 24  # rows and columns of an episode, at most
_LEAST = 20  # rows of either part
_OLDEST_CUT = 0.2  # share of the rows that every context may choose from


@dataclass(frozen=True)
class Episode:
    matrix: np.ndarray  # [N + Q, C]
    categorical: np.ndarray  # [C]
    labels: np.ndarray  # [N] as the network reads them
    low: np.ndarray  # [Q] class positions, or where the stretch of scores of a number begins
    high: np.ndarray  # [Q] where it ends
    log_odds: np.ndarray  # [K] that lead from what the network says to the questions drawn; empty for a number

    def parts(self, most: int) -> list[Episode]:
        """The same context with at most so many of the questions each."""
        context, questions = len(self.labels), len(self.low)
        if questions <= most:
            return [self]
        asked = [slice(start, start + most) for start in range(0, questions, most)]
        rows = np.split(self.matrix, [context])
        return [
            replace(self, matrix=np.r_[rows[0], rows[1][some]], low=self.low[some], high=self.high[some])
            for some in asked
        ]


def draw_episode(reading: Reading, seed: int, number: int) -> Episode | None:
    """None where the part drawn holds one label only."""
    rng = np.random.default_rng([abs(seed), number])
    older, newer = _parts(reading.times, len(reading.labels), rng)
    if min(len(older), len(newer)) < _LEAST or len(np.unique(reading.labels[older])) == 1:
        return None
    slots = reading.targets.shape[1]
    times = None if reading.times is None else reading.times[older]
    context = sample_context(reading.labels[older], reading.kind, slots, _CONTEXT, times, rng)
    asked = sample_context(reading.labels[newer], reading.kind, slots, QUESTIONS, None, rng)
    read, posed = older[context.rows], newer[asked.rows]
    if len(np.unique(reading.labels[read])) == 1:
        return None
    columns = rng.permutation(len(reading.categorical))[:_COLUMNS]
    matrix, categorical = reading.matrix[np.r_[read, posed]][:, columns], reading.categorical[columns]
    labels, questions = reading.labels[read], reading.labels[posed]
    if reading.kind is TaskKind.REGRESSION:
        low, high = TargetScale.of(labels).to_normal(questions)
        return Episode(matrix, categorical, in_units(labels), low, high, np.zeros(0))
    renamed = rng.permutation(slots)
    log_odds = np.zeros(slots)
    log_odds[renamed] = context.log_odds - asked.log_odds
    return Episode(matrix, categorical, renamed[labels], renamed[questions], renamed[questions], log_odds)


def _parts(times: np.ndarray | None, number: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Positions before a moment and from it on."""
    if times is None or times.min() == times.max():
        mixed = rng.permutation(number)
        return mixed[: number // 2], mixed[number // 2 :]
    moments = np.unique(times)
    early = moments[np.searchsorted(np.sort(times), moments) >= _OLDEST_CUT * number]
    moment = rng.choice(times[times >= early[0]]) if len(early) else moments[-1]
    return np.flatnonzero(times < moment), np.flatnonzero(times >= moment)
