"""`dbt-rfm predict`, `evaluate` and `check`: predictive queries asked from the command line. They read and never write.

The database is opened read-only; the graph is the project's var dbt_rfm_graph and the tables the query names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dbt_rfm.cli.arguments import At, LabelDelay, ProfilesDir, ProjectDir, Query, Target, Vars
from dbt_rfm.cli.asked import SHOWN_ROWS, checked, evaluated, predicted
from dbt_rfm.task_kind import TaskKind

if TYPE_CHECKING:
    from dbt_rfm.pql.task import Task
    from dbt_rfm.survey import Survey


def register(app: typer.Typer) -> None:
    app.command()(predict)
    app.command()(evaluate)
    app.command()(check)


def predict(
    query: Query,
    entity: Annotated[
        list[str] | None, typer.Option("--entity", "-e", metavar="KEY", help="Only this entity; repeatable.")
    ] = None,
    at: At = None,
    label_delay: LabelDelay = None,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Answer as dbt build does, also for named entities: slower.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    why: Annotated[
        bool, typer.Option("--explain", help="Also say what moves each answer away from the usual one.")
    ] = False,
    limit: Annotated[int | None, typer.Option(min=1, help=f"Rows to print; default: {SHOWN_ROWS} of a table.")] = None,
    project_dir: ProjectDir = None,
    profiles_dir: ProfilesDir = None,
    target: Target = None,
    variables: Vars = None,
) -> None:
    """Answer a predictive query without publishing anything."""
    from dbt_rfm.answer.answered import seconds_line
    from dbt_rfm.cli.console import say, show_json, show_table, stages, write_csv
    from dbt_rfm.cli.project import open_project
    from dbt_rfm.cli.reasons import show_reasons
    from dbt_rfm.cli.tables import cells

    if as_json and as_csv:
        raise typer.BadParameter("choose one of --json and --csv")
    if why and as_csv:
        raise typer.BadParameter("--explain prints a table or --json, reasons have no place in CSV")
    with (
        stages("opening the project") as progress,
        open_project(project_dir, profiles_dir, target, variables) as opened,
    ):
        said = predicted(
            opened,
            query,
            entities=entity or (),
            at=at,
            label_delay=label_delay,
            thorough=thorough,
            why=why,
            limit=limit,
            progress=progress,
        )
    rows, seconds = said.result.predictions, seconds_line(said.result.seconds)
    if missing := said.missing(entity or ()):
        say(missing, to_stderr=True)
    if as_json:
        show_json(said.as_json(limit))
    elif as_csv:
        write_csv(rows if limit is None else rows.slice(0, limit))
        say(seconds, to_stderr=True)
    else:
        shown = rows.slice(0, limit or SHOWN_ROWS)
        title = f"{len(rows)} predictions as of {said.result.snapshot.anchor:%Y-%m-%d %H:%M}"
        show_table(title, shown.column_names, cells(shown))
        say(*[f"… {len(rows) - len(shown)} more: --limit, --csv or --json"] * (len(shown) < len(rows)))
        if said.reasons is not None:
            show_reasons(said.reasons, said.result)
        say(*[f"note: {note}" for note in said.result.snapshot.notes], seconds)


def evaluate(
    query: Query,
    at: At = None,
    label_delay: LabelDelay = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    project_dir: ProjectDir = None,
    profiles_dir: ProfilesDir = None,
    target: Target = None,
    variables: Vars = None,
) -> None:
    """Backtest a query on its newest closed window: EVALUATE PREDICT ….

    The window is predicted from what was known at its start, and compared with what happened and with baselines.
    """
    from dbt_rfm.answer.answered import seconds_line
    from dbt_rfm.cli.console import say, show_json, show_table, stages
    from dbt_rfm.cli.project import open_project

    with (
        stages("opening the project") as progress,
        open_project(project_dir, profiles_dir, target, variables) as opened,
    ):
        said = evaluated(opened, query, at=at, label_delay=label_delay, progress=progress)
    if as_json:
        show_json(said.as_json())
        return
    result, test = said.result, said.test
    names = list(test.baselines)
    rows = [[m, value, *(test.baselines[n].get(m) for n in names)] for m, value in test.metrics.items()]
    columns = ["figure", result.options.model, *names]
    show_table(f"{test.rows} rows, {test.context} labelled examples before them", columns, rows, right=columns[1:])
    say(test.line(), *[f"note: {note}" for note in result.snapshot.notes], seconds_line(result.seconds))


def check(
    query: Query,
    at: At = None,
    label_delay: LabelDelay = None,
    with_sql: Annotated[bool, typer.Option("--sql", help="Also print the SQL that makes the labels.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, the SQL of the labels included.")] = False,
    project_dir: ProjectDir = None,
    profiles_dir: ProfilesDir = None,
    target: Target = None,
    variables: Vars = None,
) -> None:
    """Say what a query means, what it would learn from, and who is asked: EXPLAIN PREDICT ….

    No prediction is made and no model is loaded.
    """
    from dbt_rfm.cli.console import say, show_json, stages
    from dbt_rfm.cli.project import open_project
    from dbt_rfm.pql.describe import describe

    with (
        stages("opening the project") as progress,
        open_project(project_dir, profiles_dir, target, variables) as opened,
    ):
        said = checked(opened, query, at=at, label_delay=label_delay, progress=progress)
    if as_json:
        show_json(said.as_json())
        return
    task = said.known.task
    say(describe(task).rstrip("\n"), *_survey_lines(said.found, task))
    say(*[f"note: {note}" for note in said.notes])
    if with_sql:
        say("", said.found.label_sql)


_SHOWN_CLASSES = 20
_OF_NUMBERS = {TaskKind.LINK: "items per list: ", TaskKind.FORECAST: "per window: "}


def _survey_lines(found: Survey, task: Task) -> list[str]:
    """Examples, labels and who is asked, in the form of `describe`."""
    from dbt_rfm.figures import short

    examples = f"{found.examples} at {found.anchors} anchors"
    if found.first is not None and found.last is not None:
        examples += f", from {found.first:%Y-%m-%d %H:%M} to {found.last:%Y-%m-%d %H:%M}"
    if found.classes:
        counted = list(found.classes.items())
        labels = ", ".join(f"{name} {n} ({n / found.examples:.1%})" for name, n in counted[:_SHOWN_CLASSES])
        labels += f" and {len(counted) - _SHOWN_CLASSES} more" if len(counted) > _SHOWN_CLASSES else ""
    else:
        labels = ", ".join(f"{name} {short(value)}" for name, value in found.spread.items() if value is not None)
        labels = f"{_OF_NUMBERS.get(task.kind, '')}{labels}"
    asked = f"{found.asked} {task.entity.table.name} as of {found.anchor:%Y-%m-%d %H:%M}"
    lines = {"Examples": examples, "Labels": labels, "Asks for": asked}
    return [f"{head + ':':<12} {text}" for head, text in lines.items()]
