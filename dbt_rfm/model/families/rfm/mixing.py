"""How much each reading of a context is worth: learnt from the newest part of the context itself.

In: what the readings say of rows they had not seen, and the labels of those rows. Out: a `Mix` that makes one answer of
several. Weights are an average over a grid of weights, each in proportion to the likelihood that it gives the held-out
labels; the exponent is small because rows of one entity or day resemble each other, and smaller for numbers, whose
losses swing with a few large ones. Few rows therefore leave the readings nearly equal, many rows single out the better
ones. What is left of over- or underconfidence there is then taken back: a slope and, for two classes, an offset of the
log-odds; a stretch of the quantiles about the median. A few hundred rows do so by halves: what they have in common may
be the season they are of. Where many numbers are 0, the mean of several medians is a little above or below 0 where most
of them are 0; how near to 0 is 0 is learnt on the same rows.

Shapes: M readings, H held-out rows, Q query rows, K classes, L quantile levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from dbt_rfm.metrics import pinball
from dbt_rfm.model.log_odds import normalised

_STEPS = 4  # weights are multiples of a quarter
_CLASSES_EXPONENT, _NUMBERS_EXPONENT = 0.2, 0.05
_PRIOR_ROWS = 300.0  # how many rows it takes to move slope and offset
_SLOPES, _MOST_OFFSET = (0.3, 2.0), 3.0
_STRETCHES = (0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.4)
_LEAST_GAIN = 0.005  # of the stretch, and of taking small medians for 0
_MANY_ZEROS = 0.3  # share of the labels
_NOTHING = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5)  # mean distances of the labels from their median


@dataclass(frozen=True)
class Mix:
    weights: np.ndarray  # [M], sum 1
    slope: float = 1.0  # of log-odds
    offset: float = 0.0  # of the second of two classes
    stretch: float = 1.0  # of quantiles about the median
    nothing: float = 0.0  # medians nearer to 0 than this are 0

    @classmethod
    def equal(cls, readings: int) -> Mix:
        return cls(np.full(readings, 1 / readings))

    @classmethod
    def of_classes(cls, said: Sequence[np.ndarray], labels: np.ndarray) -> Mix:
        """From [H, K] log-probabilities."""
        rows = np.arange(len(labels))

        def loss(weights: np.ndarray) -> float:
            return float(-normalised(_weighted(said, weights))[rows, labels].mean())

        losses = [(weights, loss(weights)) for weights in _grid(len(said))]
        best = min(value for _, value in losses)
        weights = _average(losses, [-_CLASSES_EXPONENT * len(labels) * (value - best) for _, value in losses])
        slope, offset = _confidence(normalised(_weighted(said, weights)), labels)
        return cls(weights, slope, offset)

    @classmethod
    def of_numbers(cls, said: Sequence[np.ndarray], labels: np.ndarray, levels: tuple[float, ...]) -> Mix:
        """From [H, L] quantiles; the likelihood is Laplace's of the error of the median."""
        middle = levels.index(0.5)
        medians = [quantiles[:, middle] for quantiles in said]
        losses = [(w, float(np.abs(labels - _weighted(medians, w)).mean())) for w in _grid(len(said))]
        best = max(min(value for _, value in losses), 1e-12)
        weights = _average(losses, [-_NUMBERS_EXPONENT * len(labels) * np.log(max(v, 1e-12) / best) for _, v in losses])
        mixed = _weighted(said, weights)
        tried = {s: pinball(labels, _stretched(mixed, middle, s), levels) for s in _STRETCHES}
        found = min(tried, key=lambda s: tried[s])
        worth_it = tried[found] < (1 - _LEAST_GAIN) * tried[1.0]
        return cls(weights, stretch=found if worth_it else 1.0, nothing=_nothing(mixed[:, middle], labels))

    def log_odds(self, said: Sequence[np.ndarray]) -> np.ndarray:
        """[Q, K] log-probabilities of [Q, K] each."""
        odds = self.slope * _weighted(said, self.weights)
        odds[:, -1] += self.offset
        return normalised(odds)

    def quantiles(self, said: Sequence[np.ndarray], middle: int) -> np.ndarray:
        """[Q, L] of [Q, L] each; `middle` is the position of the median."""
        quantiles = _stretched(_weighted(said, self.weights), middle, self.stretch)
        small = np.abs(quantiles[:, middle]) < self.nothing
        quantiles[small, : middle + 1] = np.minimum(quantiles[small, : middle + 1], 0.0)
        quantiles[small, middle:] = np.maximum(quantiles[small, middle:], 0.0)
        return quantiles


def _grid(readings: int) -> list[np.ndarray]:
    """All weights of `readings` that are multiples of 1 / _STEPS and sum to 1."""
    counts = product(range(_STEPS + 1), repeat=readings)
    return [np.array(each) / _STEPS for each in counts if sum(each) == _STEPS]


def _average(losses: list[tuple[np.ndarray, float]], log_likelihoods: Sequence[float]) -> np.ndarray:
    trust = np.exp(np.array(log_likelihoods))
    return (trust[:, None] * np.stack([weights for weights, _ in losses])).sum(0) / trust.sum()


def _weighted(said: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    return np.tensordot(weights, np.stack(said), 1)


def _stretched(quantiles: np.ndarray, middle: int, factor: float) -> np.ndarray:
    median = quantiles[:, middle : middle + 1]
    return median + factor * (quantiles - median)


def _nothing(medians: np.ndarray, labels: np.ndarray) -> float:
    """The least absolute error decides; 0 where it hardly falls, or where few labels are 0."""
    if (labels == 0).mean() < _MANY_ZEROS:
        return 0.0
    unit = float(np.abs(labels - np.median(labels)).mean())
    tried = {s * unit: np.abs(labels - np.where(np.abs(medians) < s * unit, 0.0, medians)).mean() for s in _NOTHING}
    found = min(tried, key=lambda s: tried[s])
    return found if tried[found] < (1 - _LEAST_GAIN) * np.abs(labels - medians).mean() else 0.0


def _confidence(odds: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Slope, and for two classes offset, of the log-odds that make the labels likeliest; shrunk to 1 and 0."""
    if odds.shape[1] != 2:
        slopes = np.linspace(0.5, 1.5, 21)
        rows = np.arange(len(labels))
        penalty = _PRIOR_ROWS * (slopes - 1) ** 2 / 2
        costs = [-normalised(s * odds)[rows, labels].sum() + p for s, p in zip(slopes, penalty, strict=True)]
        return float(slopes[int(np.argmin(costs))]), 0.0
    x = np.stack([odds[:, 1] - odds[:, 0], np.ones(len(odds))], 1)
    start = np.array([1.0, 0.0])

    def cost(w: np.ndarray) -> float:
        return float((np.logaddexp(0, x @ w) - labels * (x @ w)).sum() + _PRIOR_ROWS / 8 * ((w - start) ** 2).sum())

    found = start
    for _ in range(20):
        p = 1 / (1 + np.exp(-np.clip(x @ found, -30, 30)))
        gradient = x.T @ (labels - p) - _PRIOR_ROWS / 4 * (found - start)
        curvature = (x * (p * (1 - p))[:, None]).T @ x + _PRIOR_ROWS / 4 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        while cost(found + step) > cost(found) and np.abs(step).max() > 1e-6:  # a whole step may jump too far
            step = step / 2
        found = found + step
        if np.abs(step).max() < 1e-6:
            break
    return float(np.clip(found[0], *_SLOPES)), float(np.clip(found[1], -_MOST_OFFSET, _MOST_OFFSET))
