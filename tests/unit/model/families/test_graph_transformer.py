"""The graph transformer on tiny graphs: every kind, what it can learn, repeatability, going on, too little memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from asking import ask

from dbt_rfm.errors import DataError, ModelError
from dbt_rfm.model import load_model, reads_rows
from dbt_rfm.model.families.graph_transformer import family, training
from dbt_rfm.model.families.graph_transformer.encoding import GraphCodes
from dbt_rfm.model.families.graph_transformer.heads import head_of
from dbt_rfm.model.families.graph_transformer.options import GraphTransformerOptions
from dbt_rfm.model.families.graph_transformer.training import Training
from dbt_rfm.model.files import File, Files
from dbt_rfm.model.interface import FeatureTable, Labelled
from dbt_rfm.model.neighbourhood import Neighbourhood, RowLink, RowTable
from dbt_rfm.task_kind import TaskKind

NOTHING = FeatureTable((), (), ())
SMALL = {"channels": 16, "layers": 2, "heads": 2, "members": 1, "epochs": 2, "batch": 16, "features": False}
CLASSES = ("false", "true")


def model(folder: Path | None = None, **options: object):
    """`folder`: where trainings leave their state."""
    loaded = load_model("graph_transformer", "cpu", SMALL | options)
    return loaded if folder is None else loaded.going_on(partial(File, Files(folder)))


def examples(count: int, seed: int = 0, *, lonely: int | None = None) -> FeatureTable:
    """People with three visits each; a visit is to a shop, whose size only the shop's row says."""
    rng = np.random.default_rng([seed, count])
    owners = np.array([i for i in range(count) if i != lonely])
    people = RowTable(NOTHING, NOTHING, owners, 0 * owners)
    whose = np.repeat(np.arange(count), 3)
    words = np.array(["cash", "card", None], dtype=object)
    visits = RowTable(
        FeatureTable(("paid",), ("categorical",), (words[rng.integers(0, 3, len(whose))],)),
        FeatureTable(("at",), ("numerical",), (np.where(whose % 5, rng.uniform(0, 90, len(whose)), np.nan),)),
        whose,
        0 * whose + 1,
    )
    sizes = np.repeat(rng.normal(size=count), 3) + 0.1 * rng.normal(size=len(whose))
    shops = RowTable(FeatureTable(("size",), ("numerical",), (sizes,)), NOTHING, whose, 0 * whose + 2)
    own = np.full(count, -1)
    own[owners] = np.arange(len(owners))
    pointing = np.flatnonzero(own[whose] >= 0)
    rows = Neighbourhood(
        "people",
        own,
        {"people": people, "visits": visits, "shops": shops},
        (
            RowLink("visits.person -> people", "visits", "people", pointing, own[whose[pointing]]),
            RowLink("visits.shop -> shops", "visits", "shops", np.arange(len(whose)), np.arange(len(whose))),
        ),
    )
    past = rng.normal(size=count)
    return FeatureTable(
        ("past", "segment"), ("numerical", "categorical"), (past, words[:2][past.astype(int) % 2]), rows
    )


def size_of_shops(table: FeatureTable) -> np.ndarray:
    return table.rows.tables["shops"].cells.columns[0].reshape(-1, 3).mean(axis=1)


@pytest.mark.parametrize("classes", [2, 3, 12])
def test__graph_transformer__classes__get_a_probability_each(classes: int) -> None:
    kind = TaskKind.BINARY if classes == 2 else TaskKind.MULTICLASS
    names = tuple(map(str, range(classes)))
    found = ask(model(), examples(60), np.arange(60) % classes, examples(7, 1), kind, names)
    assert found.probabilities.shape == (7, classes)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)


def test__graph_transformer__numbers__come_with_rising_quantiles_on_their_own_scale() -> None:
    labels = 1000 + np.random.default_rng(0).normal(size=60)
    found = ask(model(), examples(60), labels, examples(7, 1), TaskKind.REGRESSION, ())
    assert (np.diff(found.quantiles, axis=1) >= 0).all()
    assert (abs(found.mean - 1000) < 50).all()


def test__graph_transformer__numbers_that_rose_of_late__are_answered_at_their_new_level() -> None:
    noise = np.random.default_rng(0).normal(size=400)
    times = np.random.default_rng(1).permutation(400).astype(float)
    labels = noise + np.where(times < 300, 0.0, 3.0)  # half is watched, its newer half has risen
    found = ask(model(held_out=0.5), examples(400), labels, examples(7, 1), TaskKind.REGRESSION, (), times=times)
    assert (abs(found.quantile(0.5) - 3.0) < 1.5).all()


def test__graph_transformer__a_few_newest_numbers__move_the_level_less() -> None:
    labels = np.random.default_rng(0).normal(size=400)
    head = head_of(TaskKind.REGRESSION, (), labels)
    said = np.zeros((400, head.outputs))
    targets = head.targets(labels) + 1.0
    many, few = head.level(said, targets), head.level(said[:4], targets[:4] * 0 + 1.0)
    assert 0.8 < many < 1.1 and 0 < few < 0.2


def test__graph_transformer__numbers_that_are_mostly_equal__do_not_move_within_their_stretch() -> None:
    labels = np.where(np.arange(100) < 80, 0.0, np.arange(100.0))
    head = head_of(TaskKind.REGRESSION, (), labels)
    zero = np.full((100, head.outputs), head.targets(np.zeros(1)).mean())
    assert head.level(zero, head.targets(labels)) == 0.0


def test__graph_transformer__a_signal_that_only_a_row_two_links_away_carries__is_learnt() -> None:
    context, query = examples(240), examples(200, 1)
    labels, truth = (size_of_shops(each) > 0 for each in (context, query))
    learner = model(epochs=15, patience=15, rate=1e-2, dropout=0.0, row_dropout=0.0)
    found = ask(learner, context, labels.astype(int), query, TaskKind.BINARY, CLASSES, times=np.arange(240.0))
    assert ((found.probabilities[:, 1] > 0.5) == truth).mean() > 0.9


def test__graph_transformer__rows_of_other_examples__change_no_answer() -> None:
    learnt = model().prepare(Labelled(examples(40), np.arange(40) % 2, TaskKind.BINARY, CLASSES))
    query = examples(9, 1)
    whole = learnt.answer(query).probabilities
    some = np.array([7, 2])
    np.testing.assert_allclose(learnt.answer(query.take(some)).probabilities, whole[some], atol=1e-5)


def test__graph_transformer__the_same_question__gets_the_same_answer_and_weights() -> None:
    context, labels, query = examples(40), np.arange(40) % 2, examples(6, 1)
    one, two, other = (model().prepare(Labelled(context, labels, TaskKind.BINARY, CLASSES), seed=s) for s in (3, 3, 4))
    np.testing.assert_array_equal(one.answer(query).probabilities, two.answer(query).probabilities)
    assert one.provenance == two.provenance
    assert one.provenance.checkpoint_sha != other.provenance.checkpoint_sha


def test__graph_transformer__a_training__leaves_the_random_state_of_torch_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    model().prepare(Labelled(examples(20), np.arange(20) % 2, TaskKind.BINARY, CLASSES))
    torch.testing.assert_close(torch.rand(3), expected)


def test__graph_transformer__queries_in_chunks__are_answered_as_in_one(monkeypatch) -> None:
    learnt = model(members=2).prepare(Labelled(examples(40), np.arange(40) % 2, TaskKind.BINARY, CLASSES))
    whole = learnt.answer(examples(9, 1)).probabilities
    monkeypatch.setattr("dbt_rfm.model.families.graph_transformer.family._CHUNK", 4)
    np.testing.assert_allclose(learnt.answer(examples(9, 1)).probabilities, whole, atol=1e-5)
    assert learnt.answer(examples(9, 1).take(np.arange(0))).probabilities.shape == (0, 2)


def test__graph_transformer__features__are_read_only_if_asked_for() -> None:
    context, query, labels = examples(40), examples(6, 1), np.arange(40) % 2
    moved = replace(query, columns=(query.columns[0] + 1, query.columns[1]))

    def answers(features: bool) -> list[np.ndarray]:
        learnt = model(features=features).prepare(Labelled(context, labels, TaskKind.BINARY, CLASSES))
        return [learnt.answer(each).probabilities for each in (query, moved)]

    np.testing.assert_array_equal(*answers(False))
    assert not np.allclose(*answers(True))


def test__graph_transformer__an_entity_without_a_row__is_answered_all_the_same() -> None:
    context, query = examples(20, lonely=3), examples(6, 1, lonely=0)
    found = ask(model(), context, np.arange(20) % 2, query, TaskKind.BINARY, CLASSES)
    assert np.isfinite(found.probabilities).all()


def test__graph_transformer__examples_that_are_no_entities__are_read_by_their_features() -> None:
    plain = replace(examples(60), rows=None)
    labels = (plain.columns[0] > 0).astype(int)
    found = ask(model(epochs=30, patience=30, rate=1e-2), plain, labels, plain, TaskKind.BINARY, CLASSES)
    assert ((found.probabilities[:, 1] > 0.5) == labels).mean() > 0.85


def test__graph_transformer__words_the_context_lacks__count_as_unknown() -> None:
    learnt = model().prepare(Labelled(examples(40), np.arange(40) % 2, TaskKind.BINARY, CLASSES))
    query = examples(6, 1)
    visits = query.rows.tables["visits"]

    def said(word: str) -> np.ndarray:
        column = np.full(visits.num_rows, word, dtype=object)
        cells = replace(visits.cells, columns=(column,))
        rows = replace(query.rows, tables=query.rows.tables | {"visits": replace(visits, cells=cells)})
        return learnt.answer(replace(query, rows=rows)).probabilities

    np.testing.assert_array_equal(said("cheque"), said("barter"))
    assert not np.allclose(said("cheque"), said("cash"))


def test__graph_transformer__other_columns_in_the_query__are_named() -> None:
    learnt = model().prepare(Labelled(examples(20), np.arange(20) % 2, TaskKind.BINARY, CLASSES))
    query = examples(6, 1)
    shops = query.rows.tables["shops"]
    renamed = replace(shops, cells=replace(shops.cells, names=("area",)))
    rows = replace(query.rows, tables=query.rows.tables | {"shops": renamed})
    with pytest.raises(ModelError, match="area, size"):
        learnt.answer(replace(query, rows=rows))


def test__graph_transformer__a_large_context__keeps_its_newest_examples() -> None:
    context, labels, query, times = examples(30), np.arange(30) % 2, examples(4, 1), np.arange(30.0)
    newest = np.arange(20, 30)
    given = (query, TaskKind.BINARY, CLASSES)
    cut = ask(model(context_size=10), context, labels, *given, times=times)
    alone = ask(model(), context.take(newest), labels[newest], *given, times=times[newest])
    np.testing.assert_allclose(cut.probabilities, alone.probabilities)


def test__graph_transformer__one_example__is_nothing_to_learn_from() -> None:
    with pytest.raises(DataError, match="expected at least 2"):
        ask(model(), examples(1), np.zeros(1), examples(2, 1), TaskKind.REGRESSION, ())


def test__training__the_newest_examples__are_those_watched(monkeypatch) -> None:
    seen = []
    run = Training.run
    monkeypatch.setattr(Training, "run", lambda self, plan: seen.append(plan) or run(self, plan))
    times = np.random.default_rng(0).permutation(40).astype(float)
    model(members=2, held_out=0.2).prepare(
        Labelled(examples(40), np.arange(40) % 2, TaskKind.BINARY, CLASSES, times=times)
    )
    first, second = seen
    assert sorted(times[first.watched]) == list(range(32, 40))
    assert sorted(times[first.learnt]) == list(range(32))
    assert second.watched.tolist() == first.watched.tolist() and second.seed != first.seed


def test__training__many_newest_examples__are_learnt_from_where_enough_are_watched() -> None:
    """Of classes: of numbers all of the share tell the level, and of a rare class there must be enough to judge by."""
    kinds = {"even": TaskKind.BINARY, "rare": TaskKind.BINARY, "number": TaskKind.REGRESSION}
    labels = {"even": np.arange(10_000) % 2, "rare": np.arange(10_000) % 100 == 0, "number": np.arange(1e4)}
    watched = {
        name: family._watched(Labelled(NOTHING, labels[name].astype(int), kind, ()), GraphTransformerOptions())
        for name, kind in kinds.items()
    }
    assert watched == {"even": 800, "rare": 1500, "number": 1500}
    few = Labelled(NOTHING, np.arange(100) % 2, TaskKind.BINARY, CLASSES)
    assert family._watched(few, GraphTransformerOptions()) == 15


def test__training__no_time_left__ends_after_a_step() -> None:
    learnt = model(minutes=1e-9, epochs=50).prepare(Labelled(examples(40), np.arange(40) % 2, TaskKind.BINARY, CLASSES))
    assert learnt.answer(examples(3, 1)).num_rows == 3


def test__training__patience_with_few_examples__lasts_for_enough_steps_to_tell() -> None:
    labelled = Labelled(examples(40), np.arange(40) % 2, TaskKind.BINARY, CLASSES)
    hopeless = {"patience": 1, "rate": 1e-12}
    learnt = model(epochs=200, **hopeless).prepare(labelled)
    steps_of_a_pass = 3
    assert training._LEAST_PATIENCE <= learnt.worth["steps"] < 200 * steps_of_a_pass
    assert model(epochs=2, **hopeless).prepare(labelled).worth["steps"] == 2 * steps_of_a_pass


class Interrupted(Exception):
    pass


def test__training__interrupted_and_taken_up_again__ends_with_the_same_weights(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(training, "_SAVE_SECONDS", 0.0)
    given = (examples(60), np.arange(60) % 2, TaskKind.BINARY, CLASSES)
    whole = model(epochs=4, members=2).prepare(Labelled(*given))
    step, steps = Training._step, []

    def stumbling(self: Training, *args: object) -> None:
        steps.append(1)
        if len(steps) in (6, 20):
            raise Interrupted
        step(self, *args)

    monkeypatch.setattr(Training, "_step", stumbling)
    folder = tmp_path / "work"
    for _ in range(2):
        with pytest.raises(Interrupted):
            model(epochs=4, members=2, folder=folder).prepare(Labelled(*given))
    before = len(steps)
    again = model(epochs=4, members=2, folder=folder).prepare(Labelled(*given))
    assert again.provenance == whole.provenance
    assert len(steps) - before < 20  # most of it was not made again


def test__training__another_task_in_the_same_folder__begins_anew(tmp_path: Path) -> None:
    given = (TaskKind.BINARY, CLASSES)
    model(folder=tmp_path).prepare(Labelled(examples(40), np.arange(40) % 2, *given))
    there, alone = (
        each.prepare(Labelled(examples(40), np.arange(40) % 3 == 0, *given))
        for each in (model(folder=tmp_path), model())
    )
    assert there.provenance == alone.provenance


def test__training__too_little_memory__works_on_fewer_examples_and_learns_the_same(monkeypatch, caplog) -> None:
    given = (examples(40), np.arange(40) % 2, TaskKind.BINARY, CLASSES)
    query, plain = examples(6, 1), {"dropout": 0.0, "row_dropout": 0.0}
    expected = model(**plain).prepare(Labelled(*given)).answer(query).probabilities
    outputs = Training._outputs

    def greedy(self: Training, network: torch.nn.Module, part: np.ndarray) -> torch.Tensor:
        if len(part) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return outputs(self, network, part)

    monkeypatch.setattr(Training, "_outputs", greedy)
    found = model(**plain).prepare(Labelled(*given)).answer(query).probabilities
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert "going on with 4 examples at once" in caplog.text


def test__training__not_even_one_example_fits__says_what_to_make_smaller(monkeypatch) -> None:
    def greedy(*_: object) -> torch.Tensor:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")

    monkeypatch.setattr(Training, "_outputs", greedy)
    with pytest.raises(ModelError, match=r"(?s)single example.*neighbors") as raised:
        model().prepare(Labelled(examples(20), np.arange(20) % 2, TaskKind.BINARY, CLASSES))
    assert raised.value.__cause__ is not None


def test__training__other_errors__are_not_taken_for_lack_of_memory(monkeypatch) -> None:
    def broken(*_: object) -> torch.Tensor:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(Training, "_outputs", broken)
    with pytest.raises(RuntimeError, match="mat1"):
        model().prepare(Labelled(examples(20), np.arange(20) % 2, TaskKind.BINARY, CLASSES))


def test__training__sigterm__leaves_a_checkpoint_and_goes_on_later(tmp_path: Path, monkeypatch) -> None:
    given = (examples(60), np.arange(60) % 2, TaskKind.BINARY, CLASSES)
    whole = model().prepare(Labelled(*given))
    step, heard = Training._step, []

    def told(self: Training, *args: object) -> None:
        step(self, *args)
        if not heard:
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, lambda *_: heard.append(1))
    try:
        monkeypatch.setattr(Training, "_step", told)
        with pytest.raises(ModelError, match="SIGTERM"):
            model(folder=tmp_path).prepare(Labelled(*given))
        assert heard == [1] and list(tmp_path.iterdir())
        again = model(folder=tmp_path).prepare(Labelled(*given))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert again.provenance == whole.provenance


PROCESS = """
import numpy as np
from test_graph_transformer import CLASSES, Labelled, TaskKind, examples, model
learnt = model(members=2).prepare(Labelled(examples(40), np.arange(40) % 2, TaskKind.BINARY, CLASSES))
print(learnt.provenance.checkpoint_sha + ".")
"""


def test__training__two_processes_under_torchrun__end_with_the_same_weights(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(PROCESS)
    folders = (Path(__file__).parent, Path(__file__).parents[3])
    env = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, folders)), "OMP_NUM_THREADS": "1"}
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", str(script)]
    done = subprocess.run(launch, env=env, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    found = done.stdout.replace("\n", "").split(".")[:2]
    assert found[0] == found[1] and len(found[0]) == 64


def test__encoding__tokens_and_edges__stay_within_their_example() -> None:
    table = examples(8, lonely=2)
    encoded = GraphCodes.of(table, False).encoded(table)
    assert encoded.sizes.tolist() == [8, 8, 7, 8, 8, 8, 8, 8]
    lines, place = encoded.edge_ranges.of_examples(np.array([2, 5]))
    edges = encoded.edges[lines]
    assert (edges[place == 0, :2] < 7).all() and (edges[place == 0, 2] >= 2).all()
    assert np.bincount(edges[place == 1, 2]).tolist() == [3, 3, 3, 3]
    assert encoded.own[2] == 0 and encoded.own[5] > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": 3}, "(?s)no option layer.*layers"),
        ({"channels": 10, "heads": 4}, "a multiple of heads"),
        ({"members": 0}, "whole number from 1"),
        ({"dropout": "much"}, "0 to 0.9"),
        ({"minutes": 0}, "a number above 0"),
        ({"held_out": 0.9}, "held_out"),
        ({"features": "yes"}, "true or false"),
    ],
)
def test__options__wrong__are_refused_by_name(options: dict[str, object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load_model("graph_transformer", "cpu", options)


def test__graph_transformer__reads_rows() -> None:
    assert reads_rows("graph_transformer")


def test__graph_transformer__two_examples_or_one_class_only__are_answered() -> None:
    for count, labels in ((2, np.array([0, 1])), (20, np.ones(20, dtype=int))):
        found = ask(model(), examples(count), labels, examples(5, 1), TaskKind.BINARY, CLASSES)
        assert np.isfinite(found.probabilities).all() and found.probabilities.shape == (5, 2)
    found = ask(model(), examples(20), np.full(20, 3.0), examples(5, 1), TaskKind.REGRESSION, ())
    np.testing.assert_allclose(found.mean, 3.0)


def test__graph_transformer__columns_that_are_empty_or_constant__carry_nothing() -> None:
    def with_columns(table: FeatureTable, constant: float) -> FeatureTable:
        shops = table.rows.tables["shops"]
        count = shops.num_rows
        cells = FeatureTable(
            ("size", "empty", "constant", "nameless"),
            ("numerical", "numerical", "numerical", "categorical"),
            (shops.cells.columns[0], np.full(count, np.nan), np.full(count, constant), np.full(count, None)),
        )
        rows = replace(table.rows, tables=table.rows.tables | {"shops": replace(shops, cells=cells)})
        return replace(table, rows=rows)

    found = ask(
        model(),
        with_columns(examples(20), 5.0),
        np.arange(20) % 2,
        with_columns(examples(5, 1), np.inf),
        TaskKind.BINARY,
        CLASSES,
    )
    assert np.isfinite(found.probabilities).all()
