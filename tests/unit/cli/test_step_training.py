"""step --train: training away from the warehouse, as in the build that made the bundle, and only once."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from dbt_rfm.answer.answered import Answer
from dbt_rfm.cli.project import open_project
from dbt_rfm.model.families.rfm import adapt as adapting
from dbt_rfm.model.families.rfm import episodes
from dbt_rfm.model.families.rfm import fine_tune as room
from dbt_rfm.model.families.rfm.in_context import InContextModel, InContextOptions
from dbt_rfm.model.families.rfm.network import NetworkConfig, RelationalTransformer
from dbt_rfm.model.families.rfm.watched import Watched
from dbt_rfm.pipeline import answer
from dbt_rfm.snapshot import write_bundle

CHURN = "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH customers.customer_id"
TUNED = {"fine_tune": {"minutes": 0.2}, "context_size": 400}
SMALL = NetworkConfig(cell_width=16, cell_layers=1, cell_heads=2, summaries=2, row_width=32, row_layers=1, row_heads=2)

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True, scope="module")
def small() -> Iterator[None]:
    """A small network, small episodes, a clock whose seconds are its readings, a training that brings something."""
    torch.manual_seed(0)
    network = RelationalTransformer(SMALL)
    options = InContextOptions(context_size=400, attended=100, columns=8, thorough=False)
    model = InContextModel(network, version="small", checkpoint_sha="0" * 64, options=options)
    train = room.fine_tune

    def by_steps(*given: object, **named: object) -> room.Tuned:
        ticks = count()
        return train(*given, **{**named, "clock": lambda: float(next(ticks))})

    with pytest.MonkeyPatch.context() as patch:
        for place in ("dbt_rfm.pipeline.load_model", "dbt_rfm.model.load_model"):
            patch.setattr(place, lambda *_: model)
        for size in ("_CONTEXT", "QUESTIONS"):
            patch.setattr(episodes, size, 40)
        patch.setattr(adapting, "fine_tune", by_steps)
        patch.setattr(Watched, "losses", lambda self, network: np.full(40, 1.0 if network is None else 0.5))
        yield


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with each training that begins."""
    begun: list[int] = []
    run = room._Training.run
    monkeypatch.setattr(room._Training, "run", lambda self: begun.append(self.steps) or run(self))
    return begun


@pytest.fixture(scope="module")
def built(small: None, project: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Answer]:
    """A bundle and the answer of the run that made it, which trained in a folder of its own."""
    folder = tmp_path_factory.mktemp("build")
    return _built(project, folder, {**TUNED, "weights": str(folder / "weights")})


def _built(project: Path, tmp_path: Path, options: dict[str, object]) -> tuple[Path, Answer]:
    with open_project(project, None, None) as opened:
        found = answer(opened.job(CHURN, options=options), opened.warehouse)
    write_bundle(found.snapshot, tmp_path / "bundle")
    return tmp_path / "bundle", found


def test__step__train__same_weights_and_predictions_as_the_build(command: Command, built, tmp_path: Path) -> None:
    bundle, run = built
    code, shown, error = command("step", "--train", bundle, tmp_path / "out.parquet", "--weights", tmp_path / "kept")
    assert code == 0, error
    assert (
        "the log loss of the answer on" in shown and "is 0.5 instead of 1" in shown and "backtest on 60 rows" in shown
    )
    assert "-tuned-" in run.provenance.version
    assert [path.stem for path in (tmp_path / "kept").rglob("*.safetensors")] == [run.provenance.checkpoint_sha]
    assert pq.read_table(tmp_path / "out.parquet").equals(run.predictions)


def test__step__train_again__uses_what_was_kept(command: Command, built, tmp_path: Path, trainings) -> None:
    bundle, run = built
    for out in ("one", "two"):
        code, shown, _ = command("step", "--train", bundle, tmp_path / out, "--weights", tmp_path / "kept")
        assert code == 0
    assert len(trainings) == 1 and "kept from the anchor 2024-12-2" in shown
    assert pq.read_table(tmp_path / "two").equals(run.predictions)


def test__step__train_without_a_folder__that_of_the_options(command: Command, built, tmp_path, trainings) -> None:
    bundle, _ = built
    code, shown, _ = command("step", "--train", bundle, tmp_path / "out")
    assert code == 0 and trainings == [] and "kept from the anchor" in shown


def test__step__weights_behind_a_url__kept_there_and_answered_from_there(command: Command, built, tmp_path) -> None:
    bundle, run = built
    code, _, error = command("step", "--train", bundle, tmp_path / "one", "--weights", "memory://of-the-step/kept")
    assert code == 0, error
    (file,) = fsspec.filesystem("memory").glob("/of-the-step/kept/*/*.safetensors")
    code, _, error = command("step", bundle, tmp_path / "two", "--weights", f"memory:/{file}")
    assert code == 0, error
    for out in ("one", "two"):
        assert pq.read_table(tmp_path / out).equals(run.predictions)


def test__step__training_brings_nothing__bundled_weights_and_says_so(
    command: Command, built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Watched, "losses", lambda self, network: np.full(40, 1.0))
    bundle, run = built
    code, shown, _ = command("step", "--train", bundle, tmp_path / "out", "--weights", tmp_path / "kept")
    assert code == 0 and "not fine-tuned: after" in shown and "was not clearly below 1" in shown
    assert not list((tmp_path / "kept").rglob("*.safetensors"))
    assert not pq.read_table(tmp_path / "out").equals(run.predictions)


def test__step__sigterm_while_it_trains__the_next_one_goes_on(
    command: Command, built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trainings
) -> None:
    step, heard = room._Training._step, []

    def told(self: room._Training, *given: object) -> None:
        step(self, *given)
        if not heard and self.steps == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(room._Training, "_step", told)
    bundle, run = built
    before = signal.signal(signal.SIGTERM, lambda *_: heard.append(1))
    try:
        code, _, error = command("step", "--train", bundle, tmp_path / "out", "--weights", tmp_path / "kept")
        assert code == 1 and "SIGTERM" in error and heard == [1] and not (tmp_path / "out").exists()
        code, _, _ = command("step", "--train", bundle, tmp_path / "out", "--weights", tmp_path / "kept")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert code == 0 and trainings == [0, 2]
    assert pq.read_table(tmp_path / "out").num_rows == run.predictions.num_rows


def test__step__train__later_rows_changed__same_weights(command: Command, built, tmp_path: Path) -> None:
    """What is asked, and whatever a backtest cannot know, moves nothing in what is trained."""
    _, run = built
    snapshot = run.snapshot
    known = np.array([split == "backtest_context" for split in snapshot.examples["split"].to_pylist()])
    moved = snapshot.features
    for place, feature in enumerate(snapshot.features_meta, start=1):
        if feature.kind == "numerical":
            values = moved[feature.name].to_numpy(zero_copy_only=False)
            moved = moved.set_column(place, feature.name, pa.array(np.where(known, values, values + 7.0)))
    write_bundle(replace(snapshot, features=moved), tmp_path / "moved")
    command("step", "--train", tmp_path / "moved", tmp_path / "out", "--weights", tmp_path / "kept")
    (weights,) = (tmp_path / "kept").rglob("*.safetensors")
    assert weights.stem == run.provenance.checkpoint_sha


def test__step__train_what_asked_for_no_training__one_message(command: Command, project: Path, tmp_path: Path) -> None:
    bundle, _ = _built(project, tmp_path, {"context_size": 400})
    code, _, error = command("step", "--train", bundle, tmp_path / "out")
    assert code == 1 and "asked for no training" in error and "Leave --train out" in error


def test__step__tuned_bundle_without_train_or_weights__says_who_answered(command: Command, built, tmp_path) -> None:
    bundle, _ = built
    code, shown, _ = command("step", bundle, tmp_path / "out")
    assert code == 0 and "without --train or --weights the bundled weights answered" in shown
