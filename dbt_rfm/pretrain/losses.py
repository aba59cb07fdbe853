"""From a batch to the network's inputs, and from its outputs to a loss.

Classes: cross-entropy among the classes a task has. Numbers: the pinball loss at every quantile level on the normal
scale of the context, where any score within the stretch of an equal label costs nothing (`model.target_scale`).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dbt_rfm.model.families.rfm.network import CATEGORY_VECTORS, IDENTITY, RelationalTransformer
from dbt_rfm.model.families.rfm.pinball import pinball
from dbt_rfm.pretrain.prior import Batch
from dbt_rfm.task_kind import TaskKind

_REGRESSION_WEIGHT = 2.0  # brings the pinball loss to the size of a cross-entropy


def outputs(network: RelationalTransformer, batch: Batch, generator: torch.Generator) -> Tensor:
    """[B, Q, outputs], with identity vectors drawn from `generator` (on the CPU)."""
    device = network.summary.device
    tasks, _, width = batch.columns.shape
    return network(
        torch.from_numpy(batch.columns).to(device),
        torch.from_numpy(batch.categorical).to(device),
        torch.from_numpy(batch.labels[:, : batch.num_context]).to(device),
        str(batch.kind),
        identities=torch.randn(tasks, width, IDENTITY, generator=generator).to(device),
        categories=torch.randn(tasks, width, CATEGORY_VECTORS, IDENTITY, generator=generator).to(device),
    )


def loss_of(found: Tensor, batch: Batch) -> Tensor:
    """The mean over query rows of all tasks."""
    if batch.kind is TaskKind.REGRESSION:
        low, high = (torch.from_numpy(side).to(found.device) for side in (batch.low, batch.high))
        return _REGRESSION_WEIGHT * pinball(found, low, high)
    truth = torch.from_numpy(batch.labels[:, batch.num_context :]).long().to(found.device)
    return F.cross_entropy(masked(found, batch).flatten(0, 1), truth.flatten())


def masked(logits: Tensor, batch: Batch) -> Tensor:
    """Class log-odds with the slots a task does not use at minus infinity."""
    number = torch.from_numpy(batch.num_classes).to(logits.device)
    unused = torch.arange(logits.shape[-1], device=logits.device) >= number[:, None]
    return logits.masked_fill(unused[:, None], float("-inf"))
