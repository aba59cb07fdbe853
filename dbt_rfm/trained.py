"""Where the trained weights of a prediction are kept, and which of them are still needed.

In: a snapshot and its options. Out: the model with weights adapted to the task (`model/adapt.py`) where the options ask
for it, and a folder without those that no version serves. The same in a build and in a step away from the warehouse:
the prediction's name is the snapshot's, so a folder that both use holds the same weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dbt_rfm.job import Job
from dbt_rfm.model.interface import RelationalModel
from dbt_rfm.options import Options
from dbt_rfm.snapshot import Snapshot
from dbt_rfm.versions import list_versions
from dbt_rfm.warehouse.base import Warehouse

_SERVED = frozenset({"serving", "ready"})


@dataclass(frozen=True)
class Home:
    """Where weights are kept, and whether they are made anew whatever is there."""

    root: Path
    fresh: bool = False


def home_of(job: Job, options: Options) -> Home:
    root = Path(options.weights) if options.weights else Path(job.target_path) / "rfm" / "weights"
    return Home(root, job.full_refresh)


def name_of(job: Job) -> str:
    """Under which name the weights of a job's prediction are kept."""
    return f"{job.target.schema}.{job.target.identifier}" if job.target else job.name or "ad_hoc"


def adapted(
    model: RelationalModel, snapshot: Snapshot, options: Options, home: Home, *, progress: Callable[[str], None]
) -> tuple[RelationalModel, tuple[str, ...]]:
    """The model to answer with and notes on it."""
    if not options.fine_tune:
        return model, ()
    # torch takes a second to import: only a process that predicts should pay for it.
    from dbt_rfm.model.adapt import Adaptation, adapt
    from dbt_rfm.model.in_context import InContextModel

    assert isinstance(model, InContextModel), "options are checked: the model can be fine-tuned"
    asked = Adaptation(
        minutes=options.fine_tune["minutes"],
        root=home.root,
        prediction=snapshot.prediction,
        retrain=options.retrain,
        fresh=home.fresh,
        seed=options.seed,
    )
    tuned, note = adapt(model, snapshot, asked, progress=progress)
    return tuned, (note,)


def prune(job: Job, options: Options, warehouse: Warehouse) -> None:
    """Remove weights that are old and that no version serves. For a job that has just been published."""
    if not options.fine_tune:
        return
    from dbt_rfm.model.store import WeightStore

    assert job.home is not None, "what was published has a target"
    registry = list_versions(warehouse, job.home, job.home.identifier)
    pairs = zip(registry["status"].to_pylist(), registry["checkpoint_sha"].to_pylist(), strict=True)
    WeightStore(home_of(job, options).root, name_of(job)).prune({sha for status, sha in pairs if status in _SERVED})
