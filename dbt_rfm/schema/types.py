"""The relational schema: tables, their keys and times, and the links between them.

Plain values; who builds them is `from_job.py`. `inferred` marks what nobody declared and we concluded from names,
types or data, so that a report can say so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from dbt_rfm.errors import ProjectError, did_you_mean


class SemanticType(StrEnum):
    ID = "id"
    NUMERICAL = "numerical"
    CATEGORICAL = "categorical"
    TIMESTAMP = "timestamp"
    TEXT = "text"
    BOOLEAN = "boolean"


@dataclass(frozen=True)
class Column:
    name: str  # as the warehouse spells it
    data_type: str  # as the warehouse reports it, e.g. DECIMAL(12,2)
    semantic_type: SemanticType
    inferred: bool = True  # False when meta.rfm.semantic_type declares it
    hindsight: bool = (
        False  # knows of rows that came later (schema/hindsight.py): a query may name it, no feature is made
    )
    planned: bool = False  # a moment that is known before it comes (schema/planned.py)
    fixed: bool = False  # such a moment that is never moved, as far as its rows tell (schema/fixed.py)
    ends: bool = False  # a moment that ends its row and is written when it comes (schema/ends.py)
    values: tuple[str, ...] = ()  # of a category or a code: its most frequent values in that order (schema/frequent.py)
    all_values: bool = False  # whether it has no others
    made_of: tuple[str, ...] = ()  # the columns it combines: a key of several columns as one (schema/combined.py)


@dataclass(frozen=True)
class Table:
    """One table of the graph.

    `relation` is SQL that dbt rendered (a quoted name, or a subquery under --empty and --sample): always used as
    `select … from <relation>`. Rows of a table without a time happen with those that `time_link` leads to; without
    that too they are known with all they belong to, or always. `valid_from`/`valid_to` are set for dbt snapshots, whose
    rows count while valid_from <= anchor < valid_to.
    """

    name: str  # the alias queries use
    relation: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    time_column: str | None = None
    valid_from: str | None = None
    valid_to: str | None = None
    unique_id: str = ""
    primary_key_inferred: bool = False
    time_column_inferred: bool = False
    left_out: tuple[str, ...] = ()  # columns of the relation that nothing reads: of another type, or ignored
    time_link: str | None = None  # of a table without a time: the foreign key to what says when a row happened

    @property
    def own_time(self) -> str | None:
        """The column that says when a row happened; of a snapshot table without one, when it became valid."""
        return self.time_column or self.valid_from

    @property
    def combined(self) -> tuple[str, ...]:
        """The columns that the primary key is made of, where it is a combined one."""
        return self.column(self.primary_key[0]).made_of if len(self.primary_key) == 1 else ()

    def column(self, name: str) -> Column:
        """The column of that name, found without case. Raises ProjectError with candidates."""
        for column in self.columns:
            if column.name == name:
                return column
        folded = [c for c in self.columns if c.name.casefold() == name.casefold()]
        if len(folded) == 1:
            return folded[0]
        names = [c.name for c in self.columns]
        raise ProjectError(
            f"table {self.name} has no column {name}", where=self.unique_id, hint=did_you_mean(name, names)
        )


@dataclass(frozen=True)
class Link:
    """A foreign key: `child.child_column` points at `parent.parent_column`."""

    child: str
    child_column: str
    parent: str
    parent_column: str
    declared_by: str = "inferred"  # 'relationships test' | 'foreign key' | 'inferred'
    weak: bool = False  # a test with `where` or severity warn: used, and said so
    weak_reason: str = ""

    @property
    def inferred(self) -> bool:
        return self.declared_by == "inferred"

    def __str__(self) -> str:
        return f"{self.child}.{self.child_column} -> {self.parent}.{self.parent_column}"


@dataclass(frozen=True)
class RelationalSchema:
    tables: tuple[Table, ...]
    links: tuple[Link, ...]
    notes: tuple[str, ...] = field(default=())  # what a reader of the schema should know, one sentence each

    def table(self, name: str) -> Table:
        """The table of that alias. Raises ProjectError with candidates."""
        for table in self.tables:
            if table.name == name:
                return table
        folded = [t for t in self.tables if t.name.casefold() == name.casefold()]
        if len(folded) == 1:
            return folded[0]
        names = [t.name for t in self.tables]
        raise ProjectError(f"no table {name} in the relational graph", hint=did_you_mean(name, names))

    def parents(self, name: str) -> tuple[Link, ...]:
        """Links that leave `name` (its foreign keys)."""
        return tuple(link for link in self.links if link.child == name)

    def children(self, name: str) -> tuple[Link, ...]:
        """Links that arrive at `name`."""
        return tuple(link for link in self.links if link.parent == name)
