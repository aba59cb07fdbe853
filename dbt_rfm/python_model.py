"""`dbt_rfm.predict` for dbt Python models on DuckDB: the same prediction, history and versions as a SQL model's.

    def model(dbt, session):
        import dbt_rfm

        tables = {"customers": dbt.ref("customers"), "orders": dbt.ref("orders")}
        return dbt_rfm.predict(dbt, session, "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH …", tables=tables)

Keys and links come from target/manifest.json, where each table is found by its relation or, if the model filtered it,
by its alias; what is not there is inferred. dbt itself materializes the rows returned; the rest is published first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbt_rfm import __version__
from dbt_rfm.errors import ProjectError, RfmError
from dbt_rfm.job import Job, JobTable, JobTarget

if TYPE_CHECKING:
    import pyarrow as pa


class PredictionFailed(RfmError):
    """A user's error inside a Python model.

    dbt-duckdb prints the traceback of whatever a Python model raises, and none of its frames are the user's: so this
    error shows none, and dbt prints one message as it does for a SQL model.
    """

    @property
    def __traceback__(self) -> None:
        return None

    @__traceback__.setter
    def __traceback__(self, _: object) -> None:
        return None


def predict(
    dbt: Any,
    session: Any,
    query: str,
    tables: Mapping[str, Any],
    labels: Any = None,
    options: Mapping[str, Any] | None = None,
) -> pa.Table:
    """Answer `query` and return the rows to serve.

    `tables`: alias -> what dbt.ref() or dbt.source() returned; `labels`: the same for a label table. Without `options`
    those of the model's config.meta.rfm count. Raises PredictionFailed for whatever the user can mend.
    """
    try:
        job = _job(dbt, session, query, tables, labels, options)
        return _publish(job, session)
    except RfmError as error:
        raise PredictionFailed(error.problem, where=error.where, hint=error.hint) from None


def _publish(job: Job, session: Any) -> pa.Table:
    # Torch and the driver are loaded by the models that need them only.
    from dbt_rfm.embedded import make_rfm_schema
    from dbt_rfm.publish import predict_table
    from dbt_rfm.warehouse.duckdb import DuckDB

    warehouse = DuckDB(session)
    make_rfm_schema(job, warehouse)
    rows, outcome = predict_table(job, warehouse)
    _say(outcome.message)
    return rows


def _job(
    dbt: Any,
    session: Any,
    query: str,
    tables: Mapping[str, Any],
    labels: Any,
    options: Mapping[str, Any] | None,
) -> Job:
    from dbt_common.invocation import get_invocation_id

    from dbt_rfm.manifest import job_tests

    if not isinstance(query, str):
        raise ProjectError(f"predict() takes the query as a text, got {type(query).__name__}")
    if not isinstance(tables, Mapping) or not tables:
        raise ProjectError(
            f"tables= takes a mapping of aliases to relations, got {tables!r}",
            hint='Write tables={"customers": dbt.ref("customers"), "orders": dbt.ref("orders")}.',
        )
    target_path = running_target_path()
    manifest = _manifest(target_path)
    nodes = _Nodes.of(manifest)
    target = JobTarget(dbt.this.database, dbt.this.schema, dbt.this.identifier)
    own = nodes.find(target.database, target.schema, target.identifier) or {}
    job = Job(
        query=query,
        tables=tuple(_table(session, nodes, alias, relation) for alias, relation in tables.items()),
        unique_id=own.get("unique_id") or "",
        name=own.get("name") or target.identifier,
        options=_meta(own) if options is None else options,
        target=target,
        labels=None if labels is None else _sql(session, "labels", labels),
        invocation_id=get_invocation_id(),
        package_version=__version__,
        target_path=str(target_path),
        empty=_is_empty(),
        rfm_schema=_rfm_schema(target.schema),
    )
    return replace(job, tests=job_tests(manifest, {t.unique_id for t in job.tables if t.unique_id}))


def _table(session: Any, nodes: _Nodes, alias: str, relation: Any) -> JobTable:
    from sqlglot import exp

    from dbt_rfm.manifest import job_table

    sql = _sql(session, alias, relation)
    read = exp.to_table(sql, dialect="duckdb")
    node = nodes.find(read.catalog, read.db, read.name) or nodes.by_name.get(alias)
    return replace(job_table(alias, node), relation=sql) if node else JobTable(alias, sql)


def _sql(session: Any, alias: str, relation: Any) -> str:
    """The name of the table that a relation reads; a session view of anything more than a whole table."""
    from sqlglot import exp

    if not hasattr(relation, "sql_query"):
        raise ProjectError(
            f"table {alias} is a {type(relation).__name__}, expected a DuckDB relation",
            hint=f'Pass what dbt.ref("{alias}") returned; .filter() and .project() keep it one.',
        )
    text = relation.sql_query()
    whole = _whole_table(text)
    if whole is not None:
        return whole.sql(dialect="duckdb", identify=True)
    view = exp.to_identifier(f"dbt_rfm_{alias}", quoted=True).sql(dialect="duckdb")
    session.execute(f"create or replace temp view {view} as {text}")
    return view


def _whole_table(text: str) -> Any:
    """The sqlglot Table of `select * from table`, else None."""
    import sqlglot
    from sqlglot import exp

    try:
        select = sqlglot.parse_one(text, dialect="duckdb")
    except sqlglot.errors.SqlglotError:
        return None  # what DuckDB wrote and sqlglot cannot read is more than a table
    given = {key for key, value in select.args.items() if value}
    tables = list(select.find_all(exp.Table))
    plain = isinstance(select, exp.Select) and select.is_star and given <= {"expressions", "from", "from_"}
    return tables[0] if plain and len(tables) == 1 and isinstance(tables[0].this, exp.Identifier) else None


@dataclass(frozen=True)
class _Nodes:
    """The manifest's nodes, found by what they are called in the warehouse and in the project."""

    by_relation: Mapping[tuple[str, ...], Mapping[str, Any]]
    by_name: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> _Nodes:
        from dbt_rfm.manifest import relation_nodes

        project = (manifest.get("metadata") or {}).get("project_name")
        nodes = [node for node in relation_nodes(manifest) if node.get("relation_name")]
        named = [(node, node.get("identifier") or node.get("alias") or node["name"]) for node in nodes]
        return cls(
            {_folded(node.get("database"), node["schema"], identifier): node for node, identifier in named},
            {node["name"]: node for node in sorted(nodes, key=lambda node: _is_first_meant(node, project))},
        )

    def find(self, database: str | None, schema: str, identifier: str) -> Mapping[str, Any] | None:
        return self.by_relation.get(_folded(database, schema, identifier))


def _is_first_meant(node: Mapping[str, Any], project: str | None) -> tuple[bool, bool, bool]:
    """What sorts the node that dbt.ref() would find last: of the project, no source, the latest version."""
    own, latest = node.get("package_name") == project, node.get("version") == node.get("latest_version")
    return own, node["resource_type"] != "source", latest


def _folded(*parts: str | None) -> tuple[str, ...]:
    return tuple((part or "").casefold() for part in parts)


def _meta(node: Mapping[str, Any]) -> Mapping[str, Any]:
    return ((node.get("config") or {}).get("meta") or {}).get("rfm") or {}


def running_target_path() -> Path:
    """The target folder of the dbt that runs this model."""
    # Flags hold --target-path and DBT_TARGET_PATH; dbt may have been started outside the project's folder.
    from dbt.flags import get_flags

    flags = get_flags()
    return _project_dir(flags) / (getattr(flags, "TARGET_PATH", None) or "target")


def _is_empty() -> bool:
    """Whether dbt runs with --empty, which a Python model is not told."""
    from dbt.flags import get_flags

    return bool(getattr(get_flags(), "EMPTY", False))


def _rfm_schema(default: str) -> str:
    """The var dbt_rfm_schema of the dbt that runs this model, which a Python model is not told."""
    from dbt.flags import get_flags

    from dbt_rfm.project import variable

    flags = get_flags()
    return str(variable(_project_dir(flags), getattr(flags, "VARS", None) or {}, "dbt_rfm_schema") or default)


def _project_dir(flags: Any) -> Path:
    return Path(getattr(flags, "PROJECT_DIR", None) or ".")


def _manifest(target_path: Path) -> Mapping[str, Any]:
    """Empty where dbt wrote none (--no-write-json): then everything is inferred."""
    file = target_path / "manifest.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def _say(message: str) -> None:
    """One entry in dbt's own log, as a SQL model's log() makes it."""
    from dbt_common.events.base_types import EventLevel
    from dbt_common.events.functions import fire_event
    from dbt_common.events.types import Note

    fire_event(Note(msg=message), level=EventLevel.INFO)
