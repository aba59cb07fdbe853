"""The primary key that the dbt project declares: by a constraint, by tests, or as dbt tells it.

In: the job and a draft table. Out: a Key, with a note where only a weak test declares it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dbt_rfm.job import Job, JobTable, JobTest
from dbt_rfm.schema import names
from dbt_rfm.schema.dbt_names import is_plain, kind, spelled
from dbt_rfm.schema.declared_tests import arguments, column_of, is_dbts, is_on, weakness
from dbt_rfm.schema.types import Table


@dataclass(frozen=True)
class Key:
    """A declared primary key; `note` says when only a weak test declares it."""

    columns: tuple[str, ...]
    note: str = ""


def primary_key(job: Job, given: JobTable, table: Table) -> Key | None:
    """The declared key: a constraint, else `unique` + `not_null` tests, else what dbt says. None if there is none."""
    constrained = _constrained_key(given)
    if constrained:
        return Key(spelled(table, constrained))
    tested = _tested_keys(job, given, table)
    if tested:
        return min(tested, key=lambda key: _preference(job, given, table, key))
    return Key(spelled(table, given.primary_key)) if given.primary_key else None


def _constrained_key(given: JobTable) -> tuple[str, ...]:
    for constraint in given.constraints:
        if kind(constraint) == "primary_key" and constraint.get("columns"):
            return tuple(constraint["columns"])
    return tuple(
        name
        for name, column in given.columns.items()
        if any(kind(constraint) == "primary_key" for constraint in column.get("constraints") or ())
    )


def _tested_keys(job: Job, given: JobTable, table: Table) -> list[Key]:
    found: dict[str, dict[str, JobTest]] = {}
    for test in job.tests:
        if test.name not in ("unique", "not_null") or not is_dbts(test) or not is_on(test, given):
            continue
        column = column_of(test)
        if column and is_plain(column):
            tests = found.setdefault(table.column(column).name, {})
            if test.name not in tests or weakness(tests[test.name]):
                tests[test.name] = test
    keys = [_single_key(table, column, tests) for column, tests in found.items() if len(tests) == 2]
    return keys + _combined_keys(job, given, table)


def _single_key(table: Table, column: str, tests: Mapping[str, JobTest]) -> Key:
    weak = [f"its {name} test {weakness(test)}" for name, test in sorted(tests.items()) if weakness(test)]
    note = f"{table.name}: {column} is taken as the key although {' and '.join(weak)}" if weak else ""
    return Key((column,), note)


def _combined_keys(job: Job, given: JobTable, table: Table) -> list[Key]:
    """dbt_utils.unique_combination_of_columns: the usual way to declare a key of several columns."""
    combined = [t for t in job.tests if t.name == "unique_combination_of_columns" and is_on(t, given)]
    columns = [arguments(test).get("combination_of_columns") or () for test in combined if not weakness(test)]
    return [Key(spelled(table, c)) for c in columns if c and all(map(is_plain, c))]


def _preference(job: Job, given: JobTable, table: Table, key: Key) -> tuple:
    """Several columns may be unique: the one that other tables point at, then the one that is named like a key."""
    pointed_at = any(
        t.name == "relationships"
        and given.unique_id in t.depends_on
        and str(arguments(t).get("field", "")).casefold() == key.columns[0].casefold()
        for t in job.tests
    )
    own = names.stem(key.columns[0]) in ((), names.entity_words(table.name))
    position = [c.name for c in table.columns].index(key.columns[0])
    like_id = names.ends_like_id(key.columns[0])
    return (len(key.columns), bool(key.note), not pointed_at, not (own and like_id), not like_id, position)
