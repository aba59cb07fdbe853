"""Kumo Relational behind our interface: `fit` on the context once, then any number of queries in chunks.

In and out: see `interface.py`. The past labels and the summaries of an entity go along as features of the task, the
rows around it as related tables. Classes: 2 to 10, which is what the weights were made for.
Source: NVIDIA, structured-data-models (Apache-2.0); the weights have a licence of their own, which is named once per
process when they are first loaded.
"""

from __future__ import annotations

import copy
import logging
import os
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dbt_rfm.errors import ModelError
from dbt_rfm.model.families.kumo import REPOSITORY, REVISION
from dbt_rfm.model.families.kumo.examples import check_question
from dbt_rfm.model.interface import FeatureTable, Labelled, Predictions, Provenance, RelationalModel
from dbt_rfm.model.weights_sha import weights_sha
from dbt_rfm.task_kind import TaskKind

_CHUNK = 1024
_LEVELS = tuple(i / 1000 for i in range(1, 1000))
_PACKAGE = "pip install 'dbt-rfm[kumo]'"
log = logging.getLogger("dbt_rfm")

_loaded: dict[tuple[str, bool, str], tuple[Any, str]] = {}
_loading = threading.Lock()


@dataclass(frozen=True)
class KumoOptions:
    """`estimators`: answers that are averaged. `hops`: links that messages follow. `pretrained` False: random weights,
    to try the way of the data where the hub cannot be reached; its answers mean nothing."""

    context_size: int = 10_000
    estimators: int = 1
    hops: int = 2
    pretrained: bool = True

    @classmethod
    def read(cls, given: dict[str, Any]) -> KumoOptions:
        known = ("context_size", "estimators", "hops", "pretrained")
        unknown = [name for name in given if name not in known]
        if unknown:
            raise ModelError(
                f"the model kumo has no option {unknown[0]}", hint=f"Its options: {', '.join(known)}; or endpoint."
            )
        for name in ("context_size", "estimators", "hops"):
            value = given.get(name, 1)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ModelError(f"the option {name} of the model kumo is {value!r}, expected a whole number from 1")
        if not isinstance(given.get("pretrained", True), bool):
            raise ModelError(
                f"the option pretrained of the model kumo is {given['pretrained']!r}, expected true or false"
            )
        return cls(**given)


def load(device: str, options: dict[str, Any]) -> RelationalModel:
    """Raises ModelError where the package is not installed or the weights cannot be had."""
    if "endpoint" in options:
        return _at_endpoint(options)
    read = KumoOptions.read(options)
    try:
        import sdm  # noqa: F401  # the package is an extra
    except ImportError as error:
        raise ModelError(
            f"the model kumo needs the package structured-data-models: {error}", hint=f"Install it: {_PACKAGE}"
        ) from error
    return KumoModel(device, read)


def _at_endpoint(options: dict[str, Any]) -> RelationalModel:
    try:
        import sdm_client  # noqa: F401  # the package is an extra
    except ImportError as error:
        raise ModelError(
            f"the model kumo needs the package structured-data-models-client to ask an endpoint: {error}",
            hint="Install it: pip install 'dbt-rfm[nim]'",
        ) from error
    from dbt_rfm.model.families.kumo.remote import RemoteKumo, RemoteOptions

    return RemoteKumo(RemoteOptions.read(options))


class KumoModel:
    name = "kumo"
    reads_rows = True

    def __init__(self, device: str, options: KumoOptions) -> None:
        self.device, self.options = device, options

    @property
    def version(self) -> str:
        return f"kumo-relational-{REVISION}" if self.options.pretrained else "kumo-relational-random"

    @property
    def checkpoint_sha(self) -> str:
        """Each task has weights of its own, which are read when it is known."""
        return ""

    def prepare(self, known: Labelled, *, seed: int = 0) -> Fitted:
        """Read the context. The newest `context_size` of its examples are kept."""
        from dbt_rfm.model.families.kumo.tables import related_tables, target_column, task_table

        check_question(known)
        numbers = known.kind == TaskKind.REGRESSION
        known = known.newest(self.options.context_size)
        context, labels = known.examples, known.labels
        seen = np.arange(0) if numbers else np.unique(labels)
        network, sha = self._network("regression" if numbers else "classification")
        given = labels if numbers else np.searchsorted(seen, labels)
        network.fit(
            task_table(context, self.device),
            target_column(given, numbers=numbers, device=self.device),
            related_tables(context, self.device),
            num_estimators=self.options.estimators,
            generator=torch.Generator(self.device).manual_seed(seed),
            num_hops=self.options.hops,
        )
        return Fitted(network, known.kind, known.classes, seen, self.device, Provenance(self.version, sha))

    def _network(self, task: str) -> tuple[Any, str]:
        """The weights, shared, with a cache of the context that is only this answer's."""
        key = (task, self.options.pretrained, self.device)
        with _loading:
            if key not in _loaded:
                _loaded[key] = (_pretrained if self.options.pretrained else _random)(task, self.device)
        network, sha = _loaded[key]
        return copy.copy(network), sha


@dataclass(frozen=True)
class Fitted:
    """A context that has been read and is kept as keys and values inside `network`."""

    network: Any
    kind: TaskKind
    classes: tuple[str, ...]
    seen: np.ndarray  # class positions that the context has
    device: str
    provenance: Provenance | None = None

    def answer(self, query: FeatureTable) -> Predictions:
        found = np.concatenate([self._part(part) for part in query.parts(_CHUNK)])
        if self.kind == TaskKind.REGRESSION:
            return Predictions(self.kind, (), mean=found.mean(axis=1), levels=_LEVELS, quantiles=np.sort(found, axis=1))
        probabilities = np.zeros((query.num_rows, len(self.classes)))
        probabilities[:, self.seen] = found / found.sum(axis=1, keepdims=True)
        return Predictions(self.kind, self.classes, probabilities=probabilities)

    def _part(self, query: FeatureTable) -> np.ndarray:
        from dbt_rfm.model.families.kumo.tables import as_numpy, related_tables, task_table

        if not query.num_rows:
            return np.empty((0, len(self.seen) or len(_LEVELS)))
        return as_numpy(self.network.predict(task_table(query, self.device), related_tables(query, self.device)))


def _random(task: str, device: str) -> tuple[Any, str]:
    """Weights drawn anew, the same each time; also those that training would begin at zero, so that cells matter."""
    from sdm.models import KumoRelational

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = KumoRelational(task=task, pretrained=False, device=device)
        with torch.no_grad():
            for values in network.parameters():
                values.add_(0.02 * torch.randn(values.shape).to(values.device))
    return network, weights_sha(network.state_dict())


def _pretrained(task: str, device: str) -> tuple[Any, str]:
    from sdm.models import KumoRelational

    log.warning(
        "Kumo Relational: weights %s %s, under the licence on that page of huggingface.co", REPOSITORY, REVISION
    )
    # The hub's client would tell of every attempt; one message is enough.
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    try:
        network = KumoRelational(task=task, pretrained=True, device=device)
    except Exception as error:  # the hub's client raises a dozen kinds; each means that there are no weights
        raise ModelError(
            f"the weights of Kumo Relational ({REVISION}) cannot be had: {type(error).__name__}", hint=_offline_hint()
        ) from error
    return network, weights_sha(network.state_dict())


def _offline_hint() -> str:
    home = os.environ.get("HF_HOME", "~/.cache/huggingface")
    return (
        f"They are read from the cache {home} (variable HF_HOME) and, the first time, fetched from huggingface.co. "
        f"On a machine without a way there: run this once where there is one (`hf download {REPOSITORY} "
        f"--revision {REVISION}`), copy the folder, set HF_HOME to it. Until then use the model 'rfm'."
    )
