"""Simulate a small relational database over time: entities, groups they belong to, and one to three tables of events.

Everything lives on a grid of time steps. An entity has static traits and traits that wander (AR(1)); a group has traits
too, some from its region, and lends them to its members, who may change group. Events come by Poisson draws, on a
calendar, in bursts, with zipf-like activity or less and less with age; each carries a number and a category that depend
on the traits. Entities are born and leave.

Shapes: E entities, T steps, G groups, K traits, V categories.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator

from dbt_rfm.pretrain.functions import log_uniform


@dataclass
class Events:
    """One child table, summed per entity and step."""

    count: np.ndarray  # [E, T]
    value: np.ndarray  # [E, T] mean of the number carried, 0 where no event
    category: np.ndarray  # [E, T] category of the step's last event, -1 where none
    num_categories: int
    last: np.ndarray  # [E, T] the newest step ≤ t with an event, -1 where none
    count_to: np.ndarray  # [E, T + 1] running sums, with a leading zero
    sum_to: np.ndarray
    square_to: np.ndarray
    group_count_to: np.ndarray  # [G, T + 1] the same over members of a group
    group_sum_to: np.ndarray


@dataclass
class World:
    steps: int
    season: int
    born: np.ndarray  # [E] step
    static: np.ndarray  # [E, K]
    traits: np.ndarray  # [E, T, K] all that drives events, group traits included
    group: np.ndarray  # [E, T]
    group_traits: np.ndarray  # [G, T, K]
    region: np.ndarray  # [G] the grandparent of an entity
    tables: list[Events] = field(default_factory=list)

    @property
    def num_entities(self) -> int:
        return len(self.born)


def draw_world(rng: Generator, rows: int) -> World:
    """A world with room for about `rows` examples."""
    steps = int(rng.integers(24, 72))
    entities = int(np.clip(log_uniform(rng, 15, 500), rows * 2.5 / steps, 600))
    traits = int(rng.integers(1, 5))
    groups = int(rng.integers(2, max(3, entities // 3)))
    group = rng.choice(groups, entities, p=rng.dirichlet(np.full(groups, rng.uniform(0.5, 5))))
    group = _moves(rng, group, groups, steps)
    static = rng.standard_normal((entities, traits)) * rng.uniform(0, 1.2)
    own = static[:, None] + rng.uniform(0, 1.2) * _wander(rng, entities, steps, traits, rng.uniform(0.6, 0.995))
    group_traits = _wander(rng, groups, steps, traits, rng.uniform(0.7, 0.999))
    region = rng.integers(0, max(2, groups // int(rng.integers(2, 6))), groups)
    group_traits += rng.uniform(0, 0.8) * rng.standard_normal((groups, 1, traits))[region]  # regions are fewer
    every = own + rng.uniform(0, 1.2) * group_traits[group, np.arange(steps)]
    if rng.random() < 0.4:
        every = np.tanh(every @ rng.standard_normal((traits, traits)) * 1.5)
    late = rng.random(entities) < rng.uniform(0, 1)
    born = np.where(late, rng.uniform(0, steps * 0.8, entities), 0).astype(int)
    world = World(steps, int(rng.choice([4, 7, 12, 24])), born, static, every, group, group_traits, region)
    active = _active(rng, world)
    for position in range(int(rng.integers(1, 4))):
        world.tables.append(_draw_events(rng, world, active, position))
    return world


def _wander(rng: Generator, number: int, steps: int, width: int, keep: float) -> np.ndarray:
    """[number, T, width] AR(1) with unit variance."""
    noise = rng.standard_normal((steps, number, width))
    noise[1:] *= np.sqrt(1 - keep**2)
    for t in range(1, steps):
        noise[t] += keep * noise[t - 1]
    return noise.transpose(1, 0, 2)


def _moves(rng: Generator, group: np.ndarray, groups: int, steps: int) -> np.ndarray:
    """[E, T] the group at each step; in some worlds entities change it now and then."""
    over_time = np.repeat(group[:, None], steps, 1)
    if rng.random() < 0.4:
        rate = log_uniform(rng, 0.003, 0.1)
        jump = rng.random(over_time.shape) < rate
        jump[:, 0] = True
        since = np.maximum.accumulate(np.where(jump, np.arange(steps), 0), 1)
        fresh = rng.integers(0, groups, over_time.shape)
        fresh[:, 0] = group
        over_time = np.take_along_axis(fresh, since, 1)
    return over_time


def _active(rng: Generator, world: World) -> np.ndarray:
    """[E, T] whether an entity is around: after birth, before it leaves, and not dormant."""
    entities, steps = world.num_entities, world.steps
    time = np.arange(steps)
    stay = rng.exponential(log_uniform(rng, steps / 5, steps * 4), entities)
    stay *= np.exp(0.5 * world.static @ rng.standard_normal(world.static.shape[1]))
    leaves = world.born + stay if rng.random() < 0.65 else np.full(entities, 1e9)
    active = (time >= world.born[:, None]) & (time < leaves[:, None])
    if rng.random() < 0.3:  # dormant spells
        awake = _wander(rng, entities, steps, 1, rng.uniform(0.6, 0.98))[..., 0] > rng.normal(-0.8, 0.6)
        active &= awake
    return active


def _draw_events(rng: Generator, world: World, active: np.ndarray, position: int) -> Events:
    entities, steps, width = world.traits.shape
    time = np.arange(steps)
    tide = rng.uniform(0, 0.8) * np.sin(2 * np.pi * (time / world.season + rng.random()))
    tide = tide + rng.choice([0, 1]) * rng.uniform(-1, 1) * time / steps  # drift
    rate = rng.uniform(-2.4, 1.2) + world.traits @ (rng.standard_normal(width) * rng.uniform(0, 1)) + tide
    if rng.random() < 0.25:  # much at first, less and less with age: posts, new accounts
        age = np.maximum(time - world.born[:, None], 0)
        rate = rate + rng.uniform(0, 2) - age / log_uniform(rng, 1, steps / 3)
    if rng.random() < 0.4:  # a few entities make most of the events
        rate = rate + rng.standard_normal((entities, 1)) * rng.uniform(0.5, 1.8)
    if position == 0 and rng.random() < 0.25:  # a calendar, as of races or invoices
        days = rng.random(steps) < rng.uniform(0.4, 1)
        count = (days & active & (rng.random((entities, steps)) < rng.uniform(0.6, 1))).astype(np.float64)
    else:
        mean = np.exp(np.clip(rate, -6, 3)) * active
        if rng.random() < 0.3:
            mean = mean * rng.gamma(0.7, 1 / 0.7, mean.shape)
        count = rng.poisson(mean).astype(np.float64)
    value = _values(rng, world, count, tide)
    number = int(rng.choice([2, 3, 4, 5, 6, 8, 10]))
    taste = world.static @ rng.standard_normal((width, number)) * rng.uniform(0, 1.5)
    taste = taste + rng.standard_normal((entities, number)) * rng.uniform(0, 2) + rng.standard_normal(number)
    drift = world.traits @ rng.standard_normal((width, number)) * rng.uniform(0, 1)
    chosen = (taste[:, None] + drift + rng.gumbel(size=drift.shape)).argmax(-1)
    return _with_sums(world, count, value, np.where(count > 0, chosen, -1), number)


def _values(rng: Generator, world: World, count: np.ndarray, tide: np.ndarray) -> np.ndarray:
    """[E, T] the number events carry: a trait with noise, an amount, a flag, or a rank within the step."""
    mean = world.traits @ rng.standard_normal(world.traits.shape[2]) + rng.uniform(0, 1) * tide
    value = mean + log_uniform(rng, 0.2, 2.2) * rng.standard_normal(mean.shape) / np.sqrt(np.maximum(count, 1))
    form = rng.random()
    if form < 0.3:
        value = np.exp(value * rng.uniform(0.4, 1.0))
    elif form < 0.45:
        value = (value > np.quantile(value, rng.uniform(0.1, 0.95))).astype(np.float64)
    elif form < 0.6:
        ranked = np.where(count > 0, value, -np.inf)
        value = (-ranked).argsort(0).argsort(0) + 1.0
    return np.where(count > 0, value, 0.0)


def _with_sums(world: World, count: np.ndarray, value: np.ndarray, category: np.ndarray, number: int) -> Events:
    steps = world.steps
    total = count * value
    groups = len(world.group_traits)
    slot = (world.group * steps + np.arange(steps)).ravel()
    by_group = [np.bincount(slot, x.ravel(), groups * steps).reshape(groups, steps) for x in (count, total)]
    last = np.maximum.accumulate(np.where(count > 0, np.arange(steps), -1), 1)
    sums = [running(x) for x in (count, total, total * value, *by_group)]
    return Events(count, value, category, number, last, *sums)


def running(x: np.ndarray) -> np.ndarray:
    """Running sums along the last axis with a leading zero: a window is a difference of two of them."""
    return np.concatenate([np.zeros((*x.shape[:-1], 1)), x.cumsum(-1)], -1)
