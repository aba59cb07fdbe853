"""Texts that the macros put into SQL: whatever a user wrote comes out as it was, and is never SQL itself."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jinja2 import Environment

MACROS = Path(__file__).parents[2] / "macros"
HOSTILE = (
    "'; drop table rfm_jobs; --",
    "\\'; drop table rfm_jobs; --",
    "\\\\'; drop table rfm_jobs; --",
    "$rfm$; drop table rfm_jobs; $rfm$",
    "$$ select 1; $$ /* */ -- ' \" ` {{ }} %s %(x)s",
    "two\nlines\tand a tab, naïve ☃ \\u0027 \\n",
)
TEXTS = st.text(
    alphabet=st.one_of(st.sampled_from("'\\\"$;-/*%{}\n rfm"), st.characters(codec="utf-8", exclude_characters="\0"))
)


def macro(file: str, name: str) -> Any:
    """A macro of ours that only computes, as a function."""
    returned: list[Any] = []
    environment = Environment(extensions=["jinja2.ext.do"])
    environment.globals.update({"return": returned.append, "tojson": json.dumps})
    module = environment.from_string((MACROS / file).read_text()).module

    def call(value: Any) -> Any:
        returned.clear()
        getattr(module, name)(value)
        return returned[0]

    return call


@pytest.mark.parametrize(("dialect", "name"), [("duckdb", "default__text"), ("snowflake", "snowflake__text")])
def test__text__any__is_one_literal_of_that_value(dialect: str, name: str) -> None:
    literal = macro("registry.sql", name)

    @settings(max_examples=100, deadline=None)
    @given(TEXTS)
    @example(HOSTILE[0])
    @example(HOSTILE[1])
    @example(HOSTILE[2])
    def check(text: str) -> None:
        (found,) = sqlglot.parse_one(f"select {literal(text)}", dialect=dialect).expressions
        assert found.is_string and found.this == text

    check()


@pytest.mark.parametrize("text", HOSTILE)
def test__text__snowflake__is_one_statement_for_the_connector(text: str) -> None:
    util_text = pytest.importorskip("snowflake.connector.util_text")
    literal = macro("registry.sql", "snowflake__text")
    sql = f"insert into t values ({literal(text)})"
    assert [part for part, _ in util_text.split_statements(io.StringIO(sql))] == [sql]


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(TEXTS, TEXTS))
@example(dict.fromkeys(HOSTILE, HOSTILE[1]))
def test__plain_json__any__is_the_same_value_without_quotes_and_semicolons(value: dict[str, str]) -> None:
    text = macro("bus/jobs.sql", "plain_json")(value)
    assert json.loads(text) == value
    assert not set("';$") & set(text)
