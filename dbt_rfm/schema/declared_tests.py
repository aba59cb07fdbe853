"""What dbt's generic tests say of the graph: on which node and column, with which arguments, and for how many rows.

A test with `where` or with severity warn does not hold for every row: it is weak. The parent of a `relationships` test
is what it depends on besides its child; its `to` is only looked at where no node is attached.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dbt_rfm.job import Job, JobTable, JobTest
from dbt_rfm.schema.dbt_names import bare, name_parts, without_version
from dbt_rfm.schema.types import Table


def ends(test: JobTest) -> tuple[str | None, str | None]:
    """(child, parent) of a relationships test, by unique id; the same one twice for a self-reference."""
    nodes = tuple(dict.fromkeys(test.depends_on))
    child = test.attached_node
    if child is None and len(nodes) == 2:
        # A test on a source. dbt lists the parent first; `to` settles it when it names one of the two.
        to = name_parts(str(arguments(test).get("to", "")))
        named = [node for node in nodes if to and tuple(node.split(".")[-len(to) :]) == to]
        child = next((node for node in nodes if [node] != named), nodes[-1]) if len(named) == 1 else nodes[-1]
    elif child is None and nodes:
        child = nodes[0]
    parents = [node for node in nodes if node != child]
    return child, (parents[0] if parents else child)


def tested(job: Job, tables: Mapping[str, Table], unique_id: str, column: str) -> list[JobTable]:
    """The end of a test in the graph: the node itself, or else another version of the model that has the column.

    `ref('customers')` in a test is the latest version, whichever of them a query reads.
    """
    own, has = without_version(unique_id), bare(column).casefold()
    others = (t for t in job.tables if own != unique_id and without_version(t.unique_id) == own)
    return _with_id(job, unique_id) or [
        t for t in others if any(c.name.casefold() == has for c in tables[t.alias].columns)
    ]


def is_on(test: JobTest, given: JobTable) -> bool:
    """Whether the test looks at this table."""
    return given.unique_id != "" and (test.attached_node or (test.depends_on or ("",))[-1]) == given.unique_id


def is_dbts(test: JobTest) -> bool:
    """Whether it is a test of dbt itself, whatever packages call theirs."""
    return (test.namespace or "dbt") == "dbt"


def arguments(test: JobTest) -> dict[str, Any]:
    """The test's arguments, also those nested under `arguments`."""
    nested = test.kwargs.get("arguments")
    return {**test.kwargs, **(nested if isinstance(nested, Mapping) else {})}


def column_of(test: JobTest) -> str | None:
    """The column or expression that is tested, if it is one."""
    column = test.column or arguments(test).get("column_name")
    return bare(str(column)) if column else None


def weakness(test: JobTest) -> str:
    """Why the test does not hold for every row; empty if it does."""
    if test.where:
        return f"only looks at rows where {test.where}"
    return "has severity warn" if test.severity.upper() == "WARN" else ""


def _with_id(job: Job, unique_id: str | None) -> list[JobTable]:
    return [table for table in job.tables if unique_id and table.unique_id == unique_id]
