"""`model: auto`: every model is tried on a closed window of the task itself, and the best one takes the question.

In: a snapshot and the options that it was collected with. Out: options that name the best model, and lines that tell
who scored what at what cost.
Time rule: the newest quarter of the backtest's context is asked, the rest of it is learnt from (without a backtest the
same of the query's context). The window of the backtest has no part in the choice, so it stays a test of the outcome.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from dbt_rfm.answer import trained
from dbt_rfm.errors import DataError, RfmError
from dbt_rfm.evaluate.scores import is_better, primary_of, score
from dbt_rfm.model import candidates, load_model, reads_rows
from dbt_rfm.model.examples import label_array, seconds_of, split_rows
from dbt_rfm.model.reading import newest_part
from dbt_rfm.model.step import learn
from dbt_rfm.options import Options
from dbt_rfm.snapshot import BACKTEST, BACKTEST_CONTEXT, CONTEXT, QUERY, Snapshot
from dbt_rfm.task_kind import ONE_LABEL

FALLBACK = "rfm"
MOST_ASKED = 2000
_LEAST = 30  # examples on either side


@dataclass(frozen=True)
class Trial:
    """`figure` None: it could not be tried, `why` says the reason."""

    name: str
    figure: float | None
    seconds: float
    why: str = ""


def choose(snapshot: Snapshot, options: Options, *, progress: Callable[[str], None]) -> tuple[Options, tuple[str, ...]]:
    """The options of the best model for this task, and the table of the trials, line by line."""
    trial = _trial(snapshot, options.seed) if snapshot.kind in ONE_LABEL else None
    if trial is None:
        reason = "there are too few closed examples to compare models on"
        if snapshot.kind not in ONE_LABEL:
            reason = f"models are compared for yes or no, classes and numbers, not for a {snapshot.kind}"
        return replace(options, model=FALLBACK), (f"auto took {FALLBACK}: {reason}",)
    minutes = float(options.auto.get("minutes", 10))
    found: dict[str, tuple[Options, Trial]] = {}
    figure, ends = "", time.monotonic() + 60 * minutes
    for name, changes in candidates(minutes / 4).items():
        asked = replace(options, **changes)
        if found and time.monotonic() >= ends:
            found[name] = asked, Trial(name, None, 0.0, f"the {minutes:g} minutes were over")
            continue
        progress(f"trying {name}")
        figure, found[name] = _try(name, trial, asked, figure)
    best = _best(figure, [each for _, each in found.values()])
    asked_rows, learnt = (len(split_rows(trial, split)) for split in (QUERY, CONTEXT))
    heading = f"auto took {best}, tried on {asked_rows} closed examples with {learnt} older ones to learn from:"
    return found[best][0], (heading, *(_line(figure, each) for _, each in found.values()))


def _try(name: str, trial: Snapshot, options: Options, figure: str) -> tuple[str, tuple[Options, Trial]]:
    started = time.monotonic()
    if reads_rows(options.model) and not trial.rows:
        return figure, (options, Trial(name, None, 0.0, "the examples are too many to bring the rows around them"))
    try:
        figures = _figures(trial, options)
    except RfmError as error:
        return figure, (options, Trial(name, None, time.monotonic() - started, str(error).split("\n", 1)[0]))
    figure = figure or primary_of(trial.kind, figures)
    return figure, (options, Trial(name, figures[figure], time.monotonic() - started))


def _figures(trial: Snapshot, options: Options) -> Mapping[str, float]:
    with tempfile.TemporaryDirectory(prefix="dbt_rfm_") as folder:
        # What is trained here has not seen everything: it is not kept for the answer.
        model: Any = load_model(options.model, options.device, options.for_model())
        model, _ = trained.adapted(model, trial, options, folder, fresh=True, progress=lambda stage: None)
        said = learn(trial, model, CONTEXT, seed=options.seed).answer(trial, QUERY)
    return score(trial.kind, label_array(trial, split_rows(trial, QUERY)), said)


def _trial(snapshot: Snapshot, seed: int) -> Snapshot | None:
    """A snapshot whose query has known answers; None where either side is too small."""
    source = BACKTEST_CONTEXT if len(split_rows(snapshot, BACKTEST)) else CONTEXT
    rows, rng = split_rows(snapshot, source), np.random.default_rng(seed)
    if len(rows) < 2 * _LEAST:
        return None
    newer = newest_part(seconds_of(snapshot, "anchor_time", rows), len(rows), rng)
    asked = rows[newer]
    if len(asked) > MOST_ASKED:
        asked = np.sort(rng.choice(asked, MOST_ASKED, replace=False))
    older = rows[~newer]
    if min(len(asked), len(older)) < _LEAST:
        return None
    kept = np.sort(np.concatenate([asked, older]))
    places = pa.array(kept, type=pa.int64())
    examples = snapshot.examples.take(places)
    split = pa.array(np.where(np.isin(kept, asked), QUERY, CONTEXT).tolist())
    shares = snapshot.label_shares.get(source)
    return replace(
        snapshot,
        examples=examples.set_column(examples.column_names.index("split"), "split", split),
        features=snapshot.features.take(places),
        label_shares={CONTEXT: shares} if shares else {},
        shards={},
    )


def _best(figure: str, trials: list[Trial]) -> str:
    """The first of the best. Raises DataError where nobody could answer."""
    scored = [each for each in trials if each.figure is not None]
    if not scored:
        raise DataError("no model could be tried: " + "; ".join(f"{each.name}: {each.why}" for each in trials))
    best = scored[0]
    for each in scored[1:]:
        assert each.figure is not None and best.figure is not None
        if is_better(figure, each.figure, best.figure):
            best = each
    return best.name


def _line(figure: str, trial: Trial) -> str:
    said = f"not tried: {trial.why}" if trial.figure is None else f"{figure} {trial.figure:.4g}, {trial.seconds:.0f} s"
    return f"  {trial.name}: {said}"
