"""Trained weights are kept by content, found by anchor, and removed only where nobody needs them."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime

import pytest

from dbt_rfm.errors import ModelError
from dbt_rfm.model.store import Card, WeightStore

CARD = Card(
    number=1,
    model="rfm",
    base="rfm-1",
    query="PREDICT …",
    kind="binary",
    schema_fingerprint="f",
    split="context",
    known_by="2024-03-01T00:00:00",
    anchor="2024-03-01T00:00:00",
    since="2023-03-01T00:00:00",
    until="2024-01-01T00:00:00",
    seed=0,
    options={"minutes": 2.0},
    steps=100,
    rows=500,
    measure="log loss",
    before=0.5,
    after=0.4,
    note="fine-tuned",
    package_version="0",
)
LATER = datetime(2025, 1, 1)


@pytest.fixture(params=["path", "file://", "memory://"])
def store(request, tmp_path) -> WeightStore:
    """On this machine, and behind URLs."""
    roots = {"path": str(tmp_path), "file://": f"file://{tmp_path}"}
    return WeightStore(roots.get(request.param, f"memory://{uuid.uuid4().hex}"), "main.churn")


def put(
    store: WeightStore, number: int, content: bytes | None = b"weights", *, anchor: str = CARD.anchor, **more
) -> Card:
    return store.put(
        replace(CARD, number=number, anchor=anchor, known_by=more.pop("known_by", anchor), **more), content
    )


def newest(store: WeightStore, until: datetime = LATER, split: str = "context", model: str = "rfm") -> Card | None:
    return store.newest(model, split, known_by=until, anchor=until)


def test__put__weights__come_back_as_they_were(store) -> None:
    kept = put(store, 1, b"one")
    assert newest(store) == kept and len(kept.weights or "") == 64
    assert store.read(kept) == b"one"
    assert store.where(kept) == f"{store.files.root}/{kept.weights}.safetensors"


def test__put__without_weights__card_says_that_nothing_was_gained(store) -> None:
    put(store, 1, None)
    found = newest(store)
    assert found is not None and found.weights is None
    assert len(store.files.names()) == 1 and store.files.names() == store.files.names(end=".json")


def test__newest__several__the_last_that_the_anchor_may_know(store) -> None:
    put(store, 1, b"1", anchor="2024-03-01T00:00:00")
    put(store, 2, b"2", anchor="2024-03-01T00:00:00")
    put(store, 3, b"3", anchor="2024-05-01T00:00:00")

    def number(moment: datetime) -> int | None:
        card = newest(store, moment)
        return card.number if card else None

    assert [number(datetime(2024, month, 1)) for month in (2, 3, 4, 6)] == [None, 2, 2, 3]
    assert store.next_number() == 4


def test__newest__learnt_later_than_what_may_be_known__is_not_taken(store) -> None:
    """A training without a backtest has seen more than the backtest of the next build may."""
    put(store, 1, b"1", anchor="2024-03-01T00:00:00", known_by="2024-03-01T00:00:00")
    late, early = datetime(2024, 3, 2), datetime(2024, 2, 1)
    assert store.newest("rfm", "context", known_by=early, anchor=late) is None
    assert store.newest("rfm", "context", known_by=late, anchor=late) is not None


def test__newest__another_split_or_model__is_not_taken(store) -> None:
    put(store, 1, b"1", split="context")
    assert newest(store, split="backtest_context") is None
    assert newest(store, model="graph_transformer") is None


def test__read__weights_changed_on_disk__refused(store) -> None:
    one, two = put(store, 1, b"one"), put(store, 2, b"two")
    store.files.write(f"{one.weights}.safetensors", store.read(two))
    with pytest.raises(ModelError, match="was changed"):
        store.read(one)


def test__read__weights_gone__says_so(store) -> None:
    one = put(store, 1)
    store.files.remove(f"{one.weights}.safetensors")
    with pytest.raises(ModelError, match="no weights at"):
        store.read(one)


def test__newest__card_that_is_none__one_message(store) -> None:
    store.files.write("x.json", b"{}")
    with pytest.raises(ModelError, match="card of trained weights cannot be read"):
        newest(store)


def test__prune__old_weights__gone_but_for_those_needed(store) -> None:
    made = [put(store, number, b"%d" % number) for number in (1, 2, 3, 4)]
    removed = store.prune({made[0].weights or ""}, keep=2)
    assert removed == [made[1].weights]
    left = [name.removesuffix(".safetensors") for name in store.files.names(end=".safetensors")]
    assert left == sorted(str(made[i].weights) for i in (0, 2, 3))


def test__prune__two_splits__the_newest_of_each_stay(store) -> None:
    for number, split in enumerate(["context", "backtest_context"] * 3):
        put(store, number, b"%d" % number, split=split)
    assert len(store.prune(set(), keep=2)) == 2
    assert {newest(store, split=split).number for split in ("context", "backtest_context")} == {4, 5}


def test__unfinished__several__forgotten_together_and_nothing_else(store) -> None:
    kept = put(store, 1)
    for name in ("", "one"):
        store.unfinished(name).write(b"state")
    assert store.unfinished("one").read() == b"state" and store.unfinished("two").read() is None
    store.forget_unfinished()
    assert store.unfinished().read() is None and store.unfinished("one").read() is None
    assert store.read(kept) == b"weights"


def test__folder__names_that_look_alike_on_disk__are_apart(tmp_path) -> None:
    folders = {WeightStore(tmp_path, name).files.root for name in ("main.churn", "main/churn", "main_churn")}
    assert len(folders) == 3
    assert all(folder.rsplit("/", 1)[0] == str(tmp_path) for folder in folders)
