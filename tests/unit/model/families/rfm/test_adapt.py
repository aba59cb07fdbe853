"""Trained once, used run after run, trained again when that is asked for; and blind to what comes later."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

import numpy as np
import pyarrow as pa
import pytest
import torch

from dbt_rfm.errors import ModelError
from dbt_rfm.model.families.rfm.adapt import adapt, with_weights
from dbt_rfm.model.families.rfm.fine_tune import fine_tune
from dbt_rfm.model.families.rfm.watched import Watched
from dbt_rfm.model.interface import Labelled
from dbt_rfm.model.keeping import Keeping
from dbt_rfm.model.step import run_step
from dbt_rfm.snapshot import Feature, Snapshot
from dbt_rfm.task_kind import TaskKind

ANCHOR = datetime(2024, 12, 1)
ROWS = 240
SPLITS = ["context"] * ROWS + ["query"] * 10 + ["backtest_context"] * ROWS + ["backtest"] * 20


def even(loss: float) -> np.ndarray:
    """The same loss on each of 40 rows."""
    return np.full(40, loss)


def snapshot(seed: int = 0, later: float = 0.0) -> Snapshot:
    """`later` is added to everything that a backtest context cannot know."""
    rng = np.random.default_rng(seed)
    known = np.array([split == "backtest_context" for split in SPLITS])
    size = rng.standard_normal(len(SPLITS))
    labels = size > 0
    months = rng.integers(1, 9, len(SPLITS)) + np.array([2 * (split == "context") for split in SPLITS])
    return Snapshot(
        query="PREDICT …",
        kind=TaskKind.BINARY,
        classes=("false", "true"),
        entity="customer_id",
        anchor=ANCHOR,
        schema_fingerprint="f",
        features_meta=(Feature("size", "numerical", "own"), Feature("noise", "numerical", "own")),
        examples=pa.table(
            {
                "example_id": range(len(SPLITS)),
                "split": SPLITS,
                "entity": range(len(SPLITS)),
                "anchor_time": pa.array([datetime(2024, int(m), 1) for m in months], type=pa.timestamp("us")),
                "label": pa.array(np.where(known, labels, labels ^ bool(later))),
            }
        ),
        features=pa.table(
            {
                "example_id": range(len(SPLITS)),
                "size": np.where(known, size, size + later),
                "noise": rng.standard_normal(len(SPLITS)) + np.where(known, 0.0, later),
            }
        ),
    )


@pytest.fixture
def better(monkeypatch) -> None:
    """Whatever is trained is better than what there was."""
    monkeypatch.setattr(Watched, "losses", lambda self, network: even(1.0 if network is None else 0.5))


@pytest.fixture
def asked(tmp_path) -> Keeping:
    return Keeping(str(tmp_path))


def adapted(model, given: Snapshot, asked: Keeping, said: list[str] | None = None, minutes: float = 0.1):
    ticks = count()
    progress = (lambda line: None) if said is None else said.append
    return adapt(model, given, asked, minutes=minutes, progress=progress, clock=lambda: float(next(ticks)))


def test__adapt__first_run__weights_and_card_are_kept(plain, asked, better, tmp_path) -> None:
    tuned, note = adapted(plain, snapshot(), asked)
    assert tuned.version == f"tiny-tuned-{tuned.checkpoint_sha[:8]}"
    assert "log loss of the answer" in note and "is 0.5 instead of 1" in note
    assert len(list(tmp_path.glob(f"*/{tuned.checkpoint_sha}.safetensors"))) == 1
    assert run_step(snapshot(), tuned, seed=0).provenance.checkpoint_sha == tuned.checkpoint_sha


def test__adapt__second_run__nothing_is_trained(plain, asked, better) -> None:
    first, _ = adapted(plain, snapshot(), asked)
    said: list[str] = []
    moved = replace(snapshot(seed=1), anchor=ANCHOR + timedelta(days=20))
    second, note = adapted(plain, moved, replace(asked, retrain={"days": 30}), said)
    assert second.checkpoint_sha == first.checkpoint_sha and said == []
    assert "kept from the anchor 2024-12-01" in note


@pytest.mark.parametrize(
    ("change", "options", "reason"),
    [
        ({"anchor": ANCHOR + timedelta(days=31)}, {"retrain": {"days": 30}}, "is 31 days old"),
        ({"schema_fingerprint": "g"}, {}, "the schema changed"),
        ({"query": "PREDICT other"}, {}, "the query changed"),
        ({}, {"fresh": True}, "it was asked for"),
        ({}, {"minutes": 0.2}, "other options or another seed"),
    ],
)
def test__adapt__kept_weights_will_not_do__trained_again_and_told(
    plain, asked, better, change, options, reason
) -> None:
    adapted(plain, snapshot(), asked)
    said: list[str] = []
    minutes = options.pop("minutes", 0.1)
    _, note = adapted(plain, replace(snapshot(), **change), replace(asked, **options), said, minutes)
    assert reason in said[0] and reason in note


def test__adapt__answer_lost_more_than_allowed__trained_again(plain, asked, monkeypatch) -> None:
    losses = {"network": 0.5}
    monkeypatch.setattr(Watched, "losses", lambda self, network: even(1.0 if network is None else losses["network"]))
    adapted(plain, snapshot(), asked)
    losses["network"] = 0.52
    said: list[str] = []
    adapted(plain, snapshot(), replace(asked, retrain={"drop": 5}), said)
    assert said == []
    losses["network"] = 0.53
    _, note = adapted(plain, snapshot(), replace(asked, retrain={"drop": 5}), said)
    assert "log loss went from 0.5 to 0.53" in note and "log loss went" in said[0]


def test__adapt__training_brought_nothing__the_model_as_it_was_and_no_second_try(plain, asked, monkeypatch) -> None:
    monkeypatch.setattr(Watched, "losses", lambda self, network: even(1.0))
    same, note = adapted(plain, snapshot(), asked)
    assert same is plain and "not fine-tuned" in note
    said: list[str] = []
    again, note = adapted(plain, snapshot(), asked, said)
    assert again is plain and said == [] and "not fine-tuned" in note


def test__adapt__earlier_anchor__does_not_use_what_later_rows_taught(plain, asked, better) -> None:
    later, _ = adapted(plain, snapshot(), asked)
    said: list[str] = []
    adapted(plain, replace(snapshot(seed=3), anchor=ANCHOR - timedelta(days=60)), asked, said)
    assert said[0] == "fine-tuning"
    newest, _ = adapted(plain, snapshot(), asked)
    assert newest.checkpoint_sha == later.checkpoint_sha


def test__adapt__a_backtest_where_there_was_none__does_not_use_what_saw_its_window(plain, asked, better) -> None:
    given = snapshot()
    keep = np.flatnonzero([split in ("context", "query") for split in SPLITS])
    untested = replace(given, examples=given.examples.take(keep), features=given.features.take(keep))
    adapted(plain, untested, asked)
    said: list[str] = []
    adapted(plain, given, asked, said)
    assert said[0] == "fine-tuning"


def test__adapt__later_rows_changed__same_weights(plain, asked, better, tmp_path) -> None:
    """Rows of the query, of the tested window and of the context that knows it move nothing in what is tuned."""
    shas = []
    for name, later in (("one", 0.0), ("two", 100.0)):
        tuned, _ = adapted(plain, snapshot(later=later), replace(asked, root=str(tmp_path / name)))
        shas.append(tuned.checkpoint_sha)
    assert shas[0] == shas[1]
    moved = snapshot()
    features = moved.features.set_column(
        1, "size", pa.array(np.asarray(moved.features["size"]) + np.arange(len(SPLITS)))
    )
    tuned, _ = adapted(plain, replace(moved, features=features), replace(asked, root=str(tmp_path / "three")))
    assert tuned.checkpoint_sha != shas[0]


def test__adapt__nothing_known_before_the_tested_window__learns_from_the_context(plain, asked, better) -> None:
    given = snapshot()
    keep = np.flatnonzero([split != "backtest_context" for split in SPLITS])
    first = replace(given, examples=given.examples.take(keep), features=given.features.take(keep))
    tuned, _ = adapted(plain, first, asked)
    assert "-tuned-" in tuned.version


def test__adapt__forecast__says_what_is_fine_tuned(plain, asked) -> None:
    with pytest.raises(ModelError, match="is not fine-tuned"):
        adapted(plain, replace(snapshot(), kind=TaskKind.FORECAST), asked)


def test__fine_tune__held_back_labels_turned_round__what_is_learnt_stays(plain, monkeypatch, make_table) -> None:
    """The newest quarter chooses among weights and makes none."""
    monkeypatch.setattr(Watched, "losses", lambda self, network: even(1.0 if network is None else 0.5))
    table, times = make_table(320, seed=2), np.repeat(np.arange(8.0), 40)
    wide = plain.with_options(context_size=400)
    found = []
    for turned in (False, True):
        labels = (table.columns[0] > 0).astype(np.int64)
        labels[times > 5] = 1 - labels[times > 5] if turned else labels[times > 5]
        ticks = count()
        tuned = fine_tune(
            wide,
            Labelled(table, labels, TaskKind.BINARY, ("false", "true"), times),
            minutes=0.1,
            clock=lambda ticks=ticks: float(next(ticks)),
        )
        found.append(tuned.weights)
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test__with_weights__kept_file__answers_as_the_run_that_kept_it(plain, asked, better, tmp_path) -> None:
    tuned, _ = adapted(plain, snapshot(), asked)
    (file,) = tmp_path.rglob("*.safetensors")
    again = with_weights(plain, file)
    assert (again.version, again.checkpoint_sha) == (tuned.version, tuned.checkpoint_sha)
    answers = [run_step(snapshot(), model, seed=0).query.probabilities for model in (tuned, again)]
    assert np.array_equal(*answers)


def test__with_weights__another_model__is_refused(tmp_path) -> None:
    class Other:
        name = "other"

    with pytest.raises(ModelError, match="the model 'other' is not fine-tuned"):
        with_weights(Other(), tmp_path / "weights")
