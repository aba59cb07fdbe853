"""Targets of predictive queries over a simulated world: aggregates of the window (t, t + horizon], for every entity.

`Target.values` is [E, T]: NaN where the window is not closed within the world, where the entity is not asked for (not
born, or without recent events, as a query's WHERE would have it), or where the aggregate of nothing is undefined.
Binary values are 0 and 1, multiclass ones class positions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from dbt_rfm.pretrain.functions import labels_of_score, log_uniform, prevalence, random_score, standardise
from dbt_rfm.pretrain.world import Events, World, running
from dbt_rfm.task_kind import TaskKind


@dataclass(frozen=True)
class Target:
    values: np.ndarray  # [E, T]
    horizon: int
    num_classes: int


def draw_target(rng: Generator, world: World, kind: TaskKind) -> Target:
    horizon = int(rng.choice([1, 1, 2, 3, 4, 6, 8]))
    events = world.tables[rng.integers(len(world.tables))]
    draw = {
        TaskKind.BINARY: _binary,
        TaskKind.MULTICLASS: _multiclass,
        TaskKind.REGRESSION: _regression,
    }[kind]
    values, classes = draw(rng, world, events, horizon)
    asked = np.arange(world.steps) >= world.born[:, None]
    if rng.random() < 0.6:  # WHERE COUNT(…, -n, 0) > 0
        back = int(rng.choice([2, 4, 8, 16])) * horizon
        asked &= events.count_to[:, 1:] > _shifted(events.count_to[:, 1:], back)
    values = np.where(asked, values, np.nan)
    values[:, world.steps - horizon :] = np.nan
    return Target(values, horizon, classes)


def _shifted(to: np.ndarray, back: int) -> np.ndarray:
    """Running sums `back` steps earlier, 0 before the start."""
    moved = np.zeros_like(to)
    moved[:, back:] = to[:, : max(to.shape[1] - back, 0)]
    return moved


def _ahead(x: np.ndarray, horizon: int) -> np.ndarray:
    """[E, T] sum of x over (t, t + horizon]; windows that leave the world are cut, and dropped by the caller."""
    to = running(x)
    steps = x.shape[1]
    time = np.arange(steps)
    return to[:, np.minimum(time + 1 + horizon, steps)] - to[:, time + 1]


def _aggregates(events: Events, horizon: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Count, sum and mean (NaN of nothing) of the window ahead."""
    count = _ahead(events.count, horizon)
    total = _ahead(events.count * events.value, horizon)
    return count, total, np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _exceeds(rng: Generator, x: np.ndarray) -> np.ndarray:
    """x against a threshold that leaves about a drawn prevalence; NaN stays."""
    known = x[~np.isnan(x)]
    threshold = np.quantile(known, 1 - prevalence(rng)) if len(known) else 0.0
    return np.where(np.isnan(x), np.nan, x > threshold)


def _binary(rng: Generator, world: World, events: Events, horizon: int) -> tuple[np.ndarray, int]:
    count, total, mean = _aggregates(events, horizon)
    form = rng.choice(7, p=[0.2, 0.12, 0.1, 0.18, 0.16, 0.1, 0.14])
    if form == 0:  # churn
        return (count == 0).astype(np.float64), 2
    if form == 1:
        return (count > 0).astype(np.float64), 2
    if form == 2:
        return _exceeds(rng, count), 2
    if form == 3:
        return _exceeds(rng, total if rng.random() < 0.5 else -total), 2
    if form == 4:
        return _exceeds(rng, mean if rng.random() < 0.5 else -mean), 2
    if form == 5:  # an event of one category
        chosen = rng.integers(events.num_categories)
        return (_ahead((events.category == chosen) * events.count, horizon) > 0).astype(np.float64), 2
    return _trait_labels(rng, world, TaskKind.BINARY)


def _regression(rng: Generator, world: World, events: Events, horizon: int) -> tuple[np.ndarray, int]:
    count, total, mean = _aggregates(events, horizon)
    form = rng.choice(6, p=[0.2, 0.3, 0.25, 0.1, 0.05, 0.1])
    if form == 0:
        return count, 0
    if form == 1:  # value in the window: zero-inflated, often long-tailed
        heavy = rng.random() < 0.4
        return (np.sign(total) * np.expm1(np.minimum(np.abs(total), 12) * 0.5) if heavy else total), 0
    if form == 2:
        return mean, 0
    if form == 3:
        return np.where(count > 0, total, np.nan), 0
    if form == 4:  # share of one category
        chosen = _ahead((events.category == 0) * events.count, horizon)
        return np.where(count > 0, chosen / np.maximum(count, 1), np.nan), 0
    return _trait_labels(rng, world, TaskKind.REGRESSION)


def _multiclass(rng: Generator, world: World, events: Events, horizon: int) -> tuple[np.ndarray, int]:
    form = rng.choice(4, p=[0.35, 0.3, 0.2, 0.15])
    if form == 0:  # the next event's category
        found = _next_category(events, horizon)
        return found, events.num_categories
    if form == 1:  # the most frequent category of the window
        counts = np.stack(
            [_ahead((events.category == v) * events.count, horizon) for v in range(events.num_categories)], -1
        )
        return np.where(counts.sum(-1) > 0, counts.argmax(-1), np.nan).astype(np.float64), events.num_categories
    if form == 2:  # bands of an aggregate
        x = _aggregates(events, horizon)[int(rng.integers(3))]
        number = int(rng.integers(3, 6))
        known = x[~np.isnan(x)]
        edges = np.unique(np.quantile(known, np.sort(rng.random(number - 1)))) if len(known) else np.zeros(1)
        return np.where(np.isnan(x), np.nan, np.searchsorted(edges, x)).astype(np.float64), len(edges) + 1
    return _trait_labels(rng, world, TaskKind.MULTICLASS)


def _next_category(events: Events, horizon: int) -> np.ndarray:
    steps = events.count.shape[1]
    time = np.arange(steps)
    here = np.where(events.count > 0, time, steps)
    coming = np.minimum.accumulate(here[:, ::-1], 1)[:, ::-1]
    after = np.concatenate([coming[:, 1:], np.full((len(here), 1), steps)], 1)
    found = np.take_along_axis(events.category, np.minimum(after, steps - 1), 1)
    return np.where((after <= time + horizon) & (after < steps), found, np.nan).astype(np.float64)


def _trait_labels(rng: Generator, world: World, kind: TaskKind) -> tuple[np.ndarray, int]:
    """A noisy function of the hidden traits, which the columns only show through events."""
    flat = standardise(world.traits.reshape(-1, world.traits.shape[2]))
    noise = log_uniform(rng, 0.05, 1) * rng.standard_normal(len(flat))
    labels, classes = labels_of_score(rng, standardise(random_score(rng, flat) + noise), kind)
    return labels.reshape(world.traits.shape[:2]), classes
