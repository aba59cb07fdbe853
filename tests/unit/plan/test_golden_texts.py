"""The SQL that reads the beginnings of texts, word for word, in each dialect; see golden_plans.py."""

from __future__ import annotations

from dataclasses import replace

import pytest
from golden_plans import DIALECTS, NAMES, assert_golden
from plan_databases import READS
from small_schema import schema, table
from sqlglot import exp

from dbt_rfm.plan.children import children_blocks
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.own import own_block
from dbt_rfm.plan.texts import texts_read
from dbt_rfm.plan.values import Scope
from dbt_rfm.plan.windows import look_backs
from dbt_rfm.pql.ast import Window
from dbt_rfm.schema.types import SemanticType, Table


def _with_texts(made: Table) -> Table:
    columns = (replace(c, semantic_type=SemanticType.TEXT) if c.data_type == "VARCHAR" else c for c in made.columns)
    return replace(made, columns=tuple(columns))


TABLES = [
    table("regions", region_id="INTEGER", about="VARCHAR"),
    table("customers", customer_id="INTEGER", region_id="INTEGER", note="VARCHAR"),
    table(
        "tickets",
        time="opened_at",
        ticket_id="INTEGER",
        customer_id="INTEGER",
        opened_at="TIMESTAMP",
        subject="VARCHAR",
    ),
]
LINKS = {"customers.region_id": "regions.region_id", "tickets.customer_id": "customers.customer_id"}


@pytest.mark.parametrize("dialect", DIALECTS)
def test__texts__sql__is_the_golden_text(dialect: str) -> None:
    made = schema(*map(_with_texts, TABLES), links=LINKS)
    scope, customers = Scope(Graph(made, READS[dialect])), made.table("customers")
    scope = replace(scope, texts=texts_read(scope, customers))
    own = own_block(scope, NAMES, customers, "customer_id")
    assert own is not None
    windows = look_backs(Window(0, 30))[-1:]
    (newest,) = children_blocks(scope, NAMES, customers, "customer_id", windows, flags=False)
    plans: dict[str, exp.Expression] = {"texts_own": own.select, "texts_newest": newest.select}
    assert_golden(plans, dialect)
