from __future__ import annotations

from pathlib import Path

from dbt_rfm.bench.published import read_published

TABLE = """# Reference

Words | with a bar before the table.

| dataset.task | kind | metric | LightGBM | entity history | constant | published (see dataset.yml) |
|---|---|---|---:|---:|---:|---|
| a.churn | binary | AUROC / AP | 85.2 / 38.6 | 50 | 50 | zero-shot 84.6 |
| a.spend | regression | MAE | 281.6 | – | 334.3 | |
| a.next | link | MAP@12 | – | 20.8 (own repeat) | 5.2 (popular) | |
"""


def test__read_published__table__by_task_and_metric(tmp_path: Path) -> None:
    (tmp_path / "BASELINES.md").write_text(TABLE)
    assert read_published(tmp_path) == {
        ("a.churn", "auroc"): {"LightGBM": 85.2, "entity history": 50.0, "constant": 50.0},
        ("a.churn", "ap"): {"LightGBM": 38.6},
        ("a.spend", "mae"): {"LightGBM": 281.6, "constant": 334.3},
        ("a.next", "map@12"): {"entity history": 20.8, "constant": 5.2},
    }


def test__read_published__no_file__is_empty(tmp_path: Path) -> None:
    assert read_published(tmp_path) == {}


def test__read_published__file_without_such_a_table__is_empty(tmp_path: Path) -> None:
    (tmp_path / "BASELINES.md").write_text("| a | b |\n|---|---|\n| 1 | 2 |\n")
    assert read_published(tmp_path) == {}
