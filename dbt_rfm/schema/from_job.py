"""The relational schema of a job: what the project declares, completed from names, types and data.

In: a Job and the warehouse. Out: a RelationalSchema whose notes tell the reader every inference, every weak or missing
link and every table without a time. Time rule: with `as_of`, rows later than it do not influence what is inferred.
Keys, links and times are settled before semantic types, because a key is an id whatever its data type says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from datetime import datetime

from dbt_rfm.errors import ProjectError
from dbt_rfm.job import Job, JobTable
from dbt_rfm.schema.combined import CombinedLink, with_combined_link
from dbt_rfm.schema.declared_keys import primary_key
from dbt_rfm.schema.declared_links import links as declared_links
from dbt_rfm.schema.ends import with_ends
from dbt_rfm.schema.frequent import with_frequent_values
from dbt_rfm.schema.hindsight import with_hindsight
from dbt_rfm.schema.infer import infer
from dbt_rfm.schema.meta import TableMeta, read_meta
from dbt_rfm.schema.planned import with_plans
from dbt_rfm.schema.probe import Probe
from dbt_rfm.schema.semantics import by_data_type, key_columns, with_semantics
from dbt_rfm.schema.snapshots import columns_of_dbt, without_deleted
from dbt_rfm.schema.time_links import timed_ways, with_time_links
from dbt_rfm.schema.times import SeveralTimes, is_overwritten, of_all, with_time
from dbt_rfm.schema.types import Column, Link, RelationalSchema, SemanticType, Table
from dbt_rfm.warehouse.base import Warehouse


def schema_from_job(job: Job, warehouse: Warehouse, *, as_of: datetime | None = None) -> RelationalSchema:
    """Raises ProjectError for whatever the project has to change before a query can be answered."""
    _check_aliases(job.tables)
    probe = Probe(warehouse, as_of)
    metas = {given.alias: read_meta(given) for given in job.tables}
    drafts = _drafts(job.tables, metas, warehouse)
    keys = {given.alias: primary_key(job, given, drafts[given.alias]) for given in job.tables}
    tables = [replace(drafts[alias], primary_key=key.columns) if key else drafts[alias] for alias, key in keys.items()]
    found = declared_links(job, drafts)
    inferred = infer(tables, found.links, probe, combined=found.combined)
    links, cut = _without_ignored((*found.links, *inferred.links), metas)
    of_dbt = {given.alias: columns_of_dbt(given) for given in job.tables}
    finished = [_finish(table, links, metas[table.name], of_dbt[table.name], probe) for table in inferred.tables]
    notes = [key.note for key in keys.values() if key and key.note]
    notes += [*found.notes, *inferred.notes, *cut]
    notes += _unread(finished, inferred.tables, metas)
    schema = RelationalSchema(tuple(finished), links)
    for link in (link for link in found.combined if not _lacks_a_column(finished, link)):
        schema = with_combined_link(schema, link, warehouse.dialect)
    schema = with_frequent_values(with_time_links(schema, probe), probe)
    schema, of_hindsight = with_hindsight(schema, probe)
    schema, of_plans = with_plans(schema, probe)
    schema, of_ends = with_ends(schema, probe)
    notes += [*of_hindsight, *of_plans, *of_ends, *_on_keys_and_times(schema, metas)]
    return replace(schema, notes=tuple(notes))


def label_table(relation: str, warehouse: Warehouse) -> Table:
    """A label table as a query sees it: `labels`, outside the graph, with its columns by data type."""
    columns = tuple(
        Column(name, data_type, by_data_type(data_type) or SemanticType.TEXT)
        for name, data_type in warehouse.describe(relation)
    )
    return Table("labels", relation, columns)


def _check_aliases(tables: Sequence[JobTable]) -> None:
    if not tables:
        raise ProjectError(
            "the relational graph has no tables",
            hint="List them in the var dbt_rfm_graph; `dbt run-operation generate_rfm_graph` writes it.",
        )
    seen: dict[str, JobTable] = {}
    for table in tables:
        other = seen.setdefault(table.alias.casefold(), table)
        if other is not table:
            raise ProjectError(
                f"two tables have the alias {table.alias}: {other.relation} and {table.relation}",
                hint=f"Give one another name: tables={{'{table.alias}_2': ref(…)}}.",
            )


def _drafts(tables: Sequence[JobTable], metas: Mapping[str, TableMeta], warehouse: Warehouse) -> dict[str, Table]:
    """Each table by its alias. Those with several times are asked about together."""
    drafts, several = {}, []
    for given in tables:
        try:
            drafts[given.alias] = _draft(given, metas[given.alias], warehouse)
        except SeveralTimes as error:
            several.append(error)
    if several:
        raise of_all(several)
    return drafts


def _draft(given: JobTable, meta: TableMeta, warehouse: Warehouse) -> Table:
    """The table with its columns typed by data type alone, and its time."""
    columns = tuple(
        Column(name, data_type, by_data_type(data_type) or SemanticType.TEXT)
        for name, data_type in warehouse.describe(given.relation)
    )
    table = Table(given.alias, given.relation, columns, unique_id=given.unique_id)
    for name in meta.columns:
        table.column(name)
    return without_deleted(with_time(table, given, meta), given, warehouse.dialect)


def _without_ignored(links: Sequence[Link], metas: Mapping[str, TableMeta]) -> tuple[tuple[Link, ...], list[str]]:
    kept, notes = [], []
    for link in links:
        ends = ((link.child, link.child_column), (link.parent, link.parent_column))
        if any(metas[alias].of(column).ignore for alias, column in ends):
            notes.append(f"{link}: not used, since meta.rfm.ignore leaves a column of it out")
        else:
            kept.append(link)
    return tuple(kept), notes


def _lacks_a_column(tables: Sequence[Table], link: CombinedLink) -> bool:
    """Whether a column of the foreign key was left out: ignored, or of a type that is not read."""
    has = {table.name: {column.name for column in table.columns} for table in tables}
    return not (has[link.child].issuperset(link.columns) and has[link.parent].issuperset(link.fields))


def _finish(table: Table, links: Sequence[Link], meta: TableMeta, of_dbt: Set[str], probe: Probe) -> Table:
    """Leave out what is ignored or cannot be read, and settle the semantic types of the rest."""
    needed = {table.time_column, table.time_link, table.valid_from, table.valid_to, *table.primary_key}
    for name in sorted(n for n in needed if n and meta.of(n).ignore):
        raise ProjectError(
            f"meta.rfm.ignore is set on {name}, which is the key or the time of {table.name}",
            where=table.unique_id,
            hint="Declare another key or time column, or do not ignore it.",
        )
    needed |= key_columns(table, links)
    columns = tuple(c for c in table.columns if c.name in needed or not _left_out(table, c, meta, of_dbt))
    left_out = tuple(c.name for c in table.columns if c not in columns)
    return with_semantics(replace(table, columns=columns, left_out=left_out), links, meta, probe)


def _left_out(table: Table, column: Column, meta: TableMeta, of_dbt: Set[str]) -> bool:
    technical = table.valid_from is not None and column.name.casefold() in of_dbt
    unread = technical or by_data_type(column.data_type) is None or _is_lost(table, column, meta)
    return meta.of(column.name).ignore or unread


def _is_lost(table: Table, column: Column, meta: TableMeta) -> bool:
    """Whether what the column held at an anchor is lost. A snapshot has it, and the project may know better."""
    return is_overwritten(column) and table.valid_from is None and meta.of(column.name).semantic_type is None


def _unread(tables: Sequence[Table], drafts: Sequence[Table], metas: Mapping[str, TableMeta]) -> list[str]:
    """Columns left out because of their data type, or because they are overwritten."""
    types, lost = [], []
    for table, draft in zip(tables, drafts, strict=True):
        meta = metas[draft.name]
        for column in (c for c in draft.columns if c.name in table.left_out and not meta.of(c.name).ignore):
            if by_data_type(column.data_type) is None:
                types.append(f"{draft.name}.{column.name} ({column.data_type})")
            elif _is_lost(draft, column, meta):
                lost.append(f"{draft.name}.{column.name}")
    notes = [f"left out, values of these types are not read: {', '.join(types)}"] if types else []
    if lost:
        keep = "meta.rfm.semantic_type: timestamp on the column keeps one that is not"
        notes.append(f"left out, moments that are overwritten by later ones: {', '.join(lost)}; {keep}")
    return notes


def _on_keys_and_times(schema: RelationalSchema, metas: Mapping[str, TableMeta]) -> list[str]:
    tables = schema.tables
    timeless = [t.name for t in tables if not t.own_time and not metas[t.name].time_column]
    hanging = {name: on for name in timeless if (on := _hangs_on(schema, name))}
    notes = {
        "no primary key, declared or found in the data": [t.name for t in tables if not t.primary_key],
        "time columns inferred, the only dates that can be one": [
            f"{t.name}.{t.time_column}" for t in tables if t.time_column and t.time_column_inferred
        ],
        "no time column, so their rows are known with the row they belong to": [
            f"{name} with {' and '.join(on)}" for name, on in hanging.items()
        ],
        "no time column, so their rows count as always known": [name for name in timeless if name not in hanging],
    }
    return [f"{text}: {', '.join(named)}" for text, named in notes.items() if named]


def _hangs_on(schema: RelationalSchema, name: str) -> list[str]:
    """The parents that say when a row of a table without a time was known: by a time or by their own parents."""
    return list(dict.fromkeys(way[0].parent for way in timed_ways(schema, name)))
