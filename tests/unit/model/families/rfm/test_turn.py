"""Predictions of one process take turns at the network, on the cores that are idle."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from dbt_rfm.model.families.rfm import turn as module
from dbt_rfm.model.families.rfm.turn import turn


@pytest.fixture(autouse=True)
def four_threads_of_eight_cores(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def threads_of_a_turn() -> int:
    with turn():
        return torch.get_num_threads()


@pytest.mark.parametrize(("running", "threads"), [(1, 4), (5, 4), (6, 3), (8, 1), (40, 1)])
def test__turn__busy_machine__has_the_idle_cores_and_gives_torch_its_own_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, running: int, threads: int
) -> None:
    load = tmp_path / "loadavg"
    load.write_text(f"0.20 0.18 0.12 {running}/80 11206\n")
    monkeypatch.setattr(module, "_LOAD", load)
    assert threads_of_a_turn() == threads
    assert torch.get_num_threads() == 4


@pytest.mark.parametrize("said", [None, "", "0.20 0.18", "a b c d/e"])
def test__turn__nobody_tells_the_load__has_every_thread(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str | None
) -> None:
    load = tmp_path / "loadavg"
    if said is not None:
        load.write_text(said)
    monkeypatch.setattr(module, "_LOAD", load)
    assert threads_of_a_turn() == 4


def test__turn__pass_fails__torch_has_its_threads_back() -> None:
    with pytest.raises(ValueError, match="bad"), turn():
        raise ValueError("bad")
    assert torch.get_num_threads() == 4


def test__turn__taken__another_thread_waits() -> None:
    taken, order = threading.Event(), []

    def other() -> None:
        taken.set()
        with turn():
            order.append("other")

    with turn():
        thread = threading.Thread(target=other)
        thread.start()
        taken.wait()
        order.append("first")
    thread.join()
    assert order == ["first", "other"]
