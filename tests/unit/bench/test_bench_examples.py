from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from dbt_rfm.bench.examples import FROZEN, ROLLING, Examples, choose, newest
from dbt_rfm.bench.suite import Dataset, read_suite
from dbt_rfm.errors import DataError


@pytest.fixture
def dataset(suite: Path) -> Dataset:
    return read_suite(suite)[0]


def _choose(dataset: Dataset, **changed: object) -> Examples:
    given = {"protocol": ROLLING, "split": "test", "context_size": 10_000, "seed": 0} | changed
    return choose(dataset, dataset.tasks[0], **given)


@pytest.mark.parametrize("split", ["val", "test"])
def test__choose__context__is_known_by_the_first_queried_anchor(dataset: Dataset, split: str) -> None:
    chosen = _choose(dataset, split=split)
    first = min(chosen.query["anchor_time"].to_pylist())
    assert max(a + timedelta(days=10) for a in chosen.context["anchor_time"].to_pylist()) == first
    assert set(chosen.query["split"].to_pylist()) == {split}
    assert set(chosen.context["split"].to_pylist()) == ({"train"} if split == "val" else {"train", "val"})


def test__choose__frozen__knows_no_label_after_the_cut(dataset: Dataset) -> None:
    chosen = _choose(dataset, protocol=FROZEN)
    assert max(chosen.history["known_at"].to_pylist()) <= dataset.test_timestamp
    assert max(chosen.context["known_at"].to_pylist()) <= dataset.test_timestamp


def test__choose__rolling__past_labels_may_come_from_the_queried_split_too(dataset: Dataset) -> None:
    assert "test" in _choose(dataset).history["split"].to_pylist()


def test__choose__nothing_known_at_the_cut__says_so(dataset: Dataset) -> None:
    with pytest.raises(DataError, match=r"tiny\.comes_back has no label known before"):
        _choose(replace(dataset, test_timestamp=datetime(2020, 1, 1)), protocol=FROZEN)


def _pool() -> pa.Table:
    days = [datetime(2024, 1, d) for d in (1, 1, 1, 2, 2)]
    return pa.table({"entity": list(range(5)), "anchor_time": pa.array(days, pa.timestamp("us"))})


def test__newest__more_than_asked__keeps_newest_anchors_in_order() -> None:
    kept = newest(_pool(), 3, seed=0)["entity"].to_pylist()
    assert kept[1:] == [3, 4] and kept[0] in (0, 1, 2)


def test__newest__another_seed__samples_the_oldest_anchor_anew() -> None:
    firsts = {newest(_pool(), 3, seed=s)["entity"].to_pylist()[0] for s in range(20)}
    assert firsts == {0, 1, 2}
