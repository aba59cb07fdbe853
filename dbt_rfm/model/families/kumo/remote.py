"""Kumo Relational behind an endpoint (an NVIDIA NIM): `model_options: {endpoint: https://host:8000}`.

In and out: see `interface.py`. What an example is, what goes along with it and which of a context are read is the same
as where the weights run here (`family.py`). The examples' rows and labels go to that endpoint, and only because this
option was given. Numbers come with the endpoint's own quantiles, or not at all.
Limits of the endpoint are kept here, before anything is sent: 10,000 examples, 10 classes, 15 tables, 30 MB a request.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from dbt_rfm.errors import ModelError
from dbt_rfm.model.families.kumo.answers import HIGHEST, LOWEST, probabilities, quantiles
from dbt_rfm.model.families.kumo.connection import KEY, Endpoint, Session, broken
from dbt_rfm.model.families.kumo.envelope import (
    MODEL,
    TARGET,
    Half,
    entity_table,
    inference_of,
    names_of,
    tables_of,
    target_column,
    task_of,
)
from dbt_rfm.model.families.kumo.examples import check_question
from dbt_rfm.model.interface import FeatureTable, Labelled, Predictions, Provenance
from dbt_rfm.model.prepared import Prepared, PreparedConstant, number_predictions
from dbt_rfm.task_kind import TaskKind

MAX_CONTEXT = 10_000
MAX_TABLES = 15
_ROWS_PER_CALL = 1000  # of the 10,000 that an endpoint takes
_MEGABYTE = 1024 * 1024
_CONTEXT_BYTES, _CALL_BYTES = 25 * _MEGABYTE, 5 * _MEGABYTE
log = logging.getLogger("dbt_rfm")
_told: set[str] = set()


@dataclass(frozen=True)
class RemoteOptions:
    """`timeout`: seconds that one call may take."""

    endpoint: str
    timeout: float = 120.0
    context_size: int = MAX_CONTEXT

    @classmethod
    def read(cls, given: dict[str, Any]) -> RemoteOptions:
        known = ("endpoint", "timeout", "context_size")
        unknown = [name for name in given if name not in known]
        if any("key" in name.casefold() or "token" in name.casefold() for name in unknown):
            raise ModelError(
                "the model kumo takes no key as an option",
                hint=f"Take it out of the project and set the environment variable {KEY}.",
            )
        if unknown:
            raise ModelError(
                f"the model kumo has no option {unknown[0]} with an endpoint", hint=f"Its options: {', '.join(known)}."
            )
        options = cls(**given)
        options._check()
        return options

    def _check(self) -> None:
        if not isinstance(self.endpoint, str) or not self.endpoint.startswith(("http://", "https://")):
            raise ModelError(
                "the option endpoint of the model kumo is no address", hint="Write it as https://host:8000."
            )
        number = isinstance(self.timeout, int | float) and not isinstance(self.timeout, bool)
        if not number or not 0 < self.timeout < 86_400:
            raise ModelError(
                f"the option timeout of the model kumo is {self.timeout!r}, expected seconds above 0, up to a day"
            )
        if self.context_size > MAX_CONTEXT:
            raise ModelError(
                f"an endpoint of the model kumo reads at most {MAX_CONTEXT:,} labelled examples, and context_size is "
                f"{self.context_size:,}",
                hint=f"Set meta.rfm.context_size to {MAX_CONTEXT} or less.",
            )


class RemoteKumo:
    name = "kumo"
    reads_rows = True

    def __init__(self, options: RemoteOptions) -> None:
        self.options = options
        self.endpoint = Endpoint(options.endpoint, options.timeout)

    @property
    def version(self) -> str:
        return f"{MODEL}@{self.endpoint.place}"

    @property
    def checkpoint_sha(self) -> str:
        """An endpoint does not tell its weights."""
        return ""

    def prepare(self, known: Labelled, *, seed: int = 0) -> Prepared:
        """Send the context. The newest `context_size` of its examples are kept."""
        check_question(known)
        known = known.newest(self.options.context_size)
        context, kind, classes = known.examples, known.kind, known.classes
        number = kind == TaskKind.REGRESSION
        labels = np.asarray(known.labels, dtype=np.float64 if number else np.int64)
        seen = np.unique(labels)
        if len(seen) == 1:
            return PreparedConstant(kind, classes, labels)
        positions = labels if number or kind == TaskKind.BINARY else np.searchsorted(seen, labels)
        envelope, most_rows = _envelope(context, positions, kind, len(seen))
        _tell_once(self.endpoint.place)
        output = "quantiles" if number else "probabilities"
        session = Session(self.endpoint, envelope, output, names_of(context))
        return RemoteFitted(session, kind, classes, seen, context.num_rows, most_rows, envelope["schema"])


@dataclass(frozen=True)
class RemoteFitted:
    """A context at an endpoint. Its rows are numbered up to `most_rows`, its examples up to `context`."""

    session: Session
    kind: TaskKind
    classes: tuple[str, ...]
    seen: np.ndarray  # class positions that the context has
    context: int
    most_rows: int
    schema: dict[str, Any]
    provenance: Provenance | None = None

    def answer(self, query: FeatureTable) -> Predictions:
        """See `prepared.Prepared`."""
        if self.kind == TaskKind.REGRESSION:
            return self._numbers(query)
        found = np.zeros((query.num_rows, len(self.classes)))
        parts = [probabilities(self.session.ask(half), self.kind, len(self.seen)) for half in self._halves(query)]
        if parts:
            found[:, self.seen] = np.concatenate(parts)
        return Predictions(self.kind, self.classes, probabilities=found)

    def _numbers(self, query: FeatureTable) -> Predictions:
        given = [quantiles(self.session.ask(half)) for half in self._halves(query)]
        if not given:
            return number_predictions(np.empty((0, 3)), (LOWEST, 0.5, HIGHEST))
        levels = given[0][0]
        if any(other != levels for other, _ in given):
            raise broken("the levels of its quantiles differ from call to call")
        return number_predictions(np.concatenate([values for _, values in given]), levels)

    def _halves(self, query: FeatureTable) -> Iterator[Half]:
        """The query in parts that an endpoint takes, in their order."""
        starts = range(0, query.num_rows, _ROWS_PER_CALL)
        todo = [np.arange(start, min(start + _ROWS_PER_CALL, query.num_rows)) for start in starts]
        while todo:
            rows = todo.pop(0)
            tables = tables_of(query.take(rows), first=self.context + int(rows[0]), first_row=self.most_rows)
            self._check_same(tables.schema())
            half = tables.half()
            if len(rows) > 1 and _bytes(half) > _CALL_BYTES:
                todo[:0] = [part for part in np.array_split(rows, 2)]
            else:
                yield half

    def _check_same(self, schema: dict[str, Any]) -> None:
        """Raises ModelError if the columns are not those of the context, but for its target."""
        instances = dict(self.schema["instance_table"]["columns"])
        del instances[TARGET]
        of_context = {**self.schema, "instance_table": {**self.schema["instance_table"], "columns": instances}}
        if schema != of_context:
            raise ModelError("the examples to predict have other columns or tables than those of the context")


def _envelope(context: FeatureTable, labels: np.ndarray, kind: TaskKind, classes: int) -> tuple[dict[str, Any], int]:
    """All of a request but the rows to predict, and the number of rows of its largest table."""
    target = target_column(labels, kind)
    tables = tables_of(context, target=target)
    if len(tables.related) > MAX_TABLES:
        raise ModelError(
            f"an endpoint of the model kumo reads at most {MAX_TABLES} tables, and {len(tables.related)} are around "
            "the examples",
            hint="Take tables out of the graph, or set meta.rfm.neighbors to one number: one link away.",
        )
    half = tables.half()
    if (size := _bytes(half)) > _CONTEXT_BYTES:
        fits = int(0.9 * context.num_rows * _CONTEXT_BYTES / size)
        raise ModelError(
            f"the {context.num_rows:,} examples of the context take {size // _MEGABYTE} MB, and an endpoint of the "
            f"model kumo takes {_CONTEXT_BYTES // _MEGABYTE}",
            hint=f"Set meta.rfm.context_size to about {fits:,}, or take fewer rows around each (meta.rfm.neighbors).",
        )
    envelope = {
        "model": MODEL,
        "task": task_of(kind, target, classes, entity_table(context)),
        "schema": tables.schema(),
        "context": half,
        "inference": inference_of(context.num_rows),
    }
    return envelope, tables.most_rows


def _bytes(half: Half) -> int:
    return len(json.dumps(half).encode())


def _tell_once(place: str) -> None:
    if place not in _told:
        _told.add(place)
        log.warning("Kumo Relational: rows and labels go to the endpoint %s (model_options.endpoint)", place)
