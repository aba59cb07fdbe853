"""Quantiles about another median, as an opinion that has a median only borrows them from one that has more."""

from __future__ import annotations

import numpy as np


def carried(quantiles: np.ndarray, median: np.ndarray, to: np.ndarray, *, floor: bool = True) -> np.ndarray:
    """[R, L] quantiles with their median [R], the middle one, moved to another one [R].

    What lies above the median moves by as much. So does what lies below; but where nothing is below 0 (`floor`) it
    keeps its proportion, so that a zero stays one: also below a median of 0, which has no proportion.
    """
    shift = to - median
    kept = floor & (median > 0) & (to >= 0)
    stretch = np.where(kept, to, 1.0) / np.where(kept, median, 1.0)
    below = kept[:, None] & (quantiles <= median[:, None])
    moved = np.where(below, quantiles * stretch[:, None], quantiles + shift[:, None])
    stays = floor & (median == 0) & (to > 0)
    lower = np.arange(quantiles.shape[1]) < quantiles.shape[1] // 2
    return np.where(stays[:, None] & lower, quantiles, moved)
