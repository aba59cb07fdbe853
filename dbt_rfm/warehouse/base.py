"""What the rest asks of a warehouse. Each warehouse has one file with these names; only it imports its driver.

A warehouse runs SQL and decides nothing: what to run is `plan/`'s and `versions/`'s business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlglot import exp


class Warehouse(Protocol):
    dialect: str  # sqlglot's name of the SQL dialect
    transactional_ddl: bool  # whether CREATE, ALTER and DROP take part in a transaction, or end it

    def describe(self, relation: str) -> list[tuple[str, str]]:
        """(column, data type) of `select * from relation`, in order. Raises ProjectError if it cannot be read."""
        ...

    def query(self, sql: exp.Expression) -> pa.Table:
        """Rows of a SELECT, as Arrow. Moments that Python's calendar does not hold are at its ends (`moments.py`)."""
        ...

    def execute(self, sql: exp.Expression) -> None:
        """A statement without result."""
        ...

    def create_temporary(self, name: str, select: exp.Expression) -> None:
        """(Re)create a table that only this session sees."""
        ...

    def load_temporary(self, name: str, rows: pa.Table) -> None:
        """(Re)create a session table from Arrow rows."""
        ...

    def tables(self, database: str | None, schema: str, name: str | None = None) -> dict[str, str]:
        """BASE TABLE or VIEW, by name, of what is in a schema; of the one of that name only, if it is given."""
        ...

    def has_schema(self, database: str | None, schema: str) -> bool:
        """Whether there is a schema of that name, as far as the role may see."""
        ...

    def one_state(self, relations: Sequence[str]) -> AbstractContextManager[Mapping[str, str]]:
        """Inside, `relations` are seen as of one moment, whatever others commit; gives the names to read them under."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """All statements inside take effect together, or none."""
        ...
