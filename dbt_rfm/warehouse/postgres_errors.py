"""Errors of Postgres, as the user reads them.

In: an exception of the driver or of Arrow. Out: an RfmError that names the cause in one line and repeats neither values
nor credentials.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import adbc_driver_manager

from dbt_rfm.errors import DataError, ProjectError, RfmError, RightMissing, WarehouseAway
from dbt_rfm.warehouse.messages import first_line, without_values

_MISSING_TABLE = re.compile(r'relation "(.+)" does not exist')
_GONE = re.compile("closed the connection|no connection to the server|terminating connection")
_ENDED = "canceling statement due to"
_CONNECTION_FAILURE, _QUERY_CANCELED = "08006", "57014"
_STOPPED = "Raise statement_timeout for this role; if somebody cancelled it, run dbt again."


def missing_table(error: Exception) -> str | None:
    """The table that is not there, if that is what is wrong."""
    state, line = _state_and_line(error)
    found = _MISSING_TABLE.search(line) if state == "42P01" else None
    return found[1] if found else None


def told(error: Exception, role: str) -> RfmError:
    """Any error on a connection; `role` is who is connected."""
    return _by_state(*_state_and_line(error), role)


def not_connected(error: Exception, settings: Mapping[str, Any]) -> WarehouseAway:
    """No connection was made: where to, and why not."""
    where = f"{settings.get('host', 'the local socket')}:{settings.get('port') or 5432}"
    line = first_line(error).split("Failed to connect: ")[-1]
    reason = re.split(r"(?:FATAL|failed): +", line)[-1]
    hint = "Check the target in profiles.yml and that the server runs."
    return WarehouseAway(f"Postgres at {where} does not let us in: {reason}", hint=hint)


def _state_and_line(error: Exception) -> tuple[str, str]:
    """The state (SQLSTATE) and the message."""
    state, line = getattr(error, "sqlstate", None) or "", _primary(error)
    if not state and (isinstance(error, adbc_driver_manager.OperationalError) or _GONE.search(line)):
        state = _CONNECTION_FAILURE  # libpq gives none when the server is gone
    elif not state and _ENDED in line:
        state = _QUERY_CANCELED  # nor Arrow, in the middle of a stream
    return state, line


def _by_state(state: str, line: str, role: str) -> RfmError:
    """The error for a state (SQLSTATE, Appendix A of the Postgres manual) and its message."""
    if state.startswith(("08", "57P")):
        return WarehouseAway("the connection to Postgres is gone", hint="Is the server still running? Try again.")
    if state == "42501":
        return RightMissing(f"Postgres says {line}", hint=f"Grant {role} what it needs: docs/operations.md lists it.")
    if state == "53100":
        return DataError("Postgres has no disk space left", hint="Free some, or lower context_size.")
    if state.startswith("53"):
        return DataError(f"Postgres has not enough of something: {line}", hint="Try again later or lower context_size.")
    if state == _QUERY_CANCELED:
        return ProjectError(f"Postgres stopped a statement: {line}", hint=_STOPPED)
    if state == "55P03":
        return ProjectError(f"Postgres did not get a lock: {line}", hint="Another session holds it. Try again later.")
    if state.startswith("40"):
        return ProjectError(f"Postgres undid a transaction: {line}", hint="Run dbt again.")
    if state == "25006":
        return ProjectError("the database is read-only and takes no changes")
    if not state or state.startswith(("21", "22", "23")):
        return DataError(f"Postgres cannot compute this: {without_values(line)}")
    return ProjectError(f"Postgres refuses this: {line}")


def _primary(error: Exception) -> str:
    """The message of the server without the statement, its position and its values."""
    for name, value in getattr(error, "details", None) or ():
        if name == b"PG_DIAG_MESSAGE_PRIMARY":
            return value.decode("utf-8", "replace").strip().split("\n", 1)[0]
    return re.sub(r"^.*?(?:ERROR|FATAL): +", "", first_line(error))
