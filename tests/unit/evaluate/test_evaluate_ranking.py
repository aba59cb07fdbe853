from __future__ import annotations

import numpy as np
import pytest

from dbt_rfm.evaluate.ranking import Lists


def lists(came: list[int], relevant: list[int], groups: list[int], catalogue: int = 10) -> Lists:
    whole = np.array([groups, relevant], dtype=np.int64)
    return Lists(whole[0], np.arange(len(came)), np.array(came, dtype=bool), whole[1], catalogue)


def test__figures__one_list__are_those_worked_out_by_hand() -> None:
    # Ranked: hit, miss, hit, miss; three came in all, one of them no candidate.
    found = lists([1, 0, 1, 0], [3] * 4, [0] * 4).figures(np.array([0.9, 0.8, 0.7, 0.1]), 3)

    assert found["map@3"] == pytest.approx((1 / 1 + 2 / 3) / 3)
    assert found["ndcg@3"] == pytest.approx((1 + 1 / 2) / (1 + 1 / np.log2(3) + 1 / 2))
    assert found["recall@3"] == pytest.approx(2 / 3)
    assert found["coverage@3"] == pytest.approx(3 / 10)
    assert found["map@12"] == pytest.approx((1 / 1 + 2 / 3) / 3)


def test__figures__scores_out_of_order_and_two_lists__are_means_over_lists() -> None:
    # The first list has its hit in place 2, the second in place 1.
    found = lists([1, 0, 0, 1], [1, 1, 1, 1], [0, 0, 1, 1]).figures(np.array([0.1, 0.5, 0.2, 0.9]), 2)

    assert found["map@2"] == pytest.approx((1 / 2 + 1) / 2)
    assert found["recall@2"] == 1.0


def test__figures__more_relevant_than_the_list_is_long__a_full_list_is_perfect() -> None:
    found = lists([1, 1], [5, 5], [0, 0]).figures(np.array([0.2, 0.1]), 2)

    assert (found["map@2"], found["ndcg@2"]) == (1.0, 1.0)
    assert found["recall@2"] == pytest.approx(2 / 5)


def test__figures__equal_scores__the_first_pair_comes_first() -> None:
    assert lists([1, 0], [1, 1], [0, 0]).figures(np.array([0.5, 0.5]), 1)["map@1"] == 1.0


def test__figures__no_list__are_undefined() -> None:
    found = lists([], [], []).figures(np.zeros(0), 3)

    assert np.isnan(found["map@3"]) and found["coverage@3"] == 0
