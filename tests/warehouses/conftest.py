"""Real servers for the tests of warehouses. Without one they are skipped, or fail where RFM_REQUIRE_WAREHOUSES=1."""

from __future__ import annotations

import importlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from postgres_server import Server, find_programs, running_server
from sqlglot import exp

from dbt_rfm.errors import ProjectError
from dbt_rfm.warehouse.postgres import Postgres

if TYPE_CHECKING:
    from dbt_rfm.warehouse.snowflake import Snowflake

REQUIRED = os.environ.get("RFM_REQUIRE_WAREHOUSES") == "1"
if REQUIRED:
    # Files of tests skip themselves without these.
    for module in ("dbt.adapters.snowflake", "fakesnow", "snowflake.connector"):
        importlib.import_module(module)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """One server per process of tests."""
    programs = find_programs()
    if programs is None:
        _missing("no Postgres server here: no initdb on the PATH, and none in /usr/lib/postgresql")
    with running_server(programs) as server:
        yield server


@pytest.fixture
def postgres_output(postgres_server: Server) -> Iterator[dict[str, Any]]:
    """A target of profiles.yml: a new empty database, dropped at the end whoever is still connected."""
    with _database_in_postgres(postgres_server) as output:
        yield output


@pytest.fixture
def postgres(postgres_output: dict[str, Any]) -> Iterator[Postgres]:
    """A warehouse on a new empty database."""
    with Postgres.open(postgres_output) as warehouse:
        yield warehouse


@pytest.fixture(scope="session")
def snowflake_server() -> Iterator[dict[str, Any]]:
    """One server per process of tests: a target of profiles.yml without a schema."""
    try:
        from snowflake_server import running_server as running_snowflake
    except (ImportError, ProjectError):
        _missing("no Snowflake here: fakesnow or snowflake-connector-python is not installed")
    with running_snowflake() as output:
        yield output


@pytest.fixture(scope="session")
def snowflake_account() -> dict[str, Any]:
    """A real account, from RFM_SNOWFLAKE_ACCOUNT and so on: a target of profiles.yml without a schema."""
    begin = "RFM_SNOWFLAKE_"
    given = {name.removeprefix(begin).lower(): value for name, value in os.environ.items() if name.startswith(begin)}
    if not given.keys() >= {"account", "user", "database", "warehouse"}:
        pytest.skip("no Snowflake account: set RFM_SNOWFLAKE_ACCOUNT, _USER, _DATABASE, _WAREHOUSE and a credential")
    return given


@pytest.fixture(params=["server", pytest.param("account", marks=pytest.mark.snowflake_live)])
def snowflake_output(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """A target of profiles.yml: a new empty schema, dropped at the end."""
    with _schema_in_snowflake(request.getfixturevalue(f"snowflake_{request.param}")) as output:
        yield output


@pytest.fixture
def snowflake(snowflake_output: dict[str, Any]) -> Iterator[Snowflake]:
    """A warehouse on a new empty schema."""
    from snowflake_server import opened

    with opened(snowflake_output) as warehouse:
        yield warehouse


@pytest.fixture(scope="module")
def snowflake_output_of_module(snowflake_server: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """One schema for all tests of a module."""
    with _schema_in_snowflake(snowflake_server) as output:
        yield output


@pytest.fixture(scope="module")
def snowflake_of_module(snowflake_output_of_module: dict[str, Any]) -> Iterator[Snowflake]:
    """One for all tests of a module."""
    from snowflake_server import opened

    with opened(snowflake_output_of_module) as warehouse:
        yield warehouse


@pytest.fixture(scope="module")
def snowflake_live_of_module(snowflake_account: dict[str, Any]) -> Iterator[Snowflake]:
    """A real one for all tests of a module."""
    from snowflake_server import opened

    with _schema_in_snowflake(snowflake_account) as output, opened(output) as warehouse:
        yield warehouse


@contextmanager
def _schema_in_snowflake(server: dict[str, Any]) -> Iterator[dict[str, Any]]:
    from snowflake_server import opened

    name = f"RFM_{uuid.uuid4().hex[:12]}".upper()
    with opened(server) as admin:
        admin.execute(exp.Command(this="CREATE", expression=f"SCHEMA {name}"))
        yield {**server, "schema": name, "threads": 2}
        admin.execute(exp.Command(this="DROP", expression=f"SCHEMA {name} CASCADE"))


@pytest.fixture(scope="module")
def postgres_of_module(postgres_server: Server) -> Iterator[Postgres]:
    """One for all tests of a module."""
    with _database_in_postgres(postgres_server) as output, Postgres.open(output) as warehouse:
        yield warehouse


@contextmanager
def _database_in_postgres(server: Server) -> Iterator[dict[str, Any]]:
    name = f"rfm_{uuid.uuid4().hex[:12]}"
    _administer(server, "CREATE DATABASE", name)
    yield server.output(name)
    _administer(server, "DROP DATABASE", f"{name} WITH (FORCE)")


def _administer(server: Server, command: str, rest: str) -> None:
    with Postgres.open(server.output("postgres")) as admin:
        admin.execute(exp.Command(this=command, expression=rest))


def _missing(reason: str) -> NoReturn:
    if REQUIRED:
        pytest.fail(reason)
    pytest.skip(reason)
