"""Snowflake's SQL: the case of names, and values that must mean there what a plan means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlglot import exp, parse_one

from dbt_rfm.plan import sql
from dbt_rfm.warehouse.snowflake_sql import other_case

DIALECT = "snowflakerfm"


def written(expression: exp.Expression) -> str:
    return expression.sql(dialect=DIALECT)


@given(st.text(min_size=1))
def test__other_case__twice__the_name_again(name):
    assert other_case(other_case(name)) == name


@pytest.mark.parametrize(
    ("name", "shown"), [("CUSTOMER_ID", "customer_id"), ("id", "ID"), ("Id", "Id"), ("A B", "A B"), ("É", "É")]
)
def test__other_case__name_of_snowflake__shown(name, shown):
    assert other_case(name) == shown


def test__written__our_names__upper_case_and_quoted():
    select = sql.select(sql.aliased(sql.column("customer_id", "c"), "Mixed")).from_(sql.temporary("at", "c"))
    assert written(select) == 'SELECT "C"."CUSTOMER_ID" AS "Mixed" FROM "AT" AS "C"'


@pytest.mark.parametrize("relation", ["ANALYTICS.marts.customers", '"ANALYTICS"."Marts"."customers"'])
def test__written__relation_of_dbt__as_it_was(relation):
    assert written(exp.select("*").from_(relation, dialect=DIALECT)) == f"SELECT * FROM {relation}"


def test__parsed__relation_of_dbt__names_meet_those_of_plans():
    table = parse_one('SELECT * FROM "ANALYTICS"."Marts"."customers"', dialect=DIALECT).find(exp.Table)
    assert (table.catalog, table.db, table.name) == ("analytics", "Marts", "CUSTOMERS")


@pytest.mark.parametrize("name", ['a"b', 'x"; drop table t; --', "a\\", "a\nb"])
def test__written__hostile_name__stays_one_name(name):
    tree = parse_one(written(exp.select(sql.column(name)).from_("t")), dialect=DIALECT)
    assert [c.name for c in tree.find_all(exp.Column)] == [name]


@pytest.mark.parametrize("text", ["it's", "a\\'; drop table t; --", "\\", "100%"])
def test__written__hostile_text__stays_one_literal(text):
    tree = parse_one(written(exp.select(exp.Literal.string(text))), dialect="snowflake")
    assert [literal.name for literal in tree.find_all(exp.Literal)] == [text]


def test__written__division_and_average__in_double_precision():
    ratio = exp.Div(this=sql.column("a"), expression=sql.column("b"))
    assert written(ratio) == 'CAST("A" AS DOUBLE) / "B"'
    assert written(exp.Avg(this=sql.column("a"))) == 'AVG(CAST("A" AS DOUBLE))'
    assert written(exp.Avg(this=sql.as_double(sql.column("a")))) == 'AVG(CAST("A" AS DOUBLE))'


def test__written__twice__the_same_text():
    tree = exp.select(exp.Div(this=exp.Avg(this=sql.column("a")), expression=sql.column("b"))).from_("t")
    assert tree.sql(dialect=DIALECT, copy=False) == tree.sql(dialect=DIALECT, copy=False)


def test__written__greatest__null_as_on_duckdb():
    own = exp.Greatest(this=sql.column("a"), expressions=[sql.column("b")])
    template = parse_one("GREATEST(a, b)", dialect="duckdb")
    assert written(own) == 'GREATEST("A", "B")'
    assert written(template) == "GREATEST_IGNORE_NULLS(a, b)"


def test__written__text_as_number__never_fails():
    number = exp.TryCast(this=sql.column("a"), to=exp.DataType.build("double"))
    assert written(number) == 'TRY_CAST("A" AS DOUBLE)'


def test__written__timestamps__without_zone_whatever_the_account_says():
    assert written(exp.Cast(this=exp.Null(), to=exp.DataType.build("timestamp"))) == "CAST(NULL AS TIMESTAMP_NTZ)"
    moved = sql.as_timestamp(sql.column("z"), "TIMESTAMP_LTZ")
    assert written(moved) == "CAST(CONVERT_TIMEZONE('UTC', \"Z\") AS TIMESTAMP_NTZ)"


def test__written__moment_as_text__in_one_format():
    text = written(sql.moment_as_text(sql.column("t")))
    assert text.startswith("REGEXP_REPLACE(TO_VARCHAR(CAST(\"T\" AS TIMESTAMP_NTZ), 'YYYY-MM-DD HH24:MI:SS.FF6')")
    assert sql.moment_as_text(sql.column("t")).sql(dialect="duckdb") == 'CAST("t" AS TEXT)'
