"""Trained weights are kept by content, found by anchor, and removed only where nobody needs them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest
import torch

from dbt_rfm.errors import ModelError
from dbt_rfm.model.store import Card, WeightStore

CARD = Card(
    number=1,
    query="PREDICT …",
    kind="binary",
    base_sha="b" * 64,
    schema_fingerprint="f",
    anchor="2024-03-01T00:00:00",
    since="2023-03-01T00:00:00",
    until="2024-01-01T00:00:00",
    seed=0,
    minutes=2.0,
    steps=100,
    rows=500,
    measure="log loss",
    before=0.5,
    after=0.4,
    note="fine-tuned",
    package_version="0",
)
LATER = datetime(2025, 1, 1)


@pytest.fixture
def store(tmp_path) -> WeightStore:
    return WeightStore(tmp_path, "main.churn")


def put(store: WeightStore, network, number: int, *, shift: float | None = 0.0, anchor: str = CARD.anchor) -> Card:
    weights = None if shift is None else {name: value + shift for name, value in network.state_dict().items()}
    return store.put(replace(CARD, number=number, anchor=anchor), weights, network.config)


def test__put__weights__come_back_as_they_were(store, network) -> None:
    kept = put(store, network, 1, shift=0.5)
    found = store.newest(LATER)
    assert found == kept and found is not None and len(found.weights or "") == 64
    read = store.read(found).state_dict()
    assert all(torch.equal(read[name], value + 0.5) for name, value in network.state_dict().items())


def test__put__without_weights__card_says_that_nothing_was_gained(store, network) -> None:
    put(store, network, 1, shift=None)
    found = store.newest(LATER)
    assert found is not None and found.weights is None
    assert [path.suffix for path in store.folder.iterdir()] == [".json"]


def test__newest__several__the_last_that_the_anchor_may_know(store, network) -> None:
    put(store, network, 1, shift=0.1, anchor="2024-03-01T00:00:00")
    put(store, network, 2, shift=0.2, anchor="2024-03-01T00:00:00")
    put(store, network, 3, shift=0.3, anchor="2024-05-01T00:00:00")

    def number(moment: datetime) -> int | None:
        card = store.newest(moment)
        return card.number if card else None

    assert [number(datetime(2024, month, 1)) for month in (2, 3, 4, 6)] == [None, 2, 2, 3]
    assert store.next_number() == 4


def test__read__weights_changed_on_disk__refused(store, network) -> None:
    one, two = put(store, network, 1, shift=0.1), put(store, network, 2, shift=0.2)
    (store.folder / f"{one.weights}.safetensors").write_bytes(
        (store.folder / f"{two.weights}.safetensors").read_bytes()
    )
    with pytest.raises(ModelError, match="was changed"):
        store.read(one)


def test__newest__card_that_is_none__one_message(store) -> None:
    store.folder.mkdir(parents=True)
    (store.folder / "x.json").write_text("{}")
    with pytest.raises(ModelError, match="card of trained weights cannot be read"):
        store.newest(LATER)


def test__prune__old_weights__gone_but_for_those_needed(store, network) -> None:
    made = [put(store, network, number, shift=number / 10) for number in (1, 2, 3, 4)]
    removed = store.prune({made[0].weights or ""}, keep=2)
    assert removed == [made[1].weights]
    left = {path.stem for path in store.folder.glob("*.safetensors")}
    assert left == {made[0].weights, made[2].weights, made[3].weights}


def test__folder__names_that_look_alike_on_disk__are_apart(tmp_path) -> None:
    folders = {WeightStore(tmp_path, name).folder for name in ("main.churn", "main/churn", "main_churn")}
    assert len(folders) == 3
    assert all(folder.parent == tmp_path for folder in folders)
