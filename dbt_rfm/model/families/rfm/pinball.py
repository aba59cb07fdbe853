"""The loss of the network on numbers, in pretraining and in fine-tuning.

Scores are on the normal scale of the context; any score within the stretch of an equal label costs nothing
(`model/target_scale.py`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from dbt_rfm.model.prepared import QUANTILE_LEVELS


def pinball(found: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """found [B, Q, L] against the stretch [low, high] [B, Q]; the mean over levels."""
    levels = torch.tensor(QUANTILE_LEVELS, device=found.device)
    short = (low.unsqueeze(-1) - found).clamp(min=0)
    over = (found - high.unsqueeze(-1)).clamp(min=0)
    return (levels * short + (1 - levels) * over).mean()
