"""Names of a query looked up in the schema, with errors that point into the query.

In: the query's text, the schema, the label table if one is given. Out: tables and columns, found exactly or else
without case. A name that fits two, or none, is an error with candidates.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from dbt_rfm.errors import QueryError, did_you_mean
from dbt_rfm.pql.ast import ColumnRef, Span
from dbt_rfm.schema.types import Column, RelationalSchema, SemanticType, Table

_Named = TypeVar("_Named", Table, Column)


class Scope:
    def __init__(self, text: str, schema: RelationalSchema, labels: Table | None) -> None:
        self.text, self.schema, self.labels = text, schema, labels

    def error(self, problem: str, span: Span, hint: str = "") -> QueryError:
        return QueryError(problem, text=self.text, position=span.start, length=span.end - span.start, hint=hint)

    def names_labels(self, ref: ColumnRef) -> bool:
        """Whether the reference means the label table, which no table of the graph shadows."""
        return self.labels is not None and ref.table.casefold() == self.labels.name.casefold()

    def table(self, ref: ColumnRef) -> Table:
        """The table of the graph that the reference names."""
        found = self._one(ref.table, self.schema.tables, "table", ref.span)
        if found is not None:
            return found
        if ref.table.casefold() == "labels":
            raise self.error(
                "there is no label table", ref.span, "Name one: labels=ref('…') next to the query, or a target instead."
            )
        names = [table.name for table in self.schema.tables]
        raise self.error(f"no table {ref.table} in the relational graph", ref.span, did_you_mean(ref.table, names))

    def column(self, ref: ColumnRef, table: Table) -> Column:
        if ref.column == "*":
            raise self.error(f"expected a column, got {ref.table}.*", ref.span, "Only COUNT takes every column.")
        found = self._one(ref.column, table.columns, f"column of {table.name}", ref.span)
        if found is not None:
            return found
        if ref.column.casefold() in (name.casefold() for name in table.left_out):
            problem = f"{table.name}.{ref.column} is left out, by its type, as overwritten or by meta.rfm.ignore"
            raise self.error(
                problem, ref.span, "`dbt-rfm schema` says why. A model may cast it, or hold what is needed of it."
            )
        hint = did_you_mean(ref.column, [c.name for c in table.columns])
        elsewhere = self._tables_with(ref.column)
        if elsewhere and not hint.startswith("Did you mean"):
            hint = f"{' and '.join(elsewhere)} has a column of that name. {hint}"
        raise self.error(f"table {table.name} has no column {ref.column}", ref.span, hint)

    def _tables_with(self, column: str) -> list[str]:
        folded = column.casefold()
        return [t.name for t in self.schema.tables if any(c.name.casefold() == folded for c in t.columns)][:3]

    def _one(self, name: str, known: Sequence[_Named], what: str, span: Span) -> _Named | None:
        exact = [k for k in known if k.name == name]
        found = exact or [k for k in known if k.name.casefold() == name.casefold()]
        if len(found) > 1:
            raise self.error(
                f"{name} names more than one {what}: {joined(k.name for k in found)}", span, "Mind the case."
            )
        return found[0] if found else None


def joined(names: Iterable[str], word: str = "and") -> str:
    """
    >>> joined(["a", "b", "c"])
    'a, b and c'
    """
    *first, last = names
    return f"{', '.join(first)} {word} {last}" if first else last


def of_type(kind: SemanticType) -> str:
    """
    >>> of_type(SemanticType.ID), of_type(SemanticType.TEXT)
    ('an id', 'a text')
    """
    adjectives = (SemanticType.NUMERICAL, SemanticType.CATEGORICAL, SemanticType.BOOLEAN)
    return str(kind) if kind in adjectives else f"{'an' if kind is SemanticType.ID else 'a'} {kind}"
