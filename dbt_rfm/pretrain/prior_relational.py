"""Prediction tasks over simulated relational databases, with the columns and labels that the plan makes in practice.

Out, as in `prior_tables`: columns, which are categorical, labels, number of classes. An example is an entity at an
anchor step t (`prior_events` asks about single events). Time rule: columns read steps ≤ t, labels the window
(t, t + h], past labels only windows that closed by t. In half of the tasks the context is older than the queries, so
the world may have drifted; at times the database the queries see is behind, as when a forecast reaches far.
Columns are picked in families (all windows of one signal, many signals with few windows), so near-copies, distractors
and weak columns are as common as they are in a warehouse.

Shapes: E entities, T steps, R rows, C columns; `who` and `when` are the entity and the step of each row.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.random import Generator

from dbt_rfm.pretrain.functions import drop_values
from dbt_rfm.pretrain.prior_tables import Drawn
from dbt_rfm.pretrain.targets import Target, draw_target
from dbt_rfm.pretrain.world import Events, World, draw_world, running
from dbt_rfm.task_kind import TaskKind

Column = Callable[[], tuple[np.ndarray, bool]]  # values [R], is it categorical


def draw_relational(rng: Generator, context: int, query: int, width: int, kind: TaskKind, tasks: int) -> list[Drawn]:
    """Up to `tasks` tasks on one world; the first `context` rows of each are its context."""
    world = draw_world(rng, context + query)
    drawn = (_draw_task(rng, world, context, query, width, kind) for _ in range(tasks))
    return [task for task in drawn if task is not None]


def _draw_task(rng: Generator, world: World, context: int, query: int, width: int, kind: TaskKind) -> Drawn | None:
    target = draw_target(rng, world, kind)
    known = ~np.isnan(target.values)
    known[:, : int(world.steps * rng.uniform(0.1, 0.4))] = False
    picked = _pick_rows(rng, known, target.horizon, context, query)
    if picked is None:
        return None
    who, when = picked
    seen = np.maximum(when - _staleness(rng, context, query), 0)
    families = _families(rng, world, who, seen, target.horizon)
    own_past = _past_labels(world, target, who, when) if rng.random() < 0.6 else []
    return *assemble(rng, families, own_past, width, len(who)), target.values[who, when], target.num_classes


def _staleness(rng: Generator, context: int, query: int) -> np.ndarray:
    """[R] steps that the database is behind: mostly none, at times alike for all rows, at times for queries only."""
    rows = np.zeros(context + query, dtype=int)
    form = rng.random()
    if form < 0.08:
        rows[:] = rng.integers(1, 4)
    elif form < 0.16:
        rows[context:] = rng.integers(1, 9)
    return rows


def _pick_rows(
    rng: Generator, known: np.ndarray, horizon: int, context: int, query: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Entities and steps of context rows, then of query rows; None if the world has too few."""
    if rng.random() < 0.3:  # anchors step back by the horizon, as in a backtest
        known = known & (np.arange(known.shape[1]) % horizon == (known.shape[1] - 1) % horizon)
    if rng.random() < 0.5:
        who, when = np.nonzero(known)
        if len(who) < context + query:
            return None
        chosen = rng.choice(len(who), context + query, replace=False)
        return who[chosen], when[chosen]
    per_step = known.sum(0)
    later = np.flatnonzero(per_step[::-1].cumsum()[::-1] >= query)
    if not len(later):
        return None
    first = int(later[-1] if rng.random() < 0.6 else rng.choice(later))  # queries start here
    old_who, old_when = np.nonzero(known[:, : max(first - horizon + 1, 0)])
    new_who, new_when = np.nonzero(known[:, first:])
    if len(old_who) < context:
        return None
    if rng.random() < 0.4:  # the newest context only
        old = np.argsort(-old_when - rng.random(len(old_when)), kind="stable")[:context]
        old = rng.permutation(old)
    else:
        old = rng.choice(len(old_who), context, replace=False)
    new = rng.choice(len(new_who), query, replace=False)
    return np.r_[old_who[old], new_who[new]], np.r_[old_when[old], first + new_when[new]]


def number_column(values: np.ndarray) -> Column:
    return lambda: (values, False)


def category_column(codes: np.ndarray) -> Column:
    """Codes from 0; negative means missing."""
    return lambda: (np.where(codes < 0, np.nan, codes), True)


def _families(rng: Generator, world: World, who: np.ndarray, when: np.ndarray, horizon: int) -> list[list[Column]]:
    """Groups of columns that describe one signal each."""
    windows = [horizon, 3 * horizon, 12 * horizon, world.steps]
    if rng.random() < 0.3:
        windows = sorted(rng.choice([1, 2, 3, 4, 6, 8, 12, 16, world.steps], 4, replace=False).tolist())
    families = [_entity_columns(rng, world, who, when), _group_columns(rng, world, who, when)]
    for events in world.tables:
        linked = _mislinked(rng, who, world.num_entities)
        families += [
            _window_columns(events, linked, when, windows),
            _spread_columns(events, linked, when, windows),
            _recent_columns(world, events, linked, when),
            _category_columns(events, linked, when, windows),
            _member_columns(world, events, linked, when, windows),
        ]
    return families


def _mislinked(rng: Generator, who: np.ndarray, entities: int) -> np.ndarray:
    """[R] the entity whose rows are read; in some tables a part of the foreign keys is wrong."""
    if rng.random() > 0.12:
        return who
    wrong = rng.random(len(who)) < rng.uniform(0, 0.3)
    return np.where(wrong, rng.integers(0, entities, len(who)), who)


def _entity_columns(rng: Generator, world: World, who: np.ndarray, when: np.ndarray) -> list[Column]:
    """Tenure, the calendar, and attributes that tell something of the traits, or nothing."""
    columns = [
        number_column(np.where(when >= world.born[who], when - world.born[who], np.nan)),
        number_column(when.astype(np.float64)),
        number_column((when % world.season).astype(np.float64)),
    ]
    for _ in range(int(rng.integers(1, 6))):
        static = world.static @ rng.standard_normal(world.static.shape[1])
        attribute = static * rng.choice([0, 1]) + rng.uniform(0.2, 2) * rng.standard_normal(world.num_entities)
        columns.append(_attribute(rng, attribute, who))
    return columns


def _group_columns(rng: Generator, world: World, who: np.ndarray, when: np.ndarray) -> list[Column]:
    """The parent: its key, its size, its attributes."""
    group = world.group[who, when]
    size = np.bincount(world.group[:, -1], minlength=len(world.group_traits))
    columns = [category_column(group), number_column(size[group].astype(np.float64))]
    columns.append(category_column(world.region[group]))
    for _ in range(int(rng.integers(1, 4))):
        mean = world.group_traits.mean(1) @ rng.standard_normal(world.group_traits.shape[2])
        columns.append(_attribute(rng, mean + rng.uniform(0.1, 2) * rng.standard_normal(len(mean)), group))
    return columns


def _attribute(rng: Generator, by_key: np.ndarray, key: np.ndarray) -> Column:
    if rng.random() < 0.5:
        return number_column(by_key[key])
    edges = np.sort(rng.normal(size=int(rng.choice([1, 2, 4, 9])))) * by_key.std() + by_key.mean()
    return category_column(rng.permutation(len(edges) + 1)[np.searchsorted(edges, by_key)][key])


def _window(to: np.ndarray, key: np.ndarray, when: np.ndarray, width: int) -> np.ndarray:
    """[R] sum over the `width` steps that end with `when`."""
    return to[key, when + 1] - to[key, np.maximum(when + 1 - width, 0)]


def ratio(total: np.ndarray, count: np.ndarray) -> np.ndarray:
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _window_columns(events: Events, who: np.ndarray, when: np.ndarray, windows: list[int]) -> list[Column]:
    """Counts, sums and means of several windows: near-copies of one another."""
    columns: list[Column] = []
    for width in windows:
        count, total = (_window(to, who, when, width) for to in (events.count_to, events.sum_to))
        columns += [number_column(count), number_column(total), number_column(ratio(total, count))]
    return columns


def _spread_columns(events: Events, who: np.ndarray, when: np.ndarray, windows: list[int]) -> list[Column]:
    """Deviation, minimum and maximum."""

    def deviation(width: int) -> tuple[np.ndarray, bool]:
        count, total, square = (
            _window(to, who, when, width) for to in (events.count_to, events.sum_to, events.square_to)
        )
        mean = ratio(total, count)
        return np.where(count > 1, np.sqrt(np.maximum(ratio(square, count) - mean**2, 0)), np.nan), False

    def extreme(width: int, sign: int) -> tuple[np.ndarray, bool]:
        found = np.full(len(who), -np.inf)
        for back in range(min(width, 16)):
            step = when - back
            inside = (step >= 0) & (events.count[who, step] > 0)
            found = np.maximum(found, np.where(inside, sign * events.value[who, step], -np.inf))
        return np.where(np.isinf(found), np.nan, sign * found), False

    columns: list[Column] = []
    for width in windows:
        columns.append(partial(deviation, width))
        columns += [partial(extreme, width, sign) for sign in (1, -1)]
    return columns


def _recent_columns(world: World, events: Events, who: np.ndarray, when: np.ndarray) -> list[Column]:
    """Recency, gaps, and the last few values."""
    columns: list[Column] = []
    step, previous = events.last[who, when], when
    for position in range(5):
        seen = step >= 0
        columns.append(number_column(np.where(seen, events.value[who, step], np.nan)))
        if position < 2:
            columns.append(number_column(np.where(seen, previous - step, np.nan)))
        previous = step
        step = np.where(step > 0, events.last[who, np.maximum(step - 1, 0)], -1)
    first = (events.count > 0).argmax(1)[who]
    columns.append(number_column(np.where((events.last[who, when] >= 0), when - first, np.nan)))
    return columns


def _category_columns(events: Events, who: np.ndarray, when: np.ndarray, windows: list[int]) -> list[Column]:
    """The last category and the one before, the most frequent one, shares, distinct counts."""

    def counts(width: int) -> np.ndarray:  # [R, V]
        each = [
            _window(running((events.category == v) * events.count), who, when, width)
            for v in range(events.num_categories)
        ]
        return np.stack(each, 1)

    def frequent(width: int) -> tuple[np.ndarray, bool]:
        found = counts(width)
        return np.where(found.sum(1) > 0, found.argmax(1), np.nan).astype(np.float64), True

    def share(width: int, category: int) -> tuple[np.ndarray, bool]:
        found = counts(width)
        return ratio(found[:, category], found.sum(1)), False

    last = events.last[who, when]
    before = np.where(last > 0, events.last[who, np.maximum(last - 1, 0)], -1)
    columns: list[Column] = [
        category_column(np.where(step >= 0, events.category[who, step], -1)) for step in (last, before)
    ]
    columns += [partial(frequent, width) for width in windows[1:]]
    columns.append(lambda: ((counts(windows[-1]) > 0).sum(1).astype(np.float64), False))
    columns += [partial(share, windows[-1], v) for v in range(min(events.num_categories, 3))]
    return columns


def _member_columns(
    world: World, events: Events, who: np.ndarray, when: np.ndarray, windows: list[int]
) -> list[Column]:
    """Two hops: the history of the group the entity belongs to now, and the entity against it."""
    group = world.group[who, when]
    columns: list[Column] = []
    for width in windows[:3]:
        count, total = (_window(to, group, when, width) for to in (events.group_count_to, events.group_sum_to))
        own = ratio(*(_window(to, who, when, width) for to in (events.sum_to, events.count_to)))
        mean = ratio(total, count)
        columns += [number_column(count), number_column(mean), number_column(own - mean)]
    return columns


def _past_labels(world: World, target: Target, who: np.ndarray, when: np.ndarray) -> list[Column]:
    """Labels of the entity's own closed windows: the last few, their mean and number; the group's and everyone's."""
    step = when[:, None] - target.horizon * np.arange(1, 13)  # [R, 12]
    past = np.where(step >= 0, target.values[who[:, None], np.maximum(step, 0)], np.nan)
    if target.num_classes > 2:
        columns = [category_column(np.where(np.isnan(lag), -1, lag).astype(int)) for lag in past[:, :3].T]
        return [*columns, number_column((~np.isnan(past)).sum(1).astype(np.float64))]
    known = (~np.isnan(past)).sum(1)
    columns = [number_column(lag) for lag in past[:, :4].T]
    columns += [number_column(ratio(np.nansum(past[:, :n], 1), (~np.isnan(past[:, :n])).sum(1))) for n in (3, 12)]
    columns.append(number_column(known.astype(np.float64)))
    closed = np.maximum(when - target.horizon, 0)
    everyone = np.nan_to_num(target.values).sum(0), (~np.isnan(target.values)).sum(0)
    columns.append(number_column(ratio(everyone[0][closed], everyone[1][closed])))
    slot = world.group * world.steps + np.arange(world.steps)
    size = len(world.group_traits) * world.steps
    sums = [
        np.bincount(slot.ravel(), x.ravel(), size)[slot[who, closed]]
        for x in (np.nan_to_num(target.values), (~np.isnan(target.values)).astype(np.float64))
    ]
    return [*columns, number_column(ratio(*sums))]


def assemble(
    rng: Generator, families: list[list[Column]], own: list[Column], width: int, rows: int
) -> tuple[np.ndarray, np.ndarray]:
    """[R, width] columns, some broken or useless, in random order; and which are categorical.

    `own` are the columns that tell most (the entity's past labels, the event's attributes): in half of the tasks
    they are sure to be there.
    """
    first = own if rng.random() < 0.5 else []
    rest = [*families, [] if first else own]
    pool = [column for i in rng.permutation(len(rest)) for column in rest[i]]  # a few signals in full …
    if rng.random() < 0.5:  # … or a little of each
        pool = [pool[i] for i in rng.permutation(len(pool))]
    pool = [first[i] for i in rng.permutation(len(first))] + pool
    useless = int(rng.binomial(width, rng.choice([0, 0, rng.uniform(0, 0.4)])))
    made = [column() for column in pool[: width - useless]]
    values = [v for v, _ in made] + [rng.standard_normal(rows) for _ in range(width - len(made))]
    categorical = np.array([c for _, c in made] + [False] * (width - len(made)))
    columns = np.stack(values, 1).astype(np.float64)
    if rng.random() < 0.25:
        drop_values(rng, columns, rng.uniform(0, 0.5))
    mixed = rng.permutation(width)
    return columns[:, mixed], categorical[mixed]
