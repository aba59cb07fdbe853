"""Random functions, and the ways a hidden score becomes a label or a column: the alphabet of both priors.

Everything takes a numpy generator first and works on whole arrays.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from dbt_rfm.task_kind import TaskKind

MAX_CLASSES = 10
_ACTIVATIONS = (
    np.tanh,
    lambda x: np.maximum(x, 0),
    np.sin,
    np.abs,
    lambda x: x,
    np.sign,
    lambda x: np.exp(-x * x),
    lambda x: np.clip(x, -1, 1),
    lambda x: np.maximum(x, 0) ** 2,
)


def log_uniform(rng: Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def standardise(x: np.ndarray) -> np.ndarray:
    """Mean 0, deviation 1 along axis 0."""
    return (x - x.mean(0)) / (x.std(0) + 1e-6)


def random_mlp(rng: Generator, x: np.ndarray, *, noise: bool = False) -> tuple[np.ndarray, list[np.ndarray]]:
    """[R] output of a random network over x [R, C], and its hidden layers (noisy if asked)."""
    hidden, layers = x, []
    width = int(log_uniform(rng, 4, 32))
    for _ in range(rng.integers(1, 4)):
        weight = rng.standard_normal((hidden.shape[1], width)) / np.sqrt(hidden.shape[1])
        if rng.random() < 0.5:
            weight *= 2 * (rng.random(weight.shape) < rng.uniform(0.1, 0.9))
        bent = _ACTIVATIONS[rng.integers(len(_ACTIVATIONS))](
            hidden @ weight * rng.uniform(0.5, 2.5) + rng.standard_normal(width) * rng.uniform()
        )
        hidden = standardise(bent)
        if noise:
            hidden = hidden + rng.standard_normal(hidden.shape) * log_uniform(rng, 0.02, 0.6)
        layers.append(hidden)
    return standardise(hidden @ rng.standard_normal(width)), layers


def random_trees(rng: Generator, x: np.ndarray) -> np.ndarray:
    """[R] sum of random oblivious trees over few of the columns of x [R, C]."""
    rows, width = x.shape
    trees, depth = int(log_uniform(rng, 1, 25)), int(rng.integers(1, 6))
    taste = rng.dirichlet(np.full(width, rng.uniform(0.1, 1.0)))
    total = np.zeros(rows)
    for _ in range(trees):
        column = rng.choice(width, depth, p=taste)
        bits = x[:, column] > x[rng.integers(0, rows, depth), column]
        total += rng.standard_normal(1 << depth)[bits @ (1 << np.arange(depth))]
    return standardise(total)


def random_score(rng: Generator, x: np.ndarray) -> np.ndarray:
    """[R] a hidden score of the columns of x [R, C]: linear, network, trees, product, periodic, or a sum of two."""
    some = rng.permutation(x.shape[1])[: max(1, int(np.ceil(x.shape[1] * rng.choice([1.0, rng.uniform(0.05, 1)]))))]
    z = x[:, some]
    form = rng.choice(6, p=[0.28, 0.22, 0.26, 0.08, 0.04, 0.12])
    if form == 0:
        return standardise(z @ (rng.standard_normal(z.shape[1]) * np.exp(0.7 * rng.standard_normal(z.shape[1]))))
    if form == 1:
        return random_mlp(rng, z)[0]
    if form == 2:
        return random_trees(rng, z)
    if form == 3:
        one, two = rng.integers(0, z.shape[1], 2)
        return standardise(z[:, one] * z[:, two] + rng.uniform(0, 1) * random_mlp(rng, z)[0])
    if form == 4:
        wave = np.sin(z[:, 0] * rng.uniform(1, 5) + rng.uniform(0, 6))
        return standardise(wave + rng.uniform(0, 1) * z[:, -1])
    return standardise(random_trees(rng, z) + standardise(z @ rng.standard_normal(z.shape[1])))


def categories_of(rng: Generator, x: np.ndarray, number: int) -> np.ndarray:
    """Cut a score into `number` categories of uneven size, named in random order."""
    edges = np.quantile(x, np.sort(rng.random(number - 1)))
    codes = np.searchsorted(edges, x)
    return rng.permutation(number)[codes] if rng.random() < 0.6 else codes


def prevalence(rng: Generator) -> float:
    """0.5 to 50 %, rarely the other way round (churn is often the common class)."""
    share = rng.uniform(0.15, 0.5) if rng.random() < 0.5 else log_uniform(rng, 0.005, 0.5)
    return 1 - share if rng.random() < 0.3 else share


def labels_of_score(rng: Generator, score: np.ndarray, kind: TaskKind) -> tuple[np.ndarray, int]:
    """A noisy hidden score as labels of a kind, and the number of classes (0 for regression)."""
    noisy = score + rng.logistic(size=len(score)) * log_uniform(rng, 0.02, 1.2)
    if kind is TaskKind.BINARY:
        return (noisy > np.quantile(noisy, 1 - prevalence(rng))).astype(np.float64), 2
    if kind is TaskKind.MULTICLASS:
        number = int(rng.choice([2, 3, 3, 4, 4, 5, 5, 6, 7, 8, 9, 10]))
        return categories_of(rng, noisy, number).astype(np.float64), number
    return shape_number(rng, noisy), 0


def shape_number(rng: Generator, x: np.ndarray) -> np.ndarray:
    """A number as warehouses hold them: plain, long-tailed, zero-inflated, rounded, clipped, in any unit."""
    form = rng.choice(6, p=[0.35, 0.2, 0.2, 0.1, 0.1, 0.05])
    x = standardise(x)
    if form == 1:
        x = np.exp(x * rng.uniform(0.3, 1.6))
    elif form == 2:
        x = np.maximum(x - np.quantile(x, rng.uniform(0.05, 0.85)), 0)
        x = np.expm1(x * rng.uniform(0.5, 2)) if rng.random() < 0.6 else x
    elif form == 3:
        x = np.round(x * rng.uniform(0.8, 6))
    elif form == 4:
        x = np.clip(x, *np.sort(rng.normal(0, 1.5, 2)))
    elif form == 5:
        x = np.sign(x) * np.abs(x) ** rng.uniform(1.5, 3)
    return x * log_uniform(rng, 0.01, 1000) + rng.standard_normal() * rng.choice([0.0, 1.0, 10.0])


def drop_values(rng: Generator, columns: np.ndarray, share_of_columns: float) -> None:
    """Make values missing in place, at random or depending on another column."""
    rows, width = columns.shape
    for j in np.flatnonzero(rng.random(width) < share_of_columns):
        if rng.random() < 0.5:
            gone = rng.random(rows) < rng.uniform(0.02, 0.7)
        else:
            other = np.nan_to_num(columns[:, rng.integers(width)])
            gone = other > np.quantile(other, rng.uniform(0.3, 0.95))
        columns[gone, j] = np.nan
