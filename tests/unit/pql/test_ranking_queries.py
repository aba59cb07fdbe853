"""RANK TOP k: what is ranked, and what cannot be."""

from __future__ import annotations

import pytest
from shop_schema import SHOP

from dbt_rfm.errors import QueryError
from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.describe import describe
from dbt_rfm.pql.parser import parse
from dbt_rfm.pql.ranking import RANKED
from dbt_rfm.pql.task import Ranking, Task
from dbt_rfm.task_kind import TaskKind

FOR_EACH = "FOR EACH customers.customer_id"


def bound(target: str) -> Task:
    return bind(parse(f"PREDICT {target} {FOR_EACH}"), SHOP)


def ranking(target: str) -> Ranking:
    task = bound(target)
    assert task.kind is TaskKind.LINK and task.ranking is not None and task.horizon is not None
    return task.ranking


def test__rank_top__foreign_key_over_two_links__ranks_the_table_it_points_at() -> None:
    found = ranking("LIST_DISTINCT(order_items.product_id, 0, 30, days) RANK TOP 12")

    assert (str(found.link), found.items.name) == ("order_items.product_id -> products.product_id", "products")
    assert (found.number, found.exclude_seen) == (12, False)


def test__exclude_seen__in_any_case__is_part_of_the_ranking() -> None:
    assert ranking("LIST_DISTINCT(orders.store_id, 0, 30) TOP 3 exclude Seen").exclude_seen
    assert ranking("LIST_DISTINCT(orders.store_id, 0, 30) RANK EXCLUDE SEEN").exclude_seen


@pytest.mark.parametrize(("written", "number"), [("RANK", RANKED), ("RANK TOP 1", 1), ("TOP 1000", 1000)])
def test__rank__length_of_the_list__is_what_was_written(written: str, number: int) -> None:
    assert ranking(f"LIST_DISTINCT(orders.store_id, 0, 30) {written}").number == number


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("LIST_DISTINCT(orders.store_id, 0, 30)", "LIST_DISTINCT is predicted as a ranking"),
        ("LIST_DISTINCT(orders.store_id, 0, 30) RANK TOP 1001", "RANK TOP takes at most 1000, got 1001"),
        ("LIST_DISTINCT(orders.status, 0, 30) RANK TOP 3", "orders.status is no foreign key"),
        ("LIST_DISTINCT(orders.customer_id, 0, 30) RANK TOP 3", "leads to the entity itself"),
        ("LIST_DISTINCT(notes.stars, 0, 30) RANK TOP 3", "there is no time to place rows in a window"),
        ("LIST_DISTINCT(orders.*, 0, 30) RANK TOP 3", "LIST_DISTINCT needs a column"),
        ("COUNT(orders.*, 0, 30) RANK TOP 3", "RANK needs a target that lists something"),
        ("customers.segment RANK TOP 3", "RANK needs a target that lists something"),
        ("LIST_DISTINCT(orders.store_id, 0, 30) = 3", "LIST_DISTINCT is ranked, not compared"),
        ("LIST_DISTINCT(orders.store_id, -30, 0) RANK TOP 3", "the target looks forward"),
    ],
)
def test__rank__what_cannot_be_ranked__says_why(target: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        bound(target)


def test__rank__no_foreign_key__names_those_there_are() -> None:
    with pytest.raises(QueryError) as error:
        bound("LIST_DISTINCT(order_items.category, 0, 30) RANK TOP 3")

    assert "Foreign keys of order_items: order_items.product_id." in str(error.value)


def test__list_in_where__says_how_to_count_instead() -> None:
    with pytest.raises(QueryError, match="ranked, not compared"):
        bind(parse(f"PREDICT COUNT(orders.*, 0, 30) {FOR_EACH} WHERE LIST_DISTINCT(orders.store_id, -30, 0) = 3"), SHOP)


def test__describe__says_what_is_ranked_and_what_is_left_out() -> None:
    text = describe(bound("LIST_DISTINCT(order_items.product_id, 0, 30, days) RANK TOP 5 EXCLUDE SEEN"))

    assert "the 5 likeliest of products, leaving out what was there before" in text
    assert "Path:" in text and "order_items.order_id -> orders.customer_id -> customers" in text
