"""The graph that a plan reads: the schema, and how its tables are written in a FROM of this warehouse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlglot import exp

from dbt_rfm.plan import sql
from dbt_rfm.schema.types import Link, RelationalSchema, Table


@dataclass(frozen=True)
class Graph:
    """The schema and how to read relations that dbt rendered for this warehouse.

    `asked`: session tables of the rows that belong to the entities asked about (`plan/asked.py`), by the links that
    lead from such a row up to its entity. `numbers`: the column of such a table that numbers the rows of a key by time
    and primary key.
    """

    schema: RelationalSchema
    dialect: str
    asked: Mapping[tuple[Link, ...], str] = field(default_factory=dict)
    numbers: Mapping[tuple[Link, ...], str] = field(default_factory=dict)

    def read(self, table: Table, alias: str) -> exp.Expression:
        return sql.relation(table, alias, self.dialect)

    def read_asked(self, table: Table, links: tuple[Link, ...] | None, alias: str) -> exp.Expression:
        """Rows of the table that `links` lead from to an entity asked about, and maybe others; all for None."""
        stored = self.asked.get(links) if links is not None else None
        return self.read(table, alias) if stored is None else sql.temporary(stored, alias)

    def number(self, links: tuple[Link, ...] | None, alias: str) -> exp.Expression | None:
        """The number of a row that `read_asked` gives, if its table has one."""
        stored = self.numbers.get(links) if links is not None else None
        return None if stored is None else sql.column(stored, alias)
