"""What an endpoint of Kumo Relational answers, as arrays: class probabilities or quantiles.

In: the client's result, whose items it has matched with the rows asked about. Out: numpy, in the order of those rows.
Raises ModelError for whatever is not in the contract's form, rather than guess: a class that is missing, shares that do
not add up, quantiles that do not reach p10 and p90.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sdm_client import PredictionResult

from dbt_rfm.errors import ModelError
from dbt_rfm.model.families.kumo.connection import broken
from dbt_rfm.model.families.kumo.envelope import class_name
from dbt_rfm.task_kind import TaskKind

LOWEST, HIGHEST = 0.1, 0.9
_SLACK = 0.01  # of shares that should add up to 1


def probabilities(answered: PredictionResult, kind: TaskKind, classes: int) -> np.ndarray:
    """[rows, classes] rows sum to 1."""
    names = ["false", "true"] if kind == TaskKind.BINARY else [class_name(i) for i in range(classes)]
    found = np.array([_shares(item, names) for item in _in_order(answered)])
    total = found.sum(axis=1, keepdims=True)
    if (found < 0).any() or (abs(total - 1) > _SLACK).any():
        raise broken("its probabilities do not add up to 1")
    return found / total


def quantiles(answered: PredictionResult) -> tuple[tuple[float, ...], np.ndarray]:
    """The levels, the same for all rows, and [rows, levels] non-decreasing."""
    given = [item.quantiles or {} for item in _in_order(answered)]
    levels = {_level(name): name for name in given[0]}
    if len(levels) < 3 or min(levels) > LOWEST or max(levels) < HIGHEST:
        raise ModelError(
            f"the endpoint of the model kumo gives {len(levels)} quantiles of a number, and none from {LOWEST} to "
            f"{HIGHEST}: there would be no p10 and p90",
            hint="Use the model 'rfm', kumo without endpoint, or a release of Kumo Relational that gives quantiles.",
        )
    order = sorted(levels)
    if any(set(row) != set(given[0]) for row in given):
        raise broken("the levels of its quantiles differ from row to row")
    return tuple(order), np.sort([[row[levels[level]] for level in order] for row in given], axis=1)


def _in_order(answered: PredictionResult) -> list[Any]:
    return sorted(answered.items, key=lambda item: item.row_index)


def _shares(item: Any, names: list[str]) -> list[float]:
    said = {name.casefold(): share for name, share in (item.probabilities or {}).items()}
    if set(said) != set(names):
        raise broken(f"it gives probabilities of {len(said)} classes that are not the {len(names)} asked for")
    return [said[name] for name in names]


def _level(name: str) -> float:
    try:
        level = float(name)
    except ValueError:
        level = 0.0
    if not 0 < level < 1:
        raise broken(f"a quantile's level is a number between 0 and 1, not {name[:20]!r}")
    return level
