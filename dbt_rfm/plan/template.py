"""SQL over session tables of our own, written as text.

In: a SELECT in DuckDB's words over tables and columns that we named ourselves, and which session table stands for each
name. Out: a sqlglot expression, which each warehouse writes in its own dialect. Nothing that a user or a schema named
may enter such a text: tables of the project come in through a session table with names of ours (`interactions.py`).
"""

from __future__ import annotations

from functools import cache

import sqlglot
from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.plan.blocks import Names


def statement(text: str, names: Names, *tables: str) -> exp.Select:
    """The SELECT, with each of `tables` read from the session table of that name, and every name quoted."""
    tree = _parsed(text).copy()
    for table in tree.find_all(exp.Table):
        if table.name in tables:
            table.set("alias", table.args.get("alias") or exp.TableAlias(this=sql.name(table.name)))
            table.set("this", sql.name(names(table.name)))
    for identifier in tree.find_all(exp.Identifier):
        identifier.set("quoted", True)
    return tree


@cache
def _parsed(text: str) -> exp.Select:
    tree = sqlglot.parse_one(text, read="duckdb")
    assert isinstance(tree, exp.Select), "a template is one SELECT"
    return tree
