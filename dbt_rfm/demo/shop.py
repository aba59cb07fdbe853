"""Two years of the simulated shop, day by day: what customers order, when they complain, when they leave.

In: a seed and the number of customers. Out: six Arrow tables as an operational database would hold them, written as
Parquet by `write`. Each day a customer who is still with us orders with a chance that grows with the time since the
last order; good stores and products raise satisfaction, bad ones lower it and may bring a support ticket some days
later; the chance to leave for good falls with satisfaction. No table says who has left.
The same seed and number of customers give the same tables. The year before the first day is lived through unrecorded,
so that the tables begin in the middle of a running business.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dbt_rfm.demo import world as w
from dbt_rfm.demo.tables import Events, raw_tables
from dbt_rfm.demo.world import World

NUM_CUSTOMERS = 3000
SEED = 20
_SALE_DAYS = range(320, 336)  # of the year: late November


@dataclass
class _State:
    """What changes from day to day, per customer."""

    satisfaction: np.ndarray
    last_order: np.ndarray  # day
    last_category: np.ndarray  # -1: none yet
    gone: np.ndarray  # left for good


@dataclass(frozen=True)
class _Baskets:
    """The orders of one day; items lie basket by basket."""

    customer: np.ndarray
    store: np.ndarray
    num_items: np.ndarray
    product: np.ndarray  # per item
    experience: np.ndarray  # how it went, 0 is neutral

    @property
    def starts(self) -> np.ndarray:
        return np.cumsum(self.num_items) - self.num_items


@dataclass
class _Log:
    """Events as they happen: one entry per day and kind."""

    orders: list[Events] = field(default_factory=list)
    items: list[Events] = field(default_factory=list)
    tickets: list[Events] = field(default_factory=list)
    num_orders: int = 0


def simulate(num_customers: int = NUM_CUSTOMERS, seed: int = SEED) -> dict[str, pa.Table]:
    """The six raw tables, by name."""
    rng = np.random.default_rng(seed)
    world = w.draw_world(num_customers, rng)
    state = _State(
        satisfaction=world.customers.loyalty.copy(),
        last_order=world.customers.signed_up.copy(),
        last_category=np.full(num_customers, -1),
        gone=np.zeros(num_customers, dtype=bool),
    )
    log = _Log()
    for day in range(w.FIRST_SIGN_UP, w.NUM_DAYS):
        buying = _who_buys(day, world, state, rng)
        if len(buying):
            baskets = _fill_baskets(day, world, state, buying, rng)
            complaining = _live_and_learn(day, world, state, baskets, rng)
            if day >= 0:
                _record(day, world, log, baskets, complaining, rng)
    merged = (_merge(log.orders), _merge(log.items), _merge(log.tickets))
    return raw_tables(world, *merged, rng)


def write(directory: Path, *, num_customers: int = NUM_CUSTOMERS, seed: int = SEED) -> dict[str, int]:
    """Write one Parquet file per table into `directory`. Returns the number of rows of each."""
    directory.mkdir(parents=True, exist_ok=True)
    tables = simulate(num_customers, seed)
    for name, table in tables.items():
        pq.write_table(table, directory / f"{name}.parquet")
    return {name: len(table) for name, table in tables.items()}


def _who_buys(day: int, world: World, state: _State, rng: np.random.Generator) -> np.ndarray:
    """Positions of the customers who order today; some of the others leave for good."""
    there = (world.customers.signed_up < day) & ~state.gone
    state.gone |= there & (rng.random(len(there)) < 0.0022 * np.exp(-1.3 * state.satisfaction))
    return np.flatnonzero(there & ~state.gone & (rng.random(len(there)) < _order_chance(day, world, state)))


def _order_chance(day: int, world: World, state: _State) -> np.ndarray:
    """[customer] rises with the share of the usual gap that has passed, with satisfaction and towards Christmas."""
    pace = world.customers.pace
    waited = (day - state.last_order) * pace
    busy = 1.0 + 0.25 * np.cos(2 * np.pi * (day - 345) / 365.25) + 0.15 * world.customers.newsletter
    return pace * np.minimum(1.8 * waited, 1.7) * busy * np.exp(0.2 * state.satisfaction)


def _fill_baskets(day: int, world: World, state: _State, buying: np.ndarray, rng: np.random.Generator) -> _Baskets:
    store = _choose_stores(day, world, buying, rng)
    num_items = 1 + rng.poisson(0.9, len(buying))
    weights = _product_weights(day, world, state, buying)
    product = w.choose(np.repeat(weights, num_items, axis=0), rng)
    quality = np.add.reduceat(world.products.quality[product], np.cumsum(num_items) - num_items) / num_items
    experience = 0.9 * world.stores.service[store] + 0.9 * quality + rng.normal(0, 0.5, len(buying))
    return _Baskets(buying, store, num_items, product, experience)


def _choose_stores(day: int, world: World, buying: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    weights = np.full((len(buying), w.NUM_STORES), 0.02)
    weights += 0.12 * (world.stores.region[None, :] == world.customers.region[buying][:, None])
    weights[np.arange(len(buying)), world.customers.home_store[buying]] += 1.0
    weights[:, world.stores.opened > day] = 0.0
    return w.choose(weights, rng)


def _product_weights(day: int, world: World, state: _State, buying: np.ndarray) -> np.ndarray:
    """[customer who buys, product] by taste, season, price band and what the last order was about."""
    by_category = world.customers.taste[buying] * w.season(day)
    last = state.last_category[buying]
    known = np.flatnonzero(last >= 0)
    by_category[known, last[known]] *= 1.2
    off_band = np.abs(world.products.band[None, :] - world.customers.thrift[buying][:, None])
    weights = by_category[:, world.products.category] * np.exp(-1.4 * off_band)
    weights[:, world.products.launched > day] = 0.0
    return weights


def _live_and_learn(
    day: int, world: World, state: _State, baskets: _Baskets, rng: np.random.Generator
) -> np.ndarray:  # [order of the day] whether it brings a support ticket
    """Move the state of those who bought; a complaint leaves its customer less content than the order alone."""
    buying = baskets.customer
    complaining = rng.random(len(buying)) < 1 / (1 + np.exp(2.0 + 1.5 * baskets.experience))
    content = 0.75 * state.satisfaction[buying] + 0.10 * world.customers.loyalty[buying] + 0.22 * baskets.experience
    state.satisfaction[buying] = np.clip(content - 0.5 * complaining, -2.5, 2.0)
    state.last_order[buying] = day
    state.last_category[buying] = world.products.category[baskets.product[baskets.starts]]
    return complaining


def _record(
    day: int, world: World, log: _Log, baskets: _Baskets, complaining: np.ndarray, rng: np.random.Generator
) -> None:
    count = len(baskets.customer)
    order = log.num_orders + np.arange(count)
    log.num_orders += count
    price = world.products.price[baskets.product]
    quantity = 1 + rng.poisson(np.where(world.products.category[baskets.product] == 0, 1.2, 0.15))
    on_sale = (day % 366) in _SALE_DAYS
    discount = np.where(rng.random(count) < (0.7 if on_sale else 0.12), rng.choice((10, 20, 30), count), 0)
    log.orders.append(
        {
            "order": order,
            "customer": baskets.customer,
            "store": baskets.store,
            "time": day + 0.33 + 0.6 * rng.beta(4, 3, count),
            "discount": discount,
            "amount": np.add.reduceat(price * quantity, baskets.starts) * (1 - discount / 100),
        }
    )
    item_order = np.repeat(order, baskets.num_items)
    log.items.append({"order": item_order, "product": baskets.product, "quantity": quantity, "price": price})
    log.tickets.append(_tickets(day, world, baskets, order, np.flatnonzero(complaining), rng))


def _tickets(
    day: int, world: World, baskets: _Baskets, order: np.ndarray, complaining: np.ndarray, rng: np.random.Generator
) -> Events:
    """Opened one to nine days after the order; mostly about what went wrong, the store or the product."""
    count = len(complaining)
    store_failed = world.stores.service[baskets.store[complaining]] < -0.4
    about_other = rng.random(count) < 0.3
    return {
        "customer": baskets.customer[complaining],
        "order": order[complaining],
        "time": day + 1 + rng.uniform(0, 8, count),
        "topic": np.where(about_other, rng.integers(2, 4, count), store_failed.astype(int)),
    }


def _merge(days: list[Events]) -> Events:
    return {name: np.concatenate([day[name] for day in days]) for name in days[0]}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m dbt_rfm.demo.shop", description="Write the shop's Parquet files.")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--customers", type=int, default=NUM_CUSTOMERS)
    parser.add_argument("--seed", type=int, default=SEED)
    given = parser.parse_args()
    counts = write(given.directory, num_customers=given.customers, seed=given.seed)
    print(f"{given.directory}: " + ", ".join(f"{rows} {name}" for name, rows in counts.items()))


if __name__ == "__main__":
    main()
