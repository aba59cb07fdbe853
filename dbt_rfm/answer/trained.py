"""Where the trained weights of a prediction are kept, and which of them are still needed.

In: a snapshot and its options. Out: the model with weights adapted to the task (`model/families/rfm/adapt.py`) where
the options ask for it, the shelf of a model that makes its own (`model/shelf.py`), and a folder without those that no
version serves.
The same in a build and in a step away from the warehouse: the prediction's name is the snapshot's, so a folder that
both use holds the same weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbt_rfm.job import Job
from dbt_rfm.model import trains
from dbt_rfm.model.interface import Progress, RelationalModel
from dbt_rfm.options import Options
from dbt_rfm.snapshot import Snapshot
from dbt_rfm.versions.registry import list_versions
from dbt_rfm.warehouse.base import Warehouse

if TYPE_CHECKING:
    from dbt_rfm.model.keeping import Keeping
    from dbt_rfm.model.shelf import Shelf

_SERVED = frozenset({"serving", "ready"})


def trains_for(options: Options) -> bool:
    """Whether weights are made for the prediction."""
    return bool(options.fine_tune) or trains(options.model)


def root_of(job: Job, options: Options) -> str:
    """Where the weights of a job are kept."""
    return options.weights or str(Path(job.target_path) / "rfm" / "weights")


def name_of(job: Job) -> str:
    """Under which name the weights of a job's prediction are kept: one for each database that shares the folder."""
    target = job.target
    if target is None:
        return job.name or "ad_hoc"
    return ".".join(part for part in (target.database, target.schema, target.identifier) if part)


def adapted(
    model: RelationalModel, snapshot: Snapshot, options: Options, root: str, *, fresh: bool, progress: Progress
) -> tuple[RelationalModel, tuple[str, ...]]:
    """The model to answer with and notes on it. `fresh`: train whatever is kept."""
    if not options.fine_tune:
        return model, ()
    # torch takes a second to import: only a process that predicts should pay for it.
    from dbt_rfm.model.families.rfm.adapt import adapt
    from dbt_rfm.model.families.rfm.in_context import InContextModel

    assert isinstance(model, InContextModel), "options are checked: the model can be fine-tuned"
    keeping, minutes = _keeping(options, root, fresh), options.fine_tune["minutes"]
    tuned, note = adapt(model, snapshot, keeping, minutes=minutes, seed=options.seed, progress=progress)
    return tuned, (note,)


def shelf(model: Any, options: Options, root: str, *, fresh: bool, progress: Progress) -> Shelf | None:
    """Of a model that makes its weights where it is asked; None of any other."""
    if not trains(options.model):
        return None
    from dbt_rfm.model.shelf import Shelf

    return Shelf(model, _keeping(options, root, fresh), {"neighbors": list(options.neighbors)}, progress)


def _keeping(options: Options, root: str, fresh: bool) -> Keeping:
    from dbt_rfm.model.keeping import Keeping

    return Keeping(root, options.retrain, fresh)


def prune(job: Job, options: Options, warehouse: Warehouse) -> None:
    """Remove weights that are old and that no version serves. For a job that has just been published."""
    if not trains_for(options):
        return
    from dbt_rfm.model.store import WeightStore

    assert job.home is not None, "what was published has a target"
    registry = list_versions(warehouse, job.home, job.home.identifier)
    pairs = zip(registry["status"].to_pylist(), registry["checkpoint_sha"].to_pylist(), strict=True)
    WeightStore(root_of(job, options), name_of(job)).prune({sha for status, sha in pairs if status in _SERVED})
