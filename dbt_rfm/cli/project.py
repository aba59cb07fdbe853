"""The dbt project a command works on: its manifest, its database, and where its predictions are published."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dbt_rfm.job import Job, JobTarget
from dbt_rfm.manifest import job_from_manifest, tables_argument
from dbt_rfm.project import SNOWFLAKE, Project, find_project, plain_name
from dbt_rfm.warehouse.base import Warehouse

#: Identifier of a target of which only the schema matters.
_NO_TABLE = ""


@dataclass(frozen=True)
class OpenedProject:
    project: Project
    manifest: Mapping[str, Any]
    warehouse: Warehouse

    def job(self, query: str, *, options: Mapping[str, Any] | None = None) -> Job:
        """The job of a query on the project's graph."""
        return job_from_manifest(self.manifest, query, graph=self.project.graph, options=options)

    def for_a_model(self, job: Job) -> list[str]:
        """What a dbt model has to be told besides the query, as notes."""
        argument = tables_argument(self.manifest, job, self.project.graph)
        return [f"predict() in a dbt model needs {argument} to read the same tables"] if argument else []

    def home(self, model: str) -> JobTarget:
        """The relation a prediction model is published as; the target's schema for names the project does not know."""
        node = self._node(model)
        if node is not None:
            return _target_of(self.project, node)
        return JobTarget(None, self.project.schema, plain_name(model, self.project.adapter))

    def options(self, model: str) -> Mapping[str, Any]:
        """What a prediction model is built with, as its meta.rfm says."""
        node = self._node(model)
        return ((node["config"].get("meta") or {}).get("rfm") or {}) if node is not None else {}

    def registry(self, model: str) -> JobTarget:
        """Where what is kept of a prediction model is."""
        published = self.home(model)
        return replace(published, schema=self.project.rfm_schema or published.schema)

    def homes(self) -> list[JobTarget]:
        """Every schema that may hold a registry."""
        return homes_of(self.project, self.manifest)

    def _node(self, model: str) -> Mapping[str, Any] | None:
        return next((n for n in _models(self.manifest) if model in (n["name"], n.get("alias"))), None)


@contextmanager
def open_project(
    directory: Path | None,
    profiles_dir: Path | None,
    target: str | None,
    variables: str | None = None,
    *,
    read_only: bool = True,
) -> Iterator[OpenedProject]:
    """The project in or above a folder with its database open. Raises ProjectError with what to do."""
    project = find_project(directory, profiles_dir=profiles_dir, target=target, variables=variables)
    manifest = project.manifest()
    project.require_own(manifest)
    with project.open(read_only=read_only) as warehouse:
        yield OpenedProject(project, manifest, warehouse)


def homes_of(project: Project, manifest: Mapping[str, Any]) -> list[JobTarget]:
    """Every schema that may hold a registry: that of the var dbt_rfm_schema in each database with predictions, or else
    the target's and those of the project's prediction models."""
    published = [_target_of(project, node) for node in _models(manifest) if _may_predict(node)]
    places = [JobTarget(project.catalog, project.schema, _NO_TABLE), *published]
    kept = dict.fromkeys((_reached(project, at.database), project.rfm_schema or at.schema) for at in places)
    return [JobTarget(database, schema, _NO_TABLE) for database, schema in kept]


def _reached(project: Project, database: str | None) -> str | None:
    """Postgres reaches no database but the one connected to, whatever its name in the manifest, and DuckDB those that
    are attached besides."""
    others = project.adapter == SNOWFLAKE or database in project.attached
    return database if others else project.catalog


def _models(manifest: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]


def _may_predict(node: Mapping[str, Any]) -> bool:
    return node["config"].get("materialized") == "prediction" or node.get("language") == "python"


def _target_of(project: Project, node: Mapping[str, Any]) -> JobTarget:
    database, names = node.get("database"), (node["schema"], node.get("alias") or node["name"])
    schema, identifier = (plain_name(name, project.adapter) for name in names)
    return JobTarget(plain_name(database, project.adapter) if database else project.catalog, schema, identifier)
