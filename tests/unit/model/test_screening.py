from __future__ import annotations

import numpy as np

from dbt_rfm.model.screening import choose_columns

ROWS = 400


def choose(
    columns: list[np.ndarray],
    label: np.ndarray,
    limit: int = 8,
    categorical: tuple[int, ...] = (),
    of_values: tuple[int, ...] = (),
):
    flags, counts = (np.isin(np.arange(len(columns)), which) for which in (categorical, of_values))
    return choose_columns(np.stack(columns, 1), flags, label[:, None], limit, counts).tolist()


def test__choose__signal_among_noise__first():
    rng = np.random.default_rng(0)
    noise = [rng.standard_normal(ROWS) for _ in range(5)]
    signal = rng.standard_normal(ROWS)
    label = (signal + 0.5 * rng.standard_normal(ROWS) > 0).astype(float)
    assert choose([*noise, signal], label)[0] == 5


def test__choose__label_depends_on_both_ends__found():
    rng = np.random.default_rng(0)
    signal = rng.standard_normal(ROWS)
    label = (np.abs(signal) > 1).astype(float)
    assert choose([rng.standard_normal(ROWS), signal], label)[0] == 1


def test__choose__near_copy__left_out():
    rng = np.random.default_rng(0)
    signal, other = rng.standard_normal(ROWS), rng.standard_normal(ROWS)
    assert sorted(choose([signal, np.exp(signal) + 3, other], signal)) in ([0, 2], [1, 2])


def test__choose__constant_or_missing_everywhere__left_out():
    rng = np.random.default_rng(0)
    signal = rng.standard_normal(ROWS)
    assert choose([np.ones(ROWS), np.full(ROWS, np.nan), signal], signal) == [2]


def test__choose__missing_or_not_tells_the_label__found():
    rng = np.random.default_rng(0)
    label = (rng.random(ROWS) < 0.3).astype(float)
    telling = np.where(label == 1, np.nan, rng.standard_normal(ROWS))
    assert choose([rng.standard_normal(ROWS), telling], label)[0] == 1


def test__choose__key_of_many_categories__no_better_than_noise():
    rng = np.random.default_rng(0)
    key = np.arange(ROWS, dtype=float)
    signal = rng.standard_normal(ROWS)
    assert choose([key, signal], signal + rng.standard_normal(ROWS), categorical=(0,))[0] == 1


def test__choose__counts_of_values__a_quarter_of_the_places_at_most():
    rng = np.random.default_rng(0)
    signal = rng.standard_normal(ROWS)
    counts = [signal + rng.standard_normal(ROWS) for _ in range(6)]
    others = [signal + 4 * rng.standard_normal(ROWS) for _ in range(8)]
    chosen = choose([*counts, *others], signal, of_values=tuple(range(6)))
    assert len(chosen) == 8 and sum(j < 6 for j in chosen) == 2 and set(chosen[:2]) < set(range(6))
    assert len(choose(counts, signal, limit=24, of_values=tuple(range(6)))) == 6
