"""Real servers for the tests of warehouses. Without one they are skipped, or fail where RFM_REQUIRE_WAREHOUSES=1."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest
from postgres_server import Server, find_programs, running_server
from sqlglot import exp

from dbt_rfm.warehouse.postgres import Postgres


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
    name = f"rfm_{uuid.uuid4().hex[:12]}"
    _administer(postgres_server, "CREATE DATABASE", name)
    yield postgres_server.output(name)
    _administer(postgres_server, "DROP DATABASE", f"{name} WITH (FORCE)")


@pytest.fixture
def postgres(postgres_output: dict[str, Any]) -> Iterator[Postgres]:
    """A warehouse on a new empty database."""
    with Postgres.open(postgres_output) as warehouse:
        yield warehouse


def _administer(server: Server, command: str, rest: str) -> None:
    with Postgres.open(server.output("postgres")) as admin:
        admin.execute(exp.Command(this=command, expression=rest))


def _missing(reason: str) -> NoReturn:
    if os.environ.get("RFM_REQUIRE_WAREHOUSES") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
