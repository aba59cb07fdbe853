"""`dbt-rfm schema`: the relational graph as dbt-rfm reads it, as a table or a Mermaid diagram."""

from __future__ import annotations

from typing import Annotated

import typer

from dbt_rfm.cli.arguments import ProfilesDir, ProjectDir, Target, Vars


def register(app: typer.Typer) -> None:
    app.command()(schema)


def schema(
    project_dir: ProjectDir = None,
    profiles_dir: ProfilesDir = None,
    target: Target = None,
    variables: Vars = None,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print a Mermaid entity-relationship diagram.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    validate: Annotated[bool, typer.Option("--validate", help="Also check keys and links against the rows.")] = False,
) -> None:
    """Show the relational graph: tables, keys, links and times.

    What is inferred rather than declared has a question mark.

    With --validate the exit code is 1 if a finding would make predictions wrong.
    """
    from dbt_rfm.cli.console import say, show_json, stages, stdout
    from dbt_rfm.cli.project import open_project
    from dbt_rfm.schema import render
    from dbt_rfm.schema.from_job import schema_from_job
    from dbt_rfm.schema.validate import Severity
    from dbt_rfm.schema.validate import validate as findings_of

    if as_json and mermaid:
        raise typer.BadParameter("choose one of --json and --mermaid")
    with stages("reading the schema") as progress, open_project(project_dir, profiles_dir, target, variables) as opened:
        found = schema_from_job(opened.job(""), opened.warehouse)
        progress("checking rows")
        findings = findings_of(found, opened.warehouse) if validate else []
    if as_json:
        show_json(render.as_values(found))
    elif mermaid:
        say(render.mermaid(found).rstrip("\n"))
    else:
        stdout().print(render.schema_table(found))
        say(*[f"note: {note}" for note in found.notes])
    say(*[str(finding) for finding in findings], to_stderr=mermaid or as_json)
    if validate and not findings:
        say("no finding: keys and links hold", to_stderr=mermaid or as_json)
    if any(finding.severity is Severity.ERROR for finding in findings):
        raise typer.Exit(1)
