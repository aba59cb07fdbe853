"""What an answer costs as the events grow: time and peak memory of plan, export, step and publication.

    python bench/scale.py [--rows 1000000 10000000] [--folder FOLDER] [--memory 4GB] [--shards N] [--json FILE]
    python bench/scale.py --model graph_transformer [--minutes 1] [--rows 10000000]
    python bench/scale.py --postgres 'host=… port=… user=… dbname=…' [--rows 1000000]
    python bench/scale.py --question list [--entity 17] [--rows 1000000 10000000] [--shards N]

Accounts and their events (four columns, fifty events to an account, over two years) are generated inside the warehouse.
Asked is, for every account that was active in the last 90 days, whether it has no event in the next 30. Each size is a
process of its own, so that its peak is its own; making the data is another. `--shards` answers so many shards only, for
sizes at which the model would take hours on a CPU: its time is then that of those shards. `--question` asks lists and
forecasts of a shop instead (`scale_shop.py`, DuckDB only); with `--entity` a quick answer for one key.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from scale_shop import QUESTIONS, make_shop, shop_links, shop_tables
from sqlglot import exp

from dbt_rfm.bench import memory
from dbt_rfm.job import Job, JobTable, JobTarget, JobTest
from dbt_rfm.pipeline import answer
from dbt_rfm.publish import publish
from dbt_rfm.shards import run_tables
from dbt_rfm.shards.run_tables import Alone
from dbt_rfm.warehouse.base import Warehouse
from dbt_rfm.warehouse.duckdb import DuckDB

EVENTS_PER_ACCOUNT = 50
QUERY = """PREDICT COUNT(events.*, 0, 30, days) = 0 FOR EACH accounts.account_id
           WHERE COUNT(events.*, -90, 0, days) > 0"""
_SMALL = 1000  # a result of fewer rows is a question of the plan's
STAGES = ("schema", "plan", "export", "step", "publish")
_ACCOUNTS = """
CREATE TABLE accounts AS
SELECT i AS account_id, {hash}(i, 1) % 11 AS region, {hash}(i, 2) % 5 AS plan,
    TIMESTAMP '2023-01-01' - CAST({hash}(i, 3) % 900 AS INTEGER) * INTERVAL '1 day' AS opened_at
FROM {series} AS t(i)
"""
_EVENTS = """
CREATE TABLE events AS
SELECT i AS event_id, 1 + {hash}(i, 4) % {accounts} AS account_id,
    TIMESTAMP '2023-01-01' + CAST({hash}(i, 5) % 63072000 AS INTEGER) * INTERVAL '1 second' AS happened_at,
    CAST({hash}(i, 6) % 10007 AS DOUBLE PRECISION) / 100 AS amount
FROM {series} AS t(i)
"""
_DRAW = {
    "duckdb": "CREATE TEMPORARY MACRO draw(i, k) AS CAST(hash(i, k) % 1000000007 AS BIGINT)",
    "postgres": """CREATE FUNCTION pg_temp.draw(bigint, int) RETURNS bigint LANGUAGE sql IMMUTABLE AS
                   'SELECT abs(hashint8extended($1, $2) % 1000000007)'""",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[1_000_000])
    parser.add_argument(
        "--folder", type=Path, default=Path("target/scale"), help="of the DuckDB files and of what spills"
    )
    parser.add_argument("--memory", default="4GB", help="memory_limit of DuckDB; the model's comes on top")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--shards", type=int, help="answer so many shards only")
    parser.add_argument("--shard", type=int, default=run_tables.SHARD, help="examples asked in a shard")
    parser.add_argument("--model", default="rfm", help="graph_transformer is trained for --minutes at most, and twice")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--postgres", help="a libpq connection string instead of DuckDB")
    parser.add_argument("--question", choices=("churn", *QUESTIONS), default="churn")
    parser.add_argument("--entity", help="a quick answer for this key instead of a build")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--make", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.postgres and (given.question != "churn" or given.entity):
        parser.error("--question and --entity are for DuckDB")
    if given.make:
        make(given, given.rows[0])
    elif given.one:
        print(json.dumps(measure(given, given.rows[0])))
    else:
        figures = [_in_a_process(rows) for rows in given.rows]
        _show(figures)
        if given.json:
            given.json.write_text(json.dumps(figures, indent=2) + "\n")


def _in_a_process(rows: int) -> dict[str, Any]:
    passed = [a for a in sys.argv[1:] if a not in ("--one", "--make")]
    for mode in ("--make", "--one"):
        command = [sys.executable, __file__, *passed, "--rows", str(rows), mode]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def make(given: argparse.Namespace, rows: int) -> None:
    """The two tables, unless the file is there already."""
    accounts = rows // EVENTS_PER_ACCOUNT
    if given.postgres:
        import psycopg2

        with psycopg2.connect(given.postgres) as connection, connection.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS accounts, events, churn, churn__history, rfm_versions, rfm_metrics")
            cursor.execute(_DRAW["postgres"])
            named = {"hash": "pg_temp.draw", "accounts": accounts}
            cursor.execute(_ACCOUNTS.format(series=f"generate_series(1::bigint, {accounts})", **named))
            cursor.execute(_EVENTS.format(series=f"generate_series(1::bigint, {rows})", **named))
            cursor.execute("ANALYZE")
        connection.close()
        return
    file = _file(given, rows)
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(file), config={"memory_limit": given.memory, "threads": given.threads}) as connection:
        if given.question != "churn":
            make_shop(connection, rows)
            return
        connection.execute(_DRAW["duckdb"])
        connection.execute(_ACCOUNTS.format(series=f"range(1, {accounts + 1})", hash="draw"))
        connection.execute(_EVENTS.format(series=f"range(1, {rows + 1})", hash="draw", accounts=accounts))


def measure(given: argparse.Namespace, rows: int) -> dict[str, Any]:
    """One publication: seconds per stage, the process's peak memory, and what came of it."""
    run_tables.SHARD = given.shard
    with _opened(given, rows) as warehouse:
        memory.reset()
        # The inner one by the processor's time of all threads, which says more than the clock on a busy machine.
        cpu = _Timed(warehouse, time.process_time)
        timed = _Timed(cpu, time.perf_counter)

        def tell(stage: str) -> None:
            timed.tell(stage)
            cpu.tell(stage)

        started = time.perf_counter()
        predictions, message = _answered(given, timed, tell)
        seconds = time.perf_counter() - started
        stages = timed.stages() | {f"{name}_cpu": spent for name, spent in cpu.stages().items()}
    return {
        "rows": rows,
        "warehouse": warehouse.dialect,
        "seconds": seconds,
        "seconds_cpu": sum(spent for name, spent in stages.items() if name.endswith("_cpu")),
        **stages,
        "predictions": predictions,
        "peak_mb": memory.peak_mb(),
        "message": message.splitlines()[0],
    }


def _answered(given: argparse.Namespace, warehouse: Any, tell: Callable[[str], None]) -> tuple[int, str]:
    """How many predictions there are, and what is said of them."""
    if given.entity:
        found = answer(_job(given), warehouse, entity_ids=(given.entity,), quick=True, progress=tell)
        return len(found.predictions), f"a quick answer for {given.entity}"
    board = _First(given.shards)
    outcome = publish(_job(given), warehouse, replace_served=not given.postgres, progress=tell, board=board)
    count = exp.select(exp.Count(this=exp.Star())).from_("churn__history")
    (predictions,) = warehouse.query(count).column(0).to_pylist()
    return predictions, outcome.message


class _First(Alone):
    """Answers the first shards only."""

    def __init__(self, shards: int | None) -> None:
        super().__init__()
        self._shards = shards

    def open(self, count: int) -> None:
        super().open(min(count, self._shards or count))


class _Timed:
    """A warehouse that notes what each stage spends on fetching and on writing rows, by the given clock."""

    def __init__(self, warehouse: Warehouse, clock: Callable[[], float]) -> None:
        self._warehouse, self._clock = warehouse, clock
        self._stage, self._since = "", clock()
        self._spent: dict[tuple[str, str], float] = defaultdict(float)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._warehouse, name)

    def tell(self, stage: str) -> None:
        moment = self._clock()
        self._spent[self._stage, "all"] += moment - self._since
        self._stage, self._since = stage.split(":")[0].split(" ")[0], moment

    def query(self, select: exp.Expression) -> pa.Table:
        started = self._clock()
        rows = self._warehouse.query(select)
        if len(rows) > _SMALL:
            self._spent[self._stage, "fetched"] += self._clock() - started
        return rows

    def execute(self, statement: exp.Expression) -> None:
        self._written(lambda: self._warehouse.execute(statement))

    def load_temporary(self, name: str, rows: pa.Table) -> None:
        self._written(lambda: self._warehouse.load_temporary(name, rows))

    def _written(self, write: Callable[[], None]) -> None:
        started = self._clock()
        write()
        self._spent[self._stage, "written"] += self._clock() - started

    def stages(self) -> dict[str, float]:
        self.tell("")
        spent = self._spent
        fetched, written = spent["predicting", "fetched"], spent["predicting", "written"]
        return {
            "schema": spent["reading", "all"],
            "plan": spent["collecting", "all"] - spent["collecting", "fetched"],
            "export": spent["collecting", "fetched"] + fetched,
            "step": spent["training", "all"] + spent["predicting", "all"] - fetched - written,
            "publish": spent["publishing", "all"] + written,
        }


@contextmanager
def _opened(given: argparse.Namespace, rows: int) -> Iterator[Warehouse]:
    if given.postgres:
        from dbt_rfm.warehouse.postgres import Postgres

        with Postgres.open(dict(part.split("=", 1) for part in given.postgres.split())) as warehouse:
            yield warehouse
        return
    spill = {"temp_directory": str(given.folder / "spill"), "preserve_insertion_order": True}
    config = {"memory_limit": given.memory, "threads": given.threads, **spill}
    with duckdb.connect(str(_file(given, rows)), config=config) as connection:
        for table in ("churn", "churn__history", "rfm_versions", "rfm_metrics"):
            connection.execute(f"DROP TABLE IF EXISTS {table}")
        yield DuckDB(connection)


def _job(given: argparse.Namespace) -> Job:
    accounts = JobTable("accounts", "accounts", unique_id="model.scale.accounts", primary_key=("account_id",))
    events = JobTable(
        "events", "events", unique_id="model.scale.events", primary_key=("event_id",), event_time="happened_at"
    )
    points = {"to": "ref('accounts')", "field": "account_id"}
    ends = ("model.scale.accounts", "model.scale.events")
    link = JobTest("relationships", "account_id", points, attached_node=ends[1], depends_on=ends)
    target = JobTarget(None, "", "churn")
    options: dict[str, Any] = {"keep_snapshots": 1, "context_size": 1000, "model": given.model}
    if given.model == "graph_transformer":
        options["model_options"] = {"minutes": given.minutes}
    folder = str(given.folder)
    if given.question != "churn":
        options = {"keep_snapshots": 1, "backtest": not given.entity}
        query, tables, links = QUESTIONS[given.question], shop_tables(), shop_links()
        return Job(query, tables, tests=links, target=target, target_path=folder, options=options)
    return Job(QUERY, (accounts, events), tests=(link,), target=target, target_path=folder, options=options)


def _file(given: argparse.Namespace, rows: int) -> Path:
    return given.folder / f"{'events' if given.question == 'churn' else 'shop'}_{rows}.duckdb"


def _show(figures: list[dict[str, Any]]) -> None:
    print(f"{'events':>12}" + "".join(f"{name:>10}" for name in (*STAGES, "all")) + f"{'peak MB':>10}  predictions")
    for found in figures:
        for suffix, shown in (("", f"{found['rows']:,}"), ("_cpu", "processor")):
            seconds = "".join(f"{found[name + suffix]:>9.1f}s" for name in (*STAGES, "seconds"))
            print(f"{shown:>12}{seconds}" + ("" if suffix else f"{found['peak_mb']:>10,.0f}  {found['predictions']:,}"))
        print(f"{'':>14}{found['message']}")


if __name__ == "__main__":
    main()
