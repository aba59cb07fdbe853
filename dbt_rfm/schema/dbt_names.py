"""How dbt writes names: of nodes, of relations, of columns, of kinds of constraints.

In: texts of the manifest. Out: their parts, and columns as the warehouse spells them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from dbt_rfm.errors import ProjectError
from dbt_rfm.job import JobTable
from dbt_rfm.schema.types import Table


def name_parts(text: str) -> tuple[str, ...]:
    """The parts of a ref, a source or a relation.

    >>> name_parts("ref('shop', 'orders', v=2)"), name_parts('"db"."main"."orders"')
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


def is_meant(target: tuple[str, ...], table: JobTable) -> bool:
    """Whether name parts end like the table's id, relation or alias (a ref without a version means any version)."""
    if not target:
        return False
    wanted = tuple(part.casefold() for part in target)
    from_id = tuple(part.casefold() for part in table.unique_id.split(".")[1:])
    unversioned = from_id[:-1] if from_id and re.fullmatch(r"v[\d.]+", from_id[-1]) else from_id
    relation = tuple(part.strip('"`').casefold() for part in table.relation.split("."))
    ends = [known[-len(wanted) :] for known in (from_id, unversioned, relation, (table.alias.casefold(),))]
    return wanted in ends


def without_version(unique_id: str) -> str:
    """The id that all versions of a model share.

    >>> without_version("model.shop.orders.v2"), without_version("model.shop.orders")
    ('model.shop.orders', 'model.shop.orders')
    """
    return re.sub(r"\.v[\d.]+$", "", unique_id) if unique_id.startswith("model.") else unique_id


def node_name(unique_id: str) -> str:
    """A node as the reader knows it.

    >>> node_name("model.shop.orders.v2"), node_name("source.shop.app.events")
    ('orders', 'app.events')
    """
    parts = unique_id.split(".")
    if parts[0] == "source":
        return ".".join(parts[2:])
    return parts[2] if len(parts) > 2 else unique_id


def kind(constraint: Mapping[str, Any]) -> str:
    """What a constraint demands, such as primary_key."""
    # dbt's ConstraintType prints as its value; a name such as ConstraintType.primary_key ends with it.
    return str(constraint.get("type") or "").rsplit(".", 1)[-1].casefold()


def is_plain(column: str) -> bool:
    """A column rather than an expression over columns, which dbt's tests allow too."""
    return re.fullmatch(r"[\w $-]+", bare(column)) is not None


def bare(name: str) -> str:
    """A name without its quotes."""
    return name.strip().strip('"`')


def spelled(table: Table, columns: Iterable[str]) -> tuple[str, ...]:
    """Declared columns as the warehouse spells them. Raises ProjectError with candidates."""
    found = tuple(table.column(bare(name)).name for name in columns)
    if len(set(found)) != len(found):
        raise ProjectError(f"the key of {table.name} names a column twice: {', '.join(found)}", where=table.unique_id)
    return found
