"""`dbt-rfm pretrain`: train the weights of the bundled model on synthetic relational databases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command()(pretrain)


def pretrain(
    out: Annotated[Path, typer.Option(help="Folder for the log, the state to go on from and the weights.")],
    minutes: Annotated[float, typer.Option(min=0.01, help="Time to train, all runs into this folder together.")],
    processes: Annotated[int, typer.Option(min=1, help="Training processes; 1 on a GPU.")] = 2,
    workers: Annotated[int, typer.Option(min=0, help="Processes that draw databases ahead; 0: none.")] = 0,
    tokens: Annotated[int, typer.Option(min=1000, help="Cells per process and step; about 400000 on a GPU.")] = 18_000,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    seed: Annotated[int, typer.Option(help="Seed of the weights and of the databases.")] = 0,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start anew instead of going on from the folder.")] = False,
) -> None:
    """Pretrain the bundled model from scratch; no real data is read.

    Progress is printed as training goes on and kept in log.jsonl.
    """
    from dbt_rfm.cli.console import say
    from dbt_rfm.pretrain import pretrain as run

    weights = run(
        out,
        minutes,
        processes=processes,
        seed=seed,
        resume=not fresh,
        device=device,
        tokens=tokens,
        workers=workers,
    )
    say(f"weights in {weights}")
