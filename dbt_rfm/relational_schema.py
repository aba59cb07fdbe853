"""The body of the package's dbt Python model `rfm_relational_schema`: the schema as a table of the warehouse.

In: dbt-duckdb's session and the var dbt_rfm_graph. Out: Arrow rows, which dbt materializes. Keys and links come from
target/manifest.json, which dbt has written by the time a model runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dbt_rfm.errors import ProjectError, RfmError
from dbt_rfm.python_model import PredictionFailed, running_target_path

if TYPE_CHECKING:
    import pyarrow as pa


def relational_schema(session: Any, graph: Sequence[str] | Mapping[str, str] | None) -> pa.Table:
    """Raises PredictionFailed, which shows no traceback, for whatever the user can mend."""
    # dbt imports this package on every command; only this model needs Arrow and DuckDB.
    from dbt_rfm.manifest import job_from_manifest
    from dbt_rfm.schema.from_job import schema_from_job
    from dbt_rfm.schema.rows import schema_rows
    from dbt_rfm.warehouse.duckdb import DuckDB

    try:
        job = job_from_manifest(_manifest(), "", graph=graph)
        return schema_rows(schema_from_job(job, DuckDB(session)))
    except RfmError as error:
        raise PredictionFailed(error.problem, where=error.where, hint=error.hint) from None


def _manifest() -> dict[str, Any]:
    path = running_target_path() / "manifest.json"
    if not path.is_file():
        raise ProjectError(f"there is no {path}", hint="Run dbt without --no-write-json.")
    return json.loads(path.read_text(encoding="utf-8"))
