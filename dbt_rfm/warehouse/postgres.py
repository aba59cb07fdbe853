"""Postgres over ADBC: Arrow out by binary COPY, Arrow in by COPY, one connection per session.

In: sqlglot expressions. Out: Arrow. Session tables are temporary tables of the one connection, analyzed when made,
because Postgres never does that for them and its plans depend on it. Times without a zone are UTC: the session says so.
NUMERIC has no width of its own in Arrow: it comes as a decimal where the column declares one or all values are whole,
else as a double. Types that Arrow lacks come as text.

`one_state` is what the plan runs in: REPEATABLE READ, so that all tables are seen as of one moment. It is not READ
ONLY, which would forbid session tables; that the graph stays as it is comes from the grants of the role.
An error names the cause in one line and repeats neither values nor credentials: both would end in dbt's log.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlglot import exp

from dbt_rfm.errors import DataError, ProjectError, RfmError, did_you_mean
from dbt_rfm.warehouse.catalogue import kinds
from dbt_rfm.warehouse.postgres_errors import missing_table, not_connected, told
from dbt_rfm.warehouse.postgres_sql import SESSION_FUNCTIONS, parted, written
from dbt_rfm.warehouse.postgres_types import is_opaque, loadable, plain, with_digits
from dbt_rfm.warehouse.statements import Transaction, everything_of, quoted

try:
    import adbc_driver_manager
    from adbc_driver_postgresql import dbapi
except ImportError as error:
    raise ProjectError(
        "the driver for Postgres is not installed", hint="Install it with `pip install 'dbt-rfm[postgres]'`."
    ) from error

if TYPE_CHECKING:
    from typing import Self

_NAMES = {"pass": "password", "database": "dbname"}  # dbt has two names for each
_TO_LIBPQ = (
    *("host", "port", "user", "password", "dbname", "connect_timeout", "application_name"),
    *("keepalives_idle", "sslmode", "sslcert", "sslkey", "sslrootcert"),
)
_CONNECT_TIMEOUT = 10  # seconds, as dbt waits
_SESSION = (
    "SET TIME ZONE 'UTC'",
    "SET datestyle = 'ISO'",
    "SET client_min_messages = warning",
    # A role or a database may have others: with these a literal is what we wrote, and one of two UPDATEs waits.
    "SET standard_conforming_strings = on",
    "SET default_transaction_isolation = 'read committed'",
    # Plans of this package are wide: compiling their expressions takes longer than running them.
    "SET jit = off",
    # Ours to analyze are session tables only, and how many rows they have matters more than which.
    "SET default_statistics_target = 20",
    # Where a step has no table of its own, its size is a guess: a merge on the first of several keys pairs too many.
    "SET enable_mergejoin = off",
)
_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtext('dbt_rfm'))"  # as macros/bus/jobs.sql


class Postgres:
    """A `Warehouse` on one connection to Postgres."""

    dialect = "postgres"
    transactional_ddl = True

    def __init__(self, connection: dbapi.Connection) -> None:
        """`connection` commits each statement by itself (`autocommit`)."""
        self._connection = connection
        self._transaction = Transaction(self._run)
        self._role = "the role"  # as errors name it

    @classmethod
    def open(cls, settings: Mapping[str, Any]) -> Self:
        """A connection as an output of type postgres in dbt's profiles.yml describes it.

        Raises ProjectError if the server cannot be reached or refuses.
        """
        settings = {_NAMES.get(name, name): value for name, value in settings.items()}
        try:
            warehouse = cls(dbapi.connect(_dsn(settings), autocommit=True))
        except adbc_driver_manager.Error as error:
            raise not_connected(error, settings) from error
        warehouse._role = str(settings.get("role") or settings.get("user") or warehouse._role)
        try:
            for statement in _SESSION:
                warehouse._run(statement)
            warehouse._take_role(settings.get("role"))
            for statement in SESSION_FUNCTIONS:
                warehouse._run(statement)
        except RfmError:
            warehouse.close()
            raise
        return warehouse

    def _take_role(self, role: str | None) -> None:
        if not role:
            return
        try:
            self._run(f"SET ROLE {_quoted(role)}")
        except DataError as error:
            raise ProjectError(f"Postgres has no role {role}", hint="Correct `role` in profiles.yml.") from error

    def close(self) -> None:
        # A connection that is gone already has nothing left to close.
        with suppress(adbc_driver_manager.Error):
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def describe(self, relation: str) -> list[tuple[str, str]]:
        """(column, data type) of `select * from relation`, in order. Raises ProjectError if it cannot be read."""
        text = everything_of(relation, self.dialect).sql(dialect=self.dialect)
        with self._errors(), self._connection.cursor() as cursor:
            fields = list(cursor.adbc_execute_schema(text))
        if not fields:
            return []
        names = self._type_names(text, [field.name for field in fields])
        return [(field.name, with_digits(name, field)) for field, name in zip(fields, names, strict=True)]

    def query(self, sql: exp.Expression) -> pa.Table:
        """Rows of a SELECT, as Arrow."""
        with self._errors(), self._stepwise(sql) as text, self._reading(text) as reader:
            return plain(reader.read_all())

    def execute(self, sql: exp.Expression) -> None:
        """A statement without result."""
        text = written(sql)
        if isinstance(sql, exp.Create) and sql.args.get("exists"):
            # Two sessions that make the same table at once collide, in spite of IF NOT EXISTS.
            text = f"{_ONE_AT_A_TIME}; {text}"
        self._run(text)

    def create_temporary(self, name: str, select: exp.Expression) -> None:
        """(Re)create a table that only this connection sees."""
        with self._stepwise(select) as text:
            self._make_temporary(name, text)

    def load_temporary(self, name: str, rows: pa.Table) -> None:
        """(Re)create a session table from Arrow rows."""
        self._drop_temporary(name)
        with self._errors(), self._connection.cursor() as cursor:
            cursor.adbc_ingest(name, loadable(rows), mode="create", temporary=True)
        table = f"pg_temp.{_quoted(name)}"
        for field in rows.schema:
            if pa.types.is_decimal(field.type):
                # The driver declares no digits.
                numeric = f"numeric({field.type.precision}, {field.type.scale})"
                self._run(f"ALTER TABLE {table} ALTER COLUMN {_quoted(field.name)} TYPE {numeric}")
        self._run(f"ANALYZE {table}")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All statements inside take effect together, or none; inside an open one it joins."""
        with self._transaction.joined():
            yield

    @contextmanager
    def one_state(self, relations: Sequence[str]) -> Iterator[Mapping[str, str]]:
        """The relations under their own names, seen as they are now, whatever others commit meanwhile."""
        with self._transaction.joined("BEGIN ISOLATION LEVEL REPEATABLE READ"):
            yield {relation: relation for relation in relations}

    def tables(self, database: str | None, schema: str, name: str | None = None) -> dict[str, str]:
        """BASE TABLE or VIEW, by name, of what is in a schema; of the one of that name only, if it is given."""
        return kinds(self.query(_tables(database, schema, name)).to_pylist())

    def has_schema(self, database: str | None, schema: str) -> bool:
        """Whether there is a schema of that name, also one that the role may not use."""
        named = exp.column("nspname").eq(exp.Literal.string(schema))
        return len(self.query(exp.select("nspname").from_("pg_catalog.pg_namespace").where(named))) > 0

    @contextmanager
    def _stepwise(self, sql: exp.Expression) -> Iterator[str]:
        """The text of a query, after its steps (CTEs) that are read more than once were made session tables.

        Postgres computes such a step once either way, but knows how many rows it has only of a table.
        """
        steps, body = parted(sql)
        made: list[str] = []
        try:
            inline: dict[str, str] = {}
            for step in steps:
                if step.reads > 1:
                    self._make_temporary(step.name, _after(inline, step.text))
                    made.append(step.name)
                else:
                    inline[step.name] = step.text
            yield _after(inline, body)
        except BaseException:
            # The transaction may be gone, and the tables with it; the first error is what counts.
            with suppress(RfmError):
                self._drop_temporary(*made)
            raise
        self._drop_temporary(*made)

    def _make_temporary(self, name: str, text: str) -> None:
        self._drop_temporary(name)
        self._run(f"CREATE TEMPORARY TABLE {_quoted(name)} AS {text}")
        self._run(f"ANALYZE pg_temp.{_quoted(name)}")

    def _drop_temporary(self, *names: str) -> None:
        # Qualified, so that a lasting table of that name is never meant.
        if names:
            self._run(f"DROP TABLE IF EXISTS {', '.join(f'pg_temp.{_quoted(name)}' for name in names)}")

    def _type_names(self, text: str, columns: Sequence[str]) -> list[str]:
        """What Postgres calls the types; a domain is its base type."""
        base = "coalesce(nullif(t.typbasetype, 0), t.oid)"
        named = f"CASE WHEN t.typtype = 'e' THEN 'enum' ELSE format_type({base}, NULL) END"
        asked = ", ".join(
            f"(SELECT {named} FROM pg_catalog.pg_type AS t WHERE t.oid = pg_typeof(q.{_quoted(name)})) AS c{i}"
            for i, name in enumerate(columns)
        )
        one = f"SELECT {asked} FROM (SELECT 1) AS one LEFT JOIN ({text} LIMIT 0) AS q ON TRUE"
        with self._errors(), self._reading(one) as reader:
            return [column[0].as_py() for column in reader.read_all().columns]

    @contextmanager
    def _reading(self, text: str) -> Iterator[pa.RecordBatchReader]:
        with self._connection.cursor() as cursor:
            cursor.execute(text)
            reader = cursor.fetch_record_batch()
            if any(is_opaque(field) for field in reader.schema):
                reader.close()
                cursor.execute(_opaque_as_text(text, reader.schema))
                reader = cursor.fetch_record_batch()
            try:
                yield reader
            finally:
                reader.close()

    def _run(self, text: str) -> None:
        with self._errors(), self._connection.cursor() as cursor:
            cursor.executescript(text)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (adbc_driver_manager.Error, pa.ArrowException, OSError) as error:
            # Arrow hands on an error in the middle of a stream as OSError.
            raise self._as_ours(error) from error

    def _as_ours(self, error: Exception) -> RfmError:
        missing = missing_table(error)
        if missing:
            return ProjectError(f"table {missing} does not exist in Postgres", hint=self._missing_hint(missing))
        return told(error, self._role)

    def _missing_hint(self, name: str) -> str:
        build = "Build it first, e.g. with `dbt build`."
        if self._transaction.is_open:
            return build  # the failed statement ended it: nothing can be asked any more
        known = self.query(exp.select("table_name").from_("information_schema.tables")).column(0).to_pylist()
        near = did_you_mean(name.rsplit(".", 1)[-1], known)
        return f"{build} {near}" if near.startswith("Did") else build


def _tables(database: str | None, schema: str, name: str | None) -> exp.Select:
    """What a schema holds, also what the role may not read: information_schema would keep that back, and a worker
    without rights on a table would wait for it instead of saying what it was not granted."""
    asked = {"current_database()": database, "n.nspname": schema, "c.relname": name}
    conditions = [exp.condition(what).eq(exp.Literal.string(value)) for what, value in asked.items() if value]
    kind = "case c.relkind when 'v' then 'VIEW' when 'f' then 'FOREIGN' else 'BASE TABLE' end as table_type"
    return (
        exp.select("c.relname as table_name", kind)
        .from_("pg_catalog.pg_class as c")
        .join("pg_catalog.pg_namespace as n", on="n.oid = c.relnamespace")
        .where("c.relkind in ('r', 'p', 'v', 'f')", *conditions)
    )


def _after(steps: Mapping[str, str], text: str) -> str:
    """A query with the steps that it reads in front."""
    if not steps:
        return text
    return f"WITH {', '.join(f'{_quoted(name)} AS ({step})' for name, step in steps.items())} {text}"


def _dsn(settings: Mapping[str, Any]) -> str:
    """libpq's connection string."""
    given = {"connect_timeout": _CONNECT_TIMEOUT, "application_name": "dbt-rfm"}
    given |= {name: settings[name] for name in _TO_LIBPQ if settings.get(name)}
    given["client_encoding"] = "UTF8"
    if settings.get("search_path"):
        path = re.sub(r"([\\ ])", r"\\\1", str(settings["search_path"]))
        given["options"] = f"-c search_path={path}"
    escaped = {name: str(value).replace("\\", "\\\\").replace("'", "\\'") for name, value in given.items()}
    return " ".join(f"{name}='{value}'" for name, value in escaped.items())


def _quoted(name: str) -> str:
    return quoted(name, Postgres.dialect)


def _opaque_as_text(text: str, schema: pa.Schema) -> str:
    columns = [f"q.c{i}{'::text' if is_opaque(f) else ''} AS {_quoted(f.name)}" for i, f in enumerate(schema)]
    # Columns that have no name in the query have the same one.
    return f"SELECT {', '.join(columns)} FROM ({text}) AS q({', '.join(f'c{i}' for i in range(len(columns)))})"
