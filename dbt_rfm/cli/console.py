"""What every command prints with: tables on stdout, a spinner on stderr, figures in a readable length.

The spinner shows the stage a long command is at; it is off when stderr is no terminal, so logs stay clean.
"""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from dbt_rfm.errors import ProjectError
from dbt_rfm.figures import short

if TYPE_CHECKING:
    import pyarrow as pa

#: Columns a table may take where the output is no terminal (a pipe, a log).
PIPED_WIDTH = 200


def stdout() -> Console:
    """A console on stdout as it is now; no markup, because what is printed holds users' names and values."""
    width = None if sys.stdout.isatty() else PIPED_WIDTH
    return Console(file=sys.stdout, width=width, markup=False, highlight=False, emoji=False)


def say(*lines: str, to_stderr: bool = False) -> None:
    """Print plain lines, unwrapped."""
    for line in lines:
        print(line, file=sys.stderr if to_stderr else sys.stdout)


@contextmanager
def stages(first: str) -> Iterator[Callable[[str], None]]:
    """A spinner that names the stage a command is at; yields the function that changes the stage."""
    console = Console(file=sys.stderr, markup=False)
    if not console.is_terminal:
        yield lambda stage: None
        return
    with console.status(f"{first} …") as status:
        yield lambda stage: status.update(f"{stage} …")


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Iterable[str] = ()) -> None:
    """A table on stdout; columns named in `right` are aligned to the right, numbers shortened by `short`."""
    right = set(right)
    table = Table(title=title or None, title_justify="left", title_style="bold", header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*[short(value) for value in row])
    stdout().print(table)


def show_json(value: Any) -> None:
    """JSON on stdout; what is undefined (NaN) becomes null, times ISO 8601."""
    print(json.dumps(without_nan(value), default=str, indent=2, ensure_ascii=False))


def without_nan(value: Any) -> Any:
    """The same value with null where a number is NaN or infinite, which JSON cannot say."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: without_nan(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(each) for each in value]
    return value


def write_text(file: Path, text: str) -> None:
    """Write a file, in a new folder if need be. Raises ProjectError where it cannot be written."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ProjectError(f"{file} cannot be written: {error.strerror}") from error


def write_json(file: Path, value: Any) -> None:
    """Write JSON. Raises ProjectError where the file cannot be written."""
    write_text(file, json.dumps(without_nan(value), default=str, indent=2, ensure_ascii=False) + "\n")


def write_csv(rows: pa.Table) -> None:
    """Rows as CSV on stdout, with a header."""
    from pyarrow import csv

    sys.stdout.flush()
    with contextlib.closing(csv.CSVWriter(sys.stdout.buffer, rows.schema)) as writer:
        writer.write_table(rows)
    sys.stdout.flush()
