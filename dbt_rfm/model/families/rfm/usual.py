"""The usual label of an entity, where it is beyond nearly every label there is.

A few entities are of another size than all others: the largest accounts of a shop. No reading of many rows reaches that
far, since hardly any row lies there and a line or a mean over neighbours leads back to the crowd. What such an entity
usually comes to, the median of its newest labels, says more; and an error there is as much as hundreds of others.

In: columns of past labels, by name (`snapshot.PAST_LABELS`), labels of the context, and what a model would say of it
without having seen it. Out: a `Usual` that raises the quantiles of such entities, or None where the context has too
few of them or their usual label errs more than the model does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dbt_rfm.model.families.rfm.tail import raised
from dbt_rfm.model.interface import FeatureTable
from dbt_rfm.snapshot import PAST_LABELS

_BEYOND = 0.99  # of the context's labels
_LEAST_LABELS = 3  # that make something usual
_LEAST_ROWS = 30  # of the context beyond the limit


@dataclass(frozen=True)
class Usual:
    limit: float

    @classmethod
    def of(
        cls,
        context: FeatureTable,  # N rows
        labels: np.ndarray,  # [N]
        expected: np.ndarray,  # [N] medians of a model that had not seen the row
    ) -> Usual | None:
        limit = float(np.quantile(labels, _BEYOND))
        usual = usual_labels(context)
        beyond = usual > limit
        if limit <= 0 or beyond.sum() < _LEAST_ROWS:
            return None
        own, model = (np.abs(labels - said)[beyond].sum() for said in (usual, expected))
        return cls(limit) if own < model else None

    def raise_to(self, quantiles: np.ndarray, middle: int, query: FeatureTable) -> np.ndarray:
        """[Q, L] the quantiles with medians at least at the usual label, for rows whose usual label is beyond."""
        usual = usual_labels(query)
        return raised(quantiles, quantiles[:, middle], np.where(usual > self.limit, usual, np.nan))


def usual_labels(table: FeatureTable) -> np.ndarray:
    """[R] the median of the newest past labels, NaN where fewer than three are known."""
    places = [table.names.index(name) for name in PAST_LABELS if name in table.names]
    if len(places) < _LEAST_LABELS:
        return np.full(table.num_rows, np.nan)
    past = np.stack([np.asarray(table.columns[place], dtype=np.float64) for place in places], 1)
    known = np.isfinite(past).sum(1) >= _LEAST_LABELS
    usual = np.full(table.num_rows, np.nan)
    usual[known] = np.nanmedian(past[known], 1)
    return usual
