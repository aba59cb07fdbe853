"""Columns that add up rows which came later: `number_of_orders` on a customer knows the future of every anchor.

In: a RelationalSchema with its times. Out: the same without such columns, which its notes name. A column is one if its
name may say so and if it equals an aggregate over the rows of a timed child (their number, a sum, mean, least or
greatest), for nearly all rows of a sample that have two children or more. Snapshots are exempt, and columns with a
declared semantic type. Children that come with their parent are none of the future: an order's amount is that of its
items.
Time rule: all rows are looked at, also those after a named anchor, since the column is of today.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from dbt_rfm.schema import names
from dbt_rfm.schema.data_types import Family, family
from dbt_rfm.schema.probe import Probe
from dbt_rfm.schema.types import Column, Link, RelationalSchema, SemanticType, Table

_COUNTS = {"count", "counts", "number", "num", "nr", "n", "no", "frequency"}
_SUMS = {"total", "totals", "sum", "cumulative", "lifetime", "ltv", "value", "amount", "spent", "spend", "revenue"}
_SUMS |= {"sales", "quantity", "qty", "units", "sold"}
_OTHERS = {"avg", "average", "mean", "max", "maximum", "min", "minimum", "highest", "lowest", "largest", "smallest"}
_SUSPECT = _COUNTS | _SUMS | _OTHERS
_MEASURES = 12  # numbers of a child that are added up
_ROWS = 20  # at least, of a sample of parents
_NEARLY_ALL = 0.95


def without_totals(schema: RelationalSchema, probe: Probe) -> tuple[RelationalSchema, list[str]]:
    """The schema without the columns, and a note about them."""
    found: list[str] = []
    for table in schema.tables:
        totals = dict(_totals(schema, table, probe))
        if totals:
            columns = tuple(c for c in table.columns if c.name not in totals)
            kept = replace(table, columns=columns, left_out=(*table.left_out, *totals))
            schema = replace(schema, tables=tuple(kept if t.name == table.name else t for t in schema.tables))
            found += [f"{table.name}.{name} ({of})" for name, of in totals.items()]
    if not found:
        return schema, []
    keep = "a dbt snapshot has what they were; meta.rfm.semantic_type keeps one that is no such sum"
    return schema, [f"left out, what rows up to today add up to: {', '.join(found)}; {keep}"]


def _totals(schema: RelationalSchema, table: Table, probe: Probe) -> Iterator[tuple[str, str]]:
    """(column, what it is) of the table's columns that are aggregates."""
    links = [k for k in schema.children(table.name) if _comes_later(schema, k)] if table.valid_from is None else []
    suspects = [c for c in table.columns if _is_suspect(c, links)] if links else []
    if not suspects:
        return
    for link in links:
        child = schema.table(link.child)
        measures = [c.name for c in child.columns if _is_number(c)][:_MEASURES]
        rows = probe.beside_children(table, [c.name for c in suspects], link, child, measures)
        said = [f"COUNT of {child.name}", *(f"{f} of {child.name}.{m}" for m in measures for f in Probe.AGGREGATES)]
        for i, suspect in enumerate(suspects):
            for j, of in enumerate(said):
                if _are_equal([row.own[i] for row in rows], [row.children[j] for row in rows]):
                    yield suspect.name, of


def _comes_later(schema: RelationalSchema, link: Link) -> bool:
    """Whether rows of the child have a time, and not that of the parent."""
    child = schema.table(link.child)
    timed = child.own_time is not None or child.time_link not in (None, link.child_column)
    return timed and child.name != link.parent


def _is_suspect(column: Column, links: Sequence[Link]) -> bool:
    of_children = {word for link in links for word in names.words(link.child) + names.entity_words(link.child)}
    return _is_number(column) and column.inferred and bool({*names.words(column.name)} & (_SUSPECT | of_children))


def _is_number(column: Column) -> bool:
    """A text may be declared to be one; it cannot be added up."""
    return column.semantic_type is SemanticType.NUMERICAL and family(column.data_type) in (
        Family.INTEGER,
        Family.NUMBER,
    )


def _are_equal(own: Sequence[float | None], children: Sequence[float | None]) -> bool:
    pairs = [(a, b) for a, b in zip(own, children, strict=True) if a is not None and b is not None]
    equal = sum(math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9) for a, b in pairs)
    varies = len({b for _, b in pairs}) > 1
    return varies and len(pairs) >= _ROWS and equal >= _NEARLY_ALL * len(pairs)
