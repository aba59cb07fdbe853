from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from dbt_rfm.bench.examples import FROZEN, OTHER, ROLLING, choose
from dbt_rfm.bench.suite import Dataset, read_suite
from dbt_rfm.errors import DataError, ProjectError
from dbt_rfm.snapshot import CONTEXT, QUERY


@pytest.fixture
def dataset(suite: Path) -> Dataset:
    return read_suite(suite)[0]


def _anchors(labels: pa.Table, role: str) -> list[datetime]:
    return labels.filter(pc.equal(labels["split"], role))["anchor_time"].to_pylist()


@pytest.mark.parametrize(("split", "begins"), [("val", datetime(2024, 4, 10)), ("test", datetime(2024, 5, 10))])
def test__choose__context__is_known_by_the_first_queried_anchor(dataset: Dataset, split: str, begins: datetime) -> None:
    labels = choose(dataset, dataset.tasks[0], protocol=ROLLING, split=split).labels
    first = min(_anchors(labels, QUERY))
    assert first >= begins - timedelta(days=10)
    assert max(_anchors(labels, CONTEXT)) == first - timedelta(days=10)


def test__choose__val__learns_nothing_from_test(dataset: Dataset) -> None:
    labels = choose(dataset, dataset.tasks[0], protocol=ROLLING, split="val").labels
    assert max(_anchors(labels, CONTEXT)) < datetime(2024, 4, 1) and max(_anchors(labels, OTHER)) > datetime(2024, 5, 1)


def test__choose__frozen__knows_no_label_after_the_cut(dataset: Dataset) -> None:
    late = replace(dataset, test_timestamp=datetime(2024, 4, 20))
    chosen = choose(late, late.tasks[0], protocol=FROZEN, split="test")
    assert chosen.cut == datetime(2024, 4, 20)
    assert max(chosen.pool["known_at"].to_pylist()) <= chosen.cut


def test__choose__nothing_known_at_the_cut__says_so(dataset: Dataset) -> None:
    early = replace(dataset, test_timestamp=datetime(2020, 1, 1))
    with pytest.raises(DataError, match=r"tiny\.comes_back has no label known by 2020-01-01"):
        choose(early, early.tasks[0], protocol=FROZEN, split="test")


def test__choose__label_table_missing__says_which(dataset: Dataset) -> None:
    with pytest.raises(ProjectError, match=r"label table of tiny\.next_item cannot be read"):
        choose(dataset, dataset.tasks[2], protocol=ROLLING, split="test")
