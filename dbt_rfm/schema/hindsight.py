"""Columns that know of rows which came later: `number_of_orders` or `is_active` on a customer tells an anchor's future.

In: a RelationalSchema with its times. Out: the same with such columns marked, `Column.hindsight`, and a note that names
them: a query may speak of them, no feature reads them. A column is one if its name may say so and if, for nearly all
rows of a sample,
- it equals an aggregate over the rows of a timed child (their number, a sum, mean, least or greatest), or
- its values are grades of one that grows with what happens: their number or a sum, of all or of the days that its name
  says, or the time of the last. `active` and `churned`, customers of one order and of more, points from 1 to 5.
By its name alone it is one if that says it is of the last row of a child: `last_order_status`. A state that passes is
one too (`passing_states.py`).
The rows of a child's children count like those of a child. Snapshots are exempt, and columns with a declared semantic
type. Rows that come with their parent are none of the future: an order's amount is that of its items.
Time rule: all rows are looked at, also those after a named anchor, since the column is of today.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from dbt_rfm.schema import names
from dbt_rfm.schema.data_types import Family, family
from dbt_rfm.schema.grades import told_by, told_by_number
from dbt_rfm.schema.later_rows import LaterRows, is_measure, later_rows
from dbt_rfm.schema.passing_states import passing_states
from dbt_rfm.schema.probe import Probe
from dbt_rfm.schema.semantics import silent_keys
from dbt_rfm.schema.time_links import Way
from dbt_rfm.schema.times import LAST
from dbt_rfm.schema.types import Column, Link, RelationalSchema, SemanticType, Table

_COUNTS = {"count", "counts", "number", "num", "nr", "n", "no", "frequency"}
_SUMS = {"total", "totals", "sum", "cumulative", "lifetime", "ltv", "value", "amount", "spent", "spend", "revenue"}
_SUMS |= {"sales", "quantity", "qty", "units", "sold"}
_OTHERS = {"avg", "average", "mean", "max", "maximum", "min", "minimum", "highest", "lowest", "largest", "smallest"}
_AGGREGATES = _COUNTS | _SUMS | _OTHERS
# What is graded by whether, when or how much something happened.
_HAPPENED = {"active", "inactive", "activity", "churn", "churned", "lapsed", "dormant", "retained", "lost"}
_HAPPENED |= {"converted", "returning", "returned", "repeat", "ever", "has", "since", "status", "recency"}
_HAPPENED |= {"monetary", "rfm", "engaged", "engagement"}
_GRADES = {"segment", "tier", "level", "type", "stage", "lifecycle", "score", "rank", "bucket", "band", "group"}
_GRADES |= {"quintile", "quartile", "decile", "percentile", "loyalty", "loyal", "vip", "grade", "class", "health"}
_ROWS = 20  # at least, of a sample of parents
_NEARLY_ALL = 0.95
_TOLD = 0.85  # of the rows beyond the most frequent value; a day's difference in "today" moves some
_COMPARED = 500  # rows that are compared for equality
_FEW, _FEW_BEYOND, _PERHAPS = 200, 10, 0.5  # rows of a first look, and what it has to find
_DAYS = {"d": 1, "day": 1, "w": 7, "week": 7, "m": 30, "month": 30, "y": 365, "year": 365}
_LONGEST = 3650
_WINDOW = re.compile(r"(\d+)[\W_]*(d|w|m|y|day|week|month|year)s?(?![a-z])", re.IGNORECASE)


def with_hindsight(schema: RelationalSchema, probe: Probe) -> tuple[RelationalSchema, list[str]]:
    """The schema with the columns marked, and a note about them."""
    told: list[str] = []
    for table in schema.tables:
        found = _found_in(schema, table, probe)
        if found:
            columns = tuple(replace(c, hindsight=c.name in found) for c in table.columns)
            marked = replace(table, columns=columns)
            schema = replace(schema, tables=tuple(marked if t.name == table.name else t for t in schema.tables))
            told += [f"{table.name}.{name} ({of})" for name, of in found.items()]
    if not told:
        return schema, []
    keep = "a dbt snapshot has what they were; meta.rfm.semantic_type on the column takes one for a fact of all times"
    return schema, [f"no feature reads what rows up to today have made of a column: {', '.join(told)}; {keep}"]


def _found_in(schema: RelationalSchema, table: Table, probe: Probe) -> dict[str, str]:
    """By column that knows of later rows, of which."""
    ways = list(_ways(schema, table)) if table.valid_from is None else []
    below = {word for way in ways for word in _words_of(way[-1].child)}
    keys = silent_keys(table, schema.links)
    open_columns = {c.name: c for c in table.columns if c.inferred and c.name not in keys and _may_grade(c)}
    found = {name: f"of the last of {of}" for name in open_columns if (of := _of_the_last(name, ways))}
    if table.valid_from is None:
        found |= dict.fromkeys(passing_states(table, list(open_columns.values()), probe), "a state that passes")
    for way in ways:
        suspects = [c for n, c in open_columns.items() if n not in found and _is_suspect(c, below)]
        if suspects:
            found.update(_found_along(schema, table, way, suspects, probe))
    return found


def _ways(schema: RelationalSchema, table: Table) -> Iterator[Way]:
    """To the rows that point at the table and came later, then to those that point at such."""
    children = [link for link in schema.children(table.name) if link.child != table.name]
    yield from ((link,) for link in children if _comes_later(schema, link))
    for link in children:
        for more in schema.children(link.child):
            if more.child not in (table.name, link.child) and (
                schema.table(link.child).own_time or _comes_later(schema, more)
            ):
                yield (link, more)


def _comes_later(schema: RelationalSchema, link: Link) -> bool:
    """Whether rows of the child have a time, and not that of the parent."""
    child = schema.table(link.child)
    return child.own_time is not None or child.time_link not in (None, link.child_column)


def _words_of(child: str) -> tuple[str, ...]:
    return (*names.words(child), *names.entity_words(child))


def _of_the_last(name: str, ways: Sequence[Way]) -> str | None:
    """The child whose last row a name speaks of; a customer's last name is no order's."""
    words = {*names.words(name)}
    return next((w[0].child for w in ways if words & LAST and words & {*_words_of(w[0].child)}), None)


def _may_grade(column: Column) -> bool:
    kinds = (SemanticType.BOOLEAN, SemanticType.CATEGORICAL)
    return is_measure(column) or (column.semantic_type in kinds and family(column.data_type) is not Family.TIME)


def _is_suspect(column: Column, below: set[str]) -> bool:
    words = {*names.words(column.name)}
    if column.semantic_type is SemanticType.BOOLEAN or words & (_HAPPENED | _GRADES):
        return True
    return is_measure(column) and bool(words & (_AGGREGATES | below) or _days(column.name))


def _days(name: str) -> int:
    """The length of the window that a name says, 0 if it says none or a year of the calendar.

    >>> _days("orders_90d"), _days("revenue_last_12_months"), _days("md5"), _days("sales_2024_y")
    (90, 360, 0, 0)
    """
    found = _WINDOW.search(name)
    days = int(found[1]) * _DAYS[found[2].lower()] if found else 0
    return days if days <= _LONGEST else 0


def _found_along(
    schema: RelationalSchema, table: Table, way: Way, suspects: Sequence[Column], probe: Probe
) -> Iterator[tuple[str, str]]:
    days = sorted({_days(c.name) for c in suspects} - {0})
    rows = later_rows(schema, table, [c.name for c in suspects], way, days, probe)
    if sum(n > 0 and apart for n, apart in zip(rows.counts, rows.apart, strict=True)) < _ROWS:
        return
    for column in suspects:
        of = _equal_to(rows, column) or _graded_by(rows, column)
        if of is not None:
            yield column.name, of


def _equal_to(rows: LaterRows, column: Column) -> str | None:
    """What the column is, for rows with several below them, as of one alone a sum, a mean and itself are the same."""
    if not is_measure(column):
        return None
    several = [i for i, n in enumerate(rows.counts) if n > 1 and rows.apart[i]][:_COMPARED]
    aggregates: dict[str, Sequence[float | None]] = {**rows.sums, **rows.others}
    for said, numbers in aggregates.items():
        if _are_equal([rows.own[column.name][i] for i in several], [numbers[i] for i in several]):
            return said
    return None


def _graded_by(rows: LaterRows, column: Column) -> str | None:
    """What the column grades, for rows with any below them; a name that says it happened, for all rows.

    A number without a value grades nothing, of others that is one more value.
    """
    whole = bool({*names.words(column.name)} & _HAPPENED)
    values = rows.own[column.name]
    among = [i for i, n in enumerate(rows.counts) if n or whole]
    if is_measure(column):
        among = [i for i in among if values[i] is not None]
    for said, numbers in rows.sums.items():
        if _is_told([values[i] for i in among], [numbers[i] for i in among], ordered=is_measure(column)):
            return f"by {said}"
    return None


def _is_told(values: Sequence[Any], measure: Sequence[float], *, ordered: bool) -> bool:
    """A look at a few rows first spares most of the work: nearly every pair has nothing to do with each other."""
    tell = told_by_number if ordered else told_by
    few = slice(None, None, 1 + len(values) // _FEW)
    told, beyond = tell(values[few], measure[few])
    if beyond >= _FEW_BEYOND and told < _PERHAPS:
        return False
    told, beyond = tell(values, measure)
    return beyond >= _ROWS and told >= _TOLD


def _are_equal(own: Sequence[float | None], children: Sequence[float | None]) -> bool:
    pairs = [(float(a), b) for a, b in zip(own, children, strict=True) if a is not None and b is not None]
    equal = sum(math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9) for a, b in pairs)
    varies = len({b for _, b in pairs}) > 1
    return varies and len(pairs) >= _ROWS and equal >= _NEARLY_ALL * len(pairs)
