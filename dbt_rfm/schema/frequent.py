"""The values of categories that are worth counting: `orders.status` is 'returned', `events.type` is 'login'.

In: a RelationalSchema. Out: the same, where a category whose few most frequent values make up most of its rows has
them in `Column.values`. A whole number named like a code (`status_code`, `priority`) has them too if it has no more
values than a list of codes; it stays a number besides, since codes often have an order. A value that more than half of
the rows have is none of them: the number of all rows says as much, and where a state is overwritten ('placed', then
'done') it is the one that most rows reach later. Keys, links and times have none.
Time rule: rows up to the probe's `as_of`; which values there are is said of the column, like its semantic type, and how
often an example's rows have them is the plan's business, as of its anchor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from sqlglot import exp

from dbt_rfm.schema import names
from dbt_rfm.schema.data_types import Family, family
from dbt_rfm.schema.probe import Probe, column
from dbt_rfm.schema.semantics import silent_keys
from dbt_rfm.schema.types import Column, RelationalSchema, SemanticType, Table

_MOST = 12  # of a category that are counted
_UP_TO = 24  # where so many fall short of this share of the rows that have a value, and more do not
_COVERED = 0.5
_FETCHED = 48  # more, so that equally frequent ones are chosen the same in every warehouse
#: What whole numbers are called that stand for something; a level of water or a class of weight is seldom whole.
_CODES = {
    *("category", "class", "code", "grade", "kind", "level", "mode", "outcome", "phase", "priority", "rating"),
    *("reason", "severity", "stage", "stars", "state", "status", "tier", "type"),
}


def with_frequent_values(schema: RelationalSchema, probe: Probe) -> RelationalSchema:
    """The schema with the frequent values of its categories."""
    return replace(schema, tables=tuple(_with_values(schema, table, probe) for table in schema.tables))


def _with_values(schema: RelationalSchema, table: Table, probe: Probe) -> Table:
    keys = {*silent_keys(table, schema.links), *table.primary_key}
    asked = [c.name for c in table.columns if (_is_category(c) or _is_code(c)) and c.name not in keys]
    if not asked:
        return table
    counts = _counted(table, asked, probe)
    columns = tuple(_told(c, counts[c.name]) if c.name in counts else c for c in table.columns)
    return replace(table, columns=columns)


def _is_category(given: Column) -> bool:
    return given.semantic_type is SemanticType.CATEGORICAL and not given.made_of


def _is_code(given: Column) -> bool:
    """Whether a whole number nobody has declared is named like one that only stands for something."""
    whole = given.semantic_type is SemanticType.NUMERICAL and family(given.data_type) is Family.INTEGER
    return whole and given.inferred and bool(_CODES & {*names.words(given.name)})


def _told(given: Column, counts: Sequence[_Count]) -> Column:
    """The column with its values, if the most frequent cover it."""
    if _is_code(given) and len(counts) == _FETCHED:
        return given  # as many values as a measure
    most = counts[: _how_many(counts)]
    if not most:
        return given
    values = tuple(each.value for each in most if each.rows <= each.of / 2)
    return replace(given, values=values, all_values=len(counts) <= len(most))


def _how_many(counts: Sequence[_Count]) -> int:
    """The fewest of the most frequent that cover the rows, but `_MOST` at least; 0 where that would be too many."""
    covered = np.cumsum([each.rows for each in counts[:_UP_TO]]) >= _COVERED * counts[0].of
    return max(_MOST, int(covered.argmax()) + 1) if covered.any() else 0


class _Count(NamedTuple):
    value: str
    rows: int  # that have it
    of: int  # that have any


def _counted(table: Table, asked: Sequence[str], probe: Probe) -> dict[str, list[_Count]]:
    """By column its most frequent values, in that order; all columns in one statement."""
    first, *others = (_most_frequent(table, name, i, probe) for i, name in enumerate(asked))
    statement: exp.Expression = first
    for other in others:
        statement = exp.Union(this=statement, expression=other, distinct=False)
    found: dict[str, list[_Count]] = {}
    for place, *count in zip(*(c.to_pylist() for c in probe.warehouse.query(statement).columns), strict=True):
        value, rows, of = count
        found.setdefault(asked[int(place)], []).append(_Count(str(value), int(rows), int(of)))
    return {name: sorted(counts, key=lambda each: (-each.rows, each.value)) for name, counts in found.items()}


def _most_frequent(table: Table, name: str, place: int, probe: Probe) -> exp.Select:
    """(place, value, how many rows have it, how many have any), most frequent first."""
    text = exp.Cast(this=column(name), to=exp.DataType.build("text"))
    known = exp.Not(this=exp.Is(this=column(name), expression=exp.Null()))
    counts = exp.select(exp.alias_(text, "v"), exp.alias_(exp.Count(this=exp.Star()), "n"))
    counts = counts.from_(probe.rows(table).subquery("t")).where(known).group_by(text.copy())
    total = exp.Window(this=exp.Sum(this=exp.column("n", "g")))
    by_count = exp.select(
        exp.alias_(exp.Literal.number(place), "place"),
        exp.column("v", "g"),
        exp.column("n", "g"),
        exp.alias_(total, "total"),
    ).from_(counts.subquery("g"))
    order = [exp.Ordered(this=exp.column("n", "g"), desc=True), exp.Ordered(this=exp.column("v", "g"))]
    # In parentheses: a part of a union has no order of its own otherwise.
    return exp.select("*").from_(by_count.order_by(*order).limit(_FETCHED).subquery(f"c{place}"))
