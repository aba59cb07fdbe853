"""Score the network on synthetic tasks it never trains on, beside baselines on the same rows.

Binary: AUROC; multiclass: accuracy; regression: mean absolute error over that of the context's median, averaged over
tasks on the scale where it is at most 2. Baselines: the majority class (AUROC 0.5) or the median, and a ridge
regression on the same column encoding, which is a strong one for columns made of aggregates.
"""

from __future__ import annotations

import numpy as np
import torch

from dbt_rfm.metrics import auroc
from dbt_rfm.model.families.rfm.encoding import ColumnStatistics
from dbt_rfm.model.families.rfm.network import RelationalTransformer
from dbt_rfm.model.prepared import MEDIAN
from dbt_rfm.model.target_scale import TargetScale, middle_scores
from dbt_rfm.pretrain.losses import loss_of, masked, outputs
from dbt_rfm.pretrain.prior import Batch, draw_batch
from dbt_rfm.task_kind import ONE_LABEL, TaskKind

_SEED = 99_991
_TASKS, _CONTEXT, _QUERY = 24, 256, 128  # per kind and source; rows of each


def held_out_batches() -> dict[str, Batch]:
    """Per kind and source, in two widths half each; the same on every machine."""
    made: dict[str, Batch] = {}
    for kind in ONE_LABEL:
        for source, share in (("tables", 0.0), ("relational", 1.0)):
            for width in (10, 32):
                rng = np.random.default_rng([_SEED, ONE_LABEL.index(kind), int(share), width])
                name = f"{kind}_{source}_{width}"
                made[name] = draw_batch(rng, kind, _TASKS // 2, _CONTEXT, _QUERY, width, relational=share)
    return made


@torch.no_grad()
def score_network(network: RelationalTransformer, batches: dict[str, Batch]) -> dict[str, dict[str, float]]:
    network.eval()
    scores = {}
    for name, batch in batches.items():
        found = outputs(network, batch, torch.Generator().manual_seed(0))
        loss = float(loss_of(found, batch))
        if batch.kind is TaskKind.REGRESSION:
            answer = found[..., MEDIAN].cpu().numpy()
        else:
            answer = masked(found, batch).softmax(-1).cpu().numpy()
        scores[name] = {"loss": round(loss, 4), "metric": round(_metric(batch, answer), 4)}
    network.train()
    return scores


def score_baselines(batches: dict[str, Batch]) -> dict[str, dict[str, float]]:
    scores = {}
    for name, batch in batches.items():
        simple = {"majority_or_median": _simple(batch), "ridge": _metric(batch, _ridge(batch))}
        scores[name] = {k: round(v, 4) for k, v in simple.items()}
    return scores


def _metric(batch: Batch, answer: np.ndarray) -> float:
    """Mean over tasks. `answer`: class scores [B, Q, K], or normal scores of the median [B, Q]."""
    rows = batch.num_context
    each = []
    for labels, given in zip(batch.labels, answer, strict=True):
        past, truth = labels[:rows], labels[rows:]
        if batch.kind is TaskKind.BINARY:
            if 0 < truth.mean() < 1:
                each.append(auroc(truth, given[:, 1]))
        elif batch.kind is TaskKind.MULTICLASS:
            each.append(float((given.argmax(-1) == truth).mean()))
        else:
            plain = np.abs(truth - np.median(past)).mean()
            error = np.abs(truth - TargetScale.of(past).to_label(given)).mean()
            each.append(float(min(error / max(plain, 1e-9), 2.0)))
    return float(np.mean(each))


def _simple(batch: Batch) -> float:
    if batch.kind is TaskKind.BINARY:
        return 0.5
    if batch.kind is TaskKind.REGRESSION:
        return 1.0
    rows = batch.num_context
    shares = []
    for labels in batch.labels.astype(int):
        shares.append(float((labels[rows:] == np.bincount(labels[:rows]).argmax()).mean()))
    return float(np.mean(shares))


def _ridge(batch: Batch) -> np.ndarray:
    """Ridge regression on normal scores, equal-value and missing flags; one score per class, or a normal score."""
    columns = torch.from_numpy(batch.columns)
    rows = batch.num_context
    statistics = ColumnStatistics.of(columns[:, :rows], torch.from_numpy(batch.categorical))
    features = statistics.features(columns)[..., [0, 1, 8, 11]].flatten(2).numpy()
    answers = []
    for x, labels in zip(features, batch.labels, strict=True):
        if batch.kind is TaskKind.REGRESSION:
            target = middle_scores(labels[:rows])[:, None]
        else:
            width = 2 if batch.kind is TaskKind.BINARY else 10
            target = (labels[:rows, None] == np.arange(width)).astype(float)
        centre, offset = x[:rows].mean(0), target.mean(0)
        gram = (x[:rows] - centre).T @ (x[:rows] - centre)
        weight = np.linalg.solve(gram + 30.0 * np.eye(len(gram)), (x[:rows] - centre).T @ (target - offset))
        answer = (x[rows:] - centre) @ weight + offset
        answers.append(answer[:, 0] if batch.kind is TaskKind.REGRESSION else answer)
    return np.stack(answers)
