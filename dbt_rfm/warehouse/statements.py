"""What warehouses say alike: names and texts, a relation, and a transaction that is undone by an error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from sqlglot import exp
from sqlglot.errors import SqlglotError

from dbt_rfm.errors import ProjectError, RfmError
from dbt_rfm.warehouse.messages import first_line


def quoted(name: str, dialect: str) -> str:
    return exp.to_identifier(name, quoted=True).sql(dialect=dialect)


def literal(text: str, dialect: str) -> str:
    return exp.Literal.string(text).sql(dialect=dialect)


def everything_of(relation: str, dialect: str) -> exp.Select:
    """`select * from relation`, as dbt rendered it. Raises ProjectError where it is no relation."""
    try:
        return exp.select("*").from_(relation, dialect=dialect)
    except SqlglotError as error:
        raise ProjectError(f"expected a relation, got {relation}: {first_line(error)}") from error


@contextmanager
def begun(run: Callable[[str], None], begin: str) -> Iterator[None]:
    """All statements inside take effect together, or none."""
    run(begin)
    try:
        yield
    except BaseException:
        # If the connection is gone, so is the transaction; the first error is what counts.
        with suppress(RfmError):
            run("ROLLBACK")
        raise
    run("COMMIT")


class Transaction:
    """The transaction of a connection that cannot be asked for it: one that is begun inside an open one joins it."""

    def __init__(self, run: Callable[[str], None]) -> None:
        self._run = run
        self.is_open = False

    @contextmanager
    def joined(self, begin: str = "BEGIN") -> Iterator[None]:
        if self.is_open:
            yield
            return
        self.is_open = True
        try:
            with begun(self._run, begin):
                yield
        finally:
            self.is_open = False
