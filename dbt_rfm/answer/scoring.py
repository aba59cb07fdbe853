"""Answer the shards of a large answer, one after the other, until none is left.

In: the tables of the run, what was learnt from the context, the board that says whose turn a shard is. Out: rows in the
run's table of predictions. A process alone answers all of them; workers that share a job take those that are free, and
the one that holds the job waits for the others. Each shard is written in one transaction with the board's word that it
is done, so a worker that dies leaves no part of one.
"""

from __future__ import annotations

import time

from dbt_rfm.answer.asked_rows import likeliest
from dbt_rfm.answer.reasons_column import with_reasons
from dbt_rfm.model.interface import Progress
from dbt_rfm.model.prediction_rows import prediction_rows
from dbt_rfm.model.step import Learnt
from dbt_rfm.pql.task import Task
from dbt_rfm.shards.parts import number_of, part
from dbt_rfm.shards.run_tables import Board, RunTables
from dbt_rfm.snapshot import QUERY, Snapshot


class ShardsDone(str):
    """A stage with its numbers, for whoever shows more than its text."""

    done: int
    total: int

    def __new__(cls, done: int, total: int) -> ShardsDone:
        stage = super().__new__(cls, f"predicting: {done} of {total} shards done")
        stage.done, stage.total = done, total
        return stage


def answer_shards(
    tables: RunTables,
    snapshot: Snapshot,
    learnt: Learnt,
    task: Task,
    board: Board,
    *,
    progress: Progress,
    wait: bool = True,
) -> float:
    """Take shards until all are done, or with `wait` False until none is free. Gives the seconds of the model."""
    whole, seconds = number_of(snapshot), 0.0
    while left := board.left():
        progress(ShardsDone(whole - left, whole))
        shard = board.claim()
        if shard is not None:
            seconds += _answer(tables, snapshot, learnt, task, board, shard)
        elif wait:
            board.wait()
        else:
            break
    return seconds


def _answer(tables: RunTables, snapshot: Snapshot, learnt: Learnt, task: Task, board: Board, shard: int) -> float:
    asked = part(tables, snapshot, shard, with_rows=learnt.with_rows)
    started = time.perf_counter()
    said = learnt.answer(asked, QUERY)
    rows = likeliest(with_reasons(prediction_rows(asked, said), asked, said, learnt, snapshot), task)
    seconds = time.perf_counter() - started
    tables.write(shard, rows, lambda: board.done(shard))
    return seconds
