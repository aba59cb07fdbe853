"""How good ranked lists are, beside lists that need no model.

In: pairs of entity and item in groups (an entity at an anchor), a score each, whether the item came, and how many came
in all. Out: figures at k (the length of the list) and at 12, means over the groups:
    map@k       average precision of the first k, over the smaller of k and what came
    ndcg@k      gain of the first k, a hit at place r counting 1 / log2(r + 1), over the best possible
    recall@k    share of what came that is among the first k
    coverage@k  share of all items that are in anybody's first k
Baselines, on the same pairs: `popularity` in the last window; `own repeat`, the entity's own items, the most frequent
first and then the newest, filled up with popular ones; `co-occurrence`, what goes together with its newest items,
filled up too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dbt_rfm.evaluate.scores import Tested, numbers_of
from dbt_rfm.model.examples import group_numbers
from dbt_rfm.model.interface import Predictions
from dbt_rfm.model.ranking import places_in
from dbt_rfm.plan.pairs import OWN_AGE, OWN_TIMES, POPULARITY, TOGETHER
from dbt_rfm.snapshot import Snapshot

POPULAR, OWN_REPEAT, CO_OCCURRENCE = "popularity", "own repeat", "co-occurrence"
USUAL = 12  # the length at which lists are compared in public


@dataclass(frozen=True)
class Lists:
    """Pairs [P] in groups that follow each other."""

    groups: np.ndarray
    items: np.ndarray  # codes of the items
    came: np.ndarray  # bool
    relevant: np.ndarray  # how many came in the pair's group, candidates or not
    catalogue: int

    def figures(self, scores: np.ndarray, number: int) -> dict[str, float]:
        """All figures at `number`, then MAP at 12."""
        places = places_in(self.groups, scores)
        found = {
            f"map@{number}": self.map_at(places, number),
            f"ndcg@{number}": self._ndcg(places, number),
            f"recall@{number}": self._recall(places, number),
            f"coverage@{number}": len(np.unique(self.items[places < number])) / max(self.catalogue, 1),
        }
        return found | {f"map@{USUAL}": self.map_at(places, USUAL)}

    def map_at(self, places: np.ndarray, number: int) -> float:
        order = np.lexsort((places, self.groups))
        came = self.came[order].astype(np.float64)
        before = np.cumsum(came)
        first = places[order] == 0
        hits = before - np.maximum.accumulate(np.where(first, before - came, 0.0))
        precision = np.where(places[order] < number, came * hits / (places[order] + 1), 0.0)
        return self._mean(precision, np.minimum(self.relevant, number)[order], self.groups[order])

    def _ndcg(self, places: np.ndarray, number: int) -> float:
        gains = 1 / np.log2(np.arange(number) + 2)
        gain = np.where((places < number) & self.came, gains[np.minimum(places, number - 1)], 0.0)
        best = np.cumsum(gains)[np.minimum(self.relevant, number) - 1]
        return self._mean(gain, best, self.groups)

    def _recall(self, places: np.ndarray, number: int) -> float:
        return self._mean(((places < number) & self.came).astype(np.float64), self.relevant, self.groups)

    @staticmethod
    def _mean(values: np.ndarray, over: np.ndarray, groups: np.ndarray) -> float:
        """The mean over groups of the sum of their values, divided by `over`, which is one number per group."""
        if not len(groups):
            return float("nan")
        sums = np.bincount(groups, values)
        per_group = np.zeros(len(sums))
        per_group[groups] = over
        return float((sums / per_group).mean())


def tested_lists(snapshot: Snapshot, predictions: Predictions, rows: np.ndarray) -> Tested:
    """Figures of the lists that the probabilities of the pairs `rows` make, and of the baselines' lists."""
    assert predictions.probabilities is not None, "pairs are ranked by their probabilities"
    examples = snapshot.examples.take(pa.array(rows))
    lists = Lists(
        group_numbers(snapshot, rows),
        codes_of(examples.column("item")),
        examples.column("label").to_numpy(zero_copy_only=False).astype(bool),
        examples.column("relevant").to_numpy(zero_copy_only=False).astype(np.int64),
        int(snapshot.ranking["items"]),
    )
    number = int(snapshot.ranking["number"])
    baselines = {name: lists.figures(scores, number) for name, scores in baseline_scores(snapshot, rows).items()}
    metrics = lists.figures(predictions.probabilities[:, 1], number)
    return Tested(metrics, baselines, f"map@{number}", len(np.unique(lists.groups)))


def baseline_scores(snapshot: Snapshot, rows: np.ndarray) -> dict[str, np.ndarray]:
    """[rows] scores by which each baseline ranks the pairs."""
    popularity, times, age, together = (
        numbers_of(snapshot, name, rows) for name in (POPULARITY, OWN_TIMES, OWN_AGE, TOGETHER)
    )
    popular = -popularity
    return {
        POPULAR: popular,
        OWN_REPEAT: _by(times, -np.nan_to_num(age, nan=np.inf), popular),
        CO_OCCURRENCE: _by(together, popular),
    }


def codes_of(items: pa.ChunkedArray) -> np.ndarray:
    return items.combine_chunks().dictionary_encode().indices.to_numpy(zero_copy_only=False)


def _by(*keys: np.ndarray) -> np.ndarray:
    """Scores in the order of the first key, ties by the next ones."""
    order = np.lexsort(tuple(-key for key in reversed(keys)))
    scores = np.empty(len(order))
    scores[order] = -np.arange(len(order))
    return scores
