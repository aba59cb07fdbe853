"""`dbt-rfm report`: one HTML page about the published predictions, for whoever has to trust them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dbt_rfm.cli.arguments import ProfilesDir, ProjectDir, Target, Vars
from dbt_rfm.cli.asked import published

if TYPE_CHECKING:
    from dbt_rfm.cli.project import OpenedProject
    from dbt_rfm.report.gather import Meaning, Published


def register(app: typer.Typer) -> None:
    app.command()(report)


def report(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="[MODEL …]", help="Names of prediction models; default: all.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="File to write; default: target/rfm/report.html of the project.")
    ] = None,
    project_dir: ProjectDir = None,
    profiles_dir: ProfilesDir = None,
    target: Target = None,
    variables: Vars = None,
) -> None:
    """Write a page about published predictions: what each says, how good it was, what it rests on.

    One HTML file that needs no network, with the keys of the strongest rows in it.
    """
    from dbt_rfm.cli.console import say, stages, write_text
    from dbt_rfm.cli.project import open_project
    from dbt_rfm.report.gather import gather
    from dbt_rfm.report.page import page

    with (
        stages("reading the registry") as progress,
        open_project(project_dir, profiles_dir, target, variables) as opened,
    ):
        found = []
        for prediction in _chosen(opened, models or ()):
            progress(f"reading {prediction.name}")
            found.append(gather(opened.warehouse, prediction, _meaning(opened, prediction)))
        name, file = opened.project.name, out or opened.project.target_path / "rfm" / "report.html"
    write_text(file, page(found, project=name, now=datetime.now(UTC).replace(tzinfo=None)))
    say(*[f"{each.published.name}: {each.problem}" for each in found if each.problem], to_stderr=True)
    say(str(file))


def _chosen(opened: OpenedProject, models: list[str] | tuple[str, ...]) -> list[Published]:
    """Predictions in the order of their names, or as named. Raises DataError for one that was never published."""
    from dbt_rfm.report.gather import Published

    rows = [row for model in models or (None,) for row in published(opened, model)]
    names = dict.fromkeys(row["model_name"] for row in rows)
    by_name = {name: {row["version"]: row for row in rows if row["model_name"] == name} for name in names}
    return [
        Published(name, opened.home(name), opened.registry(name), list(versions.values()))
        for name, versions in by_name.items()
    ]


def _meaning(opened: OpenedProject, prediction: Published) -> Meaning:
    """The query of the version shown on today's tables; where that cannot be read any more, why not."""
    from dbt_rfm.errors import RfmError
    from dbt_rfm.pipeline import understand
    from dbt_rfm.pql.describe import described
    from dbt_rfm.pql.windows import seconds_of
    from dbt_rfm.report.gather import Meaning

    query = prediction.version["query"]
    try:
        task = understand(opened.job(query, options=opened.options(prediction.name)), opened.warehouse).task
    except RfmError as error:
        return Meaning({}, problem=error.problem.partition("\n")[0])
    if task.horizon is None:
        return Meaning(described(task))
    seconds = seconds_of(task.horizon) * (task.timeframes or 1)
    return Meaning(described(task), timedelta(seconds=seconds))
