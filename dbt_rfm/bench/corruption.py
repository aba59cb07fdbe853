"""Spoil a suite's database in one known way, to see what a model's figures lose.

In: a loaded database and a task. Out: the same session tables, changed, and how to declare them. Labels stay as they
are: the question is the same, only what is known about it gets worse. Which cells, rows and entities are hit is decided
by the md5 of the key, so it does not depend on the order of rows. Columns that change at the split's timestamp are what
a query sees differently from its context. Runs on DuckDB.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from dbt_rfm.bench import examples, suite
from dbt_rfm.bench.examples import Examples
from dbt_rfm.bench.suite import Dataset, SuiteTable, SuiteTask
from dbt_rfm.errors import ProjectError
from dbt_rfm.plan import sql
from dbt_rfm.schema.types import RelationalSchema
from dbt_rfm.warehouse.base import Warehouse

NOISE_COLUMNS, NOISE_ROWS = 50, 2  # of the irrelevant table; rows per entity
NEVER = datetime(9999, 1, 1)
_NUMERIC = re.compile(r"INT|DOUBLE|FLOAT|REAL|DECIMAL|NUMERIC", re.IGNORECASE)
_DIGITS = 4  # of the md5 that are compared


class DoesNotApplyError(ProjectError):
    """The database has nothing that could be spoilt in this way."""


@dataclass(frozen=True)
class Loaded:
    dataset: Dataset
    task: SuiteTask
    warehouse: Warehouse
    moment: datetime  # when the queried split begins


#: Changes the session tables; gives the description they have then.
Change = Callable[[Loaded], Dataset]


@dataclass(frozen=True)
class Corruption:
    """`load` and `choose` stand for those of the runner."""

    change: Change
    forgets: float = 0.0  # share of the entities that have no history

    def load(self, task: SuiteTask, moment: datetime, dataset: Dataset, warehouse: Warehouse) -> RelationalSchema:
        suite.load_tables(dataset, warehouse)
        return suite.declare(self.change(Loaded(dataset, task, warehouse, moment)), warehouse)

    def choose(self, dataset: Dataset, task: SuiteTask, *, protocol: str, split: str) -> Examples:
        """An entity without history has no past labels either, and nothing is learnt from it; it is asked."""
        chosen = examples.choose(dataset, task, protocol=protocol, split=split)
        if not self.forgets:
            return chosen
        return replace(chosen, labels=self._forget(chosen.labels), pool=chosen.pool.filter(self._kept(chosen.pool)))

    def _forget(self, labels: pa.Table) -> pa.Table:
        place = labels.schema.get_field_index("known_at")
        never = pa.scalar(NEVER, labels.schema.field(place).type)
        return labels.set_column(place, "known_at", pc.if_else(self._kept(labels), labels["known_at"], never))

    def _kept(self, rows: pa.Table) -> pa.Array:
        return pa.array([not is_forgotten(entity, self.forgets) for entity in rows["entity"].to_pylist()])


def is_forgotten(entity: object, share: float) -> bool:
    return hashlib.md5(f"{entity}|history".encode(), usedforsecurity=False).hexdigest() < _limit(share)


def nothing(loaded: Loaded) -> Dataset:
    return loaded.dataset


def missing_cells(loaded: Loaded, *, share: float) -> Dataset:
    for table in loaded.dataset.tables:
        plain = {name for name, _ in _plain_columns(loaded, table)}
        hit = {name: sql.when(exp.Not(this=_hit(table, name, share)), sql.column(name, "t")) for name in plain}
        _rewrite(loaded, table, hit)
    return loaded.dataset


def wrong_keys(loaded: Loaded, *, share: float) -> Dataset:
    """A share of the foreign keys point at what another, earlier row points at."""
    for child, column, _, _ in loaded.dataset.links:
        _misdirect(loaded, _table(loaded.dataset, child), column, share)
    return loaded.dataset


def wrong_units(loaded: Loaded) -> Dataset:
    table, column = _spoilt_column(loaded)
    value = sql.as_double(sql.column(column, "t"))
    times = exp.Mul(this=value, expression=exp.Literal.number("1000.0"))
    half = exp.Case(ifs=[exp.If(this=_hit(table, column, 0.5), true=times)], default=value.copy())
    _rewrite(loaded, table, {column: half})
    return loaded.dataset


def irrelevant_table(loaded: Loaded) -> Dataset:
    task, name = loaded.task, "noise"
    entity = sql.column(task.entity_column, "e")
    count = exp.Anonymous(this="range", expressions=[exp.Literal.number(NOISE_ROWS)])
    rows = exp.Table(this=count, alias=exp.TableAlias(this=sql.name("r"), columns=[sql.name("copy")]))
    text = _joined(entity, exp.Literal.string("noise"), sql.as_text(sql.column("copy", "r")))
    cells = [sql.aliased(_uniform(_joined(text, exp.Literal.string(str(i)))), f"x{i}") for i in range(NOISE_COLUMNS)]
    select = sql.select(sql.aliased(exp.MD5(this=text.copy()), "noise_id"), sql.aliased(entity, "of_entity"), *cells)
    select = select.from_(sql.temporary(task.entity_table, "e"), copy=False)
    loaded.warehouse.create_temporary(name, sql.join(select, rows, None))
    table = SuiteTable(name, loaded.dataset.tables[0].file, "noise_id", None)
    link = (name, "of_entity", task.entity_table, task.entity_column)
    return replace(loaded.dataset, tables=(*loaded.dataset.tables, table), links=(*loaded.dataset.links, link))


def no_history(loaded: Loaded, *, share: float) -> Dataset:
    """A share of the entities lose every row that points at them."""
    entity = loaded.task.entity_table
    for child, column, parent, _ in loaded.dataset.links:
        if parent == entity:
            drawn = exp.MD5(this=_joined(sql.column(column, "t"), exp.Literal.string("history")))
            others = exp.GTE(this=drawn, expression=exp.Literal.string(_limit(share)))
            nobody = exp.Is(this=sql.column(column, "t"), expression=exp.Null())
            kept = exp.Or(this=others, expression=nobody)
            _rewrite(loaded, _table(loaded.dataset, child), {}, where=kept)
    return loaded.dataset


def renamed_column(loaded: Loaded) -> Dataset:
    """From the split on the values are in a column of another name."""
    table, column = _spoilt_column(loaded)
    after = {f"{column}_v2": _later(loaded, table, column)}
    _rewrite(loaded, table, {column: _earlier(loaded, table, column)}, more=after)
    return loaded.dataset


def dropped_column(loaded: Loaded) -> Dataset:
    """The column is empty from the split on: the context has it, the newest rows of a query have not."""
    table, column = _spoilt_column(loaded)
    _rewrite(loaded, table, {column: _earlier(loaded, table, column)})
    return loaded.dataset


def added_column(loaded: Loaded) -> Dataset:
    """The column is empty before the split."""
    table, column = _spoilt_column(loaded)
    _rewrite(loaded, table, {column: _later(loaded, table, column)})
    return loaded.dataset


CLEAN = "clean"
CORRUPTIONS: dict[str, Corruption] = {
    CLEAN: Corruption(nothing),
    "10 % of cells missing": Corruption(partial(missing_cells, share=0.1)),
    "30 % of cells missing": Corruption(partial(missing_cells, share=0.3)),
    "50 % of cells missing": Corruption(partial(missing_cells, share=0.5)),
    "5 % of foreign keys wrong": Corruption(partial(wrong_keys, share=0.05)),
    "20 % of foreign keys wrong": Corruption(partial(wrong_keys, share=0.2)),
    "wrong units in half of a column": Corruption(wrong_units),
    "irrelevant table of 50 columns": Corruption(irrelevant_table),
    "a fifth of entities without history": Corruption(partial(no_history, share=0.2), forgets=0.2),
    "column renamed at the split": Corruption(renamed_column),
    "column dropped at the split": Corruption(dropped_column),
    "column added at the split": Corruption(added_column),
}


def _spoilt_column(loaded: Loaded) -> tuple[SuiteTable, str]:
    """The table of events that the query names first, and its number: one the query names, or the most varied.

    The target of an attribute task is not spoilt: it is a label.
    """
    query, linked = (
        loaded.task.query,
        {child for child, _, parent, _ in loaded.dataset.links if parent == loaded.task.entity_table},
    )
    timed = [t for t in loaded.dataset.tables if t.time_column and t.name in linked | {loaded.task.entity_table}]
    for table in sorted(timed, key=lambda t: _place(rf"\b{re.escape(t.name)}\.", query)):
        plain = [each for each in _plain_columns(loaded, table) if (table.name, each[0]) != loaded.task.attribute]
        numbers = [name for name, kind in plain if _NUMERIC.search(kind)]
        if numbers:
            variety = _variety(loaded, table, numbers)
            at = {name: _place(rf"\b{re.escape(table.name)}\.{re.escape(name)}\b", query) for name in numbers}
            return table, min(numbers, key=lambda name: (at[name], -variety[name], name))
    raise DoesNotApplyError(f"no table of events of {loaded.task.title} has a number that is no key")


def _place(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    return found.start() if found else len(text)


def _variety(loaded: Loaded, table: SuiteTable, names: list[str]) -> dict[str, int]:
    counts = [sql.aliased(exp.Count(this=exp.Distinct(expressions=[sql.column(name)])), name) for name in names]
    (row,) = loaded.warehouse.query(sql.select(*counts).from_(sql.temporary(table.name), copy=False)).to_pylist()
    return row


def _plain_columns(loaded: Loaded, table: SuiteTable) -> list[tuple[str, str]]:
    """(name, type) of the columns that are no key, no foreign key and not the time."""
    keys = {table.primary_key, table.time_column}
    keys |= {column for child, column, _, _ in loaded.dataset.links if child == table.name}
    keys |= {column for _, _, parent, column in loaded.dataset.links if parent == table.name}
    return [(name, kind) for name, kind in _columns(loaded, table) if name not in keys]


def _columns(loaded: Loaded, table: SuiteTable) -> list[tuple[str, str]]:
    return loaded.warehouse.describe(sql.temporary(table.name).sql(dialect=loaded.warehouse.dialect))


def _rewrite(
    loaded: Loaded,
    table: SuiteTable,
    changed: Mapping[str, exp.Expression],
    *,
    more: Mapping[str, exp.Expression] | None = None,
    where: exp.Expression | None = None,
) -> None:
    """Make the table again with some columns changed, more columns behind and only some rows."""
    cells = {name: changed.get(name, sql.column(name, "t")) for name, _ in _columns(loaded, table)}
    cells |= more or {}
    select = sql.select(*(sql.aliased(cell, name) for name, cell in cells.items()))
    select = select.from_(sql.temporary(table.name, "t"), copy=False)
    loaded.warehouse.create_temporary(table.name, select if where is None else select.where(where, copy=False))


def _misdirect(loaded: Loaded, table: SuiteTable, column: str, share: float) -> None:
    """Each row drawn gets the key of an earlier one, by lot: a later row's would tell who is busy later."""
    key, names = sql.column(table.primary_key, "t"), [name for name, _ in _columns(loaded, table)]
    order = [sql.column(table.time_column, "t")] if table.time_column else []
    place = sql.numbered([], [*order, exp.MD5(this=_joined(key, exp.Literal.string(column)))])
    picked = sql.select(
        sql.aliased(key, "key"), sql.aliased(sql.column(column, "t"), "value"), sql.aliased(place, "place")
    )
    picked = picked.from_(sql.temporary(table.name, "t"), copy=False).where(_hit(table, column, share), copy=False)
    number = exp.Anonymous(this="hash", expressions=[_joined(sql.column("key", "p"), exp.Literal.string(column))])
    earlier = exp.Add(this=exp.Mod(this=number, expression=sql.column("place", "p")), expression=exp.Literal.number(1))
    moved = sql.select(sql.column("key", "p"), sql.column("value", "q"))
    moved = moved.from_(sql.temporary("picked", "p"), copy=False)
    same = exp.EQ(this=earlier, expression=sql.column("place", "q"))
    moved = sql.join(moved, sql.temporary("picked", "q"), same)
    own = sql.column(column, "t")
    value = exp.Case(ifs=[exp.If(this=_hit(table, column, share), true=sql.column("value", "m"))], default=own)
    select = sql.select(*(sql.aliased(value if n == column else sql.column(n, "t"), n) for n in names))
    select = select.from_(sql.temporary(table.name, "t"), copy=False)
    select = sql.join(select, sql.temporary("moved", "m"), exp.EQ(this=sql.column("key", "m"), expression=key), "LEFT")
    loaded.warehouse.create_temporary(table.name, sql.with_steps(select, [("picked", picked), ("moved", moved)]))


def _table(dataset: Dataset, name: str) -> SuiteTable:
    return next(t for t in dataset.tables if t.name == name)


def _earlier(loaded: Loaded, table: SuiteTable, column: str) -> exp.Expression:
    assert table.time_column is not None, "_spoilt_column gives tables with a time"
    at, limit = sql.column(table.time_column, "t"), sql.timestamp(loaded.moment)
    return sql.when(exp.LT(this=at, expression=limit), sql.column(column, "t"))


def _later(loaded: Loaded, table: SuiteTable, column: str) -> exp.Expression:
    assert table.time_column is not None, "_spoilt_column gives tables with a time"
    at, limit = sql.column(table.time_column, "t"), sql.timestamp(loaded.moment)
    return sql.when(exp.GTE(this=at, expression=limit), sql.column(column, "t"))


def _hit(table: SuiteTable, column: str, share: float) -> exp.Expression:
    """True for a share of the cells of a column of `t`."""
    text = _joined(sql.column(table.primary_key, "t"), exp.Literal.string(column))
    return exp.LT(this=exp.MD5(this=text), expression=exp.Literal.string(_limit(share)))


def _joined(first: exp.Expression, *others: exp.Expression) -> exp.Expression:
    text = sql.as_text(first)
    for other in others:
        text = exp.DPipe(this=exp.DPipe(this=text, expression=exp.Literal.string("|")), expression=other.copy())
    return text


def _uniform(text: exp.Expression) -> exp.Expression:
    rest = exp.Mod(this=exp.Anonymous(this="hash", expressions=[text]), expression=exp.Literal.number(1_000_003))
    return exp.Div(this=sql.as_double(rest), expression=exp.Literal.number("1000003.0"))


def _limit(share: float) -> str:
    """What the md5 of that share of all texts is below."""
    return f"{int(share * 16**_DIGITS):0{_DIGITS}x}"
