"""Versions of a prediction: publish, hold back, roll back. Every change is one transaction.

    <name>            what readers see: the rows of the version that is `serving`
    <name>__history   the rows of every version, append only

The history and the registry (`registry.py`) are beside the served table or in a schema of their own (the var
dbt_rfm_schema).

Numbers count from 1 per prediction. DuckDB runs DDL inside transactions, so `create or replace` of the served table
and the registry take effect together: a reader never sees a half-published version. Where DDL ends a transaction, the
tables are made before it and it only moves rows. `ready` is a version that a worker has written and dbt has still to
serve. Publications of one process wait for each other (two threads of dbt may publish at once).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import pyarrow as pa
from sqlglot import exp

from dbt_rfm.errors import DataError
from dbt_rfm.job import Contract, JobTarget
from dbt_rfm.plan import sql
from dbt_rfm.shards.run_tables import SHARD_COLUMN
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.versions import registry
from dbt_rfm.versions.contract import contract_select
from dbt_rfm.versions.registry import HELD, READY, RETIRED, SERVING, Release
from dbt_rfm.warehouse.base import Warehouse
from dbt_rfm.warehouse.relations import exists, matching, named, table_type

#: Columns a kind of prediction has between its keys and its version.
KIND_COLUMNS = {
    TaskKind.BINARY: ("probability", "prediction"),
    TaskKind.MULTICLASS: ("class", "probability", "rank"),
    TaskKind.REGRESSION: ("prediction", "p10", "p50", "p90"),
    TaskKind.LINK: ("score", "rank"),
    TaskKind.FORECAST: ("step", "forecast_from", "forecast_until", "prediction", "p10", "p50", "p90"),
}
#: What every row of a version is marked with, in the types of sqlglot.
MARKS = (("model_version", "INT"), ("run_id", "TEXT"), ("predicted_at", "TIMESTAMP"))
_NEW_ROWS = "dbt_rfm_new_rows"
_WITHOUT_REPLACE = frozenset({"postgres"})  # which drops and creates inside one transaction instead

_publishing = threading.Lock()


class Serving(StrEnum):
    """Who makes the served table of a version that is not held back, and when."""

    HERE = "here"  # the publishing transaction
    CALLER = "caller"  # the caller, at once, from the rows (a dbt Python model's own materialization)
    READY = "ready"  # dbt, later, from the history: until then the version is `ready` and the last one serves


def publish(
    warehouse: Warehouse,
    target: JobTarget,
    rows: pa.Table | exp.Table,
    release: Release,
    *,
    hold: bool,
    contract: Contract,
    serving: Serving = Serving.HERE,
    home: JobTarget | None = None,
    settle: Callable[[int, str], None] = lambda number, status: None,
) -> int:
    """Record `rows`, or those of a table that is in the warehouse already, as the next version. Returns its number.

    `home`: where history and registry are, if not beside the served table. `settle` is told number and status at
    the end of the transaction, and what it raises undoes everything. Raises ProjectError if the rows break the
    contract, before anything is written.
    """
    home = home or target
    now = _clock(warehouse)
    with _publishing:
        source = _loaded(warehouse, rows)
        columns = _columns(warehouse, source)
        contract_select(source, [*columns, *MARKS], contract, dialect=warehouse.dialect, where=target.identifier)
        if not warehouse.transactional_ddl:
            _prepare(warehouse, home, source, columns)
        with warehouse.transaction():
            if warehouse.transactional_ddl:
                _prepare(warehouse, home, source, columns)
            number = registry.next_number(warehouse, home)
            marked = _marked(source, columns, number, release.run_id, now)
            _insert_select(warehouse, history_of(home), [name for name, _ in (*columns, *MARKS)], marked)
            if not hold and serving is not Serving.READY:
                registry.set_status(warehouse, home, RETIRED, matching(status=SERVING))
            if not hold and serving is Serving.HERE:
                _serve(warehouse, target, _as_declared(warehouse, target, marked.copy(), columns, contract))
            status = HELD if hold else READY if serving is Serving.READY else SERVING
            registry.record(warehouse, home, number, release, status, _count(warehouse, source), now)
            settle(number, status)
        _drop_loaded(warehouse)
    return number


def serve_empty(
    warehouse: Warehouse, target: JobTarget, rows: pa.Table, contract: Contract, *, as_table: JobTarget | None = None
) -> None:
    """Serve a table without rows (`dbt --empty`); history and registry stay as they are.

    `as_table`: make that table instead, from which dbt makes the served one.
    """
    with _publishing:
        source = _loaded(warehouse, rows.slice(0, 0))
        columns = _columns(warehouse, source)
        marked = _marked(source, columns, 0, "", _clock(warehouse))
        select = _as_declared(warehouse, target, marked, columns, contract)
        with warehouse.transaction():
            if as_table is None:
                _serve(warehouse, target, select)
            else:
                # Not every warehouse can replace a table; this one is nobody's but ours.
                warehouse.execute(exp.Drop(tables=[named(as_table)], kind="TABLE", exists=True))
                warehouse.execute(exp.Create(this=named(as_table), kind="TABLE", expression=select))
        _drop_loaded(warehouse)


def without_rows(warehouse: Warehouse, rows: pa.Table) -> pa.Table:
    """What `serve_empty` would serve, for a caller that makes the table."""
    with _publishing:
        source = _loaded(warehouse, rows.slice(0, 0))
        found = warehouse.query(_marked(source, _columns(warehouse, source), 0, "", _clock(warehouse)))
        _drop_loaded(warehouse)
    return found


def _as_declared(
    warehouse: Warehouse,
    target: JobTarget,
    marked: exp.Select,
    columns: Sequence[tuple[str, str]],
    contract: Contract,
) -> exp.Select:
    source = sql.subquery(marked, "new_rows")
    dialect, where = warehouse.dialect, target.identifier
    return contract_select(source, [*columns, *MARKS], contract, dialect=dialect, where=where)


def _loaded(warehouse: Warehouse, rows: pa.Table | exp.Table) -> exp.Table:
    """Where in the warehouse the rows are: a session table of ours, or the table that was given."""
    if isinstance(rows, exp.Table):
        return rows
    warehouse.load_temporary(_NEW_ROWS, rows)
    return sql.temporary(_NEW_ROWS)


def _columns(warehouse: Warehouse, source: exp.Table) -> list[tuple[str, str]]:
    """Those of the prediction; which shard a row came with is nobody's business any more."""
    return [c for c in warehouse.describe(_text(warehouse, source)) if c[0] != SHARD_COLUMN]


def _drop_loaded(warehouse: Warehouse) -> None:
    warehouse.execute(exp.Drop(tables=[sql.temporary(_NEW_ROWS)], kind="TABLE", exists=True))


def _prepare(warehouse: Warehouse, home: JobTarget, source: exp.Table, columns: Sequence[tuple[str, str]]) -> None:
    """The tables and columns that the new version needs, without its rows."""
    registry.prepare(warehouse, home)
    history = history_of(home)
    if not exists(warehouse, history):
        nothing = _marked(source, columns, 0, "", datetime(1970, 1, 1)).where(exp.false())
        warehouse.execute(exp.Create(this=named(history), kind="TABLE", expression=nothing))
        return
    for name, data_type in _new_columns(warehouse, history, columns).items():
        kind = exp.DataType.build(data_type, dialect=warehouse.dialect)
        add = exp.ColumnDef(this=sql.name(name), kind=kind)
        warehouse.execute(exp.Alter(this=named(history), kind="TABLE", actions=[add]))


def _marked(
    source: exp.Table, columns: Sequence[tuple[str, str]], number: int, run_id: str, now: datetime
) -> exp.Select:
    """The rows with the marks of their version."""
    values = (exp.convert(number), exp.convert(run_id), sql.timestamp(now))
    marks = [
        sql.aliased(exp.cast(value, exp.DataType.build(kind)), name)
        for value, (name, kind) in zip(values, MARKS, strict=True)
    ]
    return sql.select(*sql.columns(name for name, _ in columns), *marks).from_(source.copy(), copy=False)


def _clock(warehouse: Warehouse) -> datetime:
    """The time of the warehouse in UTC: those of the machines that write may differ."""
    now = sql.as_timestamp(exp.CurrentTimestamp(), "TIMESTAMPTZ")
    return warehouse.query(sql.select(sql.aliased(now, "now"))).column(0)[0].as_py()


def _count(warehouse: Warehouse, source: exp.Expression) -> int:
    counted = sql.select(sql.aliased(exp.Count(this=exp.Star()), "n")).from_(source.copy(), copy=False)
    return int(warehouse.query(counted).column(0)[0].as_py())


def served_rows(warehouse: Warehouse, target: JobTarget) -> pa.Table | None:
    """Rows of the version that is serving, from the history; None if there is none."""
    version = _serving_version(warehouse, target)
    return None if version is None else warehouse.query(_history_select(warehouse, target, *version))


def rollback(
    warehouse: Warehouse, target: JobTarget, version: int | None = None, *, home: JobTarget | None = None
) -> int:
    """Serve an older version again: `version`, or the newest retired one before the serving one.

    `home`: where history and registry are, if not beside the served table. Raises DataError if there is no such
    version.
    """
    home = home or target
    with _publishing:
        chosen = _rollback_to(warehouse, home, version)
        number = chosen["version"]
        rows = _history_select(warehouse, home, number, TaskKind(chosen["kind"]))
        if chosen["num_rows"] and not _count(warehouse, sql.subquery(rows.copy(), "kept")):
            raise DataError(
                f"the rows of {home.identifier} version {number} are gone from {history_of(home).identifier}",
                hint="Name another version with its number.",
            )
        now = _clock(warehouse)
        with warehouse.transaction():
            _serve_again(warehouse, target, rows)
            registry.set_status(warehouse, home, RETIRED, matching(status=SERVING))
            registry.set_status(warehouse, home, SERVING, matching(version=number), served_at=now)
    return number


def _rollback_to(warehouse: Warehouse, target: JobTarget, version: int | None) -> dict[str, Any]:
    """The version's row of the registry."""
    known = registry.list_versions(warehouse, target, target.identifier).to_pylist()
    if not known:
        raise DataError(
            f"no version of {target.identifier} was ever published",
            hint="`dbt-rfm versions` lists what is there.",
        )
    if version is None:
        serving = max((r["version"] for r in known if r["status"] == SERVING), default=0)
        older = [r for r in known if r["version"] < serving and r["status"] == RETIRED]
        if not older:
            stated = ", ".join(f"{r['version']} ({r['status']})" for r in known)
            lacks = f"has no retired version before {serving} to go back to" if serving else "serves no version yet"
            raise DataError(f"{target.identifier} {lacks}", hint=f"Name one with its number: {stated}.")
        return older[0]
    for row in known:
        if row["version"] == version:
            return row
    numbers = ", ".join(str(r["version"]) for r in known)
    raise DataError(f"{target.identifier} has no version {version}", hint=f"Versions: {numbers}.")


def history_of(target: JobTarget) -> JobTarget:
    return target.named(f"{target.identifier}__history")


def _new_columns(warehouse: Warehouse, history: JobTarget, columns: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Columns of the new rows that the history lacks. Raises DataError if a shared one has another type."""
    there = {name.casefold(): data_type for name, data_type in warehouse.describe(_sql(warehouse, history))}
    for name, data_type in columns:
        kept = there.get(name.casefold(), data_type)
        if kept != data_type:
            raise DataError(
                f"{history.identifier} keeps {name} as {kept}, and the query now gives {data_type}",
                hint="A query of another kind is another prediction: give it a new name or a dbt model version, "
                f"or drop {history.identifier}.",
            )
    return {name: data_type for name, data_type in columns if name.casefold() not in there}


def _serve(warehouse: Warehouse, target: JobTarget, select: exp.Select) -> None:
    there, replaces = table_type(warehouse, target), warehouse.dialect not in _WITHOUT_REPLACE
    if there == "VIEW" or (there and not replaces):
        warehouse.execute(exp.Drop(tables=[named(target)], kind="VIEW" if there == "VIEW" else "TABLE"))
    warehouse.execute(exp.Create(this=named(target), kind="TABLE", replace=replaces, expression=select))


def _serve_again(warehouse: Warehouse, target: JobTarget, select: exp.Select) -> None:
    """Rows of the history: changed in place where the columns stay, so that declared types and comments do."""
    names = [column.output_name for column in select.expressions]
    if table_type(warehouse, target) == "BASE TABLE":
        served = {name.casefold() for name, _ in warehouse.describe(_sql(warehouse, target))}
        if served == {name.casefold() for name in names}:
            warehouse.execute(exp.Delete(this=named(target)))
            _insert_select(warehouse, target, names, select)
            return
    _serve(warehouse, target, select)


def _insert_select(warehouse: Warehouse, table: JobTarget, names: Sequence[str], select: exp.Select) -> None:
    into = exp.Schema(this=named(table), expressions=[sql.name(n) for n in names])
    warehouse.execute(exp.Insert(this=into, expression=select))


def _serving_version(warehouse: Warehouse, target: JobTarget) -> tuple[int, TaskKind] | None:
    for row in registry.list_versions(warehouse, target, target.identifier).to_pylist():
        if row["status"] == SERVING:
            return row["version"], TaskKind(row["kind"])
    return None


def _history_select(warehouse: Warehouse, target: JobTarget, number: int, kind: TaskKind) -> exp.Select:
    """Rows of a version as they were served; the history may hold columns of other kinds of prediction too."""
    history = history_of(target)
    if not exists(warehouse, history):
        raise DataError(
            f"the history of {target.identifier} is gone: there is nothing to go back to",
            hint="Build the model anew: dbt build.",
        )
    others = {c for columns in KIND_COLUMNS.values() for c in columns} - set(KIND_COLUMNS[kind])
    names = [n for n, _ in warehouse.describe(_sql(warehouse, history)) if n not in others]
    marks = [name for name, _ in MARKS]
    names = [n for n in names if n not in marks] + marks
    return exp.select(*sql.columns(names)).from_(named(history)).where(matching(model_version=number))


def _sql(warehouse: Warehouse, target: JobTarget) -> str:
    return _text(warehouse, named(target))


def _text(warehouse: Warehouse, table: exp.Table) -> str:
    return table.sql(dialect=warehouse.dialect)
