"""Tables and views that are in a warehouse by name, whoever made them.

In: a `JobTarget`, which names database, schema and table. Out: what information_schema says of it, and the name as SQL.
"""

from __future__ import annotations

from sqlglot import exp

from dbt_rfm.job import JobTarget
from dbt_rfm.plan import sql
from dbt_rfm.warehouse.base import Warehouse


def named(target: JobTarget, alias: str | None = None) -> exp.Table:
    """The relation, quoted."""
    found = exp.table_(target.identifier, db=target.schema or None, catalog=target.database or None, quoted=True)
    if alias:
        found.set("alias", exp.TableAlias(this=sql.name(alias)))
    return found


def exists(warehouse: Warehouse, target: JobTarget) -> bool:
    """Whether a table or view of that name is there."""
    return table_type(warehouse, target) is not None


def table_type(warehouse: Warehouse, target: JobTarget) -> str | None:
    select = exp.select("table_type").from_("information_schema.tables")
    found = warehouse.query(select.where(*_in(target), _is("table_name", target.identifier))).column(0).to_pylist()
    return found[0] if found else None


def names_beginning(warehouse: Warehouse, home: JobTarget, prefix: str) -> list[str]:
    """Tables of the home's schema whose names begin so."""
    start = exp.Substring(
        this=exp.column("table_name"), start=exp.Literal.number(1), length=exp.Literal.number(len(prefix))
    )
    begins = exp.EQ(this=start, expression=exp.Literal.string(prefix))
    select = exp.select("table_name").from_("information_schema.tables").where(*_in(home), begins)
    return sorted(warehouse.query(select).column(0).to_pylist())


def drop(warehouse: Warehouse, target: JobTarget) -> None:
    warehouse.execute(exp.Drop(tables=[named(target)], kind="TABLE", exists=True))


def _in(target: JobTarget) -> list[exp.Expression]:
    found = {"table_schema": target.schema, "table_catalog": target.database}
    return [_is(column, value) for column, value in found.items() if value]


def _is(column: str, value: str) -> exp.Expression:
    return exp.EQ(this=sql.column(column), expression=exp.Literal.string(value))
