"""dbt's contract of a prediction model, checked against the columns of the prediction and applied to them.

In: the columns as the warehouse describes them, and the contract. Out: a SELECT in the contract's order and types; all
columns as they are where no contract is enforced. dbt's own materializations enforce contracts in code that a custom
one does not run, so it is done here, before anything is written.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from dbt_rfm.errors import ProjectError
from dbt_rfm.job import Contract
from dbt_rfm.plan import sql
from dbt_rfm.schema.data_types import Family, family

_NUMBERS = (Family.INTEGER, Family.NUMBER)


def contract_select(
    source: exp.Expression, columns: Sequence[tuple[str, str]], contract: Contract, *, dialect: str, where: str
) -> exp.Select:
    """SELECT from `source`, which has these (name, data type) columns.

    Raises ProjectError naming every column that is missing, not produced, or of another family of types.
    """
    if not contract.enforced:
        return sql.select(*sql.columns(name for name, _ in columns)).from_(source, copy=False)
    declared = {name.casefold(): (name, data_type) for name, data_type in contract.columns}
    produced = {name.casefold(): (name, data_type) for name, data_type in columns}
    problems = [f"{produced[n][0]} is produced but not declared" for n in produced if n not in declared]
    problems += [f"{declared[n][0]} is declared but not produced" for n in declared if n not in produced]
    selected: list[exp.Expression] = []
    for folded, (name, data_type) in declared.items():
        if folded not in produced:
            continue
        own, found = produced[folded]
        column: exp.Expression = sql.column(own)
        if data_type:
            if not _same_family(found, data_type, dialect):
                problems.append(f"{name} is declared {data_type} but is {found}")
            column = exp.cast(column, exp.DataType.build(data_type, dialect=dialect))
        selected.append(sql.aliased(column, name))
    if problems:
        raise ProjectError(
            "the contract does not fit this prediction: " + "; ".join(problems),
            where=where,
            hint="A prediction of this query has the columns " + ", ".join(name for name, _ in columns) + ".",
        )
    return sql.select(*selected).from_(source, copy=False)


def _same_family(found: str, declared: str, dialect: str) -> bool:
    built, have = exp.DataType.build(declared, dialect=dialect), family(found)
    if have is Family.BOOLEAN:
        return built.is_type("boolean")
    if have is Family.TIME:
        return built.this in exp.DataType.TEMPORAL_TYPES
    if have in _NUMBERS:
        return built.this in exp.DataType.NUMERIC_TYPES
    if have is Family.STRING and built.is_type("uuid"):
        return True  # a uuid key comes as text
    return built.this in exp.DataType.TEXT_TYPES or have is family(declared) is not Family.OTHER
