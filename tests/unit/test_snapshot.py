"""A bundle comes back as it was written, and a changed one is refused."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

from dbt_rfm.errors import ModelError
from dbt_rfm.snapshot import Feature, Snapshot, bundle_sha, read_bundle, write_bundle
from dbt_rfm.task_kind import TaskKind


def snapshot() -> Snapshot:
    return Snapshot(
        query="PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH customers.customer_id",
        kind=TaskKind.BINARY,
        classes=("false", "true"),
        entity="customer_id",
        anchor=datetime(2024, 3, 1, 12, 30, 0, 250_000),
        schema_fingerprint="abc",
        features_meta=(Feature("orders.count.30d", "numerical", "child", "orders"),),
        examples=pa.table({"example_id": [0, 1], "split": ["context", "query"], "entity": ["é", None]}),
        features=pa.table({"example_id": [0, 1], "orders.count.30d": [1.5, None]}),
        rows={
            "orders": pa.table({"example_id": [0], "x": [datetime(2024, 1, 1)]}),
            "a/B": pa.table({"example_id": [1]}),
        },
        notes=("one class only",),
        options={"seed": 3},
        label_shares={"context": {"false": 0.99, "true": 0.01}},
        words={"context": {"tickets.subject.last": ["возврат", "refund"]}},
    )


def test__bundle__written_and_read__is_the_same_snapshot(tmp_path: Path) -> None:
    sha = write_bundle(snapshot(), tmp_path / "bundle")
    again = read_bundle(tmp_path / "bundle")
    assert again == snapshot()
    assert sha == bundle_sha(tmp_path / "bundle")


def test__bundle__written_twice__has_the_same_sha(tmp_path: Path) -> None:
    assert write_bundle(snapshot(), tmp_path / "a") == write_bundle(snapshot(), tmp_path / "b")


@pytest.mark.parametrize("file", ["examples.parquet", "features.parquet", "rows/orders.parquet", "rows/1.parquet"])
def test__read_bundle__file_changed__is_refused_by_name(tmp_path: Path, file: str) -> None:
    write_bundle(snapshot(), tmp_path)
    content = bytearray((tmp_path / file).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / file).write_bytes(content)
    with pytest.raises(ModelError, match=f"{file} was changed"):
        read_bundle(tmp_path)


def test__read_bundle__file_lost__is_refused_by_name(tmp_path: Path) -> None:
    write_bundle(snapshot(), tmp_path)
    (tmp_path / "features.parquet").unlink()
    with pytest.raises(ModelError, match=r"lost features\.parquet"):
        read_bundle(tmp_path)


@pytest.mark.parametrize("text", [None, "no json", "[]", '{"format": 99}'])
def test__read_bundle__no_bundle__says_so(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ModelError, match="bundle"):
        read_bundle(tmp_path)


def test__write_bundle__folder_in_use__is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ModelError, match="empty folder"):
        write_bundle(snapshot(), tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test__read_bundle__manifest_without_an_entry__says_which(tmp_path: Path) -> None:
    write_bundle(snapshot(), tmp_path / "bundle")
    file = tmp_path / "bundle" / "manifest.json"
    manifest = json.loads(file.read_text())
    del manifest["label_shares"]
    file.write_text(json.dumps(manifest))
    with pytest.raises(ModelError, match="lacks label_shares"):
        read_bundle(tmp_path / "bundle")
