"""`meta.rfm` of the tables of the graph and of their columns, checked.

On a table: `time_column` (a column, or `none` for a table that is always known). On a column: `semantic_type`,
`ignore`, and `time_column: true`. An unknown name is an error with candidates: a typo must not turn into a guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from dbt_rfm.errors import ProjectError, did_you_mean
from dbt_rfm.job import JobTable
from dbt_rfm.options import Options
from dbt_rfm.schema.types import SemanticType

ALWAYS_KNOWN = "none"
_OF_TABLES = ("time_column",)
_OF_COLUMNS = ("ignore", "semantic_type", "time_column")
# A prediction may be a table of another prediction's graph; its own options are no mistake.
_OPTIONS = tuple(f.name for f in fields(Options))


@dataclass(frozen=True)
class ColumnMeta:
    semantic_type: SemanticType | None = None
    ignore: bool = False
    time_column: bool = False


@dataclass(frozen=True)
class TableMeta:
    """`time_column` is None where nothing is said, ALWAYS_KNOWN where the table is declared to have no time."""

    time_column: str | None
    columns: Mapping[str, ColumnMeta]  # by name without case; only columns that say something

    def of(self, column: str) -> ColumnMeta:
        return self.columns.get(column.casefold(), ColumnMeta())


def read_meta(given: JobTable) -> TableMeta:
    """Raises ProjectError for an unknown name, a value of the wrong form or two time columns."""
    where = given.unique_id or given.alias
    table = _rfm(given.meta, where)
    _check_names(table, (*_OF_TABLES, *_OPTIONS), _OF_TABLES, where)
    columns = {
        name.casefold(): meta
        for name, column in given.columns.items()
        if (meta := _column(_merged(column), f"{where}, column {name}")) != ColumnMeta()
    }
    marked = [name for name in given.columns if columns.get(name.casefold(), ColumnMeta()).time_column]
    return TableMeta(_time_column(table, marked, where), columns)


def _time_column(table: Mapping[str, Any], marked: list[str], where: str) -> str | None:
    named = table.get("time_column", "")
    if named is None or named is False or str(named).casefold() == ALWAYS_KNOWN:
        named = ALWAYS_KNOWN
    elif not isinstance(named, str):
        raise ProjectError(f"meta.rfm.time_column is {named!r}, expected the name of a column or none", where=where)
    said = {name.casefold(): name for name in (named, *marked) if name}
    if len(said) > 1:
        raise ProjectError(
            f"expected one time column, got {' and '.join(said.values())} from meta.rfm",
            where=where,
            hint="Keep meta.rfm.time_column in one place, on the table or on one column.",
        )
    return next(iter(said.values()), None)


def _column(rfm: Mapping[str, Any], where: str) -> ColumnMeta:
    _check_names(rfm, _OF_COLUMNS, _OF_COLUMNS, where)
    for name in ("ignore", "time_column"):
        if not isinstance(rfm.get(name, False), bool):
            raise ProjectError(f"meta.rfm.{name} is {rfm[name]!r}, expected true or false", where=where)
    semantic = rfm.get("semantic_type")
    kinds = [str(kind) for kind in SemanticType]
    if semantic is not None and semantic not in kinds:
        raise ProjectError(
            f"meta.rfm.semantic_type is {semantic!r}, expected one of {', '.join(kinds)}",
            where=where,
            hint=did_you_mean(str(semantic), kinds),
        )
    return ColumnMeta(
        SemanticType(semantic) if semantic else None, rfm.get("ignore", False), rfm.get("time_column", False)
    )


def _merged(column: Mapping[str, Any]) -> Mapping[str, Any]:
    """A column's `rfm` from `meta` and `config.meta`: dbt writes to both, older projects only to the first."""
    config = column.get("config")
    inner = (config.get("meta") if isinstance(config, Mapping) else None) or {}
    return _rfm({**(column.get("meta") or {}), **inner}, str(column.get("name", "")))


def _rfm(meta: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    rfm = meta.get("rfm") or {}
    if not isinstance(rfm, Mapping):
        raise ProjectError(f"meta.rfm is {rfm!r}, expected a mapping", where=where, hint="Write rfm: {time_column: …}.")
    return rfm


def _check_names(given: Mapping[str, Any], known: tuple[str, ...], shown: tuple[str, ...], where: str) -> None:
    for name in given:
        if name not in known:
            raise ProjectError(f"unknown entry meta.rfm.{name}", where=where, hint=did_you_mean(str(name), shown))
