"""A contract against the columns of a prediction: what fits is cast, what does not is named."""

from __future__ import annotations

import pytest
from sqlglot import exp

from dbt_rfm.errors import ProjectError
from dbt_rfm.job import Contract
from dbt_rfm.versions.contract import contract_select


def select(declared: str, found: str) -> str:
    contract = Contract(True, (("account_id", declared),))
    made = contract_select(exp.to_table("p"), [("account_id", found)], contract, dialect="duckdb", where="churn")
    return made.sql(dialect="duckdb")


@pytest.mark.parametrize(("declared", "found"), [("uuid", "VARCHAR"), ("varchar", "VARCHAR"), ("bigint", "INTEGER")])
def test__contract__type_of_the_same_kind__is_cast(declared: str, found: str) -> None:
    kind = {"varchar": "TEXT"}.get(declared, declared.upper())
    assert f'CAST("account_id" AS {kind})' in select(declared, found)


@pytest.mark.parametrize(("declared", "found"), [("uuid", "INTEGER"), ("boolean", "VARCHAR"), ("varchar", "DOUBLE")])
def test__contract__type_of_another_kind__is_named(declared: str, found: str) -> None:
    with pytest.raises(ProjectError, match=f"account_id is declared {declared} but is {found}"):
        select(declared, found)
