"""Labels of the queries of corpus.pql on the suite's databases: ours beside those of the language owner's engine.

In: the databases (DBT_RFM_SUITE, else beside the repository) and, for each query, three anchors spread over those of
its tasks. Out: per query and anchor how many entities each side labels, how many only one of them, and how many
labels differ by more than single precision, in which their engine computes. No model and no server takes part.
"""

from __future__ import annotations

import math
import re
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
from sqlglot import exp

from dbt_rfm.errors import QueryError
from dbt_rfm.plan.graph import Graph
from dbt_rfm.plan.labels import labels_select
from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.parser import parse
from dbt_rfm.schema.types import RelationalSchema
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.warehouse.duckdb import DuckDB

if TYPE_CHECKING:
    import pandas as pd
    from sdm_relational_engine.rfm import KumoRelational

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent / "suites"))
ALL_ENTITIES = 10_000_000
PRECISION = 1e-5
# Where labels differ as decision 0016 says: what is undefined, inside NOT, AND and OR.
DECIDED = (r"WHERE NOT results\.position", r"MIN\(results\.position, .* (AND|OR) COUNT")
KINDS = (TaskKind.BINARY, TaskKind.REGRESSION)


@dataclass(frozen=True)
class Labels:
    """How the two sides label one query at one anchor; `refused` where one of them does not execute it."""

    query: str
    anchor: pd.Timestamp | None = None
    both: int = 0
    only_ours: int = 0
    only_theirs: int = 0
    different: int = 0
    refused: str = ""

    @property
    def decided(self) -> bool:
        return any(re.search(pattern, self.query) for pattern in DECIDED)

    @property
    def same(self) -> bool:
        return not (self.refused or self.only_ours or self.only_theirs or self.different)


def queries() -> dict[str, list[str]]:
    """The queries of corpus.pql by database: a comment of one word names the database of what follows."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in (HERE / "corpus.pql").read_text().splitlines():
        if not line.startswith("#"):
            found[name].append(line)
        elif len(line.split()) == 2:
            name = line.split()[1]
            found[name] = []
    return found


def compare_database(name: str) -> list[Labels]:
    from suite_database import FOLDER, load

    spec, schema, warehouse, connection = load(name)
    model = _their_model(schema, connection)
    files = [str(FOLDER / name / task["file"]) for task in spec["tasks"].values()]
    times = f"select distinct anchor_time::timestamp as t from read_parquet({files}, union_by_name = true) order by t"
    anchors = connection.execute(times).df()["t"]
    chosen = [anchors[int(len(anchors) * part)] for part in (0.3, 0.6, 0.9)]
    return [row for query in queries()[name] for row in _compare(query, schema, warehouse, model, chosen)]


def _compare(query: str, schema: RelationalSchema, warehouse: DuckDB, model: KumoRelational, anchors: list) -> list:
    import pyarrow as pa

    try:
        task = bind(parse(query), schema)
    except QueryError as error:
        return [Labels(query, refused=f"ours: {error}")]
    if task.kind not in KINDS:
        return [Labels(query, refused=f"not compared: {task.kind.value}")]
    rows = []
    for anchor in anchors:
        try:
            table = model.get_train_table(query, ALL_ENTITIES, anchor_time=anchor, max_iterations=1)
        except (ValueError, NotImplementedError, IndexError) as error:  # the last: NOT of what is undefined
            rows.append(Labels(query, anchor, refused=f"theirs: {type(error).__name__}: {error}"))
            continue
        theirs = dict(zip(table["ENTITY"].tolist(), map(float, table["TARGET"]), strict=True))
        warehouse.load_temporary("anchors", pa.table({"anchor_time": pa.array([anchor], pa.timestamp("us"))}))
        warehouse.create_temporary("ours", labels_select(task, Graph(schema, "duckdb"), "anchors"))
        ours = warehouse.query(exp.select("entity", "label").from_("ours").where("label is not null")).to_pydict()
        rows.append(_row(query, anchor, dict(zip(ours["entity"], map(float, ours["label"]), strict=True)), theirs))
    return rows


def _row(query: str, anchor: pd.Timestamp, ours: dict, theirs: dict) -> Labels:
    both = ours.keys() & theirs.keys()
    different = sum(not math.isclose(ours[e], theirs[e], rel_tol=PRECISION, abs_tol=1e-3) for e in both)
    return Labels(query, anchor, len(both), len(ours.keys() - both), len(theirs.keys() - both), different)


def _their_model(schema: RelationalSchema, connection: duckdb.DuckDBPyConnection) -> KumoRelational:
    """Their engine over the same tables, keys, times and links."""
    from sdm_relational_engine.rfm import KumoRelational, LocalGraph

    frames = {table.name: connection.table(table.name).df() for table in schema.tables}
    graph = LocalGraph.from_data(frames, edges=[], verbose=False)
    for table in schema.tables:
        graph[table.name].primary_key = table.primary_key[0]
        graph[table.name].time_column = table.time_column
    for link in schema.links:
        graph.link(link.child, link.child_column, link.parent)
    return KumoRelational(graph, verbose=False)


def main() -> None:
    from suite_database import FOLDER

    if not FOLDER.is_dir():
        print(f"no labels compared: no suite of databases at {FOLDER} (set DBT_RFM_SUITE)")
        return
    warnings.simplefilter("ignore")  # theirs, about columns whose meaning they guess
    rows = []
    for name in queries():
        for row in compare_database(name):
            rows.append(row)
            if not row.same:
                print(f"\n{name}: {row.query}\n  {row.refused or row}".replace(f"query={row.query!r}, ", ""))
    compared = [row for row in rows if not row.refused]
    print(
        f"\n{len(rows) - len(compared)} not compared; {len(compared)} pairs of query and anchor compared, ",
        end="",
    )
    print(
        f"{sum(row.same for row in compared)} the same, {sum(row.both for row in compared)} labels on both sides, ",
        end="",
    )
    print(f"{sum(row.different for row in compared)} of them different")


if __name__ == "__main__":
    main()
