"""Weights adapted to a task: better on what was held back, or left as they were; never from later rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
import torch
from asking import ask

from dbt_rfm.errors import ModelError
from dbt_rfm.model.families.rfm import fine_tune as room
from dbt_rfm.model.families.rfm.episodes import draw_episode
from dbt_rfm.model.families.rfm.fine_tune import fine_tune
from dbt_rfm.model.families.rfm.in_context import InContextModel
from dbt_rfm.model.families.rfm.watched import Watched
from dbt_rfm.model.files import File, Files
from dbt_rfm.model.interface import Labelled
from dbt_rfm.task_kind import TaskKind

CLASSES = {TaskKind.BINARY: ("false", "true"), TaskKind.MULTICLASS: ("a", "b", "c"), TaskKind.REGRESSION: ()}
TIMES = np.repeat(np.arange(8.0), 40)


def even(loss: float) -> np.ndarray:
    """The same loss on each of 40 rows."""
    return np.full(40, loss)


def labels_of(kind: TaskKind, amount: np.ndarray) -> np.ndarray:
    if kind is TaskKind.REGRESSION:
        return np.round(amount, 1)
    return (amount > 0).astype(np.int64) + (amount > 1) * (kind is TaskKind.MULTICLASS)


def ticking() -> Callable[[], float]:
    """A clock that goes on by a second whenever it is read, so that a budget is a number of steps."""
    ticks: Iterator[int] = count()
    return lambda: float(next(ticks))


@pytest.fixture
def task(make_table):
    table = make_table(320, seed=1)
    return table, table.columns[0]


def tuned(model: InContextModel, task, kind: TaskKind = TaskKind.BINARY, minutes: float = 0.4, **also):
    table, amount = task
    times = also.pop("times", TIMES)
    known = Labelled(table, labels_of(kind, amount), kind, CLASSES[kind], times)
    return fine_tune(model, known, minutes=minutes, **{"clock": ticking(), **also})


def reading_of(model: InContextModel, task, kind: TaskKind = TaskKind.BINARY):
    table, amount = task
    question, _ = model.question(Labelled(table, labels_of(kind, amount), kind, CLASSES[kind], TIMES), seed=0)
    return model.read(question)


@pytest.mark.parametrize("kind", list(CLASSES))
def test__draw_episode__any_kind__asks_of_later_rows_than_its_context(plain, task, kind) -> None:
    reading = reading_of(plain, task, kind)
    marked = replace(
        reading, matrix=np.repeat(reading.times[:, None], 3, 1).astype(np.float32), categorical=np.zeros(3)
    )
    drawn = [draw_episode(marked, 0, number) for number in range(30)]
    episodes = [each for each in drawn if each is not None]
    assert len(episodes) > 20
    for each in episodes:
        known = len(each.labels)
        assert each.matrix[:known].max() < each.matrix[known:].min()
        assert len(each.low) == len(each.matrix) - known


def test__draw_episode__same_seed_and_number__same_episode(plain, task) -> None:
    one, two = (draw_episode(reading_of(plain, task), 4, 2) for _ in range(2))
    assert one is not None and two is not None
    assert np.array_equal(one.matrix, two.matrix, equal_nan=True) and np.array_equal(one.labels, two.labels)


def test__draw_episode__one_label_only__none(plain, task) -> None:
    reading = reading_of(plain, task)
    assert draw_episode(replace(reading, labels=np.zeros_like(reading.labels)), 0, 0) is None


@pytest.mark.parametrize("kind", list(CLASSES))
def test__fine_tune__held_back_rows_get_better__weights_of_the_best_look(plain, task, kind, monkeypatch) -> None:
    losses = iter([1.0, 0.9, 0.7, 0.8, 0.95])
    monkeypatch.setattr(Watched, "losses", lambda self, network: even(next(losses)))
    said: list[str] = []
    found = tuned(plain, task, kind, progress=said.append)
    assert (found.before, found.after, found.steps > 3) == (1.0, 0.7, True)
    assert found.weights is not None
    assert any(not torch.equal(value, plain.network.state_dict()[name]) for name, value in found.weights.items())
    assert "0.7 instead of 1" in found.note
    assert [line.split(",")[0] for line in said] == [f"fine-tuning: {share} %" for share in (25, 50, 75, 100)]


def test__fine_tune__held_back_rows_get_no_better__zero_shot_and_says_so(plain, task, monkeypatch) -> None:
    losses = iter([1.0, 1.0, 1.0005, 1.2, 1.1])
    monkeypatch.setattr(Watched, "losses", lambda self, network: even(next(losses)))
    found = tuned(plain, task)
    assert found.weights is None and found.after == 1.0
    assert "not fine-tuned" in found.note and "not clearly below 1" in found.note


def test__clearly_less__gain_within_the_chance_of_the_rows__no() -> None:
    others, noise = np.ones(40), np.tile([0.3, -0.3], 20)
    assert not room.clearly_less(others - 0.01 + noise, others)
    assert room.clearly_less(others - 0.2 + noise, others)
    assert room.clearly_less(others - 0.01, others)


def test__fine_tune__episodes_not_trained_on__their_loss_falls(plain, task, monkeypatch) -> None:
    monkeypatch.setattr(Watched, "losses", lambda self, network: even(9.0 if network is None else 1.0))
    found = tuned(plain, task, minutes=1.5)
    assert found.weights is not None
    after = type(plain.network)(plain.network.config)
    after.load_state_dict(found.weights)
    drawn = [draw_episode(reading_of(plain, task), 77, number) for number in range(20)]

    def loss(network) -> float:
        draws = torch.Generator().manual_seed(0)
        with torch.no_grad():
            return float(np.mean([room._loss(network, each, "binary", draws) for each in drawn if each is not None]))

    assert loss(after.eval()) < 0.95 * loss(plain.network)


def test__fine_tune__same_seed__same_weights(plain, task, monkeypatch) -> None:
    monkeypatch.setattr(Watched, "losses", lambda self, network: even(1.0 if network is None else 0.5))
    one, two, other = (tuned(plain, task, seed=seed, minutes=0.2).weights for seed in (0, 0, 1))
    assert one is not None and two is not None and other is not None
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test__fine_tune__leaves_the_bundled_network_as_it_was(plain, task) -> None:
    before = {name: value.clone() for name, value in plain.network.state_dict().items()}
    tuned(plain, task, minutes=0.1)
    assert all(torch.equal(value, plain.network.state_dict()[name]) for name, value in before.items())
    assert not plain.network.training


@pytest.mark.parametrize("rows", [20, 100])
def test__fine_tune__few_examples__zero_shot_and_says_so(plain, task, rows) -> None:
    table, amount = task
    some = np.arange(rows)
    found = tuned(plain, (table.take(some), amount[some]), times=TIMES[some])
    assert found.weights is None and f"in {rows} examples there is too little" in found.note


def test__fine_tune__nothing_varies__zero_shot_and_says_so(plain, task) -> None:
    table, amount = task
    constant = replace(table, columns=tuple(np.full_like(column, column[0]) for column in table.columns))
    found = tuned(plain, (constant, amount))
    assert found.weights is None and "too little" in found.note


def test__fine_tune__interrupted__goes_on_where_it_was(plain, task, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(Watched, "losses", lambda self, network: even(1.0 if network is None else 0.5))
    state, said = File(Files(tmp_path), "unfinished.safetensors"), []
    with pytest.raises(KeyboardInterrupt):
        tuned(plain, task, minutes=2, state=state, progress=interrupt_at("fine-tuning: 75 %"))
    assert state.read() is not None
    found = tuned(plain, task, minutes=2, state=state, progress=said.append)
    assert said[0].startswith("fine-tuning goes on after") and int(said[0].split()[4]) > 10
    assert found.weights is not None and state.read() is None


def test__fine_tune__state_of_other_examples__begins_anew(plain, task, tmp_path, monkeypatch) -> None:
    state, said = File(Files(tmp_path), "unfinished.safetensors"), []
    with pytest.raises(KeyboardInterrupt):
        tuned(plain, task, minutes=2, state=state, progress=interrupt_at("fine-tuning: 75 %"))
    table, amount = task
    tuned(plain, (table, -amount), minutes=0.5, state=state, progress=said.append)
    assert not any("goes on" in line for line in said)


def interrupt_at(beginning: str) -> Callable[[str], None]:
    def stop(line: str) -> None:
        if line.startswith(beginning):
            raise KeyboardInterrupt

    return stop


def test__with_tuned__both_networks_are_asked_and_the_version_tells(plain, task) -> None:
    table, amount = task
    labels = labels_of(TaskKind.BINARY, amount)
    other = type(plain.network)(plain.network.config)
    both = plain.with_tuned(other, "abcdef0123456789")
    assert (both.version, both.checkpoint_sha) == ("tiny-tuned-abcdef01", "abcdef0123456789")
    assert both.with_options(columns=5).tuned is other
    given = (table, labels, table, TaskKind.BINARY, CLASSES[TaskKind.BINARY])
    assert not np.allclose(ask(both, *given).probabilities, ask(plain, *given).probabilities)


@pytest.mark.parametrize("kind", list(CLASSES))
def test__fine_tune__too_little_memory__fewer_questions_at_once_and_learns_the_same(
    plain, task, kind, monkeypatch, caplog
) -> None:
    monkeypatch.setattr(Watched, "losses", lambda self, network: even(1.0 if network is None else 0.5))
    expected = tuned(plain, task, kind, minutes=0.1).weights
    loss = room._loss

    def greedy(network, episode, *given):
        if len(episode.low) > 20:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return loss(network, episode, *given)

    monkeypatch.setattr(room, "_loss", greedy)
    found = tuned(plain, task, kind, minutes=0.1).weights
    assert "going on with 16 examples at once" in caplog.text
    assert expected is not None and found is not None
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=1e-3, rtol=1e-3)


def test__fine_tune__not_even_one_question_fits__says_what_to_make_smaller(plain, task, monkeypatch) -> None:
    monkeypatch.setattr(room, "_loss", lambda *_: (_ for _ in ()).throw(torch.OutOfMemoryError("CUDA out of memory")))
    with pytest.raises(ModelError, match=r"(?s)too little memory for a single question.*Lower context_size"):
        tuned(plain, task)


def test__fine_tune__other_errors__are_not_taken_for_lack_of_memory(plain, task, monkeypatch) -> None:
    monkeypatch.setattr(room, "_loss", lambda *_: (_ for _ in ()).throw(RuntimeError("mat1 and mat2")))
    with pytest.raises(RuntimeError, match="mat1"):
        tuned(plain, task)
