"""What dbt's snapshots add to a row besides its validity (`times.py`).

In: the draft of a snapshot's table. Out: the table without the rows that only say that a thing was deleted, which
`hard_deletes: new_record` writes, and the names of dbt's own columns: they describe a row's version, not the thing.
Time rule: a deleted thing exists until it was deleted, since its last version ends where the row that says so begins.
"""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from dbt_rfm.job import JobTable
from dbt_rfm.schema.types import Table

_DELETED = "dbt_is_deleted"
_OF_A_VERSION = ("dbt_scd_id", "dbt_updated_at", _DELETED)


def columns_of_dbt(given: JobTable) -> frozenset[str]:
    """The columns that describe a row's version, without case, under the names the project gave them."""
    return frozenset(_named(given, name).casefold() for name in _OF_A_VERSION)


def without_deleted(table: Table, given: JobTable, dialect: str) -> Table:
    named = _named(given, _DELETED).casefold()
    found = [column.name for column in table.columns if column.name.casefold() == named]
    if table.valid_from is None or not found:
        return table
    said = exp.Cast(this=exp.column(exp.to_identifier(found[0], quoted=True)), to=exp.DataType.build("text"))
    # Rows from before the project set hard_deletes have null there.
    known = exp.Coalesce(this=exp.Lower(this=said), expressions=[exp.Literal.string("false")])
    rows = exp.select("*").from_(table.relation, dialect=dialect).where(known.neq(exp.Literal.string("true")))
    return replace(table, relation=f"({rows.sql(dialect=dialect)}) as existing")


def _named(given: JobTable, name: str) -> str:
    return given.snapshot_columns.get(name, name)
