"""Labels and neighbours of 1,000 examples, ours beside those of the query language owner's engine, on the same file.

    python bench/context_assembly.py --file target/scale/events_1000000.duckdb [--theirs .venv-differential/bin/python]

The file is one of bench/scale.py. Their engine runs in a process and a virtual environment of its own (made by
`make differential`): it draws the accounts, labels them at an anchor and samples their newest 32 events. Ours answers
for the same accounts at the same anchor: the labels, the newest 32 events of each, then all features of the model on
top, all from session tables of those accounts' rows (`plan/asked.py`), whose making counts as part of the labels. Both
are warm and read the file anew; of each part the least of the repeats but the first counts. The rows are compared, and
the program fails where they differ.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

EXAMPLES, NEIGHBOURS, DAYS = 1000, 32, 30
QUERY = f"PREDICT COUNT(events.*, 0, {DAYS}, days) = 0 FOR EACH accounts.account_id"
REPEATS = 15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--file", type=Path, required=True)
    parser.add_argument("--theirs", type=Path, default=Path(".venv-differential/bin/python"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", choices=("theirs", "ours"), help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.only:
        print(json.dumps((their_side if given.only == "theirs" else our_side)(given)))
        return
    with tempfile.TemporaryDirectory() as folder:
        given.rows = Path(folder)
        theirs = _in_a_process(given, given.theirs, "theirs")
        ours = _in_a_process(given, Path(sys.executable), "ours")
    _show(theirs, ours)
    if given.json:
        given.json.write_text(json.dumps({"theirs": theirs, "ours": ours}, indent=2) + "\n")


def _in_a_process(given: argparse.Namespace, python: Path, side: str) -> dict[str, Any]:
    command = [str(python), __file__, "--file", str(given.file), "--threads", str(given.threads)]
    done = subprocess.run(
        [*command, "--only", side, "--rows", str(given.rows)], check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def their_side(given: argparse.Namespace) -> dict[str, Any]:
    import warnings

    import numpy as np
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq
    from sdm_relational_engine.rfm import Graph, KumoRelational
    from sdm_relational_engine.rfm.backend.duckdb import connect

    warnings.simplefilter("ignore")
    started = time.perf_counter()
    tables = [
        {"name": "accounts", "primary_key": "account_id"},
        {"name": "events", "primary_key": "event_id", "time_column": "happened_at"},
    ]
    connection = connect(str(given.file), read_only=True, config={"threads": given.threads})
    graph = Graph.from_duckdb(connection, tables, edges=[("events", "account_id", "accounts")], verbose=False)
    engine = KumoRelational(graph, verbose=False)
    begun = time.perf_counter() - started
    newest = pd.Timestamp(_newest(connection))
    anchor = newest - pd.DateOffset(days=DAYS)
    timed = []
    for _ in range(REPEATS):
        labels, for_labels = _clocked(lambda: engine.get_train_table(QUERY, EXAMPLES, anchor_time=anchor))
        chosen = pd.Series(labels["ENTITY"].to_numpy())
        moments = pd.Series(np.full(len(chosen), anchor, dtype="datetime64[ns]"))
        asked = (("accounts",), chosen, moments, [NEIGHBOURS])
        around, for_neighbours = _clocked(partial(engine._sampler.sample_subgraph, *asked))
        timed.append((for_labels[0], for_neighbours[0], for_labels[1] + for_neighbours[1]))
    sampled = around.tables["events"]
    happened = pa.array(sampled.df["happened_at"], pa.timestamp("us"))
    table = pa.table({"entity": chosen.to_numpy()[sampled.batch].astype("int64"), "happened_at": happened})
    pq.write_table(table, given.rows / "neighbours.parquet")
    labelled = {"entity": [int(e) for e in labels["ENTITY"]], "label": [bool(v) for v in labels["TARGET"]]}
    pq.write_table(pa.table(labelled), given.rows / "labels.parquet")
    (given.rows / "anchor").write_text(str(anchor))
    return {"open": begun, **_least(timed), "rows": len(table), "peak_mb": _peak_mb()}


def _newest(connection: Any) -> Any:
    with connection.cursor() as cursor:
        return cursor.execute("SELECT max(happened_at) FROM events").fetchone()[0]


def our_side(given: argparse.Namespace) -> dict[str, Any]:
    from datetime import datetime

    import duckdb
    import pyarrow.parquet as pq

    from dbt_rfm.warehouse.duckdb import DuckDB

    started = time.perf_counter()
    with duckdb.connect(str(given.file), read_only=True, config={"threads": given.threads}) as connection:
        anchor = datetime.fromisoformat((given.rows / "anchor").read_text())
        wanted = pq.read_table(given.rows / "labels.parquet")
        asked = _Asked(DuckDB(connection), wanted["entity"], anchor)
        begun = time.perf_counter() - started
        timed, with_features = [], []
        for _ in range(REPEATS):
            labels, for_labels = _clocked(asked.labels)
            neighbours, for_neighbours = _clocked(asked.neighbours)
            features, for_features = _clocked(asked.features)
            timed.append((for_labels[0], for_neighbours[0], for_labels[1] + for_neighbours[1]))
            with_features.append(for_features)
    assert _pairs(labels, "label") == _pairs(wanted, "label"), "the labels differ"
    theirs = pq.read_table(given.rows / "neighbours.parquet")
    assert _pairs(neighbours, "happened_at") == _pairs(theirs, "happened_at"), "the neighbours differ"
    wall, cpu = (min(column) for column in zip(*with_features[1:], strict=True))
    on_top = {"features": wall, "features_cpu": cpu, "columns": features.num_columns - 1}
    return {"open": begun, **_least(timed), "rows": len(neighbours), "peak_mb": _peak_mb(), **on_top}


class _Asked:
    """The examples that were drawn, as the rooms of the package take them."""

    def __init__(self, warehouse: Any, entities: Any, anchor: Any) -> None:
        import pyarrow as pa
        from sqlglot import exp

        from dbt_rfm.plan.asked import asked_rows
        from dbt_rfm.plan.blocks import Names
        from dbt_rfm.plan.features import derived_of
        from dbt_rfm.plan.graph import Graph
        from dbt_rfm.plan.values import Scope
        from dbt_rfm.pql.binder import bind
        from dbt_rfm.pql.parser import parse
        from dbt_rfm.schema.types import RelationalSchema

        self.warehouse, self.names = warehouse, Names("bench")
        schema = RelationalSchema(*schema_parts())
        self.task = bind(parse(QUERY), schema)
        self.entity = (self.task.entity.table, self.task.entity.column.name)
        keys = exp.select("entity").from_("rfm_chosen")
        graph = Graph(schema, warehouse.dialect)
        graph, self.first = asked_rows(graph, self.names, self.entity, keys, with_rows=True)
        self.scope = Scope(graph, derived=derived_of(self.task))
        warehouse.load_temporary("rfm_chosen", pa.table({"entity": entities}))
        moment = pa.array([anchor], pa.timestamp("us"))
        warehouse.load_temporary(self.names("anchors"), pa.table({"anchor_time": moment}))

    def labels(self) -> Any:
        from sqlglot import exp

        from dbt_rfm.plan.examples import with_known_at
        from dbt_rfm.plan.labels import labels_select

        warehouse, names = self.warehouse, self.names
        for step in self.first:
            warehouse.create_temporary(step.table, step.select.copy())
        labels = labels_select(self.task, self.scope.graph, names("anchors"))
        warehouse.create_temporary(names.labels, with_known_at(labels, DAYS, "days", self.task.kind))
        labelled = exp.select(
            "row_number() over (order by entity) - 1 as example_id",
            "entity",
            "anchor_time",
            "anchor_time as as_of",
            "label",
        )
        warehouse.create_temporary(names.examples, labelled.from_(names.labels))
        return warehouse.query(exp.select("entity", "label").from_(names.examples))

    def neighbours(self) -> Any:
        from dbt_rfm.plan.bounds import bounds_select
        from dbt_rfm.plan.neighbours import neighbours_plan
        from dbt_rfm.plan.windows import look_backs

        warehouse, names = self.warehouse, self.names
        warehouse.create_temporary(names.bounds, bounds_select(names.examples, look_backs(self.task.horizon)))
        plan = neighbours_plan(self.scope, names, *self.entity, (NEIGHBOURS,))
        for step in plan.steps:
            warehouse.create_temporary(step.table, step.select)
        rows = {name: warehouse.query(select) for name, select in plan.rows.items()}["events"]
        return rows.rename_columns({"account_id": "entity"})

    def features(self) -> Any:
        from dbt_rfm.collect.assemble import assemble
        from dbt_rfm.plan.features import feature_plan
        from dbt_rfm.warehouse.session import Session

        kind, horizon = self.task.kind, self.task.horizon
        plan = feature_plan(self.scope, self.names, self.entity, kind=kind, horizon=horizon, few_anchors=True)
        for step in plan.steps:
            if step.table != self.names.bounds:  # the neighbours have made them
                self.warehouse.create_temporary(step.table, step.select)
        return assemble(Session(self.warehouse), plan.blocks)[0]


def schema_parts() -> tuple[Any, Any]:
    from dbt_rfm.schema.types import Column, Link, SemanticType, Table

    ids, numbers, times = SemanticType.ID, SemanticType.NUMERICAL, SemanticType.TIMESTAMP
    accounts = (("account_id", "BIGINT", ids), ("region", "BIGINT", numbers), ("plan", "BIGINT", numbers))
    events = (
        ("event_id", "BIGINT", ids),
        ("account_id", "BIGINT", ids),
        ("happened_at", "TIMESTAMP", times),
        ("amount", "DOUBLE", numbers),
    )
    opened = Column("opened_at", "TIMESTAMP", times)
    tables = (
        Table("accounts", "accounts", (*(Column(*c) for c in accounts), opened), ("account_id",)),
        Table("events", "events", tuple(Column(*c) for c in events), ("event_id",), "happened_at"),
    )
    return tables, (Link("events", "account_id", "accounts", "account_id"),)


def _pairs(table: Any, column: str) -> list[tuple]:
    return sorted(zip(table["entity"].to_pylist(), table[column].to_pylist(), strict=True))


def _clocked(work: Any) -> tuple[Any, tuple[float, float]]:
    """What came of it; seconds on the clock and of the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    return work(), (time.perf_counter() - wall, time.process_time() - cpu)


def _least(timed: list[tuple[float, float, float]]) -> dict[str, float]:
    labels, neighbours, cpu = (min(column) for column in zip(*timed[1:], strict=True))
    return {"labels": labels, "neighbours": neighbours, "cpu": cpu}


def _peak_mb() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _show(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    print(f"{EXAMPLES} examples, the newest {NEIGHBOURS} events of each: the same labels and {ours['rows']:,} rows")
    print(f"{'':>8}{'labels':>10}{'neighbours':>12}{'both':>8}{'processor':>11}{'peak MB':>9}")
    for name, side in (("theirs", theirs), ("ours", ours)):
        both = side["labels"] + side["neighbours"]
        print(
            f"{name:>8}{side['labels']:>9.3f}s{side['neighbours']:>11.3f}s{both:>7.3f}s{side['cpu']:>10.3f}s"
            f"{side['peak_mb']:>9,.0f}"
        )
    clock = [side["labels"] + side["neighbours"] for side in (theirs, ours)]
    processor = [side["cpu"] for side in (theirs, ours)]
    for name, (them, us), more in (("clock", clock, "features"), ("processor", processor, "features_cpu")):
        with_features = f"with our {ours['columns']} features on top {(us + ours[more]) / them:.2f}"
        print(f"ours / theirs by the {name}: {us / them:.2f}, {with_features}")


if __name__ == "__main__":
    main()
