"""Which batch a training step reads: a function of seed, process, step and progress, so a resumed run goes on alike.

The kind of task differs between processes within a step; the shape is shared, so that none waits for another. Tasks
grow with progress: first easy ones of a few clean columns, then small contexts and tables, then large ones.
"""

from __future__ import annotations

import math
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from dbt_rfm.pretrain.functions import log_uniform
from dbt_rfm.pretrain.prior import KIND_SHARES, Batch, draw_batch

QUERY_ROWS = 96
_EASY_UNTIL = 0.1  # without this the network kept to the class shares for hundreds of steps (docs/LOG.md)
_EASY_TOKENS = 0.5
_STAGES = (  # until this progress: context sizes, most columns
    (_EASY_UNTIL, (32, 48, 64, 96), 5),
    (0.35, (32, 64, 96, 128, 192, 256), 24),
    (0.70, (32, 64, 128, 192, 256, 384, 512), 48),
    (1.01, (32, 64, 128, 256, 384, 512, 768, 1024), 96),
)


@dataclass(frozen=True)
class Step:
    seed: int
    process: int
    number: int
    progress: float  # share of the time spent, 0 to 1
    tokens: int  # cell tokens per process and step, about
    group: int = 1  # columns that share a token

    def draw(self) -> Batch:
        shape = np.random.default_rng([self.seed, 7, self.number])
        easy = self.progress < _EASY_UNTIL
        tokens = self.tokens * (_EASY_TOKENS if easy else 1.0)
        sizes, widest = next((s, w) for until, s, w in _STAGES if self.progress < until)
        context, width = int(shape.choice(sizes)), round(log_uniform(shape, 2 if easy else 3, widest))
        cells = (context + QUERY_ROWS) * (math.ceil(width / self.group) + 4)
        tasks = int(np.clip(tokens / cells, 1, 24 * self.tokens / 18_000))
        rng = np.random.default_rng([self.seed, 1000 + self.process, self.number])
        kinds = list(KIND_SHARES)
        kind = kinds[rng.choice(len(kinds), p=list(KIND_SHARES.values()))]
        return draw_batch(rng, kind, tasks, context, QUERY_ROWS, width, easy=easy)


class BatchSource:
    """Draws in the training process, or ahead of it in worker processes (a GPU is faster than one core draws)."""

    def __init__(self, workers: int = 0) -> None:
        self._pool = ProcessPoolExecutor(workers) if workers else None
        self._ahead = 3 * workers
        self._waiting: dict[int, Future[Batch]] = {}

    def get(self, step: Step) -> Batch:
        if self._pool is None:
            return step.draw()
        for number in range(step.number, step.number + self._ahead):
            if number not in self._waiting:
                later = replace(step, number=number)
                self._waiting[number] = self._pool.submit(later.draw)
        return self._waiting.pop(step.number).result()

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
