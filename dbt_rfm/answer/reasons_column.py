"""The column `reasons` of a prediction table (option `reasons`): why the strongest answers are what they are.

In: rows of an answer or of a shard of one, and what answered them. Out: the same rows with a text column, JSON of the
reasons for as many as the option says, null for all others.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pyarrow as pa

from dbt_rfm.model.examples import split_rows
from dbt_rfm.model.interface import Predictions, Progress
from dbt_rfm.model.reasons import explain, has_reasons
from dbt_rfm.model.step import Learnt
from dbt_rfm.snapshot import CONTEXT, QUERY, Snapshot
from dbt_rfm.task_kind import TaskKind

REASONS = "reasons"
AT_ONCE = 25  # between two stages, at which a job that is not wanted any more ends


def with_reasons(
    rows: pa.Table,
    asked: Snapshot,
    said: Predictions | None,
    learnt: Learnt | None,
    context: Snapshot,
    *,
    progress: Progress = lambda stage: None,
) -> pa.Table:
    """`rows`: of the query examples of `asked`, in their order; `context`: a snapshot with what was learnt from, which
    may be the same. Where the option was not given, or the kind has no reasons, there is no column."""
    number = int(asked.options.get(REASONS, 0))
    if not number or not has_reasons(asked.kind):
        return rows
    texts: list[str | None] = [None] * len(rows)
    if said is not None and learnt is not None and not learnt.with_rows:
        strongest = np.sort(np.argsort(-_strength(said), kind="stable")[:number])
        both, seed = _together(context, asked, split_rows(asked, QUERY)[strongest]), int(asked.options.get("seed", 0))
        each = len(rows) // said.num_rows  # of classes one row each, the likeliest first
        for start in range(0, len(strongest), AT_ONCE):
            progress(f"looking for reasons: {start} of {len(strongest)} found")
            some = strongest[start : start + AT_ONCE]
            for at, told in zip(some, explain(both, learnt, range(start, start + len(some)), seed=seed), strict=True):
                texts[at * each] = json.dumps([asdict(r) for r in told.reasons], ensure_ascii=False)
    return rows.append_column(REASONS, pa.array(texts, type=pa.string()))


def _strength(said: Predictions) -> np.ndarray:
    """The probability of true or of the likeliest class, or the number."""
    if said.probabilities is None:
        assert said.mean is not None
        return said.mean
    return said.probabilities[:, 1] if said.kind == TaskKind.BINARY else said.probabilities.max(axis=1)


def _together(context: Snapshot, asked: Snapshot, rows: np.ndarray) -> Snapshot:
    """What was learnt from and the query examples at these positions, in one."""
    known = pa.array(split_rows(context, CONTEXT))
    examples, features = (
        pa.concat_tables([getattr(context, name).take(known), getattr(asked, name).take(pa.array(rows))])
        for name in ("examples", "features")
    )
    return replace(context, examples=examples, features=features, rows={})
