"""The graph transformer behind our interface: trained in `prepare`, asked any number of times after.

In and out: see `interface.py`. Every member learns from all but the newest part of the context, is watched on that part
and stops where it was best there; answers are averaged. (Learning from the whole context for as many passes was worse.)
Examples without rows (pairs of a recommendation, steps of a forecast) are read by their features alone.
Time rule: the newest part is the newest by `times`; without times it is drawn.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from dbt_rfm.errors import ModelError
from dbt_rfm.model.families.graph_transformer.encoding import GraphCodes
from dbt_rfm.model.families.graph_transformer.heads import Head, head_from_tree, head_of
from dbt_rfm.model.families.graph_transformer.network import GraphTransformer, Shape
from dbt_rfm.model.families.graph_transformer.options import GraphTransformerOptions
from dbt_rfm.model.families.graph_transformer.training import Material, Plan, Trained, Training
from dbt_rfm.model.files import File
from dbt_rfm.model.interface import FeatureTable, Labelled, Predictions, Provenance, RelationalModel
from dbt_rfm.model.weights_sha import weights_sha
from dbt_rfm.task_kind import TaskKind

VERSION = "graph-transformer-1"
_CHUNK = 4096  # queries that are encoded at once
_MOST_WATCHED = 3000
_ENOUGH_WATCHED = 800  # of classes: the newest are worth more as something to learn from
_ENOUGH_OF_CLASS = 100  # of the rarest of them


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

    def __init__(
        self, device: str, options: GraphTransformerOptions, unfinished: Callable[[str], File] | None = None
    ) -> None:
        """`unfinished`: where a training of this name leaves its state, and goes on from."""
        self.device, self.options, self.unfinished = device, options, unfinished

    @property
    def version(self) -> str:
        return VERSION

    @property
    def checkpoint_sha(self) -> str:
        """Nothing: weights come about in `prepare`, whose `provenance` names them."""
        return ""

    @property
    def asked(self) -> dict[str, Any]:
        return asdict(self.options)

    def going_on(self, unfinished: Callable[[str], File]) -> GraphTransformerModel:
        return GraphTransformerModel(self.device, self.options, unfinished)

    def prepare(self, known: Labelled, *, seed: int = 0) -> TrainedTask:
        """Train. The newest `context_size` of the examples are kept."""
        known.require(2)
        options, known = self.options, known.newest(self.options.context_size)
        context, labels = known.examples, known.labels
        head, codes = head_of(known.kind, known.classes, labels), GraphCodes.of(context, options.features)
        shape = _shape(codes, head, options)
        material = Material(codes.encoded(context), head.targets(labels), head, self.device)
        training = Training(lambda: GraphTransformer(shape), material, options)
        order = _in_time(context.num_rows, known.times, seed)
        watched = _watched(known, options)
        members = self._members(training, order, watched, seed)
        networks = tuple(training.network_of(each.weights) for each in members)
        worth = {
            "steps": sum(each.steps for each in members),
            "rows": len(order) - watched,
            "measure": "pinball loss" if known.kind == TaskKind.REGRESSION else "log loss",
            "after": float(np.mean([each.loss for each in members])),
        }
        return TrainedTask(codes, head, networks, self.device, options, worth, _provenance(members))

    def from_tree(self, tree: Mapping[str, Any], provenance: Provenance) -> TrainedTask:
        codes, head = GraphCodes.from_tree(tree["codes"]), head_from_tree(tree["head"])
        networks = []
        for weights in tree["networks"]:
            network = GraphTransformer(_shape(codes, head, self.options)).to(self.device)
            network.load_state_dict(weights)
            networks.append(network.eval())
        return TrainedTask(codes, head, tuple(networks), self.device, self.options, tree["worth"], provenance)

    def _members(self, training: Training, order: np.ndarray, watched: int, seed: int) -> list[Trained]:
        options, started = self.options, time.monotonic()
        share = 60 * options.minutes / options.members
        key = _task_key(training.material, order, seed, options) if self.unfinished is not None else ""

        def plan(member: int) -> Plan:
            return Plan(
                learnt=order[:-watched],
                watched=order[-watched:],
                seed=abs(seed) * 1000 + member,
                ends=started + share * (member + 1),
                name=f"graph_transformer, member {member + 1} of {options.members}",
                checkpoint=self.unfinished(f"{key}-{member}") if self.unfinished is not None else None,
            )

        return [training.run(plan(member)) for member in range(options.members)]


@dataclass(frozen=True)
class TrainedTask:
    """Trained networks, waiting for questions."""

    codes: GraphCodes
    head: Head
    networks: tuple[GraphTransformer, ...]
    device: str
    options: GraphTransformerOptions
    worth: Mapping[str, Any]
    provenance: Provenance

    def answer(self, query: FeatureTable) -> Predictions:
        parts = [self._said(part) for part in query.parts(_CHUNK)]
        return self.head.answer([np.concatenate(each) for each in zip(*parts, strict=True)])

    def tree(self) -> dict[str, Any]:
        weights = [network.state_dict() for network in self.networks]
        return {"codes": self.codes.tree(), "head": self.head.tree(), "networks": weights, "worth": self.worth}

    def named(self, provenance: Provenance) -> TrainedTask:
        return replace(self, provenance=provenance)

    def fits(self, known: Labelled) -> bool:
        nobody = known.examples.take(np.arange(0))
        try:
            self.codes.encoded(nobody)
        except ModelError:
            return False
        return self.head.fits(known.kind, known.classes)

    def loss(self, known: Labelled, *, seed: int) -> float:
        known = known.newest(self.options.context_size)
        order = _in_time(known.examples.num_rows, known.times, seed)
        newest = known.take(order[-_watched(known, self.options) :])
        targets = torch.from_numpy(self.head.targets(newest.labels))
        said = self._said(newest.examples)
        return float(np.mean([float(self.head.loss(torch.from_numpy(each), targets)) for each in said]))

    def _said(self, query: FeatureTable) -> list[np.ndarray]:
        """Per member [Q, outputs]."""
        nothing_to_learn = np.empty(0)
        material = Material(self.codes.encoded(query), nothing_to_learn, self.head, self.device)
        asking = Training(lambda: self.networks[0], material, self.options)
        return [asking.said(network, np.arange(query.num_rows)) for network in self.networks]


def _shape(codes: GraphCodes, head: Head, options: GraphTransformerOptions) -> Shape:
    return Shape.of(
        codes,
        head.outputs,
        channels=options.channels,
        layers=options.layers,
        heads=options.heads,
        dropout=options.dropout,
        row_dropout=options.row_dropout,
    )


def _watched(known: Labelled, options: GraphTransformerOptions) -> int:
    """How many of the newest examples a training is watched on; those of numbers tell the level besides, so all of the
    share are."""
    most = float(_MOST_WATCHED)
    if known.kind != TaskKind.REGRESSION:
        counts = np.bincount(known.labels)
        rarest = counts[counts > 0].min() / len(known.labels)
        most = min(most, max(_ENOUGH_WATCHED, _ENOUGH_OF_CLASS / rarest))
    return max(1, min(int(len(known.labels) * options.held_out), int(most)))


def _in_time(count: int, times: np.ndarray | None, seed: int = 0) -> np.ndarray:
    """Positions, the newest last; by lot without times."""
    if times is None:
        return np.random.default_rng(seed).permutation(count)
    return np.argsort(times, kind="stable")


def _provenance(members: list[Trained]) -> Provenance:
    sha = weights_sha(*(member.weights for member in members))
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
