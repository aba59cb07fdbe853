"""Data types of every warehouse in a few families.

In: a type as the warehouse reports it (`DECIMAL(12,2)`, `TIMESTAMP WITH TIME ZONE`, `NUMBER(38,0)`). Out: its family.
Nested and binary values, money, times of day and intervals are OTHER: no part of the package reads them.
"""

from __future__ import annotations

import re
from enum import StrEnum


class Family(StrEnum):
    BOOLEAN = "boolean"
    INTEGER = "integer"
    NUMBER = "number"
    STRING = "string"
    ENUM = "enum"
    UUID = "uuid"
    TIME = "time"  # a date or a timestamp
    OTHER = "other"


_NAMES = {
    Family.BOOLEAN: "bool boolean",
    Family.INTEGER: (
        "tinyint smallint integer int bigint hugeint utinyint usmallint uinteger ubigint uhugeint "
        "int1 int2 int4 int8 int16 int32 int64 int128 byteint long short bignum varint"
    ),
    Family.NUMBER: "float float4 float8 double real decimal numeric number fixed",
    Family.STRING: "varchar char character text string bpchar nvarchar name citext",
    Family.ENUM: "enum",
    Family.UUID: "uuid",
    Family.TIME: (
        "date datetime timestamp timestamptz timestamp_s timestamp_ms timestamp_ns timestamp_ntz timestamp_ltz "
        "timestamp_tz"
    ),
}
_FAMILY_OF = {name: family for family, names in _NAMES.items() for name in names.split()}
_SCALE = re.compile(r"\(\s*\d+\s*,\s*(\d+)\s*\)")


def family(data_type: str) -> Family:
    """
    >>> family("DECIMAL(12,2)"), family("NUMBER(38,0)"), family("INTEGER[]")
    (<Family.NUMBER: 'number'>, <Family.INTEGER: 'integer'>, <Family.OTHER: 'other'>)
    """
    text = data_type.strip().casefold()
    if text.endswith("[]") or "[" in text:
        return Family.OTHER
    first = re.match(r"\w*", text)
    found = _FAMILY_OF.get(first[0] if first else "", Family.OTHER)
    scale = _SCALE.search(text)
    if found is Family.NUMBER and scale and scale[1] == "0":
        return Family.INTEGER
    return found


def comparable(left: str, right: str) -> bool:
    """Whether keys of these types can be equal without a cast that may fail."""
    a, b = family(left), family(right)
    numbers = {Family.INTEGER, Family.NUMBER}
    texts = {Family.STRING, Family.ENUM}
    return a == b != Family.OTHER or {a, b} <= numbers or {a, b} <= texts or left.casefold() == right.casefold()


def has_zone(data_type: str) -> bool:
    """Whether values of this time type are moments rather than clock readings."""
    text = data_type.casefold()
    return text.startswith(("timestamptz", "timestamp_tz", "timestamp_ltz")) or (
        "time zone" in text and "without" not in text
    )
