"""The in-context transformer: labelled context rows and unlabelled query rows in, one output vector per query row out.

A table is a grid of cell tokens, each of a few neighbouring columns. Each cell layer lets a column read down its rows,
then a row read across its columns; a few summary columns per row then become one row token, and row layers read across
rows. Keys and values come from context rows only, so query rows never see each other and the context can be encoded
once (`encode`) and then asked any number of times (`score`). Nothing depends on the order of rows; columns are told
apart by random identity vectors alone, and so are the categories within a column.
Source: the two-axis attention of in-context learners for tables (TabPFN v2, TabICL) and a first trial of ours; what
differs: labels are added to every context cell, one network serves three kinds of target, and a retrieval read-out
(attention straight onto context labels) backs the class head.

Shapes: B tasks, N context rows, Q query rows, C columns, D channels, H heads, S summary columns.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dbt_rfm.model.families.rfm.encoding import COLUMN_FEATURES, ColumnStatistics
from dbt_rfm.model.prepared import QUANTILE_LEVELS
from dbt_rfm.task_kind import ONE_LABEL

MAX_CLASSES = 10
IDENTITY = 16  # length of the random vectors that tell columns and categories apart
CATEGORY_VECTORS = 64  # drawn per column; categories beyond share the last


@dataclass(frozen=True)
class NetworkConfig:
    group: int = 1  # neighbouring columns that share a token
    cell_width: int = 64
    cell_layers: int = 3
    cell_heads: int = 2
    summaries: int = 4
    row_width: int = 192
    row_layers: int = 4
    row_heads: int = 6

    def to_dict(self) -> dict[str, int]:
        return asdict(self)


@dataclass
class Context:
    """An encoded context: per layer the keys and values that queries read, and what the heads need."""

    statistics: ColumnStatistics
    identities: Tensor  # [B, C, IDENTITY]
    categories: Tensor  # [B, C, K, IDENTITY]
    cells: list[tuple[Tensor, Tensor]]
    rows: list[tuple[Tensor, Tensor]]
    readout: Tensor  # [B, N, D] keys of the retrieval read-out
    labels: Tensor  # [B, N, MAX_CLASSES] one-hot; zeros for regression
    base: Tensor  # [B, MAX_CLASSES] smoothed class shares of the context


class _MixedLinear(torch.autograd.Function):
    """A matrix product in bfloat16 with float32 on both sides: faster on CPUs and GPUs than casting activations."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor) -> Tensor:
        flat, low = x.reshape(-1, x.shape[-1]).bfloat16(), weight.bfloat16()
        ctx.save_for_backward(flat, low)
        ctx.shape = x.shape
        return (flat @ low.t()).float().view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor]:
        flat, low = ctx.saved_tensors
        grad = grad.reshape(-1, grad.shape[-1]).bfloat16()
        return (grad @ low).float().view(ctx.shape), (grad.t() @ flat).float()


class Linear(nn.Linear):
    """Without bias. bfloat16 products in training; float32 in inference, where rounding must not depend on batches."""

    def __init__(self, inputs: int, outputs: int, *, zero: bool = False) -> None:
        super().__init__(inputs, outputs, bias=False)
        if zero:  # output matrices of residual branches start at nothing
            nn.init.zeros_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return _MixedLinear.apply(x, self.weight) if self.training else F.linear(x, self.weight)


def _norm(width: int) -> nn.LayerNorm:
    """Without bias. A root-mean-square norm would do as well, but has no fused CPU kernel: steps took 4 % longer."""
    return nn.LayerNorm(width, bias=False)


class Attention(nn.Module):
    """Softmax attention; with `scaled`, queries are sharpened by a learned multiple of the log of the key count."""

    def __init__(self, width: int, heads: int, *, scaled: bool) -> None:
        super().__init__()
        self.heads = heads
        self.to_query = Linear(width, width)
        self.to_key_value = Linear(width, 2 * width)
        self.to_output = Linear(width, width, zero=True)
        self.temperature = nn.Parameter(torch.tensor([[0.6, 0.08]]).repeat(heads, 1)) if scaled else None
        if scaled:
            start_alike(self.to_query.weight, self.to_key_value.weight)

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:  # x [M, L, D] → 2 × [M, H, L, D/H]
        batch, length, width = x.shape
        both = self.to_key_value(x).view(batch, length, 2, self.heads, width // self.heads)
        keys, values = both.unbind(2)
        return keys.transpose(1, 2), values.transpose(1, 2)

    def forward(self, x: Tensor, keys_values: tuple[Tensor, Tensor]) -> Tensor:
        batch, length, width = x.shape
        keys, values = keys_values
        query = self.to_query(x).view(batch, length, self.heads, width // self.heads)
        if self.temperature is not None:
            sharpen = self.temperature[:, 0] + self.temperature[:, 1] * math.log(keys.shape[2])
            query = query * sharpen.view(1, 1, self.heads, 1)
        read = F.scaled_dot_product_attention(query.transpose(1, 2), keys, values)
        return self.to_output(read.transpose(1, 2).reshape(batch, length, width))


def start_alike(query: Tensor, key: Tensor) -> None:
    """Let untrained attention favour rows like the query: a rough nearest-neighbour vote to learn from.

    With independent weights the network sat on the class shares for hundreds of steps (docs/LOG.md).
    """
    with torch.no_grad():
        key[: len(query)].copy_(query)


class Mlp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.wide = Linear(width, 2 * width)
        self.back = Linear(2 * width, width, zero=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.back(F.silu(self.wide(x)))


class CellLayer(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm_rows, self.norm_columns, self.norm_mlp = (_norm(width) for _ in range(3))
        self.down_rows = Attention(width, heads, scaled=True)
        self.across_columns = Attention(width, heads, scaled=False)
        self.mlp = Mlp(width)

    def context_keys(self, x: Tensor) -> tuple[Tensor, Tensor]:  # x [B, C, N, D]
        return self.down_rows.keys_values(self.norm_rows(x).flatten(0, 1))

    def forward(self, x: Tensor, keys_values: tuple[Tensor, Tensor], keep: int | None = None) -> Tensor:
        """x [B, C, R, D]; with `keep` only the first columns are carried on: the last layer needs no others."""
        batch, columns, rows, width = x.shape
        x = x + self.down_rows(self.norm_rows(x).flatten(0, 1), keys_values).view_as(x)
        y = self.norm_columns(x).transpose(1, 2).reshape(batch * rows, columns, width)
        x = x[:, :keep]
        y = self.across_columns(y[:, :keep], self.across_columns.keys_values(y)).view(x.transpose(1, 2).shape)
        x = x + y.transpose(1, 2)
        return x + self.mlp(self.norm_mlp(x))


class RowLayer(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm_rows, self.norm_mlp = _norm(width), _norm(width)
        self.across_rows = Attention(width, heads, scaled=True)
        self.mlp = Mlp(width)

    def context_keys(self, x: Tensor) -> tuple[Tensor, Tensor]:  # x [B, N, D]
        return self.across_rows.keys_values(self.norm_rows(x))

    def forward(self, x: Tensor, keys_values: tuple[Tensor, Tensor]) -> Tensor:  # x [B, R, D]
        x = x + self.across_rows(self.norm_rows(x), keys_values)
        return x + self.mlp(self.norm_mlp(x))


class LabelEmbedding(nn.Module):
    """A label as a vector: a learned slot per class, a linear map of a regression target, and one slot for unknown."""

    def __init__(self, width: int) -> None:
        super().__init__()
        # Slots 0 and 1 serve binary targets, the next ten multiclass ones, the last one says "unknown" or "a number".
        self.slots = nn.Parameter(torch.randn(2 + MAX_CLASSES + 2, width) * 0.3)
        self.number = Linear(COLUMN_FEATURES, width)

    def forward(self, slots: Tensor, numbers: Tensor | None) -> Tensor:
        embedded = F.embedding(slots, self.slots)
        return embedded if numbers is None else embedded + self.number(numbers)


UNKNOWN_SLOT = 2 + MAX_CLASSES
NUMBER_SLOT = UNKNOWN_SLOT + 1


class RelationalTransformer(nn.Module):
    """See the module docstring. `forward` is `encode` followed by `score`."""

    def __init__(self, config: NetworkConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or NetworkConfig()
        cell, row = config.cell_width, config.row_width
        self.column_input = Linear(config.group * COLUMN_FEATURES, cell)
        self.identity_input = Linear(config.group * IDENTITY, cell)
        self.category_input = Linear(config.group * IDENTITY, cell)
        self.kind_embedding = nn.Embedding(len(ONE_LABEL), cell)
        self.cell_label, self.row_label = LabelEmbedding(cell), LabelEmbedding(row)
        self.summary = nn.Parameter(torch.randn(config.summaries, cell) * 0.3)
        self.cell_layers = nn.ModuleList(CellLayer(cell, config.cell_heads) for _ in range(config.cell_layers))
        self.norm_summary = _norm(cell)
        self.to_row = Linear(config.summaries * cell, row)
        self.row_layers = nn.ModuleList(RowLayer(row, config.row_heads) for _ in range(config.row_layers))
        self.norm_output = _norm(row)
        self.class_head = nn.Linear(row, 2 + MAX_CLASSES)
        self.quantile_head = nn.Linear(row, len(QUANTILE_LEVELS))
        self.readout_query, self.readout_key = Linear(row, row), Linear(row, row)
        self.readout_gain = nn.Parameter(torch.tensor([0.3, 0.6]))  # binary, multiclass
        self._start()

    def _start(self) -> None:
        """Untrained, the network answers with the context's own distribution."""
        for head in (self.class_head, self.quantile_head):
            nn.init.normal_(head.weight, std=0.02)
            nn.init.zeros_(head.bias)
        start_alike(self.readout_query.weight, self.readout_key.weight)
        nn.init.normal_(self.kind_embedding.weight, std=0.02)
        levels = torch.tensor(QUANTILE_LEVELS)
        with torch.no_grad():
            self.quantile_head.bias.copy_(torch.special.ndtri(levels))

    def forward(self, columns: Tensor, categorical: Tensor, labels: Tensor, kind: str, **given: Tensor) -> Tensor:
        """columns [B, N + Q, C], the first N rows with labels [B, N]; returns [B, Q, outputs of the kind]."""
        rows = labels.shape[1]
        context = self.encode(columns[:, :rows], categorical, labels, kind, **given)
        return self.score(context, columns[:, rows:], kind)

    def encode(
        self,
        columns: Tensor,  # [B, N, C] numbers with NaN; category codes from 0 in categorical columns
        categorical: Tensor,  # [B, C] bool
        labels: Tensor,  # [B, N] class positions, or numbers
        kind: str,
        *,
        identities: Tensor,  # [B, C, IDENTITY]
        categories: Tensor,  # [B, C, K, IDENTITY] one vector per category code; codes ≥ K share the last
        key_rows: Tensor | None = None,  # positions of the context rows that cells attend to; all if None
    ) -> Context:
        statistics = ColumnStatistics.of(columns, categorical)
        slots, numbers = self._label_inputs(labels, kind)
        context = Context(statistics, identities, categories, [], [], columns, columns, columns)
        x = self._cells(context, columns, slots, numbers, kind)
        for layer, keep in zip(self.cell_layers, self._kept, strict=True):
            assert isinstance(layer, CellLayer)
            context.cells.append(layer.context_keys(x if key_rows is None else x[:, :, key_rows]))
            x = layer(x, context.cells[-1], keep)
        r = self._rows(x, slots, numbers)
        for layer in self.row_layers:
            assert isinstance(layer, RowLayer)
            context.rows.append(layer.context_keys(r))
            r = layer(r, context.rows[-1])
        context.readout = self.readout_key(self.norm_output(r))
        context.labels, context.base = _class_shares(labels, kind)
        return context

    def score(self, context: Context, columns: Tensor, kind: str) -> Tensor:
        """Class log-odds [B, Q, 2 or MAX_CLASSES], or quantiles on the normal scale [B, Q, len(QUANTILE_LEVELS)]."""
        slots = torch.full(columns.shape[:2], UNKNOWN_SLOT, device=columns.device)
        x = self._cells(context, columns, slots, None, kind)
        for layer, keys_values, keep in zip(self.cell_layers, context.cells, self._kept, strict=True):
            x = layer(x, keys_values, keep)
        r = self._rows(x, slots, None)
        for layer, keys_values in zip(self.row_layers, context.rows, strict=True):
            r = layer(r, keys_values)
        r = self.norm_output(r)
        if kind == "regression":
            return self.quantile_head(r)
        return self._class_logits(context, r, kind)

    def _cells(self, context: Context, columns: Tensor, slots: Tensor, numbers: Tensor | None, kind: str) -> Tensor:
        """[B, S + C, R, D] cell tokens: what a value is, whose column it is, and the row's label."""
        group = self.config.group
        x = self.column_input(_grouped(context.statistics.features(columns), group))  # [B, R, G, D]
        x = x + self.identity_input(_grouped(context.identities, group)).unsqueeze(1)
        x = x + self.category_input(_grouped(context.statistics.category_vectors(columns, context.categories), group))
        x = x + self.kind_embedding.weight[ONE_LABEL.index(kind)]
        label = self.cell_label(slots, numbers).unsqueeze(2)
        summary = (self.summary + label).expand(*columns.shape[:2], -1, -1)
        return torch.cat([summary, x + label], 2).transpose(1, 2).contiguous()

    def _rows(self, x: Tensor, slots: Tensor, numbers: Tensor | None) -> Tensor:
        r = self.norm_summary(x).transpose(1, 2).flatten(2)  # [B, R, S·D]
        return self.to_row(r) + self.row_label(slots, numbers)

    @property
    def _kept(self) -> list[int | None]:
        """Per cell layer how many columns are carried on: all, and after the last one the summaries."""
        return [None] * (len(self.cell_layers) - 1) + [self.config.summaries]

    def _label_inputs(self, labels: Tensor, kind: str) -> tuple[Tensor, Tensor | None]:
        if kind == "regression":
            column = labels.float().unsqueeze(2)
            plain = torch.zeros(len(labels), 1, dtype=torch.bool, device=labels.device)
            numbers = ColumnStatistics.of(column, plain).features(column).squeeze(2)
            return torch.full(labels.shape, NUMBER_SLOT, device=labels.device), numbers
        return labels.long() + (2 if kind == "multiclass" else 0), None

    def _class_logits(self, context: Context, r: Tensor, kind: str) -> Tensor:
        head = self.class_head(r)
        head = head[..., :2] if kind == "binary" else head[..., 2:]
        used = head.shape[-1]
        base = context.base[:, None, :used]
        read = F.scaled_dot_product_attention(  # [B, Q, used] share of attention on each class
            self.readout_query(r).unsqueeze(1),
            context.readout.unsqueeze(1),
            context.labels[..., :used].unsqueeze(1),
        ).squeeze(1)
        gain = self.readout_gain[0 if kind == "binary" else 1]
        retrieved = torch.log((read + 0.05 * base) / 1.05) - torch.log(base)
        return head + torch.log(base) + gain * retrieved


def _grouped(x: Tensor, group: int) -> Tensor:
    """[…, C, F] as […, ⌈C / group⌉, group · F]: neighbouring columns side by side, zeros where they end."""
    if missing := -x.shape[-2] % group:
        x = F.pad(x, (0, 0, 0, missing))
    return x.unflatten(-2, (-1, group)).flatten(-2)


def _class_shares(labels: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    """One-hot labels [B, N, MAX_CLASSES] and class shares [B, MAX_CLASSES], half a count added to each."""
    if kind == "regression":
        empty = torch.zeros(*labels.shape, MAX_CLASSES, device=labels.device)
        return empty, empty[:, 0]
    onehot = F.one_hot(labels.long(), MAX_CLASSES).float()
    return onehot, (onehot.sum(1) + 0.5) / (labels.shape[1] + 1)
