"""The job: one prediction model as the dbt macros (or the manifest) describe it, version 1.

The macros say what is there and conclude nothing; what is a key, a link or a time column is decided by `schema/`.
JSON in, frozen values out, and back again without loss.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dbt_rfm.errors import ProjectError

JOB_VERSION = 1


@dataclass(frozen=True)
class JobTable:
    """A table of the graph as dbt knows it; `columns` and `constraints` are the manifest's own entries."""

    alias: str
    relation: str
    unique_id: str = ""
    resource_type: str = "model"  # model | seed | snapshot | source
    columns: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    primary_key: tuple[str, ...] = ()
    constraints: tuple[Mapping[str, Any], ...] = ()
    meta: Mapping[str, Any] = field(default_factory=dict)
    event_time: str | None = None
    snapshot_columns: Mapping[str, str] = field(default_factory=dict)  # dbt_valid_from and the others as configured


@dataclass(frozen=True)
class JobTest:
    """A generic test on tables of the graph."""

    name: str  # unique | not_null | relationships | …
    column: str | None
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    attached_node: str | None = None
    depends_on: tuple[str, ...] = ()
    where: str | None = None
    severity: str = "ERROR"
    namespace: str | None = None


@dataclass(frozen=True)
class JobTarget:
    """The relation the prediction is published as."""

    database: str | None
    schema: str
    identifier: str

    def named(self, identifier: str) -> JobTarget:
        return JobTarget(self.database, self.schema, identifier)


@dataclass(frozen=True)
class Contract:
    enforced: bool = False
    columns: tuple[tuple[str, str], ...] = ()  # (name, data_type; '' if not declared)


@dataclass(frozen=True)
class Job:
    query: str
    tables: tuple[JobTable, ...]
    unique_id: str = ""
    name: str = ""
    tests: tuple[JobTest, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    target: JobTarget | None = None
    labels: str | None = None  # relation of a label table
    contract: Contract = field(default_factory=Contract)
    invocation_id: str = ""
    package_version: str = ""
    target_path: str = "target"
    empty: bool = False
    full_refresh: bool = False
    rfm_schema: str = ""  # of registry, history and run tables; '': the target's own
    version: int = JOB_VERSION

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Raises ProjectError if the text is no job of this version."""
        try:
            raw = json.loads(text)
        except ValueError as error:
            raise ProjectError(f"the job is not JSON: {error}") from error
        if not isinstance(raw, dict) or raw.get("version") != JOB_VERSION:
            got = raw.get("version") if isinstance(raw, dict) else type(raw).__name__
            raise ProjectError(
                f"expected a job of version {JOB_VERSION}, got {got}",
                hint="Install the same version of the dbt package and of the Python package dbt-rfm.",
            )
        return cls(
            query=raw["query"],
            tables=tuple(_table(t) for t in raw["tables"]),
            tests=tuple(_test(t) for t in raw.get("tests") or ()),
            target=JobTarget(**raw["target"]) if raw.get("target") else None,
            contract=_contract(raw.get("contract") or {}),
            **{
                k: raw[k]
                for k in (
                    "unique_id",
                    "name",
                    "options",
                    "labels",
                    "invocation_id",
                    "package_version",
                    "target_path",
                    "empty",
                    "full_refresh",
                    "rfm_schema",
                )
                if raw.get(k) is not None
            },
        )

    @property
    def home(self) -> JobTarget | None:
        """Where registry, history and run tables of the target are: `home.named(…)` is a table there."""
        if self.target is None or not self.rfm_schema:
            return self.target
        return JobTarget(self.target.database, self.rfm_schema, self.target.identifier)


def _table(raw: Mapping[str, Any]) -> JobTable:
    return JobTable(
        alias=raw["alias"],
        relation=raw["relation"],
        unique_id=raw.get("unique_id") or "",
        resource_type=raw.get("resource_type") or "model",
        columns=raw.get("columns") or {},
        primary_key=tuple(raw.get("primary_key") or ()),
        constraints=tuple(raw.get("constraints") or ()),
        meta=raw.get("meta") or {},
        event_time=raw.get("event_time") or None,
        snapshot_columns=raw.get("snapshot_columns") or {},
    )


def _test(raw: Mapping[str, Any]) -> JobTest:
    return JobTest(
        name=raw["name"],
        column=raw.get("column"),
        kwargs=raw.get("kwargs") or {},
        attached_node=raw.get("attached_node"),
        depends_on=tuple(raw.get("depends_on") or ()),
        where=raw.get("where") or None,
        severity=(raw.get("severity") or "ERROR").upper(),
        namespace=raw.get("namespace"),
    )


def _contract(raw: Mapping[str, Any]) -> Contract:
    columns = tuple((c[0], c[1] or "") for c in raw.get("columns") or ())
    return Contract(enforced=bool(raw.get("enforced")), columns=columns)
