"""Log-odds of classes as log-probabilities. Shapes: R rows, K classes."""

from __future__ import annotations

import numpy as np


def normalised(odds: np.ndarray) -> np.ndarray:
    """[R, K] with probabilities that sum to 1 in each row."""
    return odds - np.logaddexp.reduce(odds, axis=1, keepdims=True)


def one_against_the_rest(odds: np.ndarray) -> np.ndarray:
    """[R, K] log-probabilities from the log-odds of each class against all others, or of the first of two [R, 1]."""
    if odds.shape[1] == 1:
        odds = np.concatenate([odds, -odds], 1)
    return normalised(-np.logaddexp(0, -odds))
