"""DuckDB in this process: dbt's own cursor, or a database file opened for the command line.

In: sqlglot expressions. Out: Arrow. `DuckDB(cursor)` takes a plain connection or dbt-duckdb's cursor wrapper, and never
opens a second cursor: temporary tables and open transactions belong to one cursor. Results are drained before the next
statement, because DuckDB 2.0 refuses `register` and new statements while one is half read.

An error names the cause in one line and repeats no values: they would end in dbt's log.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
from sqlglot import exp

from dbt_rfm.errors import DataError, ProjectError, RfmError, did_you_mean
from dbt_rfm.plan.sql import temporary
from dbt_rfm.warehouse.catalogue import kinds, listed, schemas
from dbt_rfm.warehouse.duckdb_sql import DuckDBRfm
from dbt_rfm.warehouse.messages import first_line, without_values
from dbt_rfm.warehouse.moments import in_calendar
from dbt_rfm.warehouse.statements import begun, everything_of, literal, quoted

if TYPE_CHECKING:
    from typing import Self

# Messages of these quote the offending values.
_ABOUT_ROWS = (
    duckdb.ConstraintException,
    duckdb.ConversionException,
    duckdb.DataError,
    duckdb.InvalidInputException,
    duckdb.OutOfRangeException,
    duckdb.TypeMismatchException,
)
# Arrow output of `sql` needs no second copy of the rows, but the statement is bound twice. A block of features is so
# long a statement that this takes longer than to copy its rows; DuckDB warns of the copy.
_LONG = 700  # characters
warnings.filterwarnings("ignore", message="Arrow output on a DB-API result")
_FEW = 128  # more than the anchors of a grid and, mostly, the bounds of its windows
_IN_ORDER = (exp.GT, exp.GTE, exp.LT, exp.LTE)
_MISSING_TABLE = re.compile(r"Table with name \"?([^\"]+?)\"? does not exist")


class DuckDB:
    """A `Warehouse` on a given DuckDB cursor."""

    dialect = "duckdb"
    transactional_ddl = True

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor
        self._usual: int | None = None  # the user's own setting, once asked

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        read_only: bool = True,
        attach: Mapping[str, str | Path] | None = None,
        search_path: str | Path | None = None,
    ) -> Self:
        """A warehouse on a database file; `attach` maps further catalog names to files.

        `search_path` is where relative paths inside views start (for dbt: the project's directory).
        Raises ProjectError if a file does not exist, is no DuckDB file, or another process holds it.
        """
        path = Path(path)
        connection = _connect(path, read_only)
        try:
            warehouse = cls(connection)
            if search_path is not None:
                warehouse._run(f"SET file_search_path = {literal(str(search_path), cls.dialect)}")
            for name, other in (attach or {}).items():
                _require_file(Path(other))
                mode = " (READ_ONLY)" if read_only else ""
                file = literal(str(other), cls.dialect)
                warehouse._run(f"ATTACH {file} AS {quoted(name, cls.dialect)}{mode}")
        except RfmError:
            connection.close()
            raise
        return warehouse

    def close(self) -> None:
        self._cursor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def describe(self, relation: str) -> list[tuple[str, str]]:
        """(column, data type) of `select * from relation`, in order. Raises ProjectError if it cannot be read."""
        text = everything_of(relation, self.dialect).sql(dialect=self.dialect)
        with self._errors():
            rows = self._cursor.execute(f"DESCRIBE {text}").fetchall()
        return [(row[0], row[1]) for row in rows]

    def query(self, sql: exp.Expression) -> pa.Table:
        """Rows of a SELECT, as Arrow."""
        text = self._text(sql)
        if len(text) <= _LONG:
            with self._errors():
                return in_calendar(self._cursor.sql(text).to_arrow_table())
        with self._errors(), self._few_met_by_loops():
            done = self._cursor.execute(text)
            # DuckDB 2.0 renamed it.
            return in_calendar((getattr(done, "to_arrow_table", None) or done.fetch_arrow_table)())

    def execute(self, sql: exp.Expression) -> None:
        """A statement without result."""
        self._run(self._text(sql))

    def create_temporary(self, name: str, select: exp.Expression) -> None:
        """(Re)create a table that only this cursor sees."""
        made = exp.Create(
            this=temporary(name),
            kind="TABLE",
            replace=True,
            properties=exp.Properties(expressions=[exp.TemporaryProperty()]),
            expression=select,
        )
        # To set and put back takes a third of the time of a small table: not where nothing is compared.
        with self._few_met_by_loops() if select.find(*_IN_ORDER) else nullcontext():
            self.execute(made)

    def load_temporary(self, name: str, rows: pa.Table) -> None:
        """(Re)create a session table from Arrow rows."""
        view = f"{name}__rows"
        with self._errors():
            self._cursor.register(view, rows)
        try:
            self.create_temporary(name, exp.select("*").from_(temporary(view)))
        finally:
            self._cursor.unregister(view)

    def tables(self, database: str | None, schema: str, name: str | None = None) -> dict[str, str]:
        """BASE TABLE or VIEW, by name, of what is in a schema; of the one of that name only, if it is given."""
        return kinds(self.query(listed(database, schema, name)).to_pylist())

    def has_schema(self, database: str | None, schema: str) -> bool:
        """Whether there is a schema of that name."""
        return len(self.query(schemas(database, schema))) > 0

    @contextmanager
    def one_state(self, relations: Sequence[str]) -> Iterator[Mapping[str, str]]:
        """The relations under their own names: no other process writes while this one has the file open."""
        yield {relation: relation for relation in relations}

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All statements inside take effect together, or none.

        Inside an open transaction (an outer one of ours, or one that a dbt hook began) it joins: whoever began it ends
        it.
        """
        if self._in_transaction():
            yield
            return
        with begun(self._run, "BEGIN TRANSACTION"):
            yield

    @contextmanager
    def _few_met_by_loops(self) -> Iterator[None]:
        """Inside, many rows meet a few anchors in their windows by looking at each, which is quicker than sorting both.

        Where the configuration is locked DuckDB goes on as it is used to.
        """
        setting = "nested_loop_join_threshold"
        with suppress(duckdb.Error):
            if self._usual is None:
                self._usual = self._cursor.execute(f"SELECT current_setting('{setting}')").fetchall()[0][0]
            self._cursor.execute(f"SET SESSION {setting} = {max(self._usual, _FEW)}").fetchall()
        try:
            yield
        finally:
            with suppress(duckdb.Error):  # after an error the transaction may be gone
                self._cursor.execute(f"SET SESSION {setting} = {self._usual}").fetchall()

    def _in_transaction(self) -> bool:
        # Outside one, each statement has a transaction, and so a number, of its own. (BEGIN would abort an open one.)
        with self._errors():
            first, second = (self._cursor.execute("SELECT txid_current()").fetchall() for _ in range(2))
        return first == second

    def _text(self, sql: exp.Expression) -> str:
        # A plan's expressions are large, and written out once: a copy first would double the time.
        return sql.sql(dialect=DuckDBRfm, copy=False)

    def _run(self, text: str) -> None:
        with self._errors():
            self._cursor.execute(text).fetchall()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            # Arrow hands on an error in the middle of a stream as OSError.
            raise self._as_ours(error) from error

    def _as_ours(self, error: Exception) -> RfmError:
        line = first_line(error)
        if "read-only" in line:
            return ProjectError("the database was opened read-only and takes no changes")
        if isinstance(error, (*_ABOUT_ROWS, pa.ArrowException, OSError)):
            return DataError(f"DuckDB cannot compute this: {without_values(line)}")
        if isinstance(error, duckdb.OutOfMemoryException):
            return DataError("DuckDB ran out of memory", hint="Raise memory_limit or lower context_size.")
        missing = _MISSING_TABLE.search(line)
        if missing:
            return ProjectError(f"table {missing[1]} does not exist in DuckDB", hint=self._missing_hint(missing[1]))
        return ProjectError(f"DuckDB refuses this: {line}")

    def _missing_hint(self, name: str) -> str:
        build = "Build it first, e.g. with `dbt build`."
        try:
            known = [row[0] for row in self._cursor.execute("SELECT table_name FROM duckdb_tables()").fetchall()]
        except duckdb.Error:
            # The failed statement ended an open transaction; the first error is the one to show.
            return build
        near = did_you_mean(name, known)
        return f"{build} {near}" if near.startswith("Did") else build


def _connect(path: Path, read_only: bool) -> duckdb.DuckDBPyConnection:
    if read_only:
        _require_file(path)
    try:
        return duckdb.connect(str(path), read_only=read_only)
    except duckdb.ConnectionException as error:
        raise ProjectError(
            f"{path} is already open in this process with other settings", hint="Close that connection first."
        ) from error
    except duckdb.IOException as error:
        line = first_line(error)
        if "lock" not in line:
            raise ProjectError(f"{path} cannot be opened: {line}", hint="Is it a DuckDB database file?") from error
        holder = re.search(r"PID (\d+)", line)
        raise ProjectError(
            f"{path} is open in another process{f' ({holder[0]})' if holder else ''}",
            hint="DuckDB lets one process at a time write: wait for dbt, or close the notebook or shell that holds it.",
        ) from error


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise ProjectError(f"there is no DuckDB file {path}", hint="Build the project first: `dbt build`.")
