"""The SQL of plans, word for word: a change to it is seen in review.

DuckDB's is run by the tests beside this one, the others' in tests/warehouses. To renew the files after a wanted
change, delete them and run the tests: what is missing is written, and the test fails once so that nobody overlooks it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from plan_databases import written
from sqlglot import exp

from dbt_rfm.plan.blocks import Names

DIALECTS = ("duckdb", "snowflake", "postgres")
NAMES = Names("x")
_FOLDER = Path(__file__).parents[2] / "golden" / "plan"


def assert_golden(plans: Mapping[str, exp.Expression], dialect: str) -> None:
    missing = []
    for name, select in plans.items():
        text = written(select, dialect)
        file = _FOLDER / f"{name}.{dialect}.sql"
        if not file.exists():
            file.write_text(text, encoding="utf-8")
            missing.append(file.name)
        assert text == file.read_text(encoding="utf-8"), file.name
    assert not missing, f"written now, read and commit them: {', '.join(missing)}"
