"""Versions of a prediction: publish, hold back, list, roll back. Every change is one transaction.

Tables, beside the served one, in its schema:
    <name>            what readers see: the rows of the version that is `serving`
    <name>__history   the rows of every version, append only
    rfm_versions      a row per version: where it came from and its status, serving | held | retired
    rfm_metrics       a row per version and figure of its backtest; baseline '' is the model itself

Numbers count from 1 per prediction. DuckDB runs DDL inside transactions, so `create or replace` of the served table
and the registry take effect together: a reader never sees a half-published version. Publications of one process wait
for each other (two threads of dbt may publish at once).
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from sqlglot import exp

from dbt_rfm.errors import DataError, ProjectError, did_you_mean
from dbt_rfm.job import Contract, JobTarget
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.warehouse.base import Warehouse

VERSIONS, METRICS = "rfm_versions", "rfm_metrics"
SERVING, HELD, RETIRED = "serving", "held", "retired"

_VERSION_COLUMNS = {
    "model_name": "text",
    "version": "int",
    "run_id": "text",
    "status": "text",
    "query": "text",
    "kind": "text",
    "schema_fingerprint": "text",
    "rfm_model": "text",
    "checkpoint_sha": "text",
    "snapshot_sha": "text",
    "anchor_time": "timestamp",
    "num_rows": "bigint",
    "backtest_metric": "text",
    "backtest_value": "double",
    "baseline_value": "double",
    "beats_baseline": "boolean",
    "created_at": "timestamp",
    "served_at": "timestamp",
    "package_version": "text",
}
_METRIC_COLUMNS = {
    "model_name": "text",
    "version": "int",
    "run_id": "text",
    "metric": "text",
    "value": "double",
    "split": "text",
    "baseline": "text",
    "created_at": "timestamp",
}
#: Columns a kind of prediction has between its keys and its version.
KIND_COLUMNS = {
    TaskKind.BINARY: ("probability", "prediction"),
    TaskKind.MULTICLASS: ("class", "probability", "rank"),
    TaskKind.REGRESSION: ("prediction", "p10", "p50", "p90"),
    TaskKind.LINK: ("score", "rank"),
    TaskKind.FORECAST: ("step", "forecast_from", "forecast_until", "prediction", "p10", "p50", "p90"),
}
_VERSION_MARKS = ("model_version", "run_id", "predicted_at")

_publishing = threading.Lock()


@dataclass(frozen=True)
class Release:
    """What the registry records of a new version besides its rows."""

    run_id: str
    query: str
    kind: TaskKind
    schema_fingerprint: str
    rfm_model: str
    checkpoint_sha: str
    snapshot_sha: str
    anchor_time: datetime
    package_version: str
    metrics: tuple[tuple[str, float, str, str], ...] = ()  # (metric, value, split, baseline)
    backtest_metric: str | None = None
    backtest_value: float | None = None
    baseline_value: float | None = None
    beats_baseline: bool | None = None


def publish(
    warehouse: Warehouse,
    target: JobTarget,
    rows: pa.Table,
    release: Release,
    *,
    hold: bool,
    contract: Contract,
    replace_served: bool = True,
) -> int:
    """Record `rows` as the next version and, unless held, serve them. Returns the version's number.

    `replace_served=False` leaves the served table to the caller (a dbt Python model's own materialization).
    Raises ProjectError if the rows break the contract, before anything is written.
    """
    now = datetime.now(UTC).replace(tzinfo=None)
    with _publishing:
        number = _next_number(warehouse, target)
        marked = _marked(rows, number, release.run_id, now)
        select = contract_select(marked, contract, where=target.identifier)
        warehouse.load_temporary("dbt_rfm_new_rows", marked)
        with warehouse.transaction():
            _ensure_registry(warehouse, target)
            _append_history(warehouse, target, marked)
            if not hold:
                _set_status(warehouse, target, RETIRED, _is(status=SERVING))
                if replace_served:
                    _serve(warehouse, target, select)
            _insert_release(warehouse, target, number, release, len(marked), hold, now)
        warehouse.execute(exp.Drop(tables=[exp.to_table("dbt_rfm_new_rows")], kind="TABLE", exists=True))
    return number


def serve_empty(warehouse: Warehouse, target: JobTarget, rows: pa.Table, contract: Contract) -> None:
    """Serve a table without rows (`dbt --empty`); history and registry stay as they are."""
    now = datetime.now(UTC).replace(tzinfo=None)
    marked = _marked(rows.slice(0, 0), 0, "", now)
    select = contract_select(marked, contract, where=target.identifier)
    with _publishing:
        warehouse.load_temporary("dbt_rfm_new_rows", marked)
        with warehouse.transaction():
            _serve(warehouse, target, select)


def list_versions(warehouse: Warehouse, target: JobTarget, model: str | None = None) -> pa.Table:
    """The registry, newest version first; empty if nothing was ever published in the target's schema."""
    if not exists(warehouse, target.named(VERSIONS)):
        return pa.table({name: pa.array([], type=pa.string()) for name in _VERSION_COLUMNS})
    select = exp.select(*_quoted(_VERSION_COLUMNS)).from_(_table(target.named(VERSIONS)))
    if model is not None:
        select = select.where(_is(model_name=model))
    return warehouse.query(select.order_by("model_name", exp.column("version").desc()))


def served_rows(warehouse: Warehouse, target: JobTarget) -> pa.Table | None:
    """Rows of the version that is serving, from the history; None if there is none."""
    version = _serving_version(warehouse, target)
    return None if version is None else warehouse.query(_history_select(warehouse, target, *version))


def rollback(warehouse: Warehouse, target: JobTarget, version: int | None = None) -> int:
    """Serve an older version again: `version`, or the newest retired one before the serving one.

    Raises DataError if there is no such version.
    """
    with _publishing:
        number, kind = _rollback_to(warehouse, target, version)
        now = datetime.now(UTC).replace(tzinfo=None)
        with warehouse.transaction():
            _serve_again(warehouse, target, _history_select(warehouse, target, number, kind))
            _set_status(warehouse, target, RETIRED, _is(status=SERVING))
            _set_status(warehouse, target, SERVING, _is(version=number), served_at=now)
    return number


def _rollback_to(warehouse: Warehouse, target: JobTarget, version: int | None) -> tuple[int, TaskKind]:
    known = [r for r in list_versions(warehouse, target, target.identifier).to_pylist()]
    if not known:
        raise DataError(
            f"no version of {target.identifier} was ever published",
            hint="`dbt-rfm versions` lists what is there.",
        )
    if version is None:
        serving = max((r["version"] for r in known if r["status"] == SERVING), default=0)
        older = [r for r in known if r["version"] < serving and r["status"] == RETIRED]
        if not older:
            raise DataError(
                f"{target.identifier} has no retired version before {serving} to go back to",
                hint="Name one with its number.",
            )
        return older[0]["version"], TaskKind(older[0]["kind"])
    for row in known:
        if row["version"] == version:
            return version, TaskKind(row["kind"])
    numbers = ", ".join(str(r["version"]) for r in known)
    raise DataError(f"{target.identifier} has no version {version}", hint=f"Versions: {numbers}.")


def contract_select(rows: pa.Table, contract: Contract, *, where: str) -> exp.Select:
    """SELECT from the loaded rows in the contract's order and types; all columns where no contract is enforced.

    Raises ProjectError naming every column that is missing, not produced, or of another family of types.
    """
    source = exp.to_table("dbt_rfm_new_rows")
    if not contract.enforced:
        return exp.select(*_quoted(rows.column_names)).from_(source)
    declared = {name.casefold(): (name, data_type) for name, data_type in contract.columns}
    produced = {name.casefold(): name for name in rows.column_names}
    problems = [f"{produced[n]} is produced but not declared" for n in produced if n not in declared]
    problems += [f"{declared[n][0]} is declared but not produced" for n in declared if n not in produced]
    selected: list[exp.Expression] = []
    for folded, (name, data_type) in declared.items():
        if folded not in produced:
            continue
        if data_type and not _same_family(rows.schema.field(produced[folded]).type, data_type):
            got = rows.schema.field(produced[folded]).type
            problems.append(f"{name} is declared {data_type} but is {got}")
        column: exp.Expression = _column(produced[folded])
        if data_type:
            column = exp.cast(column, exp.DataType.build(data_type, dialect="duckdb"))
        selected.append(exp.Alias(this=column, alias=exp.to_identifier(name, quoted=True)))
    if problems:
        raise ProjectError(
            "the contract does not fit this prediction: " + "; ".join(problems),
            where=where,
            hint="A prediction of this query has the columns " + ", ".join(rows.column_names) + ".",
        )
    return exp.select(*selected).from_(source)


def _same_family(arrow: pa.DataType, declared: str) -> bool:
    built = exp.DataType.build(declared, dialect="duckdb")
    if pa.types.is_boolean(arrow):
        return built.is_type("boolean")
    if pa.types.is_timestamp(arrow) or pa.types.is_date(arrow):
        return built.this in exp.DataType.TEMPORAL_TYPES
    if pa.types.is_integer(arrow) or pa.types.is_floating(arrow) or pa.types.is_decimal(arrow):
        return built.this in exp.DataType.NUMERIC_TYPES
    return built.this in exp.DataType.TEXT_TYPES


def exists(warehouse: Warehouse, target: JobTarget) -> bool:
    """Whether a table or view of that name is there."""
    return _table_type(warehouse, target) is not None


def _table_type(warehouse: Warehouse, target: JobTarget) -> str | None:
    select = exp.select("table_type").from_("information_schema.tables").where(*_named(target))
    found = warehouse.query(select).column(0).to_pylist()
    return found[0] if found else None


def _named(target: JobTarget) -> list[exp.Expression]:
    clauses = {"table_schema": target.schema, "table_name": target.identifier, "table_catalog": target.database}
    return [_is(**{column: value}) for column, value in clauses.items() if value]


def _history(target: JobTarget) -> JobTarget:
    return target.named(f"{target.identifier}__history")


def _marked(rows: pa.Table, number: int, run_id: str, now: datetime) -> pa.Table:
    count = len(rows)
    marks = {
        "model_version": pa.array([number] * count, type=pa.int32()),
        "run_id": pa.array([run_id] * count, type=pa.string()),
        "predicted_at": pa.array([now] * count, type=pa.timestamp("us")),
    }
    for name, values in marks.items():
        rows = rows.append_column(name, values)
    return rows


def _next_number(warehouse: Warehouse, target: JobTarget) -> int:
    if not exists(warehouse, target.named(VERSIONS)):
        return 1
    newest = exp.func("coalesce", exp.Max(this=_column("version")), exp.Literal.number(0))
    select = exp.select(newest.as_("newest")).from_(_table(target.named(VERSIONS)))
    return int(warehouse.query(select.where(_is(model_name=target.identifier))).column(0)[0].as_py()) + 1


def _ensure_registry(warehouse: Warehouse, target: JobTarget) -> None:
    for name, columns in ((VERSIONS, _VERSION_COLUMNS), (METRICS, _METRIC_COLUMNS)):
        definitions = [
            exp.ColumnDef(this=exp.to_identifier(c, quoted=True), kind=exp.DataType.build(t))
            for c, t in columns.items()
        ]
        schema = exp.Schema(this=_table(target.named(name)), expressions=definitions)
        warehouse.execute(exp.Create(this=schema, kind="TABLE", exists=True))


def _append_history(warehouse: Warehouse, target: JobTarget, rows: pa.Table) -> None:
    history, source = _history(target), exp.to_table("dbt_rfm_new_rows")
    select = exp.select(*_quoted(rows.column_names)).from_(source)
    if not exists(warehouse, history):
        warehouse.execute(exp.Create(this=_table(history), kind="TABLE", expression=select))
        return
    for name, data_type in _new_columns(warehouse, history).items():
        kind = exp.DataType.build(data_type, dialect=warehouse.dialect)
        add = exp.ColumnDef(this=exp.to_identifier(name, quoted=True), kind=kind)
        warehouse.execute(exp.Alter(this=_table(history), kind="TABLE", actions=[add]))
    names = [exp.to_identifier(n, quoted=True) for n in rows.column_names]
    warehouse.execute(exp.Insert(this=exp.Schema(this=_table(history), expressions=names), expression=select))


def _new_columns(warehouse: Warehouse, history: JobTarget) -> dict[str, str]:
    """Columns of the new rows that the history lacks. Raises DataError if a shared one has another type."""
    there = {name.casefold(): data_type for name, data_type in warehouse.describe(_sql(warehouse, history))}
    new = dict(warehouse.describe("dbt_rfm_new_rows"))
    for name, data_type in new.items():
        kept = there.get(name.casefold(), data_type)
        if kept != data_type:
            raise DataError(
                f"{history.identifier} keeps {name} as {kept}, and the query now gives {data_type}",
                hint="A query of another kind is another prediction: give it a new name or a dbt model version, "
                f"or drop {history.identifier}.",
            )
    return {name: data_type for name, data_type in new.items() if name.casefold() not in there}


def _serve(warehouse: Warehouse, target: JobTarget, select: exp.Select) -> None:
    if _table_type(warehouse, target) == "VIEW":
        warehouse.execute(exp.Drop(tables=[_table(target)], kind="VIEW"))
    warehouse.execute(exp.Create(this=_table(target), kind="TABLE", replace=True, expression=select))


def _serve_again(warehouse: Warehouse, target: JobTarget, select: exp.Select) -> None:
    """Rows of the history: changed in place where the columns stay, so that declared types and comments do."""
    names = [column.output_name for column in select.expressions]
    if _table_type(warehouse, target) == "BASE TABLE":
        served = {name.casefold() for name, _ in warehouse.describe(_sql(warehouse, target))}
        if served == {name.casefold() for name in names}:
            into = exp.Schema(this=_table(target), expressions=[exp.to_identifier(n, quoted=True) for n in names])
            warehouse.execute(exp.Delete(this=_table(target)))
            warehouse.execute(exp.Insert(this=into, expression=select))
            return
    _serve(warehouse, target, select)


def _set_status(warehouse: Warehouse, target: JobTarget, status: str, where: exp.Expression, **also: Any) -> None:
    update = exp.update(
        _table(target.named(VERSIONS)),
        {"status": status, **also},
        where=exp.and_(_is(model_name=target.identifier), where),
    )
    warehouse.execute(update)


def _insert_release(
    warehouse: Warehouse,
    target: JobTarget,
    number: int,
    release: Release,
    num_rows: int,
    hold: bool,
    now: datetime,
) -> None:
    values = {
        **{c: getattr(release, c) for c in _VERSION_COLUMNS if hasattr(release, c)},
        "model_name": target.identifier,
        "version": number,
        "status": HELD if hold else SERVING,
        "kind": str(release.kind),
        "num_rows": num_rows,
        "created_at": now,
        "served_at": None if hold else now,
    }
    _insert(warehouse, target.named(VERSIONS), _VERSION_COLUMNS, [values])
    figures = [
        {
            "model_name": target.identifier,
            "version": number,
            "run_id": release.run_id,
            "metric": metric,
            "value": value,
            "split": split,
            "baseline": baseline,
            "created_at": now,
        }
        for metric, value, split, baseline in release.metrics
    ]
    if figures:
        _insert(warehouse, target.named(METRICS), _METRIC_COLUMNS, figures)


def _insert(warehouse: Warehouse, table: JobTarget, columns: dict[str, str], rows: Sequence[dict[str, Any]]) -> None:
    tuples = [
        exp.Tuple(expressions=[exp.cast(exp.convert(row[c]), exp.DataType.build(t)) for c, t in columns.items()])
        for row in rows
    ]
    into = exp.Schema(this=_table(table), expressions=[exp.to_identifier(c, quoted=True) for c in columns])
    warehouse.execute(exp.Insert(this=into, expression=exp.Values(expressions=tuples)))


def _serving_version(warehouse: Warehouse, target: JobTarget) -> tuple[int, TaskKind] | None:
    for row in list_versions(warehouse, target, target.identifier).to_pylist():
        if row["status"] == SERVING:
            return row["version"], TaskKind(row["kind"])
    return None


def _history_select(warehouse: Warehouse, target: JobTarget, number: int, kind: TaskKind) -> exp.Select:
    """Rows of a version as they were served; the history may hold columns of other kinds of prediction too."""
    history = _history(target)
    if not exists(warehouse, history):
        raise DataError(f"the history of {target.identifier} is gone: there is nothing to go back to")
    others = {c for columns in KIND_COLUMNS.values() for c in columns} - set(KIND_COLUMNS[kind])
    names = [n for n, _ in warehouse.describe(_sql(warehouse, history)) if n not in others]
    names = [n for n in names if n not in _VERSION_MARKS] + list(_VERSION_MARKS)
    return exp.select(*_quoted(names)).from_(_table(history)).where(_is(model_version=number))


def unknown_model_hint(name: str, versions: pa.Table) -> str:
    """Candidates for a prediction's name, for commands that take one."""
    return did_you_mean(name, sorted(set(versions.column("model_name").to_pylist())))


def _table(target: JobTarget) -> exp.Table:
    return exp.table_(target.identifier, db=target.schema or None, catalog=target.database or None, quoted=True)


def _sql(warehouse: Warehouse, target: JobTarget) -> str:
    return _table(target).sql(dialect=warehouse.dialect)


def _column(name: str) -> exp.Column:
    return exp.column(exp.to_identifier(name, quoted=True))


def _quoted(names: Iterable[str]) -> list[exp.Expression]:
    return [_column(name) for name in names]


def _is(**equal: Any) -> exp.Expression:
    conditions = [exp.EQ(this=_column(name), expression=exp.convert(value)) for name, value in equal.items()]
    return exp.and_(*conditions)  # type: ignore[return-value]  # sqlglot types a condition apart
