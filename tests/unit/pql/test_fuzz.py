"""5,000 hostile texts; `make fuzz` tries 100,000."""

from __future__ import annotations

from dataclasses import replace

import pytest
from lark.exceptions import LarkError
from pql_fuzzer import check_sql, fuzz, text_of
from shop_schema import SHOP

from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.parser import _grammar, parse


@pytest.mark.parametrize("part", range(5))
def test__fuzz__a_thousand_texts__are_read_or_refused(part: int) -> None:
    found = fuzz(1000, seed=1000 * part)
    assert found.total() == 1000
    assert min(found["refused by the parser"], found["refused by the binder"]) > 100
    assert found["bound and run"] > 40, "too few texts get through to SQL to say anything about it"


def test__fuzz__texts__are_the_same_every_time() -> None:
    assert [text_of(seed) for seed in range(50)] == [text_of(seed) for seed in range(50)]


def test__fuzz__grammar__every_rule_is_derived() -> None:
    seen: set[str] = set()
    for seed in range(3000):
        try:
            seen |= {str(tree.data) for tree in _grammar().parse(text_of(seed)).iter_subtrees()}
        except LarkError:
            continue
    rules = {rule.alias or str(rule.origin.name) for rule in _grammar().rules}
    # Rules with a ? leave no node of their own where they have one part.
    inlined = {name for name in rules if name.startswith("__")} | {"target", "condition", "negation", "value"}
    inlined |= {"sum", "product", "factor"}
    assert rules - inlined <= seen


def test__check_sql__a_table_beside_the_graph__is_found_out() -> None:
    task = bind(parse("PREDICT COUNT(orders.*, 0, 3) FOR EACH customers.customer_id"), SHOP)
    secret = replace(SHOP.table("orders"), relation='"secret"."orders"')
    with pytest.raises(AssertionError, match="secret"):
        check_sql(replace(task, target=replace(task.target, table=secret)), SHOP)
