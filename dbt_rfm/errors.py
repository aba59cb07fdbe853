"""Every error a user can meet, split by who can mend it.

    RfmError
    ├── ProjectError   the dbt project: a model, a column, a test, an option
    │   ├── RightMissing   what a role of the warehouse was not granted
    │   └── WarehouseAway  a warehouse that cannot be reached, or lets nobody in
    ├── QueryError     the predictive query: its text, with the position
    ├── DataError      the rows: duplicate keys, no history, nothing to learn from
    └── ModelError     the predictive model: unknown name, unreadable weights, a bundle that was changed

A message says where, what is wrong (expected and got) and what to write instead. The command line and the dbt
materialization print it as it is and show no traceback.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class RfmError(Exception):
    """`where: problem. hint`, each part on one line; `where` and `hint` may be empty."""

    def __init__(self, problem: str, *, where: str = "", hint: str = "") -> None:
        self.problem, self.where, self.hint = problem.rstrip(), where, hint
        super().__init__(str(self))

    def __str__(self) -> str:
        head = f"{self.where}: {self.problem}" if self.where else self.problem
        return f"{head}\n  {self.hint}" if self.hint else head


class ProjectError(RfmError):
    """Something in the dbt project has to change."""


class RightMissing(ProjectError):
    """A role has to be granted something. `problem` names what a warehouse holds, and no values: logs may show it."""


class WarehouseAway(ProjectError):
    """The warehouse has to be reached again. `problem` says why it is not, and no credential: logs may show it."""


class QueryError(RfmError):
    """The predictive query has to change. `position` is the offset of the first offending character."""

    def __init__(
        self, problem: str, *, text: str = "", position: int | None = None, length: int = 1, hint: str = ""
    ) -> None:
        self.text, self.position = text, position
        super().__init__(_with_pointer(problem, text, position, length), where=_place(text, position), hint=hint)


class DataError(RfmError):
    """The rows do not allow what was asked."""


class ModelError(RfmError):
    """The predictive model cannot be used as asked."""


def nearest(name: str, known: Iterable[str], *, n: int = 3) -> list[str]:
    """The known names closest to `name`, best first, compared without case."""
    by_folded = {k.casefold(): k for k in known}
    return [by_folded[m] for m in get_close_matches(name.casefold(), by_folded, n=n, cutoff=0.6)]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint sentence: the nearest candidates, or all known names when none is near."""
    known = list(known)
    close = nearest(name, known)
    if close:
        return f"Did you mean {' or '.join(close)}?"
    if not known:
        return ""
    listed = ", ".join(sorted(known)[:12])
    return f"Known: {listed}{', …' if len(known) > 12 else ''}."


def _place(text: str, position: int | None) -> str:
    if position is None or not text:
        return "query"
    line = text.count("\n", 0, position) + 1
    column = position - (text.rfind("\n", 0, position) + 1) + 1
    return f"query, line {line}, column {column}"


def _with_pointer(problem: str, text: str, position: int | None, length: int) -> str:
    if position is None or not text:
        return problem
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    line = text[start : len(text) if end < 0 else end]
    width = max(1, min(length, len(line) - (position - start)))
    return f"{problem}\n    {line}\n    {' ' * (position - start)}{'^' * width}"
