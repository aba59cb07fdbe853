"""Tasks on single events with two parents: a payment by a customer at a terminal, a click by a user on an item.

An event happens at a time of its own, belongs to a source and a place, and carries an amount and a category. What is
asked is an attribute of the event: it depends on the amount against the source's habit, on the place's and the source's
state (episodes that begin and end, as of a compromised terminal), on traits of both, and on chance. Labels become known
after a delay.
Columns are what the plan makes of such a table: the event's own, windowed counts, means and recency of its siblings
through either parent, the known labels among them. Time rule: a column reads events strictly before its own, labels
only of those older than the delay.

Shapes: M events in order of time, R rows drawn from them; `key` is a parent of each event.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from dbt_rfm.pretrain.functions import (
    categories_of,
    labels_of_score,
    log_uniform,
    random_score,
    shape_number,
    standardise,
)
from dbt_rfm.pretrain.prior_relational import Column, assemble, category_column, number_column, ratio
from dbt_rfm.pretrain.prior_tables import Drawn
from dbt_rfm.pretrain.world import running
from dbt_rfm.task_kind import TaskKind


@dataclass(frozen=True)
class _Stream:
    time: np.ndarray  # [M] ascending
    source: np.ndarray  # [M]
    place: np.ndarray  # [M]
    amount: np.ndarray  # [M] in normal units
    category: np.ndarray  # [M]
    causes: np.ndarray  # [M, K] what the label may depend on


def draw_event_task(rng: Generator, context: int, query: int, width: int, kind: TaskKind) -> Drawn | None:
    """None if the stream is too short for the rows asked for."""
    rows = context + query
    stream = _stream(rng, int(rows * rng.uniform(1.2, 3)))
    labels, classes = _labels(rng, stream, kind)
    picked = _pick(rng, len(stream.time), context, query)
    span = stream.time[-1] - stream.time[0]
    delay = span * rng.choice([0.0, rng.uniform(0, 0.15)])
    windows = [span * share for share in np.sort(np.exp(rng.uniform(np.log(0.004), 0, 3)))]
    past = _Past(stream, labels if classes in (0, 2) else None, picked, windows, delay)
    families = [past.columns(stream.source), past.columns(stream.place)]
    if rng.random() < 0.4:  # how often this source was at this place before
        families.append(past.columns(stream.source * (int(stream.place.max()) + 1) + stream.place)[:3])
    return *assemble(rng, families, _own(rng, stream, picked), width, rows), labels[picked], classes


def _stream(rng: Generator, number: int) -> _Stream:
    time = np.sort(rng.random(number)) * log_uniform(rng, 10, 1000)
    source, sources = _parents(rng, number, int(log_uniform(rng, 4, number / 2)))
    place, places = _parents(rng, number, int(log_uniform(rng, 4, number / 2)))
    if rng.random() < 0.5:  # communities: a source keeps to places of its own kind
        near = (source * places // sources + rng.integers(0, max(places // 8, 1), number)) % places
        place = np.where(rng.random(number) < rng.uniform(0.3, 1), near, place)
    traits = int(rng.integers(1, 4))
    habit = rng.standard_normal((sources, traits))
    kindness = rng.standard_normal((places, traits))
    amount = habit[source, 0] * rng.uniform(0, 2) + rng.standard_normal(number)
    states = [_episodes(rng, time, key, size) for key, size in ((source, sources), (place, places))]
    amount = amount + states[0] * rng.choice([0.0, rng.uniform(0, 3)])
    surprise = standardise(amount - _before(source, amount))
    clock = np.sin(2 * np.pi * time / time[-1] * log_uniform(rng, 1, 100) + rng.uniform(0, 6))
    causes = [amount, surprise, *states, clock, habit[source].T, kindness[place].T]
    category = categories_of(rng, kindness[place, 0] + rng.standard_normal(number), int(rng.integers(2, 9)))
    return _Stream(time, source, place, amount, category, np.concatenate([np.atleast_2d(c) for c in causes]).T)


def _parents(rng: Generator, events: int, number: int) -> tuple[np.ndarray, int]:
    """[M] a parent of each event; a few parents have most of the events."""
    weight = np.arange(1, number + 1) ** -rng.uniform(0, 1.3)
    return rng.choice(number, events, p=weight / weight.sum()), number


def _episodes(rng: Generator, time: np.ndarray, key: np.ndarray, number: int) -> np.ndarray:
    """[M] 1 while the parent is in its episode, 0 otherwise; some parents have one, of some length."""
    span = time[-1]
    start = np.where(rng.random(number) < log_uniform(rng, 0.02, 0.6), rng.uniform(0, span, number), 2 * span)
    length = span * log_uniform(rng, 0.02, 0.5)
    return ((time >= start[key]) & (time < start[key] + length)).astype(np.float64)


def _before(key: np.ndarray, value: np.ndarray) -> np.ndarray:
    """[M] mean of the value over earlier events of the same parent, 0 for its first."""
    order = np.argsort(key, kind="stable")
    sorted_key, total = key[order], value[order].cumsum() - value[order]
    first = np.searchsorted(sorted_key, sorted_key)
    place = np.arange(len(key)) - first
    mean = np.zeros(len(key))
    mean[order] = np.where(place > 0, (total - total[first]) / np.maximum(place, 1), 0.0)
    return mean


def _labels(rng: Generator, stream: _Stream, kind: TaskKind) -> tuple[np.ndarray, int]:
    causes = standardise(stream.causes)
    if kind is TaskKind.BINARY and rng.random() < 0.5:  # reasons that each suffice, as rules of a fraud do
        reasons = rng.permutation(causes.shape[1])[: int(rng.integers(1, 4))]
        edge = [np.quantile(causes[:, j], 1 - log_uniform(rng, 0.003, 0.2)) for j in reasons]
        hit = np.zeros(len(causes), dtype=bool)
        for j, e in zip(reasons, edge, strict=True):
            hit |= causes[:, j] > max(e, 0.0)
        chance = np.where(hit, rng.uniform(0.5, 1), rng.choice([0, 0.002, 0.02]))
        return (rng.random(len(hit)) < chance).astype(np.float64), 2
    return labels_of_score(rng, random_score(rng, causes), kind)


def _pick(rng: Generator, number: int, context: int, query: int) -> np.ndarray:
    """Context rows, then query rows, which are mostly the newest."""
    if rng.random() < 0.7:
        new = number - query
        old = np.arange(new - context, new) if rng.random() < 0.4 else rng.choice(new, context, replace=False)
        return np.r_[rng.permutation(old), new + rng.permutation(query)]
    return rng.choice(number, context + query, replace=False)


def _own(rng: Generator, stream: _Stream, picked: np.ndarray) -> list[Column]:
    span = stream.time[-1]
    columns = [
        number_column(shape_number(rng, stream.amount)[picked]),
        category_column(stream.category[picked]),
        number_column(stream.time[picked]),
        number_column((stream.time[picked] / span * rng.integers(2, 60)) % 1.0),
        category_column(stream.place[picked]),
    ]
    noisy = standardise(stream.causes) + rng.uniform(0.1, 2) * rng.standard_normal(stream.causes.shape)
    return columns + [number_column(noisy[picked, j]) for j in rng.permutation(noisy.shape[1])[: rng.integers(0, 3)]]


@dataclass(frozen=True)
class _Past:
    """Siblings before an event: sums over the events of one parent in order of time."""

    stream: _Stream
    labels: np.ndarray | None  # [M] numbers, None for classes
    picked: np.ndarray  # [R]
    windows: list[float]
    delay: float

    def columns(self, key: np.ndarray) -> list[Column]:
        stream, rows = self.stream, self.picked
        order = np.lexsort((stream.time, key))
        # One ascending axis for all parents: a parent's events lie in a stretch of their own.
        stride = 2 * stream.time[-1] + 1
        axis, at = key[order] * stride + stream.time[order], key[rows] * stride
        amounts = running(stream.amount[order])
        end = np.searchsorted(axis, at + stream.time[rows], side="left")
        own = stream.amount[rows]
        found: list[Column] = []
        for window in [*self.windows, stream.time[-1]]:
            since = np.maximum(stream.time[rows] - window, 0.0)
            start = np.searchsorted(axis, at + since, side="left")
            count = (end - start).astype(np.float64)
            mean = ratio(amounts[end] - amounts[start], count)
            found += [number_column(count), number_column(mean), number_column(own - mean)]
            if self.labels is not None:
                found += self._known(axis, at, since, running(self.labels[order]))
        last = np.maximum(end - 1, 0)
        there = (end > 0) & (axis[last] >= at)
        found.append(number_column(np.where(there, at + stream.time[rows] - axis[last], np.nan)))
        return found

    def _known(self, axis: np.ndarray, at: np.ndarray, since: np.ndarray, labels: np.ndarray) -> list[Column]:
        """Number and mean of the labels in the window that were known by then."""
        until = np.maximum(self.stream.time[self.picked] - self.delay, 0.0)
        end = np.searchsorted(axis, at + until, side="left")
        start = np.minimum(np.searchsorted(axis, at + since, side="left"), end)
        total = labels[end] - labels[start]
        return [number_column(total), number_column(ratio(total, (end - start).astype(np.float64)))]
