"""Snowflake over its own connector: Arrow out, PUT of Parquet files and COPY INTO in.

In: sqlglot expressions. Out: Arrow. Names are shown as `snowflake_sql.py` says: CUSTOMERS.CUSTOMER_ID is
customers.customer_id here. Session tables are temporary tables in the schema of the profile, which need no right to
create tables and go with the session, also when the worker is killed. Files are written to a private folder that is
wiped, loaded through the stage of their table, and purged there. A whole NUMBER comes as a 64-bit integer where all
values fit, else as a decimal; semi-structured values come as their text; a time with a zone comes in UTC.

Snowflake commits at each CREATE, ALTER and DROP (`transactional_ddl`). `one_state` clones tables and copies views into
temporary tables, as of one moment where Time Travel reaches, because later statements see what others commit meanwhile.
An error names the cause in one line and repeats neither values, nor credentials, nor the statement.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from dbt_rfm.errors import DataError, ProjectError, RfmError, RightMissing, WarehouseAway
from dbt_rfm.machine import private_folder
from dbt_rfm.warehouse.catalogue import kinds, listed, schemas
from dbt_rfm.warehouse.messages import first_line, without_values
from dbt_rfm.warehouse.snowflake_sql import SnowflakeRfm, other_case
from dbt_rfm.warehouse.snowflake_types import data_type, loadable, plain, sql_type
from dbt_rfm.warehouse.statements import Transaction, everything_of, literal, quoted

try:
    import snowflake.connector
    from snowflake.connector.errors import Error as SnowflakeError
except ImportError as error:
    raise ProjectError(
        "the driver for Snowflake is not installed", hint="Install it with `pip install 'dbt-rfm[snowflake]'`."
    ) from error

if TYPE_CHECKING:
    from typing import Self

    from snowflake.connector.cursor import SnowflakeCursor

QUERY_TAG = "dbt-rfm"
_LOGIN_TIMEOUT = 60  # seconds
_ROWS_PER_FILE = 1_000_000
#: What an account may have set otherwise and a plan relies on.
_SESSION = {
    "TIMEZONE": "UTC",
    "TIMESTAMP_TYPE_MAPPING": "TIMESTAMP_NTZ",
    "WEEK_START": 0,
    "QUOTED_IDENTIFIERS_IGNORE_CASE": False,
    "PYTHON_CONNECTOR_QUERY_RESULT_FORMAT": "ARROW",
    "CLIENT_RESULT_CHUNK_SIZE": 48,  # megabytes, the least: several are held at a time
}
_PASSED_ON = (
    *("account", "user", "password", "role", "warehouse", "database", "schema", "host", "port", "protocol"),
    *("proxy_host", "proxy_port", "workload_identity_provider", "workload_identity_entra_resource"),
)
_QUOTED = re.compile(r"'([^']+)'")
_MISSING, _BAD_NAME, _NO_DATABASE, _NO_SCHEMA, _NO_WAREHOUSE = 2003, 904, 90105, 90106, 606
_NO_RIGHT = 3001


class _NotThere(ProjectError):
    """A table, schema or database that is not there, or that the role may not see: Snowflake makes no difference."""


class Snowflake:
    """A `Warehouse` on one session of Snowflake."""

    dialect = SnowflakeRfm.__name__.lower()
    transactional_ddl = False

    def __init__(self, connection: Any) -> None:
        """`connection` is made with `connection_arguments`."""
        self._connection = connection
        self._transaction = Transaction(self._run)

    @classmethod
    def open(cls, settings: Mapping[str, Any]) -> Self:
        """A session as an output of type snowflake in dbt's profiles.yml describes it.

        Raises ProjectError if Snowflake cannot be reached or refuses.
        """
        try:
            return cls(snowflake.connector.connect(**connection_arguments(settings)))
        except (SnowflakeError, OSError, ValueError, TypeError) as error:
            raise _not_connected(error, settings) from None

    def close(self) -> None:
        # A session that is gone already has nothing left to close.
        with suppress(SnowflakeError):
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def describe(self, relation: str) -> list[tuple[str, str]]:
        """(column, data type) of `select * from relation`, in order. Raises ProjectError if it cannot be read."""
        text = self._text(everything_of(relation, self.dialect))
        with self._errors(), self._connection.cursor() as cursor:
            described = cursor.describe(text) or []
        return [(other_case(column.name), data_type(column)) for column in described]

    def query(self, sql: exp.Expression) -> pa.Table:
        """Rows of a SELECT, as Arrow."""
        with self._errors(), self._ran(self._text(sql)) as cursor:
            return plain(cursor.fetch_arrow_all(force_return_table=True), cursor.description)

    def execute(self, sql: exp.Expression) -> None:
        """A statement without result."""
        self._run(self._text(sql))

    def create_temporary(self, name: str, select: exp.Expression) -> None:
        """(Re)create a table that only this session sees."""
        self._run(f"CREATE OR REPLACE TEMPORARY TABLE {_quoted(name)} AS {self._text(select)}")

    def load_temporary(self, name: str, rows: pa.Table) -> None:
        """(Re)create a session table from Arrow rows."""
        rows = loadable(rows)
        types = [sql_type(field.type) for field in rows.schema]
        columns = ", ".join(f"{_quoted(n)} {kind}" for n, kind in zip(rows.column_names, types, strict=True))
        self._run(f"CREATE OR REPLACE TEMPORARY TABLE {_quoted(name)} ({columns})")
        stage = f"@%{other_case(name)}"  # its table's own; no rights are needed for it
        fields = [f"C{i}" for i in range(len(types))]
        with private_folder() as folder:
            for start in range(0, len(rows), _ROWS_PER_FILE):
                file = folder / f"{start}.parquet"
                pq.write_table(rows.slice(start, _ROWS_PER_FILE).rename_columns(fields), file)
                self._run(f"PUT {_literal(f'file://{file}')} {stage} AUTO_COMPRESS = FALSE OVERWRITE = TRUE")
                file.unlink()
        if len(rows):
            values = ", ".join(f"$1:{field}::{kind}" for field, kind in zip(fields, types, strict=True))
            options = "FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE) PURGE = TRUE"
            self._run(f"COPY INTO {_quoted(name)} FROM (SELECT {values} FROM {stage}) {options}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All statements inside take effect together, or none, but for DDL; inside an open one it joins."""
        with self._transaction.joined():
            yield

    @contextmanager
    def one_state(self, relations: Sequence[str]) -> Iterator[Mapping[str, str]]:
        """`relations` as they are now, under the names of copies, which stay until the session ends."""
        suffix = uuid.uuid4().hex[:8]
        now = self.query(exp.select(exp.CurrentTimestamp())).column(0)[0].as_py()
        at = f"AT (TIMESTAMP => {_literal(now.isoformat())}::TIMESTAMP_TZ)"
        seen = {relation: _quoted(f"rfm_state{i}_{suffix}") for i, relation in enumerate(dict.fromkeys(relations))}
        for relation, name in seen.items():
            self._copy(name, relation, at)
        yield seen

    def tables(self, database: str | None, schema: str, name: str | None = None) -> dict[str, str]:
        """BASE TABLE or VIEW, by name, of what is in a schema; of the one of that name only, if it is given."""
        source = _information_schema(database, "tables")
        stored = [other_case(text) if text else None for text in (schema, name)]
        found = {}
        with suppress(_NotThere):  # of the database itself: as of a schema, there is nothing in it for this role
            found = kinds(self.query(listed(None, stored[0] or "", stored[1], source)).to_pylist())
        return {other_case(text): kind for text, kind in found.items()}

    def has_schema(self, database: str | None, schema: str) -> bool:
        """Whether there is a schema of that name that the role may see."""
        asked = schemas(None, other_case(schema), _information_schema(database, "schemata"))
        with suppress(_NotThere):  # the database itself
            return len(self.query(asked)) > 0
        return False

    def _copy(self, name: str, relation: str, at: str) -> None:
        """A clone of a table, else the rows of whatever it is; of the moment `at` where that can be had.

        A view is no table to clone, and Time Travel ends where a table was made anew, so that each way may be refused.
        """
        source = self._parsed(relation)
        text = source.sql(dialect=self.dialect)
        rows = f"AS SELECT * FROM {text}"
        ways = [rows]
        if isinstance(source, exp.Table) and not source.alias:
            ways = [f"CLONE {text} {at}", f"{rows} {at}", f"CLONE {text}", rows]
        for way in ways[:-1]:
            with suppress(ProjectError):
                return self._run(f"CREATE OR REPLACE TEMPORARY TABLE {name} {way}")
        return self._run(f"CREATE OR REPLACE TEMPORARY TABLE {name} {ways[-1]}")

    def _parsed(self, relation: str) -> exp.Expression:
        read = everything_of(relation, self.dialect).find(exp.From)
        assert read is not None, "a SELECT with a FROM has one"
        return read.this

    def _text(self, sql: exp.Expression) -> str:
        # A plan's expressions are large, and written out once: a copy first would double the time.
        return sql.sql(dialect=self.dialect, copy=False)

    @contextmanager
    def _ran(self, text: str) -> Iterator[SnowflakeCursor]:
        with self._connection.cursor() as cursor:
            cursor.execute(text)
            yield cursor

    def _run(self, text: str) -> None:
        with self._errors(), self._ran(text):
            pass

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (SnowflakeError, pa.ArrowException, OSError) as error:
            # The driver's own error holds the statement.
            raise _as_ours(error) from None


def connection_arguments(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the connector needs to open a session, from an output of type snowflake in dbt's profiles.yml."""
    given = {name: settings[name] for name in _PASSED_ON if settings.get(name) is not None}
    return {
        **given,
        **_credentials(settings),
        "login_timeout": settings.get("connect_timeout") or _LOGIN_TIMEOUT,
        "autocommit": True,
        "client_session_keep_alive": True,  # a step of the model may take longer than an idle session lives
        "arrow_number_to_decimal": True,
        "application": "dbt_rfm",
        "session_parameters": {**_SESSION, "QUERY_TAG": settings.get("query_tag") or QUERY_TAG},
    }


def _credentials(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Key pair, token or authenticator under the connector's names."""
    given: dict[str, Any] = {"disable_ocsp_checks": True} if settings.get("insecure_mode") else {}
    authenticator = settings.get("authenticator")
    if authenticator:
        given["authenticator"] = "oauth" if authenticator == "jwt" else authenticator
    if authenticator == "oauth" and settings.get("oauth_client_secret"):
        raise ProjectError(
            "a worker cannot renew the OAuth token of a person",
            hint="Give it a user of its own with private_key_path, or an access token without oauth_client_secret.",
        )
    if settings.get("token"):
        given["token"] = settings["token"]
    passphrase = settings.get("private_key_passphrase")
    if settings.get("private_key"):
        given["private_key"] = _key_text(str(settings["private_key"]))
        given |= {"private_key_passphrase": str(passphrase).encode()} if passphrase else {}
    elif settings.get("private_key_path"):
        given["private_key_file"] = str(Path(settings["private_key_path"]).expanduser())
        given |= {"private_key_file_pwd": str(passphrase)} if passphrase else {}
    return given


def _key_text(text: str) -> str:
    """The connector takes the body of a PEM key; dbt's profiles hold either."""
    return "".join(line for line in text.strip().splitlines() if not line.startswith("-----"))


def _not_connected(error: Exception, settings: Mapping[str, Any]) -> WarehouseAway:
    reason = first_line(error) if isinstance(error, SnowflakeError) else type(error).__name__
    for secret in ("password", "token", "private_key", "private_key_passphrase"):
        if settings.get(secret):
            reason = reason.replace(str(settings[secret]), "…")
    return WarehouseAway(
        f"Snowflake account {settings.get('account')} does not let us in: {reason}",
        hint="Check the target in profiles.yml; `dbt debug` tries the same.",
    )


def _as_ours(error: Exception) -> RfmError:
    line = _message(error)
    if isinstance(error, SnowflakeError):
        return _by_number(error.errno or 0, line)
    return DataError(f"Snowflake cannot compute this: {without_values(line)}")


def _by_number(number: int, line: str) -> RfmError:
    """The error for a number of Snowflake's and its message."""
    name = _QUOTED.search(line)
    if number == _MISSING:
        shown = other_case(name[1].rsplit(".", 1)[-1].strip('"')) if name else "a table"
        return _NotThere(
            f"{shown} does not exist in Snowflake, or the role may not see it",
            hint="Build it first, e.g. with `dbt build`, or grant SELECT on it to the role of the worker.",
        )
    if number in (_NO_DATABASE, _NO_SCHEMA):
        return ProjectError(f"Snowflake says: {line}", hint="Set database and schema in the profile.")
    if number == _NO_WAREHOUSE:
        return ProjectError(f"Snowflake says: {line}", hint="Set warehouse in the profile.")
    if number == _NO_RIGHT:
        return RightMissing(
            f"Snowflake says: {line}", hint="Grant the role what it needs: docs/operations.md lists it."
        )
    if number == _BAD_NAME and name:
        return ProjectError(f"Snowflake finds no column {other_case(name[1].rsplit('.', 1)[-1].strip(chr(34)))}")
    if number >= 250000:
        return WarehouseAway("the connection to Snowflake is gone", hint="Is the network still up? Try again.")
    if 100000 <= number < 101000:
        return DataError(f"Snowflake cannot compute this: {without_values(line)}")
    return ProjectError(f"Snowflake refuses this: {without_values(line)}")


def _message(error: Exception) -> str:
    """What is wrong: without its number, the heading of compile errors, and what follows."""
    lines = [line.strip() for line in str(getattr(error, "raw_msg", None) or error).splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].startswith("SQL "):
        lines = lines[1:]
    return re.sub(r"^\d{6} \(\w+\): (?:[0-9a-f-]{36}: )?", "", lines[0]) if lines else type(error).__name__


def _information_schema(database: str | None, view: str) -> exp.Table:
    return exp.table_(view, db="information_schema", catalog=database, quoted=True)


def _quoted(name: str) -> str:
    return quoted(name, Snowflake.dialect)


def _literal(value: str) -> str:
    return literal(value, Snowflake.dialect)
