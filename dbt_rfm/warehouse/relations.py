"""Tables and views that are in a warehouse by name, whoever made them.

In: a `JobTarget`, which names database, schema and table. Out: what the catalogue says of it, its name as SQL, and the
statements that make and change one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlglot import exp

from dbt_rfm.job import JobTarget
from dbt_rfm.plan import sql
from dbt_rfm.warehouse.base import Warehouse


def named(target: JobTarget) -> exp.Table:
    """The relation, quoted."""
    return exp.table_(target.identifier, db=target.schema or None, catalog=target.database or None, quoted=True)


def exists(warehouse: Warehouse, target: JobTarget) -> bool:
    """Whether a table or view of that name is there."""
    return table_type(warehouse, target) is not None


def table_type(warehouse: Warehouse, target: JobTarget) -> str | None:
    return warehouse.tables(target.database, target.schema, target.identifier).get(target.identifier)


def names_beginning(warehouse: Warehouse, home: JobTarget, prefix: str) -> list[str]:
    """Tables of the home's schema whose names begin so."""
    return sorted(name for name in warehouse.tables(home.database, home.schema) if name.startswith(prefix))


def drop(warehouse: Warehouse, target: JobTarget) -> None:
    warehouse.execute(exp.Drop(tables=[named(target)], kind="TABLE", exists=True))


def ensure(warehouse: Warehouse, target: JobTarget, columns: Mapping[str, str]) -> None:
    """Make the table with these columns (name -> type in sqlglot's words), if nothing of that name is there."""
    if exists(warehouse, target):
        return
    definitions = [exp.ColumnDef(this=sql.name(n), kind=exp.DataType.build(t)) for n, t in columns.items()]
    schema = exp.Schema(this=named(target), expressions=definitions)
    warehouse.execute(exp.Create(this=schema, kind="TABLE", exists=True))


def update(warehouse: Warehouse, target: JobTarget, values: Mapping[str, Any], where: exp.Expression) -> None:
    set_to = [exp.EQ(this=sql.column(name), expression=exp.convert(value)) for name, value in values.items()]
    warehouse.execute(exp.Update(this=named(target), expressions=set_to, where=exp.Where(this=where)))


def matching(**equal: Any) -> exp.Expression:
    """The condition that columns have these values."""
    return sql.every(exp.EQ(this=sql.column(name), expression=exp.convert(value)) for name, value in equal.items())
