"""`dbt-rfm worker` and `dbt-rfm run`: answering the jobs that dbt leaves in a warehouse."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dbt_rfm.cli.arguments import ProfilesDir, ProjectDir, Target, Vars
from dbt_rfm.errors import ProjectError
from dbt_rfm.job import JobTarget

if TYPE_CHECKING:
    from dbt_rfm.project import Project
    from dbt_rfm.worker.work import Site

Schemas = Annotated[
    list[str] | None,
    typer.Option(
        "--schema",
        help="Schema in which to look for jobs; repeatable. Default: the var dbt_rfm_schema, or else the target's "
        "schema and those of the project's predictions.",
    ),
]
WeightsDir = Annotated[
    str | None,
    typer.Option("--weights-dir", help="Folder that keeps trained weights, or its URL; default: not beyond a job."),
]
LogJson = Annotated[bool, typer.Option("--log-json", help="Write the log as JSON, one object a line.")]
WorkDir = Annotated[Path | None, typer.Option("--work-dir", help="Where the private, wiped folder of a job is made.")]


def register(app: typer.Typer) -> None:
    app.command()(worker)
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(run)


def worker(
    project_dir: ProjectDir = None,
    profiles_dir: ProfilesDir = None,
    target: Annotated[
        list[str] | None, typer.Option("--target", "-t", help="Target of the profile to work for; repeatable.")
    ] = None,
    variables: Vars = None,
    schema: Schemas = None,
    once: Annotated[bool, typer.Option("--once", help="Answer the jobs that wait, then leave.")] = False,
    max_jobs: Annotated[int | None, typer.Option(min=1, help="Leave after so many jobs.")] = None,
    idle: Annotated[float, typer.Option(min=0.1, help="Longest pause between two looks for jobs, in seconds.")] = 5.0,
    lease: Annotated[
        int, typer.Option(min=2, help="Seconds without a sign of life after which others may take a job.")
    ] = 120,
    grace: Annotated[
        float, typer.Option(min=0, help="Seconds a running job gets when the worker is told to stop.")
    ] = 20.0,
    work_dir: WorkDir = None,
    weights_dir: WeightsDir = None,
    health_file: Annotated[
        Path | None, typer.Option(help="File to keep new while the worker lives, for a probe to look at.")
    ] = None,
    log_json: LogJson = False,
    ray: Annotated[
        int | None,
        typer.Option(min=1, metavar="TASKS", help="Tasks of a Ray cluster that may help with a large job."),
    ] = None,
) -> None:
    """Answer the jobs that dbt leaves in a warehouse, until told to stop.

    Runs where the GPU is; the warehouse is all it talks to. Credentials come from profiles.yml and the environment.
    SIGTERM or Ctrl-C: the job that runs is finished within --grace, or given back for another worker.
    """
    from dbt_rfm.cli.beside import run_until_stopped
    from dbt_rfm.project import find_project
    from dbt_rfm.worker.bus import Terms
    from dbt_rfm.worker.log import Log
    from dbt_rfm.worker.loop import Settings, Worker

    settings = Settings(
        terms=Terms(lease=lease),
        once=once,
        max_jobs=max_jobs,
        idle=idle,
        grace=grace,
        work_dir=work_dir,
        weights_dir=weights_dir,
        health_file=health_file,
    )
    targets: list[str | None] = [*target] if target else [None]
    projects = [
        find_project(project_dir, profiles_dir=profiles_dir, target=each, variables=variables) for each in targets
    ]
    sites = [site_of(project, schema or ()) for project in projects]
    if ray is not None:
        sites = [
            _with_ray(site, ray, project, profiles_dir, variables)
            for site, project in zip(sites, projects, strict=True)
        ]
    run_until_stopped(Worker(sites, settings, Log(as_json=log_json)))


def run(
    context: typer.Context,
    project_dir: ProjectDir = None,
    profiles_dir: ProfilesDir = None,
    target: Target = None,
    variables: Vars = None,
    schema: Schemas = None,
    work_dir: WorkDir = None,
    weights_dir: WeightsDir = None,
    log_file: Annotated[
        Path | None, typer.Option(help="File for the worker's log; default: logs/dbt_rfm_worker.log of the project.")
    ] = None,
) -> None:
    """Run a command, such as dbt build, with a worker beside it: dbt-rfm run -- dbt build.

    The worker stops when the command ends; the exit code is the command's.
    """
    from dbt_rfm.cli.beside import run_beside
    from dbt_rfm.project import find_project
    from dbt_rfm.worker.loop import Settings

    if not context.args:
        raise typer.BadParameter("name the command to run: dbt-rfm run -- dbt build")
    project = find_project(project_dir, profiles_dir=profiles_dir, target=target, variables=variables)
    log_file = log_file or project.root / "logs" / "dbt_rfm_worker.log"
    settings = Settings(grace=0, idle=1.0, work_dir=work_dir, weights_dir=weights_dir)
    raise typer.Exit(run_beside(context.args, site_of(project, schema or ()), settings, log_file=log_file))


def _with_ray(site: Site, tasks: int, project: Project, profiles_dir: Path | None, variables: str | None) -> Site:
    from dbt_rfm.worker.ray_helpers import Place, RayHelpers

    place = Place(project.root, profiles_dir.resolve() if profiles_dir else None, project.target, variables)
    return replace(site, helpers=RayHelpers(tasks, place))


def site_of(project: Project, schemas: Sequence[str]) -> Site:
    """A target as a place to work for. Raises ProjectError for DuckDB, which needs no worker."""
    from dbt_rfm.project import DUCKDB, plain_name
    from dbt_rfm.worker.work import Site

    if project.adapter == DUCKDB:
        raise ProjectError(
            f"target {project.target} is a DuckDB file, where dbt answers predictions itself",
            hint="Choose a target of type postgres or snowflake with --target.",
        )
    return Site(project.target, project.open, _Homes(project, [plain_name(s, project.adapter) for s in schemas]))


class _Homes:
    """Where dbt leaves jobs, by the project's manifest as it is by now: beside a worker dbt may write the first one, or
    one with new predictions. A worker takes no job from elsewhere: whoever may write one borrows its rights."""

    def __init__(self, project: Project, schemas: Sequence[str]) -> None:
        """`schemas` instead of those of the project, if any are given."""
        self._project, self._schemas = project, schemas
        self._written = self._written_at()
        self._homes = self._read()

    def __call__(self) -> Sequence[JobTarget]:
        written = self._written_at()
        if written not in (None, self._written):
            # While dbt writes it, it cannot be read: the next look will.
            with suppress(ProjectError):
                self._homes, self._written = self._read(), written
        return self._homes

    def _read(self) -> list[JobTarget]:
        from dbt_rfm.cli.project import homes_of

        homes = homes_of(self._project, self._project.manifest() if self._written_at() else {"nodes": {}})
        if not self._schemas:
            return homes
        databases = dict.fromkeys(home.database for home in homes)
        return [JobTarget(database, schema, "") for database in databases for schema in self._schemas]

    def _written_at(self) -> int | None:
        try:
            return (self._project.target_path / "manifest.json").stat().st_mtime_ns
        except OSError:
            return None
