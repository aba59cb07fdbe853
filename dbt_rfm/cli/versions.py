"""`dbt-rfm versions` and `dbt-rfm rollback`: what was published, and going back to it."""

from __future__ import annotations

from typing import Annotated

import typer

from dbt_rfm.cli.arguments import ProfilesDir, ProjectDir, Target, Vars
from dbt_rfm.cli.asked import published

#: Heading -> column of rfm_versions.
_COLUMNS = {
    "prediction": "model_name",
    "version": "version",
    "status": "status",
    "as of": "anchor_time",
    "rows": "num_rows",
    "created": "created_at",
    "model": "rfm_model",
}


def register(app: typer.Typer) -> None:
    app.command()(versions)
    app.command()(rollback)


def versions(
    model: Annotated[str | None, typer.Argument(help="Name of a prediction model; default: all.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    project_dir: ProjectDir = None,
    profiles_dir: ProfilesDir = None,
    target: Target = None,
    variables: Vars = None,
) -> None:
    """List published versions and their backtests, newest first."""
    from dbt_rfm.cli.console import show_json, show_table
    from dbt_rfm.cli.project import open_project
    from dbt_rfm.cli.tables import BACKTEST_COLUMNS, backtest_cells

    with open_project(project_dir, profiles_dir, target, variables) as opened:
        chosen = published(opened, model)
    if as_json:
        show_json(chosen)
        return
    rows = [[*(row[column] for column in _COLUMNS.values()), *backtest_cells(row)] for row in chosen]
    show_table("", [*_COLUMNS, *BACKTEST_COLUMNS], rows, right=("version", "rows"))


def rollback(
    model: Annotated[str, typer.Argument(help="Name of the prediction model.")],
    version: Annotated[
        int | None, typer.Option(help="Version to serve; default: the newest before the one served.")
    ] = None,
    project_dir: ProjectDir = None,
    profiles_dir: ProfilesDir = None,
    target: Target = None,
    variables: Vars = None,
) -> None:
    """Serve an older version of a prediction again."""
    from dbt_rfm.cli.console import say, stages
    from dbt_rfm.cli.project import open_project
    from dbt_rfm.versions.history import rollback as go_back

    with (
        stages("rolling back"),
        open_project(project_dir, profiles_dir, target, variables, read_only=False) as opened,
    ):
        number = go_back(opened.warehouse, opened.home(model), version, home=opened.registry(model))
    say(f"{model} serves version {number} again")
