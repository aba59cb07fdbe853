"""Classes as slots 0 … K − 1 of the network, or of whatever has room for so many.

Beyond these, the rarest classes share the last slot and split its probability by their shares of the labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dbt_rfm.model.families.rfm.network import MAX_CLASSES


@dataclass(frozen=True)
class ClassSlots:
    position: np.ndarray  # [K] slot of each class
    share: np.ndarray  # [K] of its slot's probability
    number: int

    @classmethod
    def of(cls, labels: np.ndarray, classes: int, most: int = MAX_CLASSES) -> ClassSlots:
        if classes <= most:
            return cls(np.arange(classes), np.ones(classes), classes)
        counts = np.bincount(labels, minlength=classes) + 0.5
        place = np.empty(classes, dtype=int)
        place[np.argsort(-counts, kind="stable")] = np.arange(classes)
        position = np.minimum(place, most - 1)
        return cls(position, counts / np.bincount(position, counts)[position], most)

    def spread(self, probabilities: np.ndarray) -> np.ndarray:  # [Q, number] → [Q, K]
        return probabilities[:, self.position] * self.share
