"""What the figures lose with worse data: missing cells, wrong keys, wrong units, changed columns, new entities.

    python bench/robustness.py ../shared/suite --task f1.driver_top3 [--rows 400] [--context 1000] [--json FILE]

For each task the model, LightGBM and a linear model are measured on the clean database and on each corruption of it
(dbt_rfm/bench/corruption.py), and a Markdown table is printed. Results: docs/robustness.md. `--json` is written after
every task, so a long run that is stopped leaves what it has.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("suite", type=Path)
    parser.add_argument("--dataset", action="append", default=[], help="only this database; repeatable")
    parser.add_argument("--task", action="append", default=[], help="only this task, or dataset.task; repeatable")
    parser.add_argument("--split", choices=("val", "test"), default="val")
    parser.add_argument("--rows", type=int, help="ask only so many rows, drawn by the seed")
    parser.add_argument("--context", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="rfm")
    parser.add_argument("--json", type=Path)
    run(parser.parse_args())


def run(options: argparse.Namespace) -> None:
    from dbt_rfm.bench.robustness import markdown, measure
    from dbt_rfm.bench.run import EXECUTED, Settings
    from dbt_rfm.bench.suite import read_suite
    from dbt_rfm.model import load_model
    from dbt_rfm.task_kind import TaskKind

    settings = Settings(
        model=options.model,
        split=options.split,
        seeds=(options.seed,),
        context=options.context,
        rows=options.rows,
    )
    model = load_model(options.model, "cpu", {"context_size": options.context})
    print(f"{model.version}, split {options.split}, seed {options.seed}\n", flush=True)
    curves = []
    for dataset in read_suite(options.suite, tuple(options.dataset), tuple(options.task)):
        for task in dataset.tasks:
            if task.kind not in EXECUTED or task.kind == TaskKind.LINK:
                continue
            curve = measure(dataset, task, model, settings, progress=lambda text: print(text, file=sys.stderr))
            print("\n".join(markdown(curve)), end="\n\n", flush=True)
            curves.append(curve.as_json())
            if options.json:
                options.json.write_text(json.dumps(curves, indent=1))


if __name__ == "__main__":
    main()
