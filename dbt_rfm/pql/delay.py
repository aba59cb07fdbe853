"""When the outcome of an event is known: so long after its row, or after a moment that stands in the row."""

from __future__ import annotations

from dataclasses import dataclass

from dbt_rfm.pql.ast import Window
from dbt_rfm.pql.windows import length


@dataclass(frozen=True)
class Delay:
    """`span` after the row's own time; with `column` after the moment of that column, and not before the row."""

    span: Window
    column: str = ""

    def __str__(self) -> str:
        """
        >>> print(Delay(Window(0, 7)), Delay(Window(0, 0), "due_at"), Delay(Window(0, 5), "due_at"), sep=", ")
        7 days after the row, due_at, 5 days after due_at
        """
        if self.column and not self.span.end:
            return self.column
        return f"{length(self.span)} after {self.column or 'the row'}"
