"""What the dbt project declares: keys from tests and constraints, links from tests and foreign keys.

In: the job and the draft tables. Out: primary keys, links, and notes for the reader. A test with `where` or with
severity warn does not hold for every row: what it declares is used, marked weak, and said. The parent of a
`relationships` test is what it depends on besides its child; its `to` is only looked at where no node is attached.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dbt_rfm.errors import ProjectError
from dbt_rfm.job import Job, JobTable, JobTest
from dbt_rfm.schema import names
from dbt_rfm.schema.combined import CombinedLink
from dbt_rfm.schema.types import Link, Table

RELATIONSHIPS = "relationships test"
FOREIGN_KEY = "foreign key"


@dataclass(frozen=True)
class Key:
    """A declared primary key; `note` says when only a weak test declares it."""

    columns: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True)
class Links:
    links: tuple[Link, ...]
    notes: tuple[str, ...]
    combined: tuple[CombinedLink, ...] = ()  # foreign keys of several columns


# --- primary keys


def primary_key(job: Job, given: JobTable, table: Table) -> Key | None:
    """The declared key: a constraint, else `unique` + `not_null` tests, else what dbt says. None if there is none."""
    constrained = _constrained_key(given)
    if constrained:
        return Key(_spelled(table, constrained))
    tested = _tested_keys(job, given, table)
    if tested:
        return min(tested, key=lambda key: _preference(job, given, table, key))
    return Key(_spelled(table, given.primary_key)) if given.primary_key else None


def _constrained_key(given: JobTable) -> tuple[str, ...]:
    for constraint in given.constraints:
        if _kind(constraint) == "primary_key" and constraint.get("columns"):
            return tuple(constraint["columns"])
    return tuple(
        name
        for name, column in given.columns.items()
        if any(_kind(constraint) == "primary_key" for constraint in column.get("constraints") or ())
    )


def _tested_keys(job: Job, given: JobTable, table: Table) -> list[Key]:
    found: dict[str, dict[str, JobTest]] = {}
    for test in job.tests:
        if test.name not in ("unique", "not_null") or not _is_dbts(test) or not _is_on(test, given):
            continue
        column = _column_of(test)
        if column and _is_plain(column):
            tests = found.setdefault(table.column(column).name, {})
            if test.name not in tests or _weakness(tests[test.name]):
                tests[test.name] = test
    keys = [_single_key(table, column, tests) for column, tests in found.items() if len(tests) == 2]
    return keys + _combined_keys(job, given, table)


def _single_key(table: Table, column: str, tests: Mapping[str, JobTest]) -> Key:
    weak = [f"its {name} test {_weakness(test)}" for name, test in sorted(tests.items()) if _weakness(test)]
    note = f"{table.name}: {column} is taken as the key although {' and '.join(weak)}" if weak else ""
    return Key((column,), note)


def _combined_keys(job: Job, given: JobTable, table: Table) -> list[Key]:
    """dbt_utils.unique_combination_of_columns: the usual way to declare a key of several columns."""
    combined = [t for t in job.tests if t.name == "unique_combination_of_columns" and _is_on(t, given)]
    columns = [_arguments(test).get("combination_of_columns") or () for test in combined if not _weakness(test)]
    return [Key(_spelled(table, c)) for c in columns if c and all(map(_is_plain, c))]


def _preference(job: Job, given: JobTable, table: Table, key: Key) -> tuple:
    """Several columns may be unique: the one that other tables point at, then the one that is named like a key."""
    pointed_at = any(
        t.name == "relationships"
        and given.unique_id in t.depends_on
        and str(_arguments(t).get("field", "")).casefold() == key.columns[0].casefold()
        for t in job.tests
    )
    own = names.stem(key.columns[0]) in ((), names.entity_words(table.name))
    position = [c.name for c in table.columns].index(key.columns[0])
    like_id = names.ends_like_id(key.columns[0])
    return (len(key.columns), bool(key.note), not pointed_at, not (own and like_id), not like_id, position)


# --- links


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
        if test.name == "relationships" and _is_dbts(test):
            child, parent = _ends(test)
            if child and parent:
                yield child, parent
    for given in tables:
        for constraint, _ in _foreign_keys(given):
            target, _ = _referenced(constraint)
            yield from ((given.unique_id, other.unique_id) for other in tables if _is_meant(target, other))


def _from_tests(job: Job, tables: Mapping[str, Table], notes: list[str]) -> Iterator[Link]:
    pointing_in: list[str] = []
    for test in job.tests:
        if test.name != "relationships" or not _is_dbts(test):
            continue
        child_id, parent_id = _ends(test)
        column, field = _column_of(test), _arguments(test).get("field")
        if not (column and field and child_id and parent_id) or child_id == job.unique_id:
            continue
        children = _tested(job, tables, child_id, column)
        parents = _tested(job, tables, parent_id, str(field))
        if not (children or parents):
            continue
        if not _is_plain(column) or not _is_plain(str(field)):
            notes.append(
                f"{_node_name(child_id)}: a relationships test on the expression {column} is not used as a link"
            )
            continue
        if not children:
            pointing_in.append(_node_name(child_id))
        elif not parents:
            notes.extend(_outside(child, column, _node_name(parent_id)) for child in children)
        for child, parent in ((c, p) for c in children for p in parents):
            link = _link(tables, child, column, parent, str(field), RELATIONSHIPS)
            reason = _weakness(test) or _of_other_version(child, child_id) or _of_other_version(parent, parent_id)
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
            parents = [table for table in job.tables if _is_meant(target, table)]
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
    theirs = _spelled(tables[parent.alias], fields) if fields else key.columns if key else ()
    ours = _spelled(tables[child.alias], columns)
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
        if _kind(constraint) == "foreign_key":
            yield constraint, tuple(constraint.get("columns") or ())
    for name, column in given.columns.items():
        for constraint in column.get("constraints") or ():
            if _kind(constraint) == "foreign_key":
                yield constraint, (name,)


def _referenced(constraint: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(name parts of the table, columns) of `to: ref('x')` + `to_columns`, or of an `expression` such as `x (id)`."""
    if constraint.get("to"):
        return _name_parts(str(constraint["to"])), tuple(constraint.get("to_columns") or ())
    match = re.fullmatch(
        r"(?is)\s*(?:references\s+)?(.+?)\s*\(([^()]*)\)\s*.*", str(constraint.get("expression") or "")
    )
    if not match:
        return (), ()
    return _name_parts(match[1]), tuple(part.strip().strip('"`') for part in match[2].split(",") if part.strip())


def _name_parts(text: str) -> tuple[str, ...]:
    """
    >>> _name_parts("ref('shop', 'orders', v=2)"), _name_parts('"db"."main"."orders"')
    (('shop', 'orders', 'v2'), ('db', 'main', 'orders'))
    """
    call = re.match(r"\s*\{*\s*(ref|source)\s*\(", text)
    if not call:
        return tuple(part.strip('"`[] ') for part in text.split("."))
    parts = tuple(part for _, part in re.findall(r"(?<![=\w])(['\"])(.*?)\1", text))
    version = re.search(r"\b(?:v|version)\s*=\s*['\"]?([\w.]+)", text)
    if version:
        parts = tuple(part for part in parts if part != version[1])
    return (*parts, f"v{version[1]}") if version else parts


def _is_meant(target: tuple[str, ...], table: JobTable) -> bool:
    """Whether name parts end like the table's id, relation or alias (a ref without a version means any version)."""
    if not target:
        return False
    wanted = tuple(part.casefold() for part in target)
    from_id = tuple(part.casefold() for part in table.unique_id.split(".")[1:])
    unversioned = from_id[:-1] if from_id and re.fullmatch(r"v[\d.]+", from_id[-1]) else from_id
    relation = tuple(part.strip('"`').casefold() for part in table.relation.split("."))
    ends = [known[-len(wanted) :] for known in (from_id, unversioned, relation, (table.alias.casefold(),))]
    return wanted in ends


def _link(tables: Mapping[str, Table], child: JobTable, column: str, parent: JobTable, field: str, by: str) -> Link:
    child_column = tables[child.alias].column(_bare(column)).name
    parent_column = tables[parent.alias].column(_bare(field)).name
    return Link(child.alias, child_column, parent.alias, parent_column, by)


def _only_key(job: Job, given: JobTable, table: Table) -> str | None:
    key = primary_key(job, given, table)
    return key.columns[0] if key and len(key.columns) == 1 else None


def _outside(child: JobTable, column: str, parent: str) -> str:
    where = "add it to dbt_rfm_graph or tables="
    return f"{child.alias}.{_bare(column)} points at {parent}, which is not in the graph: {where}"


# --- tests


def _ends(test: JobTest) -> tuple[str | None, str | None]:
    """(child, parent) of a relationships test, by unique id; the same one twice for a self-reference."""
    nodes = tuple(dict.fromkeys(test.depends_on))
    child = test.attached_node
    if child is None and len(nodes) == 2:
        # A test on a source. dbt lists the parent first; `to` settles it when it names one of the two.
        to = _name_parts(str(_arguments(test).get("to", "")))
        named = [node for node in nodes if to and tuple(node.split(".")[-len(to) :]) == to]
        child = next((node for node in nodes if [node] != named), nodes[-1]) if len(named) == 1 else nodes[-1]
    elif child is None and nodes:
        child = nodes[0]
    parents = [node for node in nodes if node != child]
    return child, (parents[0] if parents else child)


def _tested(job: Job, tables: Mapping[str, Table], unique_id: str, column: str) -> list[JobTable]:
    """The end of a test in the graph: the node itself, or else another version of the model that has the column.

    `ref('customers')` in a test is the latest version, whichever of them a query reads.
    """
    own, has = _without_version(unique_id), _bare(column).casefold()
    others = (t for t in job.tables if own != unique_id and _without_version(t.unique_id) == own)
    return _with_id(job, unique_id) or [
        t for t in others if any(c.name.casefold() == has for c in tables[t.alias].columns)
    ]


def _of_other_version(given: JobTable, unique_id: str) -> str:
    return "" if given.unique_id == unique_id else f"is on {'.'.join(unique_id.split('.')[2:])}"


def _is_on(test: JobTest, given: JobTable) -> bool:
    return given.unique_id != "" and (test.attached_node or (test.depends_on or ("",))[-1]) == given.unique_id


def _is_dbts(test: JobTest) -> bool:
    return (test.namespace or "dbt") == "dbt"


def _arguments(test: JobTest) -> dict[str, Any]:
    """The test's arguments, also those nested under `arguments`."""
    nested = test.kwargs.get("arguments")
    return {**test.kwargs, **(nested if isinstance(nested, Mapping) else {})}


def _column_of(test: JobTest) -> str | None:
    column = test.column or _arguments(test).get("column_name")
    return _bare(str(column)) if column else None


def _weakness(test: JobTest) -> str:
    """Why the test does not hold for every row; empty if it does."""
    if test.where:
        return f"only looks at rows where {test.where}"
    return "has severity warn" if test.severity.upper() == "WARN" else ""


# --- names


def _with_id(job: Job, unique_id: str | None) -> list[JobTable]:
    return [table for table in job.tables if unique_id and table.unique_id == unique_id]


def _without_version(unique_id: str) -> str:
    """
    >>> _without_version("model.shop.orders.v2"), _without_version("model.shop.orders")
    ('model.shop.orders', 'model.shop.orders')
    """
    return re.sub(r"\.v[\d.]+$", "", unique_id) if unique_id.startswith("model.") else unique_id


def _node_name(unique_id: str) -> str:
    """
    >>> _node_name("model.shop.orders.v2"), _node_name("source.shop.app.events")
    ('orders', 'app.events')
    """
    parts = unique_id.split(".")
    if parts[0] == "source":
        return ".".join(parts[2:])
    return parts[2] if len(parts) > 2 else unique_id


def _kind(constraint: Mapping[str, Any]) -> str:
    # dbt's ConstraintType prints as its value; a name such as ConstraintType.primary_key ends with it.
    return str(constraint.get("type") or "").rsplit(".", 1)[-1].casefold()


def _is_plain(column: str) -> bool:
    """A column rather than an expression over columns, which dbt's tests allow too."""
    return re.fullmatch(r"[\w $-]+", _bare(column)) is not None


def _bare(name: str) -> str:
    return name.strip().strip('"`')


def _spelled(table: Table, columns: Iterable[str]) -> tuple[str, ...]:
    """Declared columns as the warehouse spells them. Raises ProjectError with candidates."""
    found = tuple(table.column(_bare(name)).name for name in columns)
    if len(set(found)) != len(found):
        raise ProjectError(f"the key of {table.name} names a column twice: {', '.join(found)}", where=table.unique_id)
    return found
