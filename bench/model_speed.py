"""How fast the model is by itself: reading a context, answering one more row, and many rows at flat memory.

    python bench/model_speed.py [--context 1000] [--columns 64] [--rows 20000] [--json FILE]

The rows are simulated tasks of the pretraining prior, so nothing is downloaded. The least of the repeats is reported.
The peer is LightGBM, fitted and asked on the same rows and columns in the same process. Torch has its own threads.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

REPEATS = 3
SEED = 11


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--context", type=int, default=1000)
    parser.add_argument("--columns", type=int, default=64)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    figures = measure(arguments.context, arguments.columns, arguments.rows)
    for name, value in figures.items():
        print(f"{name:<52} {value:,.4g}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def measure(context: int, columns: int, rows: int) -> dict[str, float]:
    import torch

    from dbt_rfm.bench import memory, peers
    from dbt_rfm.model import load_model, quick_options
    from dbt_rfm.model.interface import FeatureTable, Labelled
    from dbt_rfm.pretrain.prior import draw_batch
    from dbt_rfm.task_kind import TaskKind

    batch = draw_batch(np.random.default_rng(SEED), TaskKind.BINARY, 1, context, 512, columns, relational=1.0)
    kinds = tuple("categorical" if flag else "numerical" for flag in batch.categorical[0])

    def table(values: np.ndarray) -> FeatureTable:
        texts = [
            np.array([None if np.isnan(v) else str(int(v)) for v in column], dtype=object)
            if kind == "categorical"
            else column.astype(np.float64)
            for column, kind in zip(values.T, kinds, strict=True)
        ]
        return FeatureTable(tuple(f"c{j}" for j in range(columns)), kinds, tuple(texts))

    shown, asked = table(batch.columns[0][:context]), table(batch.columns[0][context:])
    many = asked.take(np.arange(rows) % asked.num_rows)
    labels, times = batch.labels[0][:context].astype(int), np.arange(float(context))
    figures: dict[str, float] = {"threads of torch": torch.get_num_threads()}
    for name, options in (("quick", quick_options("rfm")), ("thorough", {})):
        model = load_model("rfm", "cpu", options)
        read = partial(model.prepare, Labelled(shown, labels, TaskKind.BINARY, ("false", "true"), times))
        found = {"context read, s": least(read), **asking(read(), asked.take(np.arange(1)), many, memory)}
        figures |= {f"{name}: {what}": value for what, value in found.items()}
    fitted = least(lambda: peers.lightgbm(shown, labels, asked, TaskKind.BINARY, ("false", "true"), 0))
    figures["LightGBM fitted and asked, s"] = fitted
    figures["quick: context read / LightGBM"] = figures["quick: context read, s"] / fitted
    return figures


def asking(prepared: Any, one: Any, many: Any, memory: Any) -> dict[str, float]:
    network, matrix = prepared.opinions.members[0], prepared.reading.matrix_of(many)
    memory.reset()
    before = memory.peak_mb()
    seconds = least(lambda: prepared.answer(many))
    return {
        "memory on top, MB": memory.peak_mb() - before,
        "one more row, s": least(lambda: prepared.answer(one)),
        "rows a second": many.num_rows / seconds,
        "rows a second, network alone": many.num_rows / least(lambda: network.log_odds(matrix)),
    }


def least(run: Callable[[], object]) -> float:
    def once() -> float:
        started = time.perf_counter()
        run()
        return time.perf_counter() - started

    return min(once() for _ in range(REPEATS))


if __name__ == "__main__":
    main()
