"""The graph transformer behind our interface: trained in `prepare`, asked any number of times after.

In and out: see `interface.py`. Every member learns from all but the newest part of the context, is watched on that part
and stops where it was best there; answers are averaged. (Learning from the whole context for as many passes was worse.)
Examples without rows (pairs of a recommendation, steps of a forecast) are read by their features alone.
Time rule: the newest part is the newest by `times`; without times it is drawn.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from dbt_rfm.errors import DataError
from dbt_rfm.model.families.graph_transformer.encoding import GraphCodes
from dbt_rfm.model.families.graph_transformer.heads import Head, head_of
from dbt_rfm.model.families.graph_transformer.network import GraphTransformer, Shape
from dbt_rfm.model.families.graph_transformer.options import GraphTransformerOptions
from dbt_rfm.model.families.graph_transformer.training import Material, Plan, Trained, Training
from dbt_rfm.model.interface import FeatureTable, Labelled, Predictions, Provenance, RelationalModel

VERSION = "graph-transformer-1"
_CHUNK = 4096  # queries that are encoded at once
_MOST_WATCHED = 3000
log = logging.getLogger("dbt_rfm")


def load(device: str, options: dict[str, Any]) -> RelationalModel:
    """Raises ModelError for an unknown option."""
    read = GraphTransformerOptions.read(options)
    return GraphTransformerModel(_joined_processes(device), read)


def _joined_processes(device: str) -> str:
    """The device of this process; under torchrun it joins the others."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return device
    if device.startswith("cuda"):
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        torch.cuda.set_device(device)
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    return device


class GraphTransformerModel:
    name = "graph_transformer"
    reads_rows = True

    def __init__(self, device: str, options: GraphTransformerOptions) -> None:
        self.device, self.options = device, options

    @property
    def version(self) -> str:
        return VERSION

    @property
    def checkpoint_sha(self) -> str:
        """Nothing: weights come about in `prepare`, whose `provenance` names them."""
        return ""

    def prepare(self, known: Labelled, *, seed: int = 0) -> TrainedTask:
        """Train. The newest `context_size` of the examples are kept."""
        if known.examples.num_rows < 2:
            raise DataError("there is nothing to learn from: fewer than 2 labelled examples")
        options, known = self.options, known.newest(self.options.context_size)
        context, labels = known.examples, known.labels
        head, codes = head_of(known.kind, known.classes, labels), GraphCodes.of(context, options.features)
        shape = Shape.of(
            codes,
            head.outputs,
            channels=options.channels,
            layers=options.layers,
            heads=options.heads,
            dropout=options.dropout,
            row_dropout=options.row_dropout,
        )
        material = Material(codes.encoded(context), head.targets(labels), head, self.device)
        training = Training(lambda: GraphTransformer(shape), material, options)
        order = _in_time(context.num_rows, known.times, seed)
        members = self._members(training, order, seed, None if options.folder == "" else Path(options.folder))
        networks = tuple(training.network_of(each.weights) for each in members)
        return TrainedTask(codes, head, networks, training, _provenance(members))

    def _members(self, training: Training, order: np.ndarray, seed: int, folder: Path | None) -> list[Trained]:
        options, started = self.options, time.monotonic()
        share = 60 * options.minutes / options.members
        key = _task_key(training.material, order, seed, options) if folder is not None else ""

        newest = max(1, min(int(len(order) * options.held_out), _MOST_WATCHED))

        def plan(member: int) -> Plan:
            return Plan(
                learnt=order[:-newest],
                watched=order[-newest:],
                seed=abs(seed) * 1000 + member,
                ends=started + share * (member + 1),
                name=f"graph_transformer, member {member + 1} of {options.members}",
                checkpoint=folder / f"{key}-{member}.pt" if folder is not None else None,
            )

        return [training.run(plan(member)) for member in range(options.members)]


@dataclass(frozen=True)
class TrainedTask:
    """Trained networks, waiting for questions."""

    codes: GraphCodes
    head: Head
    networks: tuple[GraphTransformer, ...]
    training: Training
    provenance: Provenance

    def answer(self, query: FeatureTable) -> Predictions:
        starts = range(0, max(query.num_rows, 1), _CHUNK)
        parts = [self._said(query.take(np.arange(s, min(s + _CHUNK, query.num_rows)))) for s in starts]
        return self.head.answer([np.concatenate(each) for each in zip(*parts, strict=True)])

    def _said(self, query: FeatureTable) -> list[np.ndarray]:
        """Per member [Q, outputs]."""
        material = replace(self.training.material, encoded=self.codes.encoded(query))
        asking = Training(self.training.make, material, self.training.options)
        return [asking.said(network, np.arange(query.num_rows)) for network in self.networks]


def _in_time(count: int, times: np.ndarray | None, seed: int = 0) -> np.ndarray:
    """Positions, the newest last; by lot without times."""
    if times is None:
        return np.random.default_rng(seed).permutation(count)
    return np.argsort(times, kind="stable")


def _provenance(members: list[Trained]) -> Provenance:
    """The sha256 is that of all weights, in order of members and names."""
    digest = hashlib.sha256()
    for member in members:
        for name, values in sorted(member.weights.items()):
            digest.update(name.encode())
            digest.update(values.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    sha = digest.hexdigest()
    passes = ", ".join(str(member.passes) for member in members)
    note = f"graph_transformer: {len(members)} networks trained, best on the newest examples after {passes} passes"
    return Provenance(f"{VERSION}-{sha[:8]}", sha, (note,))


def _task_key(material: Material, order: np.ndarray, seed: int, options: GraphTransformerOptions) -> str:
    """The same for the same examples, targets, seed and options."""
    digest = hashlib.sha256(json.dumps([options.deciding(), seed], sort_keys=True).encode())
    for values in (order, material.targets, material.encoded.edges, material.encoded.sizes):
        digest.update(np.ascontiguousarray(values).tobytes())
    for name, table in material.encoded.tables.items():
        digest.update(name.encode())
        for values in (table.cells.numbers, table.cells.codes, table.cells.ages, table.slot):
            digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:16]
