"""A batch of examples as tensors: their tokens in a rectangle of sets, with the edges between them.

In: `Encoded` and positions of some of its examples. Out: `Batch` on a device; its size is bounded by the number of
examples and the rows kept per link, not by the data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dbt_rfm.model.families.graph_transformer.encoding import Encoded

_WINDOW = 8  # batches among which examples of a like number of rows are put together


@dataclass(frozen=True)
class TableBatch:
    numbers: Tensor  # [N, numbers, 2]
    codes: Tensor  # [N, categories]
    ages: Tensor  # [N, moments]
    hop: Tensor  # [N]
    path: Tensor  # [N]
    token: Tensor  # [N] place among the examples x slots


@dataclass(frozen=True)
class Batch:
    tables: Mapping[str, TableBatch]
    edges: Tensor  # [3, E] token it comes from, token it goes to, kind
    own: Tensor  # [B] token of the own row; the example's token without one
    examples: int
    slots: int
    mask: Tensor  # [B, slots] whether there is a token


def batch_of(encoded: Encoded, examples: np.ndarray, device: str) -> Batch:
    sizes = encoded.sizes[examples]
    slots = int(sizes.max())
    tables = {}
    for name, table in encoded.tables.items():
        rows, place = table.ranges.of_examples(examples)
        cells = table.cells.take(rows)
        tables[name] = TableBatch(
            torch.from_numpy(cells.numbers).to(device),
            torch.from_numpy(cells.codes).to(device).long(),
            torch.from_numpy(cells.ages).to(device),
            torch.from_numpy(cells.hop).to(device).long(),
            torch.from_numpy(table.path[rows]).to(device),
            torch.from_numpy(place * slots + table.slot[rows]).to(device),
        )
    lines, place = encoded.edge_ranges.of_examples(examples)
    edges = encoded.edges[lines].T.copy()
    edges[:2] += place * slots
    starts = np.arange(len(examples)) * slots
    return Batch(
        tables,
        torch.from_numpy(edges).to(device),
        torch.from_numpy(starts + encoded.own[examples]).to(device),
        len(examples),
        slots,
        torch.from_numpy(np.arange(slots) < sizes[:, None]).to(device),
    )


def in_batches(encoded: Encoded, examples: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """The examples `size` at a time, those of a like number of rows together within a window of batches."""
    for start in range(0, len(examples), _WINDOW * size):
        window = examples[start : start + _WINDOW * size]
        window = window[np.argsort(encoded.sizes[window], kind="stable")]
        yield from (window[i : i + size] for i in range(0, len(window), size))
