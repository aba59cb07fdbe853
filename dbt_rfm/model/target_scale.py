"""Put a regression target on a normal scale and bring quantiles back, through the quantiles of the context labels.

A label becomes the normal score of its rank among the context labels; a predicted score comes back by interpolation
between those labels. Quantiles pass through any increasing map unharmed, so what is learned on the normal scale is
right on the label's own, whatever its unit or tail. Equal labels (the zeros of a zero-inflated target, counts) own a
stretch of the scale: any score within it means that label. Past the largest or smallest context label the map goes on
straight, by the spread of that half, unless that label repeats (a floor or a cap).
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

LIMIT = 4.0  # scores beyond this are cut
_FLOOR_SHARE = 0.02  # an extreme label held by this share of the context (and twice) is a floor or a cap


@dataclass(frozen=True)
class TargetScale:
    ordered: np.ndarray  # [N] context labels, ascending
    scores: np.ndarray  # [N] their normal scores
    slope_below: float  # label units per score past either end
    slope_above: float

    @classmethod
    def of(cls, labels: np.ndarray) -> TargetScale:
        ordered = np.sort(np.asarray(labels, dtype=np.float64))
        number = len(ordered)
        scores = normal_score((np.arange(number) + 0.5) / number)
        middle, low, high = np.quantile(ordered, [0.5, 0.1, 0.9])
        repeated = max(2, _FLOOR_SHARE * number)
        below = 0.0 if (ordered == ordered[0]).sum() >= repeated else (middle - low) / 1.2816
        above = 0.0 if (ordered == ordered[-1]).sum() >= repeated else (high - middle) / 1.2816
        return cls(ordered, scores, float(below), float(above))

    def to_normal(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The stretch of scores, from low to high, that stands for each label; a point for most."""
        labels = np.asarray(labels, dtype=np.float64)
        left = np.searchsorted(self.ordered, labels, side="left")
        right = np.searchsorted(self.ordered, labels, side="right")
        between = np.interp(labels, self.ordered, self.scores)
        last = len(self.ordered) - 1
        found = right > left
        low = np.where(found, self.scores[np.minimum(left, last)], between)
        high = np.where(found, self.scores[np.clip(right - 1, 0, last)], between)
        under = (labels - self.ordered[0]) / self.slope_below if self.slope_below > 0 else 0.0
        over = (labels - self.ordered[-1]) / self.slope_above if self.slope_above > 0 else 0.0
        beyond = np.minimum(under, 0.0) + np.maximum(over, 0.0)
        return np.clip(low + beyond, -LIMIT, LIMIT), np.clip(high + beyond, -LIMIT, LIMIT)

    def to_label(self, scores: np.ndarray) -> np.ndarray:
        """Labels of scores, of any shape; increasing in the score."""
        scores = np.clip(scores, -LIMIT, LIMIT)
        inside = np.interp(scores, self.scores, self.ordered)
        under = np.minimum(scores - self.scores[0], 0.0) * self.slope_below
        over = np.maximum(scores - self.scores[-1], 0.0) * self.slope_above
        return inside + under + over


def normal_score(share: np.ndarray) -> np.ndarray:
    """The standard normal quantile of shares in (0, 1)."""
    inverse = NormalDist().inv_cdf
    return np.array([inverse(float(p)) for p in share])


def middle_scores(labels: np.ndarray) -> np.ndarray:
    """[N] the middle of the stretch of each label on the scale of these labels."""
    return np.mean(TargetScale.of(labels).to_normal(labels), 0)
