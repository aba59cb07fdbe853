"""Draw batches of synthetic prediction tasks: most from simulated relational databases, the rest plain tables.

A batch holds tasks of one kind and one shape, as arrays ready for the network. Labels of the context decide everything
that needs labels (class order, scale of a regression target); a task whose context shows one label only is drawn again.
Classes are renamed at random in each task, so that no class slot means anything.

Shapes: B tasks, N context rows, Q query rows, C columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from dbt_rfm.model.target_scale import TargetScale
from dbt_rfm.pretrain.prior_events import draw_event_task
from dbt_rfm.pretrain.prior_relational import draw_relational
from dbt_rfm.pretrain.prior_tables import Drawn, draw_easy_table, draw_table
from dbt_rfm.task_kind import TaskKind

KIND_SHARES = {TaskKind.BINARY: 0.5, TaskKind.MULTICLASS: 0.15, TaskKind.REGRESSION: 0.35}
RELATIONAL_SHARE = 0.67
_EVENT_SHARE = 0.2  # of the relational tasks
_TASKS_PER_WORLD = 3


@dataclass(frozen=True)
class Batch:
    kind: TaskKind
    columns: np.ndarray  # [B, N + Q, C] float32, NaN missing, codes in categorical columns
    categorical: np.ndarray  # [B, C] bool
    labels: np.ndarray  # [B, N + Q] float32
    num_classes: np.ndarray  # [B], 0 for regression
    low: np.ndarray  # [B, Q] regression: the query labels on the normal scale of the context,
    high: np.ndarray  # [B, Q] from low to high where the context holds equal labels
    num_context: int

    @property
    def num_tasks(self) -> int:
        return len(self.columns)


def draw_batch(
    rng: Generator,
    kind: TaskKind,
    tasks: int,
    context: int,
    query: int,
    width: int,
    *,
    relational: float = RELATIONAL_SHARE,
    easy: bool = False,
) -> Batch:
    """`relational` is the share of tasks that come from simulated databases; `easy` ones are plain tables only."""
    made: list[Drawn] = []
    while len(made) < tasks:
        if easy:
            made.append(draw_easy_table(rng, context + query, width, kind))
            continue
        made += [task for task in _draw(rng, kind, context, query, width, relational) if _teaches(task, context)]
    made = made[:tasks]
    labels = [_renamed(rng, task) for task in made]
    low, high = _scaled(labels, context, query, kind)
    return Batch(
        kind,
        np.clip(np.stack([task[0] for task in made]), -1e12, 1e12).astype(np.float32),
        np.stack([task[1] for task in made]),
        np.stack(labels).astype(np.float32),
        np.array([task[3] for task in made]),
        low,
        high,
        context,
    )


def _draw(rng: Generator, kind: TaskKind, context: int, query: int, width: int, relational: float) -> list[Drawn]:
    if rng.random() < _EVENT_SHARE * relational:
        task = draw_event_task(rng, context, query, width, kind)
        return [] if task is None else [task]
    entities = relational * (1 - _EVENT_SHARE) / (1 - _EVENT_SHARE * relational)
    # A world gives several tasks at about the price of one, so it is drawn less often.
    if rng.random() < entities / (entities + _TASKS_PER_WORLD * (1 - entities)):
        return draw_relational(rng, context, query, width, kind, _TASKS_PER_WORLD)
    return [draw_table(rng, context + query, width, kind)]


def _teaches(task: Drawn, context: int) -> bool:
    """Whether context and queries both have something to tell."""
    columns, _, labels, classes = task
    if not np.isfinite(labels).all() or np.isinf(columns).any():
        return False
    seen = labels[:context]
    if classes != 2:
        return len(np.unique(seen)) > 1
    rare = min(seen.sum(), context - seen.sum())
    return bool(rare >= 2)


def _renamed(rng: Generator, task: Drawn) -> np.ndarray:
    _, _, labels, classes = task
    return rng.permutation(classes)[labels.astype(int)] if classes else labels


def _scaled(labels: list[np.ndarray], context: int, query: int, kind: TaskKind) -> tuple[np.ndarray, np.ndarray]:
    if kind is not TaskKind.REGRESSION:
        nothing = np.zeros((len(labels), query), np.float32)
        return nothing, nothing
    pairs = [TargetScale.of(y[:context]).to_normal(y[context:]) for y in labels]
    low, high = (np.stack(side).astype(np.float32) for side in zip(*pairs, strict=True))
    return low, high
