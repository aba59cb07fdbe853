"""What a graph transformer has learnt is kept: a second run only answers, and never with what it must not know."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_graph_transformer_snapshots import CHURN, LATER, SCHEMA, TABLES

from dbt_rfm.cli import main
from dbt_rfm.collect.snapshots import collect
from dbt_rfm.errors import ModelError
from dbt_rfm.model import load_model
from dbt_rfm.model.examples import labelled, split_rows
from dbt_rfm.model.families.graph_transformer.family import TrainedTask
from dbt_rfm.model.families.graph_transformer.training import Training
from dbt_rfm.model.keeping import Keeping
from dbt_rfm.model.shelf import Shelf
from dbt_rfm.model.step import StepResult, run_step
from dbt_rfm.model.store import WeightStore
from dbt_rfm.options import Options
from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.parser import parse
from dbt_rfm.snapshot import BACKTEST, CONTEXT, Snapshot, write_bundle
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.warehouse.duckdb import DuckDB

SMALL = {"channels": 16, "layers": 1, "members": 2, "epochs": 2, "batch": 16}
SPENDING = "PREDICT SUM(orders.amount, 0, 30, days) FOR EACH customers.customer_id"


def collected(query: str = CHURN, *, anchor: str = "2024-07-01", later: bool = False, **more) -> Snapshot:
    options = Options(model="graph_transformer", model_options=SMALL, anchor=anchor, context_size=80, **more)
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute(TABLES)
        if later:
            connection.execute(LATER)
        found = collect(bind(parse(query), SCHEMA), SCHEMA, DuckDB(connection), options)
    return replace(found, prediction="main.churn")


@pytest.fixture
def keeping(tmp_path: Path) -> Keeping:
    return Keeping(str(tmp_path))


@pytest.fixture(autouse=True)
def trainings(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The networks that were trained, by name."""
    begun: list[str] = []
    run = Training.run
    monkeypatch.setattr(Training, "run", lambda self, plan: begun.append(plan.name) or run(self, plan))
    yield begun


def answered(
    snapshot: Snapshot, keeping: Keeping, said: list[str] | None = None, *, seed: int = 0, **options
) -> StepResult:
    model = load_model("graph_transformer", "cpu", {**SMALL, **options})
    progress = (lambda line: None) if said is None else said.append
    shelf = Shelf(model, keeping, {"neighbors": [8, 4]}, progress)
    return run_step(snapshot, model, seed=seed, shelf=shelf)


def values(result: StepResult) -> list[np.ndarray]:
    found = []
    for each in (result.query, result.backtest):
        assert each is not None
        found.append(each.probabilities if each.probabilities is not None else each.quantiles)
    return found


def cards(folder: str) -> list[dict]:
    found = (json.loads(path.read_text()) for path in Path(folder).rglob("*.json"))
    return sorted(found, key=lambda card: card["number"])


@pytest.mark.parametrize(("query", "url"), [(CHURN, None), (SPENDING, None), (CHURN, "memory://of-the-second-run")])
def test__second_run__same_rows__answers_to_the_byte_and_trains_nothing(keeping, trainings, query, url) -> None:
    snapshot, keeping = collected(query), replace(keeping, root=url or keeping.root)
    first = answered(snapshot, keeping)
    assert len(trainings) == 4
    second = answered(snapshot, keeping)
    assert len(trainings) == 4
    for one, two in zip(values(first), values(second), strict=True):
        np.testing.assert_array_equal(one, two)
    assert second.provenance.checkpoint_sha == first.provenance.checkpoint_sha
    assert second.provenance.notes == (f"{first.provenance.notes[0]} (kept from the anchor 2024-07-01T00:00)",)


def test__first_run__two_files_named_by_their_content_and_a_card_each(keeping, tmp_path) -> None:
    first = answered(collected(), keeping)
    query, test = cards(keeping.root)
    assert (query["split"], test["split"]) == ("context", "backtest_context")
    assert query["weights"] == first.provenance.checkpoint_sha
    assert first.provenance.version == f"graph-transformer-1-{query['weights'][:8]}"
    assert query["known_by"] == "2024-07-01T00:00:00" and test["known_by"] < query["known_by"]
    assert query["measure"] == "log loss" and query["after"] > 0 and query["rows"] > 0 and query["steps"] > 0
    files = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert files == {f"{card['weights']}{end}" for card in (query, test) for end in (".safetensors", ".json")}


def test__tables_and_columns_in_another_order__the_same_weights(keeping) -> None:
    """A bundle that is read again has them in the order of their names, whatever the plan's was."""
    snapshot = collected()
    first = answered(snapshot, keeping)
    tables = {
        name: {**known, "columns": dict(reversed(known["columns"].items()))}
        for name, known in reversed(snapshot.graph["tables"].items())
    }
    turned = replace(snapshot, rows=dict(reversed(snapshot.rows.items())), graph={**snapshot.graph, "tables": tables})
    again = answered(turned, replace(keeping, fresh=True))
    assert again.provenance.checkpoint_sha == first.provenance.checkpoint_sha


def test__answer_without_a_shelf__is_the_same(keeping) -> None:
    snapshot = collected()
    alone = run_step(snapshot, load_model("graph_transformer", "cpu", SMALL), seed=0)
    for one, two in zip(values(alone), values(answered(snapshot, keeping)), strict=True):
        np.testing.assert_array_equal(one, two)


def test__later_anchor__only_answers_each_split_with_what_its_past_taught(keeping, trainings) -> None:
    answered(collected(), keeping)
    said: list[str] = []
    later = answered(collected(anchor="2024-07-20"), keeping, said)
    assert len(trainings) == 4 and said == []
    assert "kept from the anchor 2024-07-01" in later.provenance.notes[0]
    assert later.backtest is not None and later.query is not None


def test__earlier_anchor__is_not_answered_with_what_later_rows_taught(keeping, trainings) -> None:
    answered(collected(), keeping)
    said: list[str] = []
    answered(collected(anchor="2024-06-20"), keeping, said)
    assert said == ["training", "training"] and len(trainings) == 8


def test__backtest_of_a_later_anchor__does_not_use_weights_that_saw_its_window(keeping, trainings) -> None:
    """A run without a backtest keeps weights that know more than the backtest of the next run may."""
    answered(collected(anchor="2024-06-20", backtest=False), keeping)
    assert len(trainings) == 2
    said: list[str] = []
    answered(collected(anchor="2024-07-01"), keeping, said)
    assert said == ["training"] and [card["split"] for card in cards(keeping.root)] == ["context", "backtest_context"]


def test__rows_after_the_anchor_changed__same_weights_are_kept(keeping, tmp_path) -> None:
    roots = [str(tmp_path / name) for name in ("one", "two")]
    for root, later in zip(roots, (False, True), strict=True):
        answered(collected(later=later), replace(keeping, root=root))
    one, two = ([card["weights"] for card in cards(root)] for root in roots)
    assert len(one) == 2 and one == two


def test__tested_window_changed__weights_of_the_backtest_stay(keeping, tmp_path) -> None:
    snapshot = collected()
    pairs = zip(snapshot.examples["split"].to_pylist(), snapshot.examples["label"].to_pylist(), strict=True)
    turned = pa.array([not label if split == BACKTEST else label for split, label in pairs])
    examples = snapshot.examples.set_column(snapshot.examples.column_names.index("label"), "label", turned)
    shas = []
    for name, given in (("one", examples), ("two", snapshot.examples)):
        there = replace(keeping, root=str(tmp_path / name))
        answered(replace(snapshot, examples=given), there)
        shas.append([card["weights"] for card in cards(there.root)])
    assert shas[0] == shas[1]


@pytest.mark.parametrize(
    ("change", "keeps", "options", "reason"),
    [
        ({"schema_fingerprint": "other"}, {}, {}, "the schema changed"),
        ({"query": "PREDICT other"}, {}, {}, "the query changed"),
        ({"anchor": datetime(2024, 8, 1)}, {"retrain": {"days": 30}}, {}, "what is kept is 31 days old"),
        ({}, {"fresh": True}, {}, "it was asked for"),
        ({}, {}, {"epochs": 3}, "other options or another seed"),
        ({}, {}, {"seed": 1}, "other options or another seed"),
    ],
)
def test__kept_weights_will_not_do__trained_again_and_told(keeping, change, keeps, options, reason) -> None:
    snapshot = collected()
    answered(snapshot, keeping)
    said: list[str] = []
    found = answered(replace(snapshot, **change), replace(keeping, **keeps), said, **options)
    assert said == [f"training again: {reason}"] * 2
    assert found.provenance.notes[0].endswith(f"(trained again: {reason})")


def test__a_class_more_than_was_learnt__trained_again(keeping) -> None:
    snapshot = collected()
    labels = ["small" if label else "large" for label in snapshot.examples["label"].to_pylist()]
    place = snapshot.examples.column_names.index("label")
    many = replace(
        snapshot,
        kind=TaskKind.MULTICLASS,
        classes=("large", "small"),
        examples=snapshot.examples.set_column(place, "label", pa.array(labels)),
        label_shares={},
    )
    answered(many, keeping)
    said: list[str] = []
    answered(replace(many, classes=("huge", "large", "small")), keeping, said)
    assert said == ["training again: the columns or the classes changed"] * 2


def test__other_columns_than_were_learnt__trained_again(keeping) -> None:
    snapshot = collected()
    answered(snapshot, keeping)
    orders = snapshot.rows["orders"].rename_columns(
        ["worth" if name == "amount" else name for name in snapshot.rows["orders"].column_names]
    )
    graph = json.loads(json.dumps(snapshot.graph).replace('"amount"', '"worth"'))
    said: list[str] = []
    answered(replace(snapshot, rows={**snapshot.rows, "orders": orders}, graph=graph), keeping, said)
    assert said == ["training again: the columns or the classes changed"] * 2


@pytest.mark.parametrize(("loss", "again"), [(1.04, False), (1.06, True)])
def test__answer_lost_more_than_allowed__trained_again(keeping, monkeypatch, loss, again) -> None:
    snapshot, drop = collected(), replace(keeping, retrain={"drop": 5})
    answered(snapshot, drop)
    by_split = {card["split"]: card["after"] for card in cards(keeping.root)}
    monkeypatch.setattr(TrainedTask, "loss", lambda self, known, seed: loss * self.worth["after"])
    said: list[str] = []
    answered(snapshot, drop, said)
    assert [line.split(":")[0] for line in said] == ["training again"] * (2 * again)
    assert not again or f"log loss went from {by_split[CONTEXT]:.4g} to " in said[0]


def test__loss_of_what_was_just_learnt__is_that_of_the_training(keeping) -> None:
    """So that a loss measured later compares with the one on the card."""
    snapshot = collected()
    found = answered(snapshot, keeping)
    known = labelled(snapshot, split_rows(snapshot, CONTEXT), with_rows=True)
    assert found.learnt is not None
    assert found.learnt.read.loss(known, seed=0) == pytest.approx(cards(keeping.root)[0]["after"], abs=1e-5)


def test__interrupted__the_next_run_goes_on_and_leaves_nothing_behind(keeping, tmp_path, monkeypatch) -> None:
    snapshot = collected()
    whole = answered(snapshot, replace(keeping, root=str(tmp_path / "whole")))
    step, steps = Training._step, []

    def stumbling(self: Training, *given: object) -> None:
        steps.append(1)
        if len(steps) == 12:
            raise KeyboardInterrupt
        step(self, *given)

    monkeypatch.setattr("dbt_rfm.model.families.graph_transformer.training._SAVE_SECONDS", 0.0)
    monkeypatch.setattr(Training, "_step", stumbling)
    there = replace(keeping, root=str(tmp_path / "there"))
    with pytest.raises(KeyboardInterrupt):
        answered(snapshot, there)
    assert list((tmp_path / "there").rglob("unfinished-*"))
    found = answered(snapshot, there)
    assert found.provenance.checkpoint_sha == whole.provenance.checkpoint_sha
    assert not list((tmp_path / "there").rglob("unfinished*"))


def test__rare_class__is_set_right_by_the_odds_of_what_was_learnt_from(keeping) -> None:
    snapshot = replace(collected(), label_shares={CONTEXT: {"true": 0.01, "false": 0.99}})
    first = answered(snapshot, keeping)
    other = replace(snapshot, label_shares={CONTEXT: {"true": 0.9, "false": 0.1}})
    np.testing.assert_array_equal(values(first)[0], values(answered(other, keeping))[0])
    plain = answered(replace(snapshot, label_shares={}), replace(keeping, fresh=True))
    assert values(first)[0][:, 1].mean() < values(plain)[0][:, 1].mean()


def test__kept_file_changed__refused(keeping, tmp_path) -> None:
    snapshot = collected()
    answered(snapshot, keeping)
    store = WeightStore(keeping.root, snapshot.prediction)
    for name in store.files.names(end=".safetensors"):
        store.files.write(name, b"other")
    with pytest.raises(ModelError, match="was changed"):
        answered(snapshot, keeping)


def test__lists_and_forecasts__are_learnt_anew(keeping, trainings) -> None:
    snapshot = collected("PREDICT SUM(orders.amount, 0, 7, days) FORECAST 2 TIMEFRAMES FOR EACH customers.customer_id")
    for _ in range(2):
        answered(snapshot, keeping)
    assert len(trainings) == 8 and cards(keeping.root) == []


def test__step_train__weights_and_predictions_of_the_build__once(keeping, trainings, tmp_path) -> None:
    snapshot = collected()
    run = answered(snapshot, keeping)
    write_bundle(snapshot, tmp_path / "bundle")
    for out in ("one", "two"):
        command = ["step", "--train", tmp_path / "bundle", tmp_path / out, "--weights", tmp_path / "weights"]
        with pytest.raises(SystemExit) as left:
            main([str(each) for each in command])
        assert left.value.code == 0
    assert len(trainings) == 8
    assert run.provenance.checkpoint_sha in {card["weights"] for card in cards(str(tmp_path / "weights"))}
    for out in ("one", "two"):
        np.testing.assert_array_equal(pq.read_table(tmp_path / out)["probability"], values(run)[0][:, 1])


def test__step__file_of_weights__says_to_name_the_folder(keeping, tmp_path, capsys) -> None:
    write_bundle(collected(), tmp_path / "bundle")
    with pytest.raises(SystemExit):
        main(["step", str(tmp_path / "bundle"), str(tmp_path / "out"), "--weights", str(tmp_path / "a.safetensors")])
    assert "name that folder with --train --weights" in capsys.readouterr().err
