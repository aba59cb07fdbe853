"""Options that several commands share, once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ProjectDir = Annotated[
    Path | None,
    typer.Option("--project-dir", help="Folder of dbt_project.yml; default: here, or the nearest folder above."),
]
ProfilesDir = Annotated[
    Path | None, typer.Option("--profiles-dir", help="Folder of profiles.yml; default: as dbt looks for it.")
]
Target = Annotated[str | None, typer.Option("--target", "-t", help="Target of the profile; default: the profile's.")]
Vars = Annotated[
    str | None,
    typer.Option("--vars", metavar="YAML", help="Variables, as they are given to dbt; default: dbt_project.yml's."),
]
Query = Annotated[
    str, typer.Argument(metavar="QUERY", help="A predictive query: PREDICT … FOR EACH … (quote it for the shell).")
]
LabelDelay = Annotated[
    str | None,
    typer.Option(
        "--label-delay",
        metavar="TIME",
        help="Of an attribute of events: how long after an event it is known, such as '7 days', or the column that "
        "says when, such as due_at or 'due_at + 7 days'.",
    ),
]
At = Annotated[
    str | None,
    typer.Option("--at", metavar="TIMESTAMP", help="Predict as of this moment; default: the newest event."),
]
