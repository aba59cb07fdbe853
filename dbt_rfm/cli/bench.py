"""`dbt-rfm bench`: run a model on a folder of real databases and print its figures beside others'."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from dbt_rfm.bench.run import Result, Settings

IN_MEMORY = ":memory:"


class Protocol(StrEnum):
    ROLLING = "rolling"
    FROZEN = "frozen"


class Split(StrEnum):
    VAL = "val"
    TEST = "test"


def register(app: typer.Typer) -> None:
    app.command()(bench)


def bench(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Suite folder: */dataset.yml with Parquet.")],
    dataset: Annotated[list[str] | None, typer.Option(help="Only this database; repeatable.")] = None,
    task: Annotated[list[str] | None, typer.Option(help="Only this task, or dataset.task; repeatable.")] = None,
    model: Annotated[str, typer.Option(help="Name of the model.")] = "rfm",
    protocol: Annotated[
        Protocol, typer.Option(help="rolling: rows up to each anchor; frozen: cut at the split.")
    ] = Protocol.ROLLING,
    split: Annotated[Split, typer.Option(help="Choose on val; test is for final figures.")] = Split.VAL,
    seed: Annotated[list[int] | None, typer.Option(help="Of the context sample and the model; repeatable.")] = None,
    context: Annotated[int | None, typer.Option(min=2, help="Labelled rows the model is shown.")] = None,
    rows: Annotated[
        int | None, typer.Option(min=2, help="Ask only so many rows, drawn by the seed; default: all.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or auto.")] = "cpu",
    option: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Of the model (model_options); repeatable.")
    ] = None,
    neighbors: Annotated[
        list[int] | None, typer.Option(min=0, max=256, help="Rows per link for a model that reads rows; once per hop.")
    ] = None,
    fine_tune: Annotated[
        float, typer.Option(min=0, metavar="MINUTES", help="Also the model fine-tuned for so long; 0: not.")
    ] = 0.0,
    peers: Annotated[
        bool, typer.Option("--peers", help="Also LightGBM and a linear model on the same features and context.")
    ] = False,
    bootstrap: Annotated[int, typer.Option(min=0, help="Resamples for 95 % intervals; 0: none.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the results as JSON.")] = None,
) -> None:
    """Run a model on a suite of databases, beside baselines.

    With --split test and the rolling protocol the suite's own reference figures are printed too. Tasks that are not
    executed yet are reported as skipped. Figures are times 100 in print and 0 to 1 in JSON.
    """
    from dbt_rfm.bench.run import Settings
    from dbt_rfm.errors import ProjectError
    from dbt_rfm.model import can_fine_tune, max_context

    if fine_tune and not can_fine_tune(model):
        raise ProjectError(f"--fine-tune {fine_tune:g}: the model {model} is not fine-tuned")
    if context is not None and context > max_context(model):
        raise ProjectError(f"--context {context}: the model {model} reads at most {max_context(model)}")
    settings = Settings(
        model=model,
        protocol=protocol.value,
        split=split.value,
        seeds=tuple(seed or [0]),
        context=context,
        device=device,
        with_peers=peers,
        resamples=bootstrap,
        rows=rows,
        neighbors=tuple(neighbors) if neighbors else Settings.neighbors,
        fine_tune=fine_tune,
    )
    _run(folder, tuple(dataset or ()), tuple(task or ()), settings, _model_options(option or []), json_file)


def _run(
    folder: Path,
    datasets: tuple[str, ...],
    tasks: tuple[str, ...],
    settings: Settings,
    options: dict[str, object],
    json_file: Path | None,
) -> None:
    from dbt_rfm.bench.report import as_json, skipped_lines
    from dbt_rfm.bench.run import Result, Skipped, run_dataset
    from dbt_rfm.bench.suite import read_suite
    from dbt_rfm.cli.console import say, stages, write_json
    from dbt_rfm.model import load_model
    from dbt_rfm.options import Options
    from dbt_rfm.warehouse.duckdb import DuckDB

    chosen = read_suite(folder, datasets, tasks)
    found: list[Result | Skipped] = []
    with stages("loading the model") as progress:
        given = Options(context_size=settings.context, model_options=options).for_model()
        model = load_model(settings.model, settings.device, given)
        for each in chosen:
            with DuckDB.open(IN_MEMORY, read_only=False) as warehouse:
                found.extend(run_dataset(each, warehouse, model, settings, progress))
    results = [r for r in found if isinstance(r, Result)]
    if json_file is not None:
        write_json(json_file, as_json(results))
    if results:
        _show(folder, results, settings)
    say(*skipped_lines([s for s in found if isinstance(s, Skipped)]))


def _model_options(given: list[str]) -> dict[str, object]:
    """name=value as a project would write them in YAML. Raises ProjectError for another form."""
    import yaml

    from dbt_rfm.errors import ProjectError

    found: dict[str, object] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ProjectError(f"--option {text}", hint="Write it as NAME=VALUE, for instance --option minutes=10.")
        found[name.strip()] = yaml.safe_load(value)
    return found


def _show(folder: Path, results: list[Result], settings: Settings) -> None:
    from dbt_rfm.bench.published import read_published
    from dbt_rfm.bench.report import cost_lines, interval_lines, table_rows
    from dbt_rfm.cli.console import say, show_table

    comparable = (settings.split, settings.protocol) == (Split.TEST, Protocol.ROLLING)
    header, rows = table_rows(results, read_published(folder) if comparable else {})
    show_table(f"{settings.protocol} protocol, {settings.split} split", header, rows, right=header[2:])
    say(*interval_lines(results), *cost_lines(results, results[0].model))
