"""A Snowflake of the tests' own: fakesnow's server in this process, on a free port of the loopback.

It is DuckDB behind Snowflake's protocol, spoken to by the real connector: what passes here has the right form, and what
only Snowflake itself can show is left to the tests marked snowflake_live.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import fakesnow
import fakesnow.arrow
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import snowflake.connector
import sqlglot
from fakesnow.cursor import FakeSnowflakeCursor
from snowflake.connector.util_text import split_statements
from sqlglot import exp

from dbt_rfm.warehouse.snowflake import Snowflake, connection_arguments

ACCOUNT, DATABASE = "fakesnow", "RFM_TESTS"


@contextmanager
def running_server() -> Iterator[dict[str, Any]]:
    """The settings of a target in profiles.yml, but for the schema."""
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    logging.getLogger("fakesnow").setLevel(logging.CRITICAL)
    with pytest.MonkeyPatch.context() as patch, fakesnow.server() as given:
        patch.setattr(fakesnow.arrow, "timestamp_to_sf_struct", _with_nulls)
        patch.setattr(FakeSnowflakeCursor, "execute", _with_blocks(_Turns(FakeSnowflakeCursor.execute).execute()))
        names = ("account", "user", "password", "host", "port", "protocol")
        output = {"type": "snowflake", **{name: given[name] for name in names}}
        with opened(output) as admin:
            admin.execute(exp.Command(this="CREATE", expression=f"DATABASE {DATABASE}"))
        yield {**output, "database": DATABASE}


def opened(output: dict[str, Any]) -> Snowflake:
    """A warehouse on a target. What fakesnow has no answer to fails at once; the connector would go on trying."""
    arguments = connection_arguments(output)
    if output["account"] == ACCOUNT:
        arguments["session_parameters"]["CLIENT_OUT_OF_BAND_TELEMETRY_ENABLED"] = False
        arguments["network_timeout"] = 5
    return Snowflake(snowflake.connector.connect(**arguments))


class _Turns:
    """Writes wait for the transaction of another session to end, as in Snowflake; DuckDB would let one of them fail."""

    def __init__(self, plain: Callable[..., Any]) -> None:
        self._plain, self._changed, self._owner = plain, threading.Condition(), None

    def execute(self) -> Callable[..., Any]:
        def execute(cursor: FakeSnowflakeCursor, command: str, *arguments: Any, **named: Any) -> Any:
            word = command.split(None, 1)[0].upper().strip(";")
            if word in ("BEGIN", "INSERT", "UPDATE", "DELETE", "MERGE"):
                self._wait(cursor._conn, begins=word == "BEGIN")
            try:
                return self._plain(cursor, command, *arguments, **named)
            finally:
                if word in ("COMMIT", "ROLLBACK"):
                    self._ended(cursor._conn)

        return execute

    def _wait(self, session: Any, *, begins: bool) -> None:
        with self._changed:
            # A session that was cut off within a transaction does not end it: the others go on all the same.
            self._changed.wait_for(lambda: self._owner in (None, session), timeout=20)
            if begins:
                self._owner = session

    def _ended(self, session: Any) -> None:
        with self._changed:
            if self._owner is session:
                self._owner = None
                self._changed.notify_all()


def _with_blocks(plain: Callable[..., Any]) -> Callable[..., Any]:
    """`execute immediate` of a block of statements with a handler of exceptions, which fakesnow has not."""

    def execute(cursor: FakeSnowflakeCursor, command: str, *arguments: Any, **named: Any) -> Any:
        found = re.search(r"(?:^|\*/)\s*execute immediate ('.*')", command, re.DOTALL)
        if not found:
            return plain(cursor, command, *arguments, **named)
        block = sqlglot.parse_one(found[1], dialect="snowflake").name.strip()
        body, handler = re.fullmatch("begin(.*)exception\\s+when other then(.*)end;", block, re.DOTALL).groups()
        try:
            _run_all(cursor, body)
        except snowflake.connector.errors.ProgrammingError:
            _run_all(cursor, handler.replace("raise;", ""))
            raise
        return plain(cursor, 'select null as "anonymous block"')

    return execute


def _run_all(cursor: FakeSnowflakeCursor, statements: str) -> None:
    for text, _ in split_statements(StringIO(statements)):
        if statement := text.strip(" \n;"):
            cursor.execute(statement)


def _with_nulls(moments: pa.Array | pa.ChunkedArray) -> pa.StructArray:
    """fakesnow 0.12 sends a null timestamp as 1970; Snowflake sends a null."""
    moments = moments.combine_chunks() if isinstance(moments, pa.ChunkedArray) else moments
    seconds = pc.floor_temporal(moments, unit="second")
    parts = [
        pc.divide(seconds.cast(pa.int64()), 1_000_000),
        pc.round(pc.multiply(pc.subsecond(moments), 1_000_000_000)).cast(pa.int32()),
    ]
    fields = [("epoch", pa.int64()), ("fraction", pa.int32())]
    if moments.type.tz:
        parts.append(pa.array([1440] * len(moments), type=pa.int32()))
        fields.append(("timezone", pa.int32()))
    return pa.StructArray.from_arrays(
        [pc.fill_null(part, 0) for part in parts],
        fields=[pa.field(name, kind, nullable=False) for name, kind in fields],
        mask=moments.is_null(),
    )
