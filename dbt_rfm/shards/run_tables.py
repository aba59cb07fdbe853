"""Answers larger than a process should hold: their tables in the warehouse, and who answers which shard of them.

In: the session table of examples, the blocks of a feature plan and, for models that read them, the rows around each
example. Out: tables of the run (examples, one per block, one per table with rows, predictions), from which `parts.py`
fetches one shard at a time.

The tables are this session's, or, where several workers share a job, tables `rfm_run_<run>__…` in the rfm schema. They
are written in the order of example_id, so that a shard is read without reading the others.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Protocol

import pyarrow as pa
from sqlglot import exp

from dbt_rfm.errors import RfmError
from dbt_rfm.job import JobTarget
from dbt_rfm.plan import sql
from dbt_rfm.plan.blocks import Block
from dbt_rfm.shards.parts import with_head
from dbt_rfm.snapshot import Snapshot, described, from_description
from dbt_rfm.warehouse.base import Warehouse
from dbt_rfm.warehouse.relations import drop, exists, named, names_beginning

SHARD = 6 * 8192  # query examples answered at once: a whole number of the model's chunks, some 100 MB of features
SHARD_WITH_ROWS = 8192  # the same for models that read the rows around each, some fifty times as many
SHARD_COLUMN = "rfm_shard"  # of predictions: which shard a row belongs to
RUN_PREFIX = "rfm_run_"
_INDEXED = frozenset({"postgres"})  # where a range of a sorted table is read by an index, and not by itself
_TRANSIENT = frozenset({"snowflakerfm"})  # where a table that does not say so is kept for a week after it is dropped


class Board(Protocol):
    """Who answers which shard. A shard is given to one worker at a time and done once."""

    @property
    def run(self) -> str | None:
        """The name of the run, for its tables; None where nobody shares them."""
        ...

    def open(self, count: int) -> None:
        """There are so many shards, none of them done: called once, when they are planned."""
        ...

    def claim(self) -> int | None:
        """A shard to answer; None if none is free."""
        ...

    def done(self, shard: int) -> None:
        """Inside the transaction that writes the shard. Raises if it was given to somebody else meanwhile."""
        ...

    def left(self) -> int:
        """How many are not done."""
        ...

    def wait(self) -> None:
        """Until something may have changed."""
        ...


class Alone:
    """The board of a process that answers every shard itself."""

    run = None

    def __init__(self) -> None:
        self._free: list[int] = []

    def open(self, count: int) -> None:
        self._free = list(range(count))

    def claim(self) -> int | None:
        return self._free[0] if self._free else None

    def done(self, shard: int) -> None:
        self._free.remove(shard)

    def left(self) -> int:
        return len(self._free)

    def wait(self) -> None:
        raise AssertionError("nobody else has a shard to wait for")


class RunTables:
    """The tables of one large answer. As a context manager it drops them at its end, those that other workers share
    only where it went well: after an error somebody goes on with them."""

    def __init__(
        self, warehouse: Warehouse, *, run: str | None = None, home: JobTarget | None = None, size: int | None = None
    ) -> None:
        """`home`: the rfm schema, for tables that other workers see; None: tables of this session."""
        self.warehouse, self.home, self.size = warehouse, home, size or SHARD
        self.run = run or uuid.uuid4().hex[:12]
        self._made: dict[str, None] = {}

    def __enter__(self) -> RunTables:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.drop()
        elif self.home is None:
            # After an error the transaction may be gone, and the tables with it: the first error is what counts.
            with suppress(RfmError):
                self.drop()

    def drop(self) -> None:
        """All tables of the run, whoever made them."""
        if self.home is not None:
            drop_runs(self.warehouse, self.home, f"{RUN_PREFIX}{self.run}__")
            return
        for name in self._made:
            self.warehouse.execute(exp.Drop(tables=[self.table(name)], kind="TABLE", exists=True))

    def table(self, what: str) -> exp.Table:
        name = f"{RUN_PREFIX}{self.run}__{what}"
        return sql.temporary(name) if self.home is None else named(self.home.named(name))

    def create(self, what: str, select: exp.Expression) -> None:
        """(Re)create one of the tables."""
        self._made[what] = None
        if self.home is None:
            self.warehouse.create_temporary(self.table(what).name, select)
            return
        self.warehouse.execute(exp.Drop(tables=[self.table(what)], kind="TABLE", exists=True))
        made = exp.Create(this=self.table(what), kind="TABLE", expression=select)
        if self.warehouse.dialect in _TRANSIENT:
            made.set("properties", exp.Properties(expressions=[exp.TransientProperty()]))
        self.warehouse.execute(made)

    def rows(self, what: str, condition: exp.Expression, order: Sequence[str] = ("example_id",)) -> pa.Table:
        select = sql.select(exp.Star()).from_(self.table(what), copy=False).where(condition, copy=False)
        by = (exp.Ordered(this=sql.column(name), nulls_first=False) for name in order)
        return self.warehouse.query(select.order_by(*by, copy=False))

    def keep(self, examples: exp.Select, blocks: Sequence[Block], around: Iterable[exp.Expression] = ()) -> None:
        """Make the tables of examples, features and, by table, the rows around examples; all ordered by example_id."""
        made: dict[str, exp.Expression] = {"examples": examples}
        made |= {f"block{number}": block.select for number, block in enumerate(blocks)}
        made |= {f"rows{number}": select for number, select in enumerate(around)}
        for what, select in made.items():
            self.create(what, select)
            if self.warehouse.dialect in _INDEXED:
                self._index(what)

    def _index(self, what: str) -> None:
        by = exp.IndexParameters(columns=[exp.Ordered(this=sql.column("example_id"))])
        self.warehouse.execute(exp.Create(this=exp.Index(table=self.table(what), params=by), kind="INDEX"))

    def ready(self, snapshot: Snapshot, predictions: pa.Table) -> None:
        """All is there: make the table of predictions, with the columns of these but without rows, and say what the
        snapshot is, for a worker that goes on."""
        self._load(predictions.slice(0, 0))
        self.create("predictions", self._of_shard(predictions.column_names, 0))
        self._unload()
        if self.home is not None:
            said = exp.convert(json.dumps(described(snapshot), ensure_ascii=False))
            self.create("snapshot", sql.select(sql.aliased(exp.cast(said, exp.DataType.build("text")), "said")))

    def planned(self) -> Snapshot | None:
        """What another worker, or this one before it was stopped, has made ready."""
        if self.home is None or not exists(self.warehouse, self.home.named(self.table("snapshot").name)):
            return None
        rows = self.warehouse.query(sql.select(sql.column("said")).from_(self.table("snapshot"), copy=False))
        nothing = pa.table({"example_id": pa.array([], pa.int64())})
        said = json.loads(rows.column(0)[0].as_py())
        return with_head(self, from_description(said, examples=nothing, features=nothing, rows={}))

    def write(self, shard: int, rows: pa.Table, settle: Callable[[], None] = lambda: None) -> None:
        """The predictions of a shard, in place of any it has. `settle` may raise as the last thing and undo it."""
        self._load(rows)
        names = [*rows.column_names, SHARD_COLUMN]
        with self.warehouse.transaction():
            shard_is = exp.EQ(this=sql.column(SHARD_COLUMN), expression=exp.Literal.number(shard))
            self.warehouse.execute(exp.Delete(this=self.table("predictions"), where=exp.Where(this=shard_is)))
            into = exp.Schema(this=self.table("predictions"), expressions=[sql.name(n) for n in names])
            select = self._of_shard(rows.column_names, shard)
            self.warehouse.execute(exp.Insert(this=into, expression=select))
            settle()
        self._unload()

    def _load(self, rows: pa.Table) -> None:
        self.warehouse.load_temporary(self._loaded, rows)

    def _unload(self) -> None:
        self.warehouse.execute(exp.Drop(tables=[sql.temporary(self._loaded)], kind="TABLE", exists=True))

    @property
    def _loaded(self) -> str:
        return f"{RUN_PREFIX}{self.run}__loaded"

    def _of_shard(self, names: Sequence[str], shard: int) -> exp.Select:
        number = sql.aliased(exp.cast(exp.Literal.number(shard), exp.DataType.build("int")), SHARD_COLUMN)
        return sql.select(*sql.columns(names), number).from_(sql.temporary(self._loaded), copy=False)


def drop_runs(warehouse: Warehouse, home: JobTarget, prefix: str = RUN_PREFIX, *, keep: Collection[str] = ()) -> None:
    """Drop the run tables of a schema whose names begin so, but for those of the runs to keep."""
    kept = tuple(f"{RUN_PREFIX}{run}__" for run in keep)
    for name in names_beginning(warehouse, home, prefix):
        if not name.startswith(kept):
            drop(warehouse, home.named(name))
