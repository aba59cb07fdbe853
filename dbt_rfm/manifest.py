"""A job from `target/manifest.json`, for the command line, where no dbt runs.

In: the manifest as a dict and a query. Out: the Job that the dbt macros would build: same tables, same tests. Tables
come from the graph of the project, the tables given and the query, in this order; with neither graph nor tables,
everything that declared links reach from the query's tables. Relations are `relation_name` of the last parse, so
`--defer` and `--empty` have no part in it. Only the fields used are read, since the manifest grows with every dbt.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dbt_rfm import __version__
from dbt_rfm.errors import ProjectError, did_you_mean
from dbt_rfm.job import Job, JobTable, JobTest
from dbt_rfm.schema.declared_links import linked

Tables = Sequence[str] | Mapping[str, str]

_RELATIONS = ("model", "seed", "snapshot", "source")
_SNAPSHOT_COLUMNS = ("dbt_valid_from", "dbt_valid_to", "dbt_scd_id", "dbt_updated_at", "dbt_is_deleted")
_NOT_SQL = re.compile(r"'(?:[^']|'')*(?:'|$)|--[^\n]*|#[^\n]*|/\*.*?\*/", re.S)
_TABLE_DOT_COLUMN = re.compile(r"(?<![\w.`])(?:`([^`]+)`|([A-Za-z_]\w*))\s*\.\s*(?=\*|`|\(|[A-Za-z_])")
_VERSIONED = re.compile(r"([^.]+)\.v([0-9]+)")  # of a model: orders.v1


def job_from_manifest(
    manifest: Mapping[str, Any],
    query: str,
    *,
    tables: Tables | None = None,
    graph: Tables | None = None,
    options: Mapping[str, Any] | None = None,
    labels: str | None = None,
) -> Job:
    """Names are those of `ref()`, or `source_name.table`; a mapping gives them aliases.

    Raises ProjectError for a name that is not in the project, with candidates.
    """
    found: dict[str, JobTable] = {}
    for named in (graph, tables):
        _add(found, manifest, named or ())
    in_query = [name for name in query_tables(query) if not (labels and name.casefold() == "labels")]
    known = {alias.casefold() for alias in found}
    _add(found, manifest, [name for name in in_query if name.casefold() not in known], aliases=tuple(found))
    if not graph and not tables:
        _add_reachable(found, manifest)
    chosen = tuple(found.values())
    return Job(
        query=query,
        tables=chosen,
        tests=job_tests(manifest, {table.unique_id for table in chosen}),
        options=dict(options or {}),
        labels=job_table("labels", _find(manifest, labels)).relation if labels else None,
        package_version=__version__,
    )


def tables_argument(manifest: Mapping[str, Any], job: Job, graph: Tables | None) -> str:
    """The argument that predict() needs in a dbt model to read the tables of `job`; '' where it finds all of them.

    Beside the graph it refs what the query names; a source, a version or another spelling is not found like that.
    """
    nodes = {node["unique_id"]: node for node in relation_nodes(manifest)}
    known = {alias.casefold() for alias in (graph if isinstance(graph, Mapping) else map(_alias, graph or ()))}
    known |= {name.casefold() for name in query_tables(job.query) if name in _refs(nodes.values())}
    lacking = {t.alias: _given_name(nodes[t.unique_id]) for t in job.tables if t.alias.casefold() not in known}
    if not lacking:
        return ""
    as_list = all(_alias(name) == alias for alias, name in lacking.items())
    return f"tables={list(lacking.values()) if as_list else lacking}"


def _refs(nodes: Iterable[Mapping[str, Any]]) -> set[str]:
    """What ref() takes without a version."""
    return {node["name"] for node in nodes if node["resource_type"] != "source"}


def _given_name(node: Mapping[str, Any]) -> str:
    """How the graph and `tables=` name a node."""
    if node["resource_type"] == "source":
        return f"{node['source_name']}.{node['name']}"
    is_latest = node.get("version") == node.get("latest_version")
    return node["name"] if is_latest else f"{node['name']}.v{node['version']}"


def query_tables(query: str) -> list[str]:
    """Tables that a query names (`x` in `x.y` and `x.*`), in order; texts and comments are not looked into.

    >>> query_tables("PREDICT COUNT(orders.*, 0, 30, days) FOR EACH customers.id WHERE customers.name = 'a.b'")
    ['orders', 'customers']
    """
    bare = _NOT_SQL.sub(" ", query)
    return list(dict.fromkeys(quoted or plain for quoted, plain in _TABLE_DOT_COLUMN.findall(bare)))


def _add(
    found: dict[str, JobTable], manifest: Mapping[str, Any], named: Tables, *, aliases: Sequence[str] = ()
) -> None:
    """`aliases`: what else a name may have been meant for."""
    if isinstance(named, str):
        raise ProjectError(f"expected a list of tables, got the text {named!r}", hint=f"Write [{named}].")
    pairs = named.items() if isinstance(named, Mapping) else ((_alias(name), name) for name in named)
    for alias, name in pairs:
        table = job_table(alias, _find(manifest, name, aliases))
        same = next((t for a, t in found.items() if a.casefold() == alias.casefold()), None)
        if same is not None and same.unique_id != table.unique_id:
            raise ProjectError(
                f"two tables have the alias {alias}: {same.relation} and {table.relation}",
                hint="Give one of them another name, with a mapping of aliases to tables.",
            )
        if same is None:
            found[alias] = table


def _alias(name: str) -> str:
    """
    >>> _alias("orders"), _alias("app.events"), _alias("orders.v1")
    ('orders', 'events', 'orders_v1')
    """
    return name.replace(".", "_") if _VERSIONED.fullmatch(name) else name.rsplit(".", 1)[-1]


def _add_reachable(found: dict[str, JobTable], manifest: Mapping[str, Any]) -> None:
    """Follow declared links in both directions from what is found already."""
    everything = [job_table(node["name"], node) for node in relation_nodes(manifest) if _is_readable(node)]
    by_id = {table.unique_id: table for table in everything}
    edges = [edge for edge in linked(everything, job_tests(manifest, by_id)) if set(edge) <= set(by_id)]
    reached = {table.unique_id for table in found.values()}
    waiting = sorted(reached)
    while waiting:
        here = waiting.pop()
        for a, b in (*edges, *((b, a) for a, b in edges)):
            if a == here and b not in reached:
                reached.add(b)
                waiting.append(b)
    taken = {table.unique_id for table in found.values()}
    aliases = {alias.casefold() for alias in found}
    for table in everything:
        # The same name may stand for a model and its source: the one that came first keeps it.
        if table.unique_id in reached - taken and table.alias.casefold() not in aliases:
            found[table.alias] = table
            aliases.add(table.alias.casefold())


def _is_readable(node: Mapping[str, Any]) -> bool:
    materialized = (node.get("config") or {}).get("materialized")
    return bool(node.get("relation_name")) and materialized not in ("prediction", "ephemeral")


def _find(manifest: Mapping[str, Any], name: str, aliases: Sequence[str] = ()) -> Mapping[str, Any]:
    """The node of a name: `orders`, `app.events` for a source, or a source's table where no model has the name.

    `orders.v1`, or its alias `orders_v1`, is a version of a model; `orders` is its latest one.
    """
    project = (manifest.get("metadata") or {}).get("project_name")
    nodes = list(relation_nodes(manifest))
    of_version = _VERSIONED.fullmatch(name) or _VERSIONED.fullmatch(re.sub(r"_(v\d+)$", r".\1", name))
    if of_version:
        found = [n for n in nodes if (n["name"], str(n.get("version"))) == (of_version[1], of_version[2])]
        if found:
            return found[0]
    ways = (
        [n for n in nodes if n["resource_type"] != "source" and n["name"] == name],
        [n for n in nodes if n["resource_type"] == "source" and f"{n['source_name']}.{n['name']}" == name],
        [n for n in nodes if n["resource_type"] == "source" and n["name"] == name],
        [n for n in nodes if n.get("alias") == name],
        [n for n in nodes if n["name"].casefold() == name.casefold()],
    )
    for matches in ways:
        current = [n for n in matches if n.get("version") is None or n["version"] == n.get("latest_version")]
        own = [n for n in current if n.get("package_name") == project] or current
        if len(own) == 1:
            return own[0]
        if len(own) > 1:
            listed = ", ".join(n["unique_id"] for n in own)
            raise ProjectError(f"{name} may be any of {listed}", hint="Name a source as source_name.table.")
    names = [f"{n['source_name']}.{n['name']}" if n["resource_type"] == "source" else n["name"] for n in nodes]
    of_source = [n["name"] for n in nodes if n.get("source_name") == name]
    hint = did_you_mean(name, dict.fromkeys((*aliases, *names)))
    if of_source:
        hint = f"{name} is a source: in a query its tables are written alone, such as {of_source[0]}."
    raise ProjectError(f"the dbt project has no model, seed, snapshot or source {name}", hint=hint)


def relation_nodes(manifest: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """Models, seeds, snapshots and sources, without the package's own."""
    for node in (*(manifest.get("nodes") or {}).values(), *(manifest.get("sources") or {}).values()):
        if node.get("resource_type") in _RELATIONS and node.get("package_name") != "dbt_rfm":
            yield node


def job_table(alias: str, node: Mapping[str, Any]) -> JobTable:
    """A node of the manifest as a table of a job. Raises ProjectError if it is ephemeral."""
    if not node.get("relation_name"):
        raise ProjectError(
            f"{node['name']} is ephemeral, and a prediction reads tables and views only",
            hint=f"Set materialized to view or table for {node['name']}.",
        )
    config = node.get("config") or {}
    return JobTable(
        alias=alias,
        relation=node["relation_name"],
        unique_id=node["unique_id"],
        resource_type=node["resource_type"],
        columns=node.get("columns") or {},
        primary_key=tuple(node.get("primary_key") or ()),
        constraints=tuple(node.get("constraints") or ()),
        meta=config.get("meta") or node.get("meta") or {},
        event_time=config.get("event_time") or None,
        snapshot_columns=_snapshot_columns(node, config),
    )


def _snapshot_columns(node: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, str]:
    if node["resource_type"] != "snapshot":
        return {}
    given = config.get("snapshot_meta_column_names") or {}
    return {name: given.get(name) or name for name in _SNAPSHOT_COLUMNS}


def job_tests(manifest: Mapping[str, Any], unique_ids: Iterable[str]) -> tuple[JobTest, ...]:
    """Generic tests that touch the tables; what tests a prediction says nothing of its inputs."""
    wanted = set(unique_ids)
    nodes = manifest.get("nodes") or {}
    predictions = {i for i, node in nodes.items() if (node.get("config") or {}).get("materialized") == "prediction"}
    return tuple(
        _test(node)
        for node in nodes.values()
        if node.get("resource_type") == "test"
        and node.get("test_metadata")
        and wanted & set(_depends_on(node))
        and not (predictions - wanted) & set(_depends_on(node))
    )


def _test(node: Mapping[str, Any]) -> JobTest:
    kwargs = dict(node["test_metadata"].get("kwargs") or {})
    kwargs.update(kwargs.pop("arguments", None) or {})
    kwargs.pop("model", None)  # the tested relation as Jinja, which dbt's graph does not show either
    config = node.get("config") or {}
    return JobTest(
        name=node["test_metadata"]["name"],
        column=node.get("column_name") or kwargs.get("column_name"),
        kwargs=kwargs,
        attached_node=node.get("attached_node"),
        depends_on=tuple(_depends_on(node)),
        where=config.get("where") or None,
        severity=str(config.get("severity") or "ERROR").upper(),
        namespace=node["test_metadata"].get("namespace"),
    )


def _depends_on(node: Mapping[str, Any]) -> list[str]:
    return (node.get("depends_on") or {}).get("nodes") or []
