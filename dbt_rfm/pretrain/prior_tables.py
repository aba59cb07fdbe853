"""Plain tables: columns from random causal networks, clusters or noise, and a label that is a function of some of them.

Out: columns [R, C] with NaN, which of them are categorical, labels [R] and the number of classes. They teach the
network to read columns of any shape; `prior_relational` teaches it what columns of a relational database mean.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from dbt_rfm.pretrain.functions import (
    categories_of,
    drop_values,
    labels_of_score,
    log_uniform,
    random_mlp,
    random_score,
    shape_number,
    standardise,
)
from dbt_rfm.task_kind import TaskKind

Drawn = tuple[np.ndarray, np.ndarray, np.ndarray, int]


def draw_table(rng: Generator, rows: int, width: int, kind: TaskKind) -> Drawn:
    columns, causes = _columns(rng, rows, width)
    labels, classes = labels_of_score(rng, random_score(rng, standardise(causes)), kind)
    return *_dress(rng, columns), labels, classes


def draw_easy_table(rng: Generator, rows: int, width: int, kind: TaskKind) -> Drawn:
    """A label that one or two columns decide, nearly without noise: what the first steps learn to read at all."""
    columns = rng.standard_normal((rows, width))
    some = rng.permutation(width)[: int(rng.integers(1, 3))]
    score = columns[:, some] @ rng.choice([-1.0, 1.0], len(some)) + 0.1 * rng.standard_normal(rows)
    if kind is TaskKind.REGRESSION:
        return columns, np.zeros(width, dtype=bool), score, 0
    classes = 2 if kind is TaskKind.BINARY else int(rng.integers(3, 6))
    edges = np.quantile(score, (np.arange(1, classes) + rng.uniform(-0.3, 0.3, classes - 1)) / classes)
    return columns, np.zeros(width, dtype=bool), np.searchsorted(edges, score).astype(np.float64), classes


def _columns(rng: Generator, rows: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Raw columns [R, C] and the causes [R, *] a label may depend on."""
    form = rng.random()
    if form < 0.2:
        x = rng.standard_normal((rows, width))
        if rng.random() < 0.5:  # a few factors behind many columns
            factors = int(rng.integers(1, max(2, width)))
            mixed = rng.standard_normal((rows, factors)) @ rng.standard_normal((factors, width))
            x = mixed / np.sqrt(factors) + x * rng.uniform(0.1, 1)
        return x, x
    if form < 0.35:
        centres = rng.standard_normal((int(rng.integers(2, 12)), width)) * rng.uniform(0.5, 2.5)
        member = rng.integers(0, len(centres), rows)
        x = centres[member] + rng.standard_normal((rows, width))
        return x, np.concatenate([x, centres[member][:, :2]], 1)
    roots = rng.standard_normal((rows, int(rng.integers(2, 12))))
    if rng.random() < 0.3:  # the world drifts along the rows
        roots += np.linspace(-1, 1, rows)[:, None] * rng.standard_normal(roots.shape[1]) * rng.uniform()
    _, layers = random_mlp(rng, roots, noise=True)
    hidden = np.concatenate([roots, *layers], 1)
    x = hidden[:, np.resize(rng.permutation(hidden.shape[1]), width)]
    x = x + rng.standard_normal(x.shape) * log_uniform(rng, 0.01, 0.7)
    return x, x if rng.random() < 0.5 else hidden


def _dress(rng: Generator, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give columns the shapes of a warehouse: categories, tails, rounding, zeros, missing values."""
    x = x.copy()
    categorical = rng.random(x.shape[1]) < rng.choice([0, rng.uniform(0, 0.7)])
    shaped = rng.uniform(0, 0.8)
    for j in range(x.shape[1]):
        if categorical[j]:
            x[:, j] = categories_of(rng, x[:, j], int(rng.choice([2, 2, 3, 4, 5, 8, 12, 30])))
        elif rng.random() < shaped:
            x[:, j] = shape_number(rng, x[:, j])
    if rng.random() < 0.4:
        drop_values(rng, x, rng.uniform(0, 0.6))
    return x, categorical
