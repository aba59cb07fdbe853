"""A working session on a warehouse: session tables under names no other run uses, dropped at the end.

In: sqlglot expressions. Out: Arrow, or single values. Two predictions in one process never meet, because each session
has a suffix of its own.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from contextlib import nullcontext, suppress
from types import TracebackType
from typing import Any

import pyarrow as pa
from sqlglot import exp

from dbt_rfm.errors import RfmError
from dbt_rfm.plan import sql
from dbt_rfm.plan.blocks import Names, Step
from dbt_rfm.warehouse.base import Warehouse


class Session:
    def __init__(self, warehouse: Warehouse) -> None:
        self.warehouse = warehouse
        self.names = Names(uuid.uuid4().hex[:8])
        self._made: dict[str, None] = {}

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # After an error the transaction may be gone, and the session tables with it: the first error is what counts.
        with suppress(RfmError) if error is not None else nullcontext():
            for table in self._made:
                self.warehouse.execute(exp.Drop(tables=[sql.temporary(table)], kind="TABLE", exists=True))

    def create(self, table: str, select: exp.Expression) -> None:
        self.warehouse.create_temporary(table, select)
        self._made[table] = None

    def run(self, steps: Iterable[Step]) -> None:
        for step in steps:
            self.create(step.table, step.select)

    def load(self, table: str, rows: pa.Table) -> None:
        self.warehouse.load_temporary(table, rows)
        self._made[table] = None

    def query(self, select: exp.Expression) -> pa.Table:
        return self.warehouse.query(select)

    def value(self, select: exp.Expression) -> Any:
        """The first column of the first row."""
        return self.query(select).column(0)[0].as_py()

    def count(self, source: exp.Expression) -> int:
        return self.value(sql.select(sql.aliased(exp.Count(this=exp.Star()), "n")).from_(source, copy=False))
