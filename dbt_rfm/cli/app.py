"""All commands under one name, and the one place where errors become messages.

Usage errors (unknown option, missing argument) are typer's own and end with 2.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from dbt_rfm import __version__
from dbt_rfm.cli import bench, demo, mcp, pretrain, query, report, schema, step, versions, worker
from dbt_rfm.errors import RfmError

DEBUG = "--debug"
#: Modules of an extra -> the extra.
EXTRAS = {"ray": "ray", "duckdb": "duckdb", "dbt": "duckdb", "mcp": "mcp", "lightgbm": "bench", "sklearn": "bench"}
#: Commands that ask something and end. What their imports make stays, and to look it through for garbage again and
#: again is a fifth of their time.
_SHORT = ("schema", "check", "predict", "evaluate", "versions", "rollback", "report")
_RARELY = (100_000, 50, 50)

app = typer.Typer(
    name="dbt-rfm",
    help="Predictive queries on a dbt project, answered by a relational foundation model.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich would double the time that --help takes
    context_settings={"help_option_names": ["-h", "--help"]},
)
demo.register(app)
schema.register(app)
query.register(app)
versions.register(app)
report.register(app)
mcp.register(app)
worker.register(app)
step.register(app)
bench.register(app)
pretrain.register(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dbt-rfm {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    debug: Annotated[bool, typer.Option(DEBUG, help="Show the traceback of an unexpected error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    """What all commands share. `run` has taken --debug out already, wherever it stood; here it is for the help."""


def run(arguments: Sequence[str] | None = None) -> None:
    """Run a command line; always leaves by SystemExit."""
    given, usual = list(sys.argv[1:] if arguments is None else arguments), gc.get_threshold()
    if any(name in given for name in _SHORT):
        gc.set_threshold(*_RARELY)
    try:
        app(args=[a for a in given if a != DEBUG], prog_name="dbt-rfm")
    except Exception as error:
        if DEBUG in given and not isinstance(error, RfmError):
            raise
        _print_red(message_of(error))
        sys.exit(1)
    finally:
        gc.set_threshold(*usual)


def message_of(error: Exception) -> str:
    """One message for whoever asked, of an error that was foreseen or of one that nobody foresaw."""
    if isinstance(error, RfmError):
        return str(error)
    if isinstance(error, ModuleNotFoundError) and error.name in EXTRAS:
        return f"this needs {error.name}, which is not installed\n  pip install 'dbt-rfm[{EXTRAS[error.name]}]'"
    return (
        f"unexpected {type(error).__name__}: {_first_line(error)}. `dbt-rfm {DEBUG} …` shows where; please report it."
    )


def _print_red(message: str) -> None:
    typer.secho(message, fg=typer.colors.RED, err=True)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0].rstrip(".")
