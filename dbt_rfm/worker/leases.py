"""Rows that a worker holds for a while: what the jobs of `rfm_jobs` and the shards of `rfm_shards` have in common.

A row goes from queued to running to done. Who takes it writes a token of its own into `worker` and holds it until
`lease_until`, by the warehouse's clock; after that anybody may take it. Every later change is conditional on the token.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable

from sqlglot import exp

from dbt_rfm.errors import RfmError
from dbt_rfm.plan import sql
from dbt_rfm.warehouse.relations import matching

QUEUED, RUNNING, DONE = "queued", "running", "done"


def token() -> str:
    """A new one, which tells a person where its worker is."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:12]}"


def now() -> exp.Expression:
    return exp.CurrentTimestamp()


def seconds_from_now(seconds: int) -> exp.Expression:
    """Of the warehouse's clock; negative: ago."""
    return sql.later(now(), seconds, "second")


def lapsed() -> exp.Expression:
    """True where somebody has held the row for too long."""
    late = exp.LT(this=sql.column("lease_until"), expression=now())
    return sql.every([matching(status=RUNNING), late])


def went_through(change: Callable[[], None], is_free: Callable[[], bool]) -> bool:
    """Make a change that takes a row; False where another was quicker.

    Of two at once some warehouses let the second fail. What is wrong otherwise is still wrong for the next one.
    """
    try:
        change()
    except RfmError:
        if is_free():
            raise
        return False
    return True


def either(one: exp.Expression, other: exp.Expression) -> exp.Expression:
    return exp.paren(exp.or_(one, other))
