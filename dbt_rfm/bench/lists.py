"""Run a model on a recommendation task of a suite: figures of its lists and of those that need no model.

In: the task's given lists with their roles, its bound query. Out: figures at the task's k and at 12 per model, on
the same pairs; the lists of the split are compared with, they are in no pair that the model reads.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dbt_rfm.bench import peers
from dbt_rfm.bench.examples import Examples
from dbt_rfm.collect.recommendation import ranking_labelled
from dbt_rfm.evaluate.ranking import Lists, baseline_scores, codes_of
from dbt_rfm.model.examples import feature_table, group_numbers, label_array, split_rows
from dbt_rfm.model.interface import Predictions, RelationalModel
from dbt_rfm.model.step import run_step
from dbt_rfm.options import Options
from dbt_rfm.pql.task import Task
from dbt_rfm.schema.types import RelationalSchema
from dbt_rfm.snapshot import CONTEXT, QUERY, Snapshot
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.warehouse.base import Warehouse


@dataclass(frozen=True)
class Compared:
    """`figures` name -> figures, the model's first; `seconds` name -> of the model or baseline alone."""

    figures: dict[str, dict[str, float]]
    seconds: dict[str, float]
    primary: str
    planned: float
    lists: int
    context: int
    features: int


def compare(
    task: Task,
    schema: RelationalSchema,
    warehouse: Warehouse,
    model: RelationalModel,
    examples: Examples,
    options: Options,
    *,
    rows: int | None = None,
    with_peers: bool = False,
) -> Compared:
    """The model, the baselines and, if asked, the peers on the pairs of the queried rows."""
    started = time.perf_counter()
    snapshot = ranking_labelled(
        task, schema, warehouse, options, labels=examples.labels, cut=examples.cut, query_rows=rows
    )
    planned = time.perf_counter() - started
    asked, number = split_rows(snapshot, QUERY), int(snapshot.ranking["number"])
    lists = _lists(snapshot, asked, examples.labels)
    step = run_step(snapshot, model, seed=options.seed)
    assert step.query is not None and step.query.probabilities is not None, "choose() returns no split without rows"
    scores, seconds = {model.name: step.query.probabilities[:, 1]}, {model.name: step.seconds}
    for name, make in _others(snapshot, asked, with_peers, options.seed).items():
        started = time.perf_counter()
        scores[name] = make()
        seconds[name] = time.perf_counter() - started
    return Compared(
        figures={name: lists.figures(each, number) for name, each in scores.items()},
        seconds=seconds,
        primary=f"map@{number}",
        planned=planned,
        lists=len(np.unique(lists.groups)),
        context=len(split_rows(snapshot, CONTEXT)),
        features=len(snapshot.features_meta),
    )


def _others(snapshot: Snapshot, asked: np.ndarray, with_peers: bool, seed: int) -> dict[str, Callable[[], np.ndarray]]:
    made: dict[str, Callable[[], np.ndarray]] = {
        name: partial(np.asarray, scores) for name, scores in baseline_scores(snapshot, asked).items()
    }
    if with_peers:
        table, context = feature_table(snapshot), split_rows(snapshot, CONTEXT)
        labels = label_array(snapshot, context)
        for name, learner in peers.LEARNERS.items():
            given = (table.take(context), labels, table.take(asked), TaskKind.BINARY, snapshot.classes, seed)
            made[name] = partial(_positive, partial(learner, *given))
    return made


def _positive(predict: Callable[[], Predictions]) -> np.ndarray:
    probabilities = predict().probabilities
    assert probabilities is not None, "a binary prediction has probabilities"
    return probabilities[:, 1]


def _lists(snapshot: Snapshot, asked: np.ndarray, labels: pa.Table) -> Lists:
    """The asked pairs, held against the given lists of the split."""
    given = labels.filter(pc.equal(labels["split"], QUERY)).to_pylist()
    came = {(row["entity"], row["anchor_time"]): set(row["label"]) for row in given}
    pairs = snapshot.examples.take(pa.array(asked))
    keys = zip(pairs["entity"].to_pylist(), pairs["anchor_time"].to_pylist(), strict=True)
    sets = [came[key] for key in keys]
    items = pairs["item"].to_pylist()
    return Lists(
        group_numbers(snapshot, asked),
        codes_of(pairs["item"]),
        np.array([item in found for item, found in zip(items, sets, strict=True)], dtype=bool),
        np.array([len(found) for found in sets], dtype=np.int64),
        int(snapshot.ranking["items"]),
    )
