"""`dbt-rfm step`: the model on a snapshot bundle, on any machine; no dbt and no warehouse."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command()(step)


def step(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle, as kept under target/rfm/.")],
    out: Annotated[Path, typer.Argument(help="Parquet file to write the predictions to.")],
    train: Annotated[
        bool, typer.Option("--train", help="Train what the bundle's options ask for, unless weights are kept that do.")
    ] = False,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or auto; default: as the bundle says.")] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="File of trained weights to answer with, or its URL; with --train the folder that keeps them, "
            "by default the option weights of the bundle, or a folder weights beside OUT.",
        ),
    ] = None,
) -> None:
    """Run the model on a snapshot bundle, on any machine.

    The predictions are those of the run that made the bundle, if it was fine-tuned with its --weights or trained anew
    with --train; the file has the form of the prediction table without its version columns.
    """
    import pyarrow.parquet as pq

    from dbt_rfm.answer import trained
    from dbt_rfm.answer.reasons_column import with_reasons
    from dbt_rfm.cli.console import say, stages
    from dbt_rfm.errors import ProjectError
    from dbt_rfm.evaluate.backtest import backtest
    from dbt_rfm.model import load_model
    from dbt_rfm.model.families.rfm.adapt import with_weights
    from dbt_rfm.model.prediction_rows import prediction_rows
    from dbt_rfm.model.step import run_step
    from dbt_rfm.options import Options
    from dbt_rfm.snapshot import read_bundle

    told: tuple[str, ...] = ()
    with stages("reading the bundle") as progress:
        snapshot = read_bundle(bundle)
        options = Options.read(snapshot.options, where=str(bundle))
        if train and not trained.trains_for(options):
            raise ProjectError(
                "the run that made the bundle asked for no training",
                where=str(bundle),
                hint="Leave --train out, or set meta.rfm.fine_tune and build again.",
            )
        progress("predicting")
        model = load_model(options.model, device or options.device, options.for_model())
        shelf = None
        if train:
            root = str(weights or options.weights or out.parent / "weights")
            model, told = trained.adapted(model, snapshot, options, root, fresh=False, progress=progress)
            shelf = trained.shelf(model, options, root, fresh=False, progress=progress)
        elif weights is not None:
            model = with_weights(model, weights)
        result = run_step(snapshot, model, seed=options.seed, shelf=shelf)
        rows = prediction_rows(snapshot, result.query)
        rows = with_reasons(rows, snapshot, result.query, result.learnt, snapshot, progress=progress)
    if os.environ.get("RANK", "0") != "0":
        return  # of several processes under torchrun the first one writes and tells
    try:
        pq.write_table(rows, out)
    except OSError as error:
        raise ProjectError(f"{out} cannot be written: {error}") from error
    if options.fine_tune and weights is None and not train:
        say("The run that made the bundle was fine-tuned: without --train or --weights the bundled weights answered.")
    test = backtest(snapshot, result.backtest)
    say(f"{len(rows)} rows as of {snapshot.anchor:%Y-%m-%d %H:%M} in {out}; model {result.seconds:.1f} s")
    if test is not None:
        say(test.line())
    say(*told, *result.provenance.notes)
