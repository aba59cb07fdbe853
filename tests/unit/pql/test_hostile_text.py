"""Whatever the text: a query or a QueryError that points into it, never another exception."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from shop_schema import SHOP

from dbt_rfm.errors import QueryError
from dbt_rfm.pql.ast import Query
from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.describe import describe
from dbt_rfm.pql.parser import parse

VALID = [q for q in (Path(__file__).parent / "valid.pql").read_text().splitlines() if not q.startswith("#")]
SHOP_QUERIES = [q for q in VALID if "orders" in q and "customers.customer_id" in q]
PIECES = sorted({piece for query in VALID for piece in query.replace("(", " ( ").replace(",", " , ").split()})

hard = settings(max_examples=500, deadline=10_000)


def parse_or_complain(text: str) -> Query | None:
    try:
        return parse(text)
    except QueryError as error:
        assert error.problem.strip()
        assert error.position is None or 0 <= error.position <= len(text)
        return None


@hard
@given(st.text(max_size=200))
def test__parse__random_text__is_read_or_refused(text: str) -> None:
    parse_or_complain(text)


@hard
@given(st.lists(st.sampled_from(PIECES), max_size=30))
def test__parse__random_words_of_the_language__are_read_or_refused(pieces: list[str]) -> None:
    parse_or_complain(" ".join(pieces))


@hard
@given(st.data())
def test__parse__query_with_a_part_replaced__is_read_or_refused(data: st.DataObject) -> None:
    query = data.draw(st.sampled_from(VALID))
    start = data.draw(st.integers(0, len(query)))
    end = data.draw(st.integers(start, min(start + 12, len(query))))
    middle = data.draw(st.one_of(st.just(""), st.text(max_size=6), st.sampled_from(PIECES)))
    parse_or_complain(query[:start] + middle + query[end:])


@hard
@given(st.data())
def test__bind__query_with_a_word_replaced__binds_or_is_refused(data: st.DataObject) -> None:
    words = data.draw(st.sampled_from(SHOP_QUERIES)).replace("(", "( ").replace(",", " ,").split()
    for _ in range(data.draw(st.integers(0, 2))):
        words[data.draw(st.integers(0, len(words) - 1))] = data.draw(st.sampled_from(PIECES))
    query = parse_or_complain(" ".join(words))
    if query is None:
        return
    try:
        task = bind(query, SHOP)
    except QueryError as error:
        assert error.problem.strip()
        return
    assert describe(task).startswith("Predicts")
