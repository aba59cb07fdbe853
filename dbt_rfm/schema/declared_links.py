"""The links that the dbt project declares, by `relationships` tests and foreign keys.

In: the job and the draft tables. Out: links, and notes for the reader. What a weak test declares is used, marked weak,
and said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dbt_rfm.job import Job, JobTable, JobTest
from dbt_rfm.schema.combined import CombinedLink
from dbt_rfm.schema.dbt_names import bare, is_meant, is_plain, kind, name_parts, node_name, spelled
from dbt_rfm.schema.declared_keys import primary_key
from dbt_rfm.schema.declared_tests import arguments, column_of, ends, is_dbts, tested, weakness
from dbt_rfm.schema.types import Link, Table

RELATIONSHIPS = "relationships test"
FOREIGN_KEY = "foreign key"


@dataclass(frozen=True)
class Links:
    links: tuple[Link, ...]
    notes: tuple[str, ...]
    combined: tuple[CombinedLink, ...] = ()  # foreign keys of several columns


def links(job: Job, tables: Mapping[str, Table]) -> Links:
    """Every declared link inside the graph, the surest declaration of each; `tables` by alias."""
    found: dict[tuple[str, str, str, str], Link] = {}
    notes: list[str] = []
    combined: list[CombinedLink] = []
    for link in (*_from_constraints(job, tables, notes, combined), *_from_tests(job, tables, notes)):
        key = (link.child, link.child_column, link.parent, link.parent_column)
        if key not in found or (found[key].weak and not link.weak):
            found[key] = link
    notes += [
        f"{link}: used, although the {link.declared_by} {link.weak_reason}" for link in found.values() if link.weak
    ]
    return Links(tuple(found.values()), tuple(dict.fromkeys(notes)), tuple(dict.fromkeys(combined)))


def linked(tables: Sequence[JobTable], tests: Iterable[JobTest]) -> Iterator[tuple[str, str]]:
    """(child, parent) by unique id, for every declared link, whether or not its columns are there."""
    for test in tests:
        if test.name == "relationships" and is_dbts(test):
            child, parent = ends(test)
            if child and parent:
                yield child, parent
    for given in tables:
        for constraint, _ in _foreign_keys(given):
            target, _ = _referenced(constraint)
            yield from ((given.unique_id, other.unique_id) for other in tables if is_meant(target, other))


def _from_tests(job: Job, tables: Mapping[str, Table], notes: list[str]) -> Iterator[Link]:
    pointing_in: list[str] = []
    for test in job.tests:
        if test.name != "relationships" or not is_dbts(test):
            continue
        child_id, parent_id = ends(test)
        column, field = column_of(test), arguments(test).get("field")
        if not (column and field and child_id and parent_id) or child_id == job.unique_id:
            continue
        children = tested(job, tables, child_id, column)
        parents = tested(job, tables, parent_id, str(field))
        if not (children or parents):
            continue
        if not is_plain(column) or not is_plain(str(field)):
            notes.append(
                f"{node_name(child_id)}: a relationships test on the expression {column} is not used as a link"
            )
            continue
        if not children:
            pointing_in.append(node_name(child_id))
        elif not parents:
            notes.extend(_outside(child, column, node_name(parent_id)) for child in children)
        for child, parent in ((c, p) for c in children for p in parents):
            link = _link(tables, child, column, parent, str(field), RELATIONSHIPS)
            reason = weakness(test) or _of_other_version(child, child_id) or _of_other_version(parent, parent_id)
            yield replace(link, weak=bool(reason), weak_reason=reason)
    if pointing_in:
        listed = ", ".join(sorted(set(pointing_in)))
        notes.append(f"outside the graph, with links into it: {listed} (dbt_rfm_graph or tables= would add them)")


def _from_constraints(
    job: Job, tables: Mapping[str, Table], notes: list[str], combined: list[CombinedLink]
) -> Iterator[Link]:
    """Links of one column; those of several go to `combined`."""
    for given in job.tables:
        for constraint, columns in _foreign_keys(given):
            target, fields = _referenced(constraint)
            parents = [table for table in job.tables if is_meant(target, table)]
            if not parents and target:
                notes.append(_outside(given, ", ".join(columns), target[-1]))
            for parent in parents:
                if len(columns) != 1 or len(fields) > 1:
                    link = _combined_link(job, tables, given, columns, parent, fields)
                    combined += [link] if link else []
                    notes += [] if link else [f"{_foreign(given, columns)} does not fit {parent.alias} and is not used"]
                    continue
                field = fields[0] if fields else _only_key(job, parent, tables[parent.alias])
                if field:
                    yield _link(tables, given, columns[0], parent, field, FOREIGN_KEY)


def _combined_link(
    job: Job,
    tables: Mapping[str, Table],
    child: JobTable,
    columns: Sequence[str],
    parent: JobTable,
    fields: Sequence[str],
) -> CombinedLink | None:
    """The foreign key of several columns, in the order of the parent's key; None if the two do not pair up."""
    key = primary_key(job, parent, tables[parent.alias])
    theirs = spelled(tables[parent.alias], fields) if fields else key.columns if key else ()
    ours = spelled(tables[child.alias], columns)
    if len(ours) != len(theirs):
        return None
    pairs = list(zip(theirs, ours, strict=True))
    if key and set(key.columns) == set(theirs):
        pairs.sort(key=lambda pair: key.columns.index(pair[0]))
    return CombinedLink(child.alias, tuple(o for _, o in pairs), parent.alias, tuple(t for t, _ in pairs), FOREIGN_KEY)


def _foreign(given: JobTable, columns: Sequence[str]) -> str:
    return f"{given.alias}: the foreign key ({', '.join(columns)}) of several columns"


def _foreign_keys(given: JobTable) -> Iterator[tuple[Mapping[str, Any], tuple[str, ...]]]:
    for constraint in given.constraints:
        if kind(constraint) == "foreign_key":
            yield constraint, tuple(constraint.get("columns") or ())
    for name, column in given.columns.items():
        for constraint in column.get("constraints") or ():
            if kind(constraint) == "foreign_key":
                yield constraint, (name,)


def _referenced(constraint: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(name parts of the table, columns) of `to: ref('x')` + `to_columns`, or of an `expression` such as `x (id)`."""
    if constraint.get("to"):
        return name_parts(str(constraint["to"])), tuple(constraint.get("to_columns") or ())
    match = re.fullmatch(
        r"(?is)\s*(?:references\s+)?(.+?)\s*\(([^()]*)\)\s*.*", str(constraint.get("expression") or "")
    )
    if not match:
        return (), ()
    return name_parts(match[1]), tuple(part.strip().strip('"`') for part in match[2].split(",") if part.strip())


def _link(tables: Mapping[str, Table], child: JobTable, column: str, parent: JobTable, field: str, by: str) -> Link:
    child_column = tables[child.alias].column(bare(column)).name
    parent_column = tables[parent.alias].column(bare(field)).name
    return Link(child.alias, child_column, parent.alias, parent_column, by)


def _only_key(job: Job, given: JobTable, table: Table) -> str | None:
    key = primary_key(job, given, table)
    return key.columns[0] if key and len(key.columns) == 1 else None


def _outside(child: JobTable, column: str, parent: str) -> str:
    where = "add it to dbt_rfm_graph or tables="
    return f"{child.alias}.{bare(column)} points at {parent}, which is not in the graph: {where}"


def _of_other_version(given: JobTable, unique_id: str) -> str:
    return "" if given.unique_id == unique_id else f"is on {'.'.join(unique_id.split('.')[2:])}"
