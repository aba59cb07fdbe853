"""A compact shop as a real dbt project on DuckDB, built once per session and copied for each class of tests.

80 customers over 18 months; a customer orders every few days until the day they leave, so that a month without orders
can be foreseen from the past. dbt runs in this process: a command costs a second or two.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import chdir
from dataclasses import dataclass, field
from pathlib import Path

import pytest

pytest.importorskip("dbt.cli.main", reason="dbt is not installed")
duckdb = pytest.importorskip("duckdb")

REPOSITORY = Path(__file__).resolve().parents[2]

CHURN = (
    "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH customers.customer_id WHERE COUNT(orders.*, -60, 0, days) > 0"
)

PROJECT = """
name: shop
version: "1.0"
profile: shop
model-paths: [models]
vars:
  dbt_rfm_graph: [customers, orders, stores]
models:
  shop:
    +materialized: table
"""

# The path is relative, so that copies of the project have the same profile and parse only what changed.
PROFILE = """
shop:
  target: dev
  outputs:
    dev:
      type: duckdb
      path: shop.duckdb
      threads: 2
"""

CUSTOMERS = """
select
    i as customer_id,
    timestamp '2024-01-01' + to_days(cast((i * 7) % 240 as integer)) as signed_up_at,
    ['basic', 'plus', 'pro'][1 + i % 3] as segment,
    hash(i * 31) % 5 as city_id
from range(1, 81) as t(i)
"""

# Every customer has a pace and a last day; a third leaves in the course of the data.
ORDERS = """
with pace as (
    select
        customer_id,
        signed_up_at,
        3 + hash(customer_id * 17) % 18 as every_days,
        case when hash(customer_id * 13) % 3 = 0
            then signed_up_at + to_days(cast(60 + hash(customer_id * 11) % 300 as integer))
            else timestamp '2025-07-01' end as leaves_at
    from {{ ref('customers') }}
),
visits as (
    select
        customer_id,
        leaves_at,
        signed_up_at + to_days(cast(k * every_days + hash(customer_id * 1000 + k) % 3 as integer)) as ordered_at,
        round(5 + (hash(customer_id * 77 + k) % 9000) / 100.0, 2) as amount,
        1 + hash(customer_id * 5 + k) % 4 as store_id
    from pace, range(0, 200) as t(k)
)
select
    row_number() over (order by ordered_at, customer_id) as order_id,
    customer_id, store_id, amount, ordered_at
from visits
where ordered_at < leaves_at and ordered_at < timestamp '2025-07-01'
"""

SCHEMA = """
version: 2
models:
  - name: customers
    config: {event_time: signed_up_at}
    columns:
      - {name: customer_id, data_tests: [unique, not_null]}
  - name: orders
    config: {event_time: ordered_at}
    columns:
      - {name: order_id, data_tests: [unique, not_null]}
      - name: customer_id
        data_tests:
          - relationships: {arguments: {to: ref('customers'), field: customer_id}}
      - name: store_id
        data_tests:
          - relationships: {arguments: {to: ref('stores'), field: store_id}}
seeds:
  - name: stores
    columns:
      - {name: store_id, data_tests: [unique, not_null]}
"""

STORES = "store_id,kind\n1,city\n2,city\n3,mall\n4,online\n"


def predict(query: str = CHURN, *, config: str = "", rfm: str = "'context_size': 60", arguments: str = "") -> str:
    """The text of a prediction model; the small context keeps the tests quick."""
    return (
        f"{{{{ config(materialized='prediction', meta={{'rfm': {{{rfm}}}}}{config}) }}}}\n"
        f'{{{{ dbt_rfm.predict("{query}"{arguments}) }}}}\n'
    )


@dataclass(frozen=True)
class Run:
    """What a dbt command did: `log` is every message of level info and above."""

    success: bool
    log: str
    results: dict[str, str]  # node name -> status
    messages: dict[str, str]  # node name -> dbt's message
    value: object = field(default=None, repr=False)  # what the command returned, e.g. the names of `dbt ls`


class Project:
    """A dbt project in a folder of its own."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def database(self) -> Path:
        return self.path / "shop.duckdb"

    def write(self, name: str, text: str) -> None:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def remove(self, name: str) -> None:
        (self.path / name).unlink()

    def copy(self, path: Path) -> Project:
        shutil.copytree(self.path, path, symlinks=True)
        return Project(path)

    def dbt(self, *arguments: str) -> Run:
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager
        from dbt.cli.main import dbtRunner

        lines: list[str] = []
        runner = dbtRunner(callbacks=[lambda event: _keep(event, lines)])
        where = ["--project-dir", str(self.path), "--profiles-dir", str(self.path)]
        with chdir(self.path):
            result = runner.invoke([*arguments, *where, "--no-version-check", "--no-use-colors"])
        DuckDBConnectionManager.close_all_connections()  # else the file stays open in this process
        nodes = [r for r in getattr(result.result, "results", None) or [] if getattr(r, "node", None) is not None]
        if result.exception is not None:
            lines.append(str(result.exception))
        return Run(
            success=bool(result.success),
            log="\n".join(lines),
            results={r.node.name: str(r.status) for r in nodes},
            messages={r.node.name: str(r.message) for r in nodes},
            value=result.result,
        )

    def rows(self, sql: str) -> list[tuple]:
        with duckdb.connect(str(self.database), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def execute(self, sql: str) -> None:
        with duckdb.connect(str(self.database)) as connection:
            connection.execute(sql)


def _keep(event: object, lines: list[str]) -> None:
    if event.info.level in ("info", "warn", "error"):  # type: ignore[attr-defined]
        lines.append(event.info.msg)  # type: ignore[attr-defined]


@pytest.fixture(scope="session", autouse=True)
def one_torch_thread() -> Iterator[None]:
    """Threads of torch that wait for each other on a busy machine cost ten times the work itself."""
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def shop_template(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The shop with its tables built and no prediction."""
    project = Project(tmp_path_factory.mktemp("template") / "shop")
    project.write("dbt_project.yml", PROJECT)
    project.write("packages.yml", f"packages:\n  - local: {REPOSITORY}\n")
    project.write("models/customers.sql", CUSTOMERS)
    project.write("models/orders.sql", ORDERS)
    project.write("models/schema.yml", SCHEMA)
    project.write("seeds/stores.csv", STORES)
    project.write("profiles.yml", PROFILE)
    assert project.dbt("deps").success
    built = project.dbt("build")
    assert built.success, built.log
    return project


@pytest.fixture(scope="class")
def shop(shop_template: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A copy of the shop for one class of tests."""
    yield shop_template.copy(tmp_path_factory.mktemp("project") / "shop")
