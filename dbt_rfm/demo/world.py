"""Who is there in the simulated shop: stores, products, customers, and the traits that no column shows.

In: a seed and the number of customers. Out: a frozen `World` of arrays, one entry per store, product or customer.
The hidden traits (quality of a store or brand, taste, thrift and pace of a customer) are what a model has to find
through the links: a store's quality, say, is visible only in what its customers do next.
Times are days since the first day, with fractions. Written for this project; the figures are invented.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np

START = datetime(2024, 1, 1)
NUM_DAYS = 731  # 2024 was a leap year: two whole years
FIRST_SIGN_UP = -320  # the first customers are older than the tables

CATEGORIES = ("grocery", "home", "fashion", "electronics", "garden", "toys")
_BASE_PRICES = (9.0, 28.0, 42.0, 110.0, 24.0, 21.0)
_POPULARITY = (0.22, 0.20, 0.18, 0.13, 0.13, 0.14)
#: Day of the year when a category sells best, and how much the year moves it.
_PEAK_DAYS = (180, 40, 275, 330, 145, 345)
_SEASON_STRENGTH = (0.1, 0.4, 0.8, 0.9, 1.6, 1.5)

#: How the regions differ in what they buy, in the order of REGIONS and CATEGORIES.
_REGION_TASTES = (
    (0.6, 0.2, -0.3, 0.2, -0.9, 0.0),
    (-0.3, 0.7, 0.3, -0.3, 0.1, -0.4),
    (-0.5, -0.5, 0.2, -0.2, 1.0, 0.1),
    (0.1, -0.4, 0.3, 0.5, -0.4, 0.7),
)

PRICE_BANDS = ("budget", "standard", "premium")
REGIONS = ("north", "east", "south", "west")
FORMATS = ("city", "mall", "outlet")
CHANNELS = ("organic", "advert", "referral", "marketplace")
_CHANNEL_SHARES = (0.36, 0.30, 0.18, 0.16)
_CHANNEL_LOYALTY = (0.1, -0.1, 0.5, -0.5)

NUM_STORES, NUM_BRANDS, NUM_PRODUCTS = 14, 18, 180


@dataclass(frozen=True)
class Stores:
    region: np.ndarray  # position in REGIONS
    format: np.ndarray  # position in FORMATS
    opened: np.ndarray  # day, negative: before the first day
    area: np.ndarray  # square metres
    service: np.ndarray  # hidden: how well it treats its customers


@dataclass(frozen=True)
class Products:
    category: np.ndarray
    brand: np.ndarray
    band: np.ndarray  # position in PRICE_BANDS
    price: np.ndarray
    launched: np.ndarray
    quality: np.ndarray  # hidden: mostly the brand's


@dataclass(frozen=True)
class Customers:
    signed_up: np.ndarray
    region: np.ndarray
    channel: np.ndarray
    birth_year: np.ndarray
    newsletter: np.ndarray
    pace: np.ndarray  # hidden: orders per day while content
    thrift: np.ndarray  # hidden: the price band looked for, 0 to 2
    taste: np.ndarray  # hidden: [customer, category] shares
    loyalty: np.ndarray  # hidden: the satisfaction a customer returns to
    home_store: np.ndarray


@dataclass(frozen=True)
class World:
    stores: Stores
    products: Products
    customers: Customers


def draw_world(num_customers: int, rng: np.random.Generator) -> World:
    stores, products = _stores(rng), _products(rng)
    return World(stores, products, _customers(num_customers, stores, rng))


def season(day: int) -> np.ndarray:
    """[category] how much more than usual each category sells on that day."""
    angle = 2 * np.pi * (day - np.array(_PEAK_DAYS)) / 365.25
    return np.exp(np.array(_SEASON_STRENGTH) * np.cos(angle))


def _stores(rng: np.random.Generator) -> Stores:
    opened = rng.uniform(-3000, -60, NUM_STORES)
    opened[-3:] = (95, 260, 430)  # three open while we watch
    return Stores(
        region=np.arange(NUM_STORES) % len(REGIONS),
        format=rng.integers(len(FORMATS), size=NUM_STORES),
        opened=opened,
        area=rng.integers(200, 2500, NUM_STORES),
        service=rng.permutation(np.linspace(-1.3, 1.3, NUM_STORES)),
    )


def _products(rng: np.random.Generator) -> Products:
    brand_quality = rng.permutation(np.linspace(-1.5, 1.5, NUM_BRANDS))
    brand_band = rng.permutation(np.arange(NUM_BRANDS) % len(PRICE_BANDS))
    brand = rng.integers(NUM_BRANDS, size=NUM_PRODUCTS)
    category = rng.choice(len(CATEGORIES), p=_shares(_POPULARITY), size=NUM_PRODUCTS)
    level = np.array((0.6, 1.0, 2.2))[brand_band[brand]]
    launched = rng.uniform(-1500, 0, NUM_PRODUCTS)
    late = rng.random(NUM_PRODUCTS) < 0.3
    launched[late] = rng.uniform(0, NUM_DAYS, late.sum())
    return Products(
        category=category,
        brand=brand,
        band=brand_band[brand],
        price=np.round(np.array(_BASE_PRICES)[category] * level * rng.lognormal(0, 0.35, NUM_PRODUCTS), 2),
        launched=launched,
        quality=brand_quality[brand] + rng.normal(0, 0.4, NUM_PRODUCTS),
    )


def _customers(count: int, stores: Stores, rng: np.random.Generator) -> Customers:
    region = rng.choice(len(REGIONS), p=(0.35, 0.25, 0.22, 0.18), size=count)
    channel = rng.choice(len(CHANNELS), p=_CHANNEL_SHARES, size=count)
    birth_year = np.clip(rng.normal(1984, 13, count), 1938, 2006).astype(int)
    signed_up = np.sort(rng.uniform(FIRST_SIGN_UP, NUM_DAYS, count))
    return Customers(
        signed_up=signed_up,
        region=region,
        channel=channel,
        birth_year=birth_year,
        newsletter=rng.random(count) < 0.45,
        pace=np.clip(rng.lognormal(np.log(1 / 28), 0.55, count), 1 / 150, 1 / 6),
        thrift=np.clip(rng.normal(0.9, 0.7, count), 0, 2),
        taste=_taste(birth_year, region, rng),
        loyalty=np.array(_CHANNEL_LOYALTY)[channel] + rng.normal(0, 0.4, count),
        home_store=_home_store(region, stores, rng),
    )


def _taste(birth_year: np.ndarray, region: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shares of the categories: what is popular, bent by age (the young buy electronics) and by region."""
    age = (1985 - birth_year)[:, None] / 25.0  # about -1 to 2
    by_age = age * np.array((0.2, 0.3, -1.1, -1.3, 1.4, -0.3))
    by_region = np.array(_REGION_TASTES)[region]
    own = rng.normal(0, 0.5, (len(birth_year), len(CATEGORIES)))
    weights = np.array(_POPULARITY) * np.exp(by_age + by_region + own)
    return weights / weights.sum(axis=1, keepdims=True)


def _home_store(region: np.ndarray, stores: Stores, rng: np.random.Generator) -> np.ndarray:
    near = (stores.region[None, :] == region[:, None]).astype(float) + 0.03
    return choose(near, rng)


def choose(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """For each row of `weights` one column, drawn in proportion."""
    upto = np.cumsum(weights, axis=1)
    draws = rng.random((len(weights), 1)) * upto[:, -1:]
    return (draws > upto).sum(axis=1)


def _shares(weights: tuple[float, ...]) -> np.ndarray:
    return np.array(weights) / sum(weights)
