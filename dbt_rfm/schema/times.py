"""Which column says when a row happened.

In: a table and what is declared. Out: the time column, or the foreign key that leads to it, and how it was found.
Order: `meta.rfm.time_column`, dbt's `event_time`, the validity of a dbt snapshot, the only date or timestamp. Time
rule: a wrong choice leaks the future or hides the past, so with several candidates nothing is guessed and the reader is
asked. Birthdays and load times (`_loaded_at`, `dbt_updated_at`) never count: they do not say when the thing happened.
Nor do moments that are overwritten: by `last_seen_at` a user would begin to exist when he was last seen, and whether it
lies before an anchor says what he did after it. `updated_at` counts where a table has nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dbt_rfm.errors import ProjectError
from dbt_rfm.job import JobTable
from dbt_rfm.schema import names
from dbt_rfm.schema.data_types import Family, family
from dbt_rfm.schema.meta import ALWAYS_KNOWN, TableMeta
from dbt_rfm.schema.types import Column, Table

# Names that mean "when this happened" and nothing else.
_EVENT_NAMES = frozenset(
    {
        ("event", "time"),
        ("event", "at"),
        ("event", "timestamp"),
        ("event", "date"),
        ("occurred", "at"),
        ("happened", "at"),
    }
)
LAST = frozenset({"last", "latest", "recent", "newest"})
_CHANGED = frozenset({"updated", "modified", "changed"})
_BIRTH = frozenset({"birth", "birthday", "birthdate", "dob", "born"})
_LOADERS = frozenset({"dbt", "etl", "fivetran", "airbyte", "dlt", "meltano", "stitch", "sdc", "loaded", "ingested"})


def with_time(table: Table, given: JobTable, meta: TableMeta) -> Table:
    """The table with its time. Raises SeveralTimes if several columns could be meant."""
    if given.resource_type == "snapshot" or given.snapshot_columns:
        table = _with_validity(table, given)
    # dbt writes event_time into its SQL as it is, so that of a name with spaces has quotes.
    declared = meta.time_column or (given.event_time or "").strip('"`')
    if declared == ALWAYS_KNOWN:
        return table
    if declared:
        named = table.column(declared)
        if family(named.data_type) is not Family.TIME and table.valid_from is None:
            return replace(table, time_link=named.name)  # whether it is a foreign key shows once links are known
        return replace(table, time_column=_checked(table, declared))
    if table.valid_from is not None:
        return table
    found = _only_candidate(table)
    return replace(table, time_column=found, time_column_inferred=found is not None)


def _with_validity(table: Table, given: JobTable) -> Table:
    since, until = (
        _checked(table, given.snapshot_columns.get(name, name)) for name in ("dbt_valid_from", "dbt_valid_to")
    )
    return replace(table, valid_from=since, valid_to=until)


def _checked(table: Table, name: str) -> str:
    column = table.column(name)
    if family(column.data_type) is not Family.TIME:
        raise ProjectError(
            f"time column {table.name}.{column.name} is {column.data_type}, expected a date or a timestamp",
            where=table.unique_id,
            hint=f"Cast {column.name} to timestamp in the model.",
        )
    return column.name


def is_overwritten(column: Column) -> bool:
    """Whether a column of moments, by its name, holds the last one only."""
    return family(column.data_type) is Family.TIME and bool({*names.words(column.name)} & (LAST | _CHANGED))


class SeveralTimes(ProjectError):
    """A table has several columns that could be its time."""

    def __init__(self, table: Table, candidates: Sequence[str]) -> None:
        self.table, self.listed = table, f"{', '.join(candidates[:-1])} and {candidates[-1]}"
        super().__init__(
            f"expected one time column, got {self.listed}",
            where=table.unique_id or table.name,
            hint=f"Set event_time or meta.rfm.time_column of {table.name} to the one that says when a row happened, "
            f"or meta.rfm.time_column to {ALWAYS_KNOWN} if its rows are always known.",
        )


def of_all(found: Sequence[SeveralTimes]) -> ProjectError:
    """One error for all tables that have several, so that they can be mended at once."""
    if len(found) == 1:
        return found[0]
    tables = "; ".join(f"{error.where} has {error.listed}" for error in found)
    return ProjectError(
        f"expected one time column of each table, but {tables}",
        hint="Set event_time or meta.rfm.time_column of each to the one that says when a row happened, or "
        f"meta.rfm.time_column to {ALWAYS_KNOWN} if its rows are always known.",
    )


def _only_candidate(table: Table) -> str | None:
    candidates = [c.name for c in table.columns if family(c.data_type) is Family.TIME and says_when(c.name)]
    clear = [name for name in candidates if names.words(name) in _EVENT_NAMES]
    if len(clear) == 1:
        return clear[0]
    candidates = [name for name in candidates if not {*names.words(name)} & _CHANGED] or candidates
    if len(candidates) > 1:
        raise SeveralTimes(table, candidates)
    return candidates[0] if candidates else None


def says_when(name: str) -> bool:
    parts = set(names.words(name))
    return not (name.startswith("_") or parts & (_BIRTH | _LOADERS | LAST))
