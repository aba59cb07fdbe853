"""The examples of docs/query_language.md bind against the shop, and its error is the one that users see."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from shop_schema import LABELS, SHOP

from dbt_rfm.errors import QueryError
from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.describe import describe
from dbt_rfm.pql.parser import parse
from dbt_rfm.pql.tree import AGGREGATIONS, UNITS

PAGE = (Path(__file__).parents[3] / "docs" / "query_language.md").read_text()
EXAMPLES = re.findall(r"^```pql( labels)?\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)


def test__page__has_examples() -> None:
    assert len(EXAMPLES) >= 12


@pytest.mark.parametrize(("labels", "query"), EXAMPLES)
def test__page__each_example__binds(labels: str, query: str) -> None:
    assert describe(bind(parse(query), SHOP, labels=LABELS if labels else None))


def test__page__error__is_the_one_that_is_raised() -> None:
    with pytest.raises(QueryError) as caught:
        parse("PREDICT COUNT(orders.*, 0, 30, days) = 0\nFOR EACCH customers.customer_id")
    assert f"```\n{caught.value}\n```" in PAGE


def test__page__names_every_aggregation_and_unit() -> None:
    for name in (*AGGREGATIONS, *UNITS):
        assert name in PAGE


# What the page marks as not executed yet, each with a query that says so.
NOT_YET = [
    ("CLASSIFY", "customers.segment CLASSIFY TOP 3"),
]


@pytest.mark.parametrize(("name", "target"), NOT_YET)
def test__page__not_yet__is_refused_by_name(name: str, target: str) -> None:
    assert name in PAGE
    with pytest.raises(QueryError) as caught:
        bind(parse(f"PREDICT {target} FOR EACH customers.customer_id"), SHOP)
    assert caught.value.problem.startswith(f"{name} is not executed yet")
