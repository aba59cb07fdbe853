from __future__ import annotations

import pytest
from golden_messages import read_messages

from dbt_rfm.errors import QueryError
from dbt_rfm.pql.ast import UNITS
from dbt_rfm.pql.complaints import KEYWORDS
from dbt_rfm.pql.parser import parse
from dbt_rfm.pql.tree import AGGREGATIONS

MESSAGES = read_messages("syntax_errors.txt")


@pytest.mark.parametrize(("query", "message"), MESSAGES)
def test__complaint__bad_query__gets_its_message(query: str, message: str) -> None:
    with pytest.raises(QueryError) as caught:
        parse(query)
    assert str(caught.value) == message


def test__messages__speak_no_grammar() -> None:
    assert len(MESSAGES) >= 25
    for _, message in MESSAGES:
        problem = message.splitlines()[0]
        for token in ("LPAR", "RPAR", "WORD", "QUOTED", "DECIMAL", "$END", "COMMA", "Token("):
            assert token not in problem


# Each keyword with two letters swapped, in a place where it may stand.
MISSPELT = [
    ("PREDCIT COUNT(t.*, 0, 3) FOR EACH e.id", "PREDICT"),
    ("EVALAUTE PREDICT COUNT(t.*, 0, 3) FOR EACH e.id", "EVALUATE"),
    ("PREDICT COUNT(t.*, 0, 3) FRO EACH e.id", "FOR"),
    ("PREDICT COUNT(t.*, 0, 3) FOR EAHC e.id", "EACH"),
    ("PREDICT COUNT(t.*, 0, 3) FOR EACH e.id WHEER e.x = 1", "WHERE"),
    ("PREDICT COUNT(t.*, 0, 3) FOR EACH e.id ASSUMIGN COUNT(t.*, 0, 3) > 1", "ASSUMING"),
    ("PREDICT COUNT(t.*, 0, 3) FORCEAST 3 TIMEFRAMES FOR EACH e.id", "FORECAST"),
    ("PREDICT COUNT(t.*, 0, 3) FORECAST 3 TIMEFARMES FOR EACH e.id", "TIMEFRAMES"),
    ("PREDICT COUNT(t.*, 0, 3) RANK TPO 3 FOR EACH e.id", "TOP"),
    ("PREDICT COUNT(t.*, 0, 3) CLASSFIY FOR EACH e.id", "CLASSIFY"),
    ("PREDICT COUNT(t.*, 0, 3) FOR EACH e.id WHERE e.x = 1 ADN e.y = 1", "AND"),
    ("PREDICT COUNT(t.*, 0, 3) FOR EACH e.id WHERE e.x LIEK 'a'", "LIKE"),
    ("PREDICT COUNT(t.*, 0, 3) FOR EACH e.id WHERE e.x CONTANIS 'a'", "CONTAINS"),
    ("PREDICT COUNT(t.*, 0, 3) FOR EACH e.id WHERE e.x STRATS WITH 'a'", "STARTS"),
    ("PREDICT COUNT(t.*, 0, 3) FOR EACH e.id WHERE e.x STARTS WIHT 'a'", "WITH"),
    ("PREDICT COUNT(t.*, 0, 3) FOR EACH e.id WHERE e.x = TREU", "TRUE"),
    ("PREDICT COUNT(t.*, 0, 3) FOR EACH e.id WHERE e.x IS NULLL", "NULL"),
    ("PREDICT NTO t.x = 1 FOR EACH e.id", "NOT"),
]


@pytest.mark.parametrize(("query", "keyword"), MISSPELT)
def test__complaint__misspelt_keyword__names_the_right_one(query: str, keyword: str) -> None:
    assert keyword in KEYWORDS
    with pytest.raises(QueryError) as caught:
        parse(query)
    assert str(caught.value).endswith(f"Did you mean {keyword}?")


@pytest.mark.parametrize("function", AGGREGATIONS)
def test__complaint__misspelt_aggregation__names_the_right_one(function: str) -> None:
    with pytest.raises(QueryError, match=rf"Did you mean {function}\b") as caught:
        parse(f"PREDICT {function}X(t.x, 0, 3) FOR EACH e.id")
    assert caught.value.position == len("PREDICT ")


@pytest.mark.parametrize("unit", UNITS)
def test__complaint__misspelt_unit__names_the_right_one(unit: str) -> None:
    with pytest.raises(QueryError, match=f"Did you mean {unit}"):
        parse(f"PREDICT COUNT(t.*, 0, 3, {unit}x) FOR EACH e.id")


def test__complaint__on_a_later_line__points_into_that_line() -> None:
    with pytest.raises(QueryError) as caught:
        parse("PREDICT COUNT(t.*, 0, 3)\nFOR EACH e.id\n  WHEER e.x = 1")
    assert caught.value.where == "query, line 3, column 3"
    assert "\n      WHEER e.x = 1\n      ^^^^^\n" in str(caught.value)


@pytest.mark.parametrize("bad", ["x", "'", "`", '"', "(", ")", "𝟙", "=", "-", "\0", "FOR"])
def test__complaint__same_thing_many_times__is_quick(bad: str) -> None:
    with pytest.raises(QueryError):
        parse("PREDICT " + f"{bad} " * 3_000)
