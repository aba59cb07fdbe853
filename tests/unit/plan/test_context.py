"""Which labels a context is made of, against a slow reference that puts all of them in order."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

import duckdb
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from dbt_rfm.plan import sql
from dbt_rfm.plan.blocks import Names
from dbt_rfm.plan.examples import context_select, draws_select, known_by, least_of_class
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.warehouse.duckdb import DuckDB

NAMES, SEED = Names("t"), 3
START = datetime(2024, 1, 1)
Label = tuple[int, datetime, str]
CONNECTION = duckdb.connect(config={"threads": 1})

moments = st.integers(0, 9).map(lambda days: START + timedelta(days=days))
labels_of_many = st.lists(
    st.tuples(st.integers(0, 400), moments, st.sampled_from("aaaaaaabbc")), min_size=1, unique=True
)


def draw(label: Label) -> str:
    entity, anchor, _ = label
    return hashlib.md5(f"{entity}|{anchor:%Y-%m-%d %H:%M:%S}|context {SEED}".encode()).hexdigest()


def chosen_slowly(labels: list[Label], kind: TaskKind, size: int, favour: bool) -> list[Label]:
    by_lot = sorted(labels, key=draw)
    newest = sorted(by_lot, key=lambda each: each[1], reverse=True)[: size // 2]
    least = least_of_class(kind, size) if favour else 0
    rare = [each for k in "abc" for each in [x for x in by_lot if x[2] == k][:least]]
    return list(dict.fromkeys([*sorted(rare, key=draw), *sorted(newest, key=draw), *by_lot]))[:size]


def chosen(labels: list[Label], kind: TaskKind, size: int, favour: bool, until: datetime) -> list[Label]:
    warehouse = DuckDB(CONNECTION)
    entity, anchor, label = zip(*labels, strict=True)
    at = pa.array(anchor, pa.timestamp("us"))
    rows = {"entity": entity, "anchor_time": at, "known_at": at, "label": label}
    warehouse.load_temporary(NAMES.labels, pa.table(rows))
    warehouse.create_temporary(NAMES.draws, draws_select(NAMES, SEED))
    conditions = [known_by(sql.timestamp(until))]
    found = warehouse.query(context_select(NAMES, kind, size=size, conditions=conditions, favour=favour))
    return [(row["entity"], row["anchor_time"], row["label"]) for row in found.to_pylist()]


@settings(max_examples=60, deadline=None)
@given(labels_of_many, st.sampled_from(list(TaskKind)[:3]), st.integers(1, 40), st.booleans(), moments)
def test__context__many_labels__are_those_that_come_first_when_all_are_put_in_order(
    labels: list[Label], kind: TaskKind, size: int, favour: bool, until: datetime
) -> None:
    known = [label for label in labels if label[1] <= until]
    if len({draw(label) for label in known}) < len(known):
        return  # an entity with two labels at once: which of them comes first is open
    found = chosen(labels, kind, size, favour, until)
    assert sorted(found) == sorted(chosen_slowly(known, kind, size, favour))


@settings(max_examples=30, deadline=None)
@given(labels_of_many, moments)
def test__context__labels_that_are_known_later__change_nothing(labels: list[Label], until: datetime) -> None:
    later = [(entity, anchor, "c") for entity, anchor, _ in labels if anchor > until]
    known = [label for label in labels if label[1] <= until]
    if known:
        first = chosen(labels, TaskKind.MULTICLASS, 12, True, until)
        assert sorted(first) == sorted(chosen([*known, *later], TaskKind.MULTICLASS, 12, True, until))
