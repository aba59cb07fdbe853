"""`dbt-rfm predict`, `evaluate` and `check`: predictive queries asked from the command line. They read and never write.

The database is opened read-only; the graph is the project's var dbt_rfm_graph and the tables the query names.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from dbt_rfm.cli.arguments import At, LabelDelay, ProfilesDir, ProjectDir, Query, Target, Vars
from dbt_rfm.task_kind import TaskKind

if TYPE_CHECKING:
    from dbt_rfm.answer.answered import Answer
    from dbt_rfm.pql.task import Task
    from dbt_rfm.survey import Survey

#: Rows of predictions shown as a table unless --limit says otherwise; JSON and CSV hold all.
SHOWN_ROWS = 20


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
    from dbt_rfm.cli.reasons import explained, reasons_as_json, show_reasons
    from dbt_rfm.cli.tables import cells
    from dbt_rfm.pipeline import answer

    if as_json and as_csv:
        raise typer.BadParameter("choose one of --json and --csv")
    if why and as_csv:
        raise typer.BadParameter("--explain prints a table or --json, reasons have no place in CSV")
    with (
        stages("opening the project") as progress,
        open_project(project_dir, profiles_dir, target, variables) as opened,
    ):
        job = opened.job(query, options=_options(label_delay, backtest=False))
        quick = bool(entity) and not thorough
        result = answer(job, opened.warehouse, entity_ids=entity or (), at=at, quick=quick, progress=progress)
        reasons = explained(result, limit or SHOWN_ROWS, progress=progress) if why else []
    rows, seconds = result.predictions, seconds_line(result.seconds)
    _warn_of_missing(result, entity or [])
    if as_json:
        show_json(_as_json(result, limit) | ({"reasons": reasons_as_json(reasons)} if why else {}))
    elif as_csv:
        write_csv(rows if limit is None else rows.slice(0, limit))
        say(seconds, to_stderr=True)
    else:
        shown = rows.slice(0, limit or SHOWN_ROWS)
        title = f"{len(rows)} predictions as of {result.snapshot.anchor:%Y-%m-%d %H:%M}"
        show_table(title, shown.column_names, cells(shown))
        say(*[f"… {len(rows) - len(shown)} more: --limit, --csv or --json"] * (len(shown) < len(rows)))
        if why:
            show_reasons(reasons, result)
        say(*[f"note: {note}" for note in result.snapshot.notes], seconds)


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
    from dbt_rfm.errors import DataError
    from dbt_rfm.pipeline import answer
    from dbt_rfm.pql.parser import without_command

    with (
        stages("opening the project") as progress,
        open_project(project_dir, profiles_dir, target, variables) as opened,
    ):
        asked = without_command(query, "EVALUATE")
        job = opened.job(asked, options=_options(label_delay, backtest=True))
        result = answer(job, opened.warehouse, at=at, progress=progress)
    test = result.backtest
    if test is None:
        raise DataError("there is no closed window to backtest on", hint="; ".join(result.snapshot.notes))
    if as_json:
        show_json(
            {
                "query": result.task.text,
                "kind": result.task.kind,
                "anchor_time": result.snapshot.anchor,
                "rows": test.rows,
                "context": test.context,
                "primary": test.primary,
                "beats": test.beats,
                "metrics": test.metrics,
                "baselines": test.baselines,
                "seconds": result.seconds,
                "notes": result.notes,
            }
        )
        return
    names = list(test.baselines)
    rows = [[m, value, *(test.baselines[n].get(m) for n in names)] for m, value in test.metrics.items()]
    columns = ["figure", result.options.model, *names]
    show_table(f"{test.rows} rows, {test.context} labelled examples before them", columns, rows, right=columns[1:])
    say(test.line(), *[f"note: {note}" for note in result.snapshot.notes], seconds_line(result.seconds))


def _options(label_delay: str | None, **more: object) -> dict[str, object]:
    return {**more, **({"label_delay": label_delay} if label_delay is not None else {})}


def _as_json(result: Answer, limit: int | None) -> dict[str, object]:
    rows = result.predictions if limit is None else result.predictions.slice(0, limit)
    return {
        "query": result.task.text,
        "kind": result.task.kind,
        "anchor_time": result.snapshot.anchor,
        "model": result.provenance.version,
        "predictions": rows.to_pylist(),
        "seconds": result.seconds,
        "notes": result.notes,
    }


def _warn_of_missing(result: Answer, asked: list[str]) -> None:
    """Say which entities asked for have no prediction, and why that can be."""
    from dbt_rfm.cli.console import say

    if not asked:
        return
    examples = result.snapshot.examples.select(["split", "entity"]).to_pylist()
    answered = {str(row["entity"]) for row in examples if row["split"] == "query"}
    missing = [value for value in asked if value not in answered]
    if missing:
        table = result.task.entity.table.name
        why = "it is not in the table at that time" + (" or fails the query's WHERE" if result.task.where else "")
        say(f"no prediction for {table} {', '.join(missing)}: {why}", to_stderr=True)


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
    from dbt_rfm.pipeline import understand
    from dbt_rfm.pql.describe import describe
    from dbt_rfm.pql.parser import without_command
    from dbt_rfm.survey import survey

    with (
        stages("opening the project") as progress,
        open_project(project_dir, profiles_dir, target, variables) as opened,
    ):
        job = opened.job(without_command(query, "EXPLAIN"), options=_options(label_delay))
        known = understand(job, opened.warehouse, at=at)
        progress("counting labels")
        found = survey(known.task, known.schema, opened.warehouse, known.options)
        notes = (*known.schema.notes, *found.notes, *opened.for_a_model(job))
    if as_json:
        head = {"query": known.task.text, "kind": known.task.kind, "means": describe(known.task)}
        show_json({**head, **asdict(found), "notes": notes})
        return
    say(describe(known.task).rstrip("\n"), *_survey_lines(found, known.task))
    say(*[f"note: {note}" for note in notes])
    if with_sql:
        say("", found.label_sql)


_SHOWN_CLASSES = 20
_OF_NUMBERS = {TaskKind.LINK: "items per list: ", TaskKind.FORECAST: "per window: "}


def _survey_lines(found: Survey, task: Task) -> list[str]:
    """Examples, labels and who is asked, in the form of `describe`."""
    from dbt_rfm.cli.console import short

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
