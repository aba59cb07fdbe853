"""Cell values as the network sees them: each column described by its own context rows alone.

A number becomes its rank among the context (as a normal score and a few sines), its robust distance from the
median, the share of equal values and whether it is missing: free of units, of outliers and of any fitted normaliser.
A category becomes a random vector of its own (equal where the category is equal), its share, and whether the context
has it at all. A column that is missing or constant everywhere comes out as such and carries nothing.

Shapes: B tasks, N context rows, R rows, C columns, K categories.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

COLUMN_FEATURES = 13


@dataclass
class ColumnStatistics:
    """What the context rows say about each column."""

    ordered: Tensor  # [B, C, N] ascending, missing last as +inf
    counts: Tensor  # [B, C, 1] values that are not missing, at least 1
    median: Tensor  # [B, C, 1]
    scale: Tensor  # [B, C, 1]
    categorical: Tensor  # [B, C] bool

    @classmethod
    def of(cls, columns: Tensor, categorical: Tensor) -> ColumnStatistics:  # columns [B, N, C]
        values = columns.transpose(1, 2).contiguous()
        missing = torch.isnan(values)
        ordered = values.masked_fill(missing, math.inf).sort(-1).values
        counts = (~missing).sum(-1, keepdim=True).clamp(min=1)

        def at(share: float) -> Tensor:
            found = ordered.gather(-1, ((counts - 1) * share).long())
            return torch.where(torch.isinf(found), torch.zeros_like(found), found)

        median, spread = at(0.5), (at(0.9) - at(0.1)) / 2.56
        deviation = (values - median).masked_fill(missing, 0.0)
        wide = (deviation.square().sum(-1, keepdim=True) / counts).sqrt()
        scale = torch.where(spread > 1e-6 * wide, spread, wide)  # mostly one value: fall back on the deviation
        return cls(ordered, counts, median, scale + 1e-9 * (1 + median.abs()), categorical)

    def features(self, columns: Tensor) -> Tensor:
        """[B, R, C, COLUMN_FEATURES] of the given rows, context or query."""
        values = columns.transpose(1, 2).contiguous()  # [B, C, R]
        missing = torch.isnan(values)
        known = values.masked_fill(missing, 0.0)
        below = torch.minimum(torch.searchsorted(self.ordered, known, right=False), self.counts)
        upto = torch.minimum(torch.searchsorted(self.ordered, known, right=True), self.counts)
        number = self.counts.float()
        share = ((below + upto).float() / 2 + 0.5) / (number + 1)
        share = torch.minimum(torch.maximum(share, 0.5 / (number + 1)), 1 - 0.5 / (number + 1))
        equal = (upto - below).float() / number
        distance = ((known - self.median) / self.scale / 3).tanh() * 3
        angle = math.pi * share
        numeric = [math.sqrt(2) * torch.erfinv((2 * share - 1).clamp(-0.9995, 0.9995)), distance]
        numeric += [f(k * angle) for k in (1, 2, 4) for f in (torch.sin, torch.cos)]
        category = self.categorical.unsqueeze(-1) & ~missing
        blank = missing | self.categorical.unsqueeze(-1)
        flags = [equal.masked_fill(missing, 0.0), equal > 0.2, (equal == 0) & ~missing, missing, category]
        out = [f.masked_fill(blank, 0.0) for f in numeric] + [f.float() for f in flags]
        return torch.stack(out, -1).transpose(1, 2)

    def category_vectors(self, columns: Tensor, categories: Tensor) -> Tensor:
        """[B, R, C, I] the vector of each cell's category; zeros in numerical columns and where missing."""
        used = self.categorical.unsqueeze(1) & ~torch.isnan(columns)
        codes = torch.nan_to_num(columns).long().clamp(0, categories.shape[2] - 1)
        codes = codes.masked_fill(~used, 0).transpose(1, 2)  # [B, C, R]
        index = codes.unsqueeze(-1).expand(-1, -1, -1, categories.shape[3])
        return (categories.gather(2, index) * used.transpose(1, 2).unsqueeze(-1)).transpose(1, 2)
