"""Predictions of one process share its cores and take turns at the network."""

from __future__ import annotations

import threading

import pytest
import torch

from dbt_rfm.model.turn import turn, under_way


@pytest.fixture(autouse=True)
def four_threads() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def threads_of_a_turn() -> int:
    with turn():
        return torch.get_num_threads()


def test__turn__nobody_else__has_every_thread() -> None:
    assert threads_of_a_turn() == 4
    with under_way():
        assert threads_of_a_turn() == 4


def test__turn__others_under_way__has_its_share_and_gives_it_back() -> None:
    with under_way(), under_way():
        assert threads_of_a_turn() == 2
        with under_way(), under_way(), under_way():
            assert threads_of_a_turn() == 1
    assert threads_of_a_turn() == 4
    assert torch.get_num_threads() == 4


def test__under_way__prediction_fails__counts_no_more() -> None:
    with pytest.raises(ValueError, match="bad"), under_way(), under_way():
        raise ValueError("bad")
    assert threads_of_a_turn() == 4


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
