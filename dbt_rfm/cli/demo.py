"""`dbt-rfm demo`: the example project in a folder of the user's own, built by dbt, and what came out of it.

dbt runs inside this process (its dbtRunner) from the project's folder, as it would from a terminal there.
"""

from __future__ import annotations

from contextlib import chdir
from pathlib import Path
from typing import Annotated

import typer

#: Rows shown of each prediction table.
SHOWN_ROWS = 5
#: Columns left out here: they are the same in every row.
MARKS = ("model_version", "run_id", "predicted_at")


def register(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to create.")] = Path("dbt_rfm_demo"),
    customers: Annotated[
        int | None, typer.Option(min=50, help="Customers of the shop; default: a few thousand.")
    ] = None,
) -> None:
    """Build the example shop with dbt and show its predictions.

    The data are simulated anew, two years of a shop; the folder is a dbt project to go on with.
    """
    from dbt_rfm.cli.console import say, stages
    from dbt_rfm.demo.project import set_up

    with stages("simulating two years of a shop"):
        counts = set_up(directory, num_customers=customers)
    say(f"{directory}: a shop with " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    with chdir(directory):
        for command in (["deps"], ["build"]):
            _dbt(command)
        _show_results()
    say("", f"It is yours to change: cd {directory}, edit models/predictions, dbt build.")


def _dbt(command: list[str]) -> None:
    """Run a dbt command in the current folder. Raises ProjectError if dbt is missing or does not succeed."""
    from dbt_rfm.errors import ProjectError

    try:
        from dbt.cli.main import dbtRunner
    except ImportError as error:
        raise ProjectError("the demo needs dbt and DuckDB", hint="pip install 'dbt-rfm[duckdb]'") from error
    done = dbtRunner().invoke([*command, "--project-dir", ".", "--profiles-dir", "."])
    if not done.success:
        reason = str(done.exception).strip() if done.exception else "see its messages above"
        raise ProjectError(f"dbt {command[0]} did not succeed: {reason}")


def _show_results() -> None:
    """The head of each prediction table, then the backtests, from the database that dbt just built."""
    from dbt_rfm.cli.console import show_table
    from dbt_rfm.cli.project import open_project
    from dbt_rfm.cli.tables import BACKTEST_COLUMNS, backtest_cells, cells, head
    from dbt_rfm.versions.registry import SERVING, list_versions

    # dbt still holds the file in this process, and DuckDB wants every connection to open it alike.
    with open_project(Path("."), None, None, read_only=False) as opened:
        (home,) = opened.homes()
        served = [row for row in list_versions(opened.warehouse, home).to_pylist() if row["status"] == SERVING]
        for row in served:
            rows = head(opened.warehouse, home.named(row["model_name"]), SHOWN_ROWS)
            shown = rows.drop_columns(list(MARKS))
            show_table(f"{row['model_name']}: {row['num_rows']} rows", shown.column_names, cells(shown))
    columns = ["prediction", *BACKTEST_COLUMNS]
    show_table("Backtests", columns, [[row["model_name"], *backtest_cells(row)] for row in served])
