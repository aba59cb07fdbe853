from __future__ import annotations

from pathlib import Path

import pytest

from dbt_rfm.bench.suite import read_suite
from dbt_rfm.errors import ProjectError


def test__read_suite__folder__reads_what_is_declared(suite: Path) -> None:
    (dataset,) = read_suite(suite)
    assert dataset.links == (("orders", "shopper_id", "shoppers", "id"),)
    assert [t.title for t in dataset.tasks] == ["tiny.comes_back", "tiny.spend", "tiny.next_item"]
    assert dataset.tasks[0].delay_days == 10


def test__read_suite__task_by_either_name__narrows(suite: Path) -> None:
    assert [t.name for d in read_suite(suite, (), ("spend",)) for t in d.tasks] == ["spend"]
    assert [t.name for d in read_suite(suite, (), ("tiny.spend",)) for t in d.tasks] == ["spend"]


@pytest.mark.parametrize(("datasets", "tasks"), [(("tinny",), ()), ((), ("spent",))])
def test__read_suite__unknown_name__names_the_nearest(suite: Path, datasets: tuple, tasks: tuple) -> None:
    with pytest.raises(ProjectError, match=r"Did you mean tiny|Known: .*tiny\.spend"):
        read_suite(suite, datasets, tasks)


def test__read_suite__folder_without_databases__says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"expected \*/dataset.yml"):
        read_suite(tmp_path)


def test__read_suite__file_that_lacks_keys__says_where(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "dataset.yml").write_text("name: x\n")
    with pytest.raises(ProjectError, match=r"dataset\.yml: cannot be read"):
        read_suite(tmp_path)
