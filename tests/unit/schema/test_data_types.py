"""Types of several warehouses in their families."""

from __future__ import annotations

import pytest

from dbt_rfm.schema.data_types import Family, comparable, family, has_zone


@pytest.mark.parametrize(
    ("data_type", "expected"),
    [
        ("BIGINT", Family.INTEGER),
        ("bigint", Family.INTEGER),
        ("DECIMAL(12,2)", Family.NUMBER),
        ("NUMBER(38,0)", Family.INTEGER),
        ("numeric", Family.NUMBER),
        ("double precision", Family.NUMBER),
        ("character varying(256)", Family.STRING),
        ("VARCHAR", Family.STRING),
        ("ENUM('a', 'b')", Family.ENUM),
        ("TIMESTAMP WITH TIME ZONE", Family.TIME),
        ("TIMESTAMP_NS", Family.TIME),
        ("DATE", Family.TIME),
        ("TIME", Family.OTHER),
        ("INTERVAL", Family.OTHER),
        ("BLOB", Family.OTHER),
        ("money", Family.OTHER),  # Postgres cannot make a double of it
        ("JSON", Family.OTHER),
        ("INTEGER[]", Family.OTHER),
        ("STRUCT(a INTEGER)", Family.OTHER),
        ("MAP(VARCHAR, INTEGER)", Family.OTHER),
        ("", Family.OTHER),
    ],
)
def test__family__type_as_reported__family(data_type, expected):
    assert family(data_type) is expected


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        ("BIGINT", "INTEGER", True),
        ("BIGINT", "DECIMAL(18,0)", True),
        ("VARCHAR", "ENUM('a')", True),
        ("VARCHAR", "BIGINT", False),
        ("UUID", "VARCHAR", False),
        ("BLOB", "BLOB", True),
        ("JSON", "BLOB", False),
    ],
)
def test__comparable__two_types__both_ways(left, right, expected):
    assert comparable(left, right) is expected
    assert comparable(right, left) is expected


def test__has_zone__with_and_without():
    assert has_zone("TIMESTAMP WITH TIME ZONE") and has_zone("timestamptz") and has_zone("TIMESTAMP_TZ(9)")
    assert not has_zone("timestamp without time zone") and not has_zone("TIMESTAMP") and not has_zone("DATE")
