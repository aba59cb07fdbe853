"""A relational graph transformer: tokens are rows, which pass messages along links and attend to their whole set.

In: a `Batch`. Out: one vector of `outputs` numbers per example. A token is its table's linear reading of its cells
and hop, and an embedding of the link it was come by. A layer: messages along edges (per kind of link and direction
scaled and shifted; their mean, and their mean times the logarithm of their number), attention among all tokens of the
set, and a feed-forward part. What is read at the end is the example's own token, that of its own row, and the mean
and the scaled sum of all.
Sources: relational deep learning (Fey et al. 2024), relational graph transformer (Dwivedi et al. 2025), principal
neighbourhood aggregation (Corso et al. 2020).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dbt_rfm.model.families.graph_transformer.batch import Batch, TableBatch
from dbt_rfm.model.families.graph_transformer.encoding import MISSING, UNKNOWN, GraphCodes

_NUMBER = 9  # what a number becomes
_DECAYS = (1.0, 7.0, 30.0, 90.0, 365.0, 1460.0)  # days
_PERIODS = (7.0, 30.44, 365.25)
_AGE = 2 + len(_DECAYS) + 2 * len(_PERIODS)
_HOPS = 3
_EMBEDDING = 12  # numbers that stand for a category
_HIDDEN = 0.25  # share of the categories that a training step does not see
_SUM_SCALE = 32.0  # a usual number of tokens


@dataclass(frozen=True)
class Shape:
    """What the network is made for."""

    tables: Mapping[str, tuple[int, tuple[int, ...], int]]  # numbers, codes per category, moments
    edge_kinds: int
    outputs: int
    channels: int
    layers: int
    heads: int
    dropout: float
    row_dropout: float

    @classmethod
    def of(cls, codes: GraphCodes, outputs: int, **sizes: float) -> Shape:
        tables = {name: (len(t.scales), t.num_codes, len(t.ages)) for name, t in codes.tables.items()}
        return cls(tables, codes.num_edge_kinds, outputs, **sizes)  # type: ignore[arg-type]


class GraphTransformer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        channels = shape.channels
        self.names = {name: f"t{i}" for i, name in enumerate(shape.tables)}
        self.offsets: dict[str, list[int]] = {}
        total = 0
        for name, (_, categories, _) in shape.tables.items():
            self.offsets[name] = [total + sum(categories[:i]) for i in range(len(categories))]
            total += sum(categories)
        self.categories = nn.Embedding(max(total, 1), _EMBEDDING)
        widths = {
            self.names[name]: numbers * _NUMBER + len(categories) * _EMBEDDING + ages * _AGE + _HOPS
            for name, (numbers, categories, ages) in shape.tables.items()
        }
        self.read = nn.ModuleDict({name: nn.Linear(width, channels) for name, width in widths.items()})
        self.paths = nn.Embedding(1 + shape.edge_kinds, channels)
        nn.init.normal_(self.categories.weight, std=0.3)
        nn.init.normal_(self.paths.weight, std=0.1)
        self.start = nn.LayerNorm(channels)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.head = nn.Sequential(
            nn.LayerNorm(4 * channels),
            nn.Linear(4 * channels, channels),
            nn.GELU(),
            nn.Dropout(shape.dropout),
            nn.Linear(channels, shape.outputs),
        )

    def forward(self, batch: Batch) -> Tensor:  # [B, outputs]
        there = self._there(batch)
        tokens = self._tokens(batch) * there.view(-1, 1)
        edges = batch.edges[:, there[batch.edges[0]] & there[batch.edges[1]]]
        mask = there.view(batch.examples, batch.slots)
        for layer in self.layers:
            tokens = layer(tokens, edges, mask)
        tokens = tokens * there.view(-1, 1)
        sets = tokens.view(batch.examples, batch.slots, -1)
        total = sets.sum(1)
        mean = total / mask.sum(1, keepdim=True)
        return self.head(torch.cat([sets[:, 0], tokens[batch.own], mean, total / _SUM_SCALE], -1))

    def move(self, by: float) -> None:
        """Add to all outputs, whatever is asked."""
        last = self.head[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():
            last.bias.add_(by)

    def _there(self, batch: Batch) -> Tensor:
        """[tokens] In training a share of the rows is left out, never the example's or the own one."""
        there = batch.mask.reshape(-1)
        if not self.training or not self.shape.row_dropout:
            return there
        kept = torch.rand(there.shape, device=there.device) >= self.shape.row_dropout
        kept[batch.own] = True
        kept[torch.arange(batch.examples, device=there.device) * batch.slots] = True
        return there & kept

    def _tokens(self, batch: Batch) -> Tensor:
        """[examples x slots, channels]"""
        read = [self.read[self.names[name]](self._cells(name, table)) for name, table in batch.tables.items()]
        rows = torch.cat(read)
        rows = rows + self.paths(torch.cat([table.path for table in batch.tables.values()]))
        places = torch.cat([table.token for table in batch.tables.values()])
        tokens = rows.new_zeros(batch.examples * batch.slots, self.shape.channels)
        return tokens.index_copy(0, places, self.start(rows).to(tokens.dtype))

    def _cells(self, name: str, table: TableBatch) -> Tensor:
        parts = [number_features(table.numbers).flatten(1), age_features(table.ages).flatten(1)]
        if table.codes.shape[1]:
            offsets = torch.tensor(self.offsets[name], device=table.codes.device)
            parts.append(self.categories(self._some_unknown(table.codes) + offsets).flatten(1))
        parts.append(F.one_hot(table.hop, _HOPS).float())
        return torch.cat(parts, -1)

    def _some_unknown(self, codes: Tensor) -> Tensor:
        """In training a share of the categories is hidden: those of new entities are unknown, and what that means has
        to be learnt although the context knows its own."""
        if not self.training:
            return codes
        hidden = (torch.rand(codes.shape, device=codes.device) < _HIDDEN) & (codes != MISSING)
        return codes.masked_fill(hidden, UNKNOWN)


class Layer(nn.Module):
    def __init__(self, shape: Shape) -> None:
        super().__init__()
        channels = shape.channels
        self.heads, self.dropout = shape.heads, shape.dropout
        self.before_messages, self.before_attention, self.before_mlp = (nn.LayerNorm(channels) for _ in range(3))
        self.sent = nn.Linear(channels, channels)
        self.scale = nn.Parameter(1 + 0.1 * torch.randn(max(shape.edge_kinds, 1), channels))
        self.shift = nn.Parameter(0.1 * torch.randn(max(shape.edge_kinds, 1), channels))
        self.received = nn.Linear(2 * channels, channels)
        self.asked = nn.Linear(channels, 3 * channels)
        self.answered = nn.Linear(channels, channels)
        self.mlp = nn.Sequential(nn.Linear(channels, 2 * channels), nn.GELU(), nn.Linear(2 * channels, channels))

    def forward(self, tokens: Tensor, edges: Tensor, mask: Tensor) -> Tensor:
        if edges.shape[1]:
            tokens = tokens + self._drop(self._messages(self.before_messages(tokens), edges), mask)
        tokens = tokens + self._drop(self._attention(self.before_attention(tokens), mask), mask)
        return tokens + self._drop(self.mlp(self.before_mlp(tokens)), mask)

    def _drop(self, values: Tensor, mask: Tensor) -> Tensor:
        """Drop channels, the same ones for all tokens of a set: a draw per token would cost as much as attention."""
        if not self.training or not self.dropout:
            return values
        kept = F.dropout(values.new_ones(len(mask), 1, values.shape[-1]), self.dropout)
        return (values.view(*mask.shape, -1) * kept).flatten(0, 1)

    def _messages(self, tokens: Tensor, edges: Tensor) -> Tensor:
        source, goal, kind = edges
        said = F.gelu(self.sent(tokens)[source] * self.scale[kind] + self.shift[kind])
        number = torch.bincount(goal, minlength=len(tokens)).to(said.dtype).unsqueeze(-1)
        mean = torch.zeros_like(tokens, dtype=said.dtype).index_add(0, goal, said) / number.clamp(min=1)
        return self.received(torch.cat([mean, mean * number.log1p()], -1))

    def _attention(self, tokens: Tensor, mask: Tensor) -> Tensor:
        examples, slots = mask.shape
        asked = self.asked(tokens).view(examples, slots, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        query, key, value = asked.unbind(0)
        found = F.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :])
        return self.answered(found.transpose(1, 2).reshape(examples * slots, -1))


def number_features(numbers: Tensor) -> Tensor:
    """[N, numbers, _NUMBER] of [N, numbers, 2]: distance and rank, the rank also as a few waves."""
    missing = torch.isnan(numbers[..., :1])
    distance, share = torch.nan_to_num(numbers).unbind(-1)
    angle = math.pi * share
    score = math.sqrt(2) * torch.erfinv((2 * share - 1).clamp(-0.998, 0.998))
    parts = [3 * (distance / 3).tanh(), score]
    parts += [wave(k * angle) for k in (1, 2, 4) for wave in (torch.sin, torch.cos)]
    return torch.cat([torch.stack(parts, -1).masked_fill(missing, 0.0), missing.float()], -1)


def age_features(ages: Tensor) -> Tensor:
    """[N, moments, _AGE] of days: their logarithm, decays from a day to years, waves of a week, a month and a year."""
    missing = torch.isnan(ages).unsqueeze(-1)
    days = torch.nan_to_num(ages).clamp(min=0)
    parts = [days.log1p() / 4 - 1]
    parts += [torch.exp(-days / each) for each in _DECAYS]
    parts += [wave(2 * math.pi * days / each) for each in _PERIODS for wave in (torch.sin, torch.cos)]
    return torch.cat([torch.stack(parts, -1).masked_fill(missing, 0.0), missing.float()], -1)
