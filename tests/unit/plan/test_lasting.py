"""Rows that last: what is open, overdue and ended as of an example, beside a walk over the rows; and nothing later."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

import duckdb
import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from plan_databases import START, moments
from small_schema import schema, table

from dbt_rfm.collect import snapshots
from dbt_rfm.collect.snapshots import collect_labelled
from dbt_rfm.options import Options
from dbt_rfm.pql.ast import Window
from dbt_rfm.pql.binder import bind
from dbt_rfm.pql.delay import Delay
from dbt_rfm.pql.parser import parse
from dbt_rfm.pql.task import BoundColumn, Task
from dbt_rfm.schema.types import RelationalSchema
from dbt_rfm.task_kind import TaskKind
from dbt_rfm.warehouse.duckdb import DuckDB

DAY = timedelta(days=1)
WINDOWS = {"5d": 5 * DAY, "15d": 15 * DAY, "60d": 60 * DAY, "all": timedelta(days=9999)}
MEMBERS = "create or replace temp table members as select unnest([1, 2]) as member_id"
LOANS = """
create or replace temp table loans (
    loan_id INTEGER, member_id INTEGER, lent_at TIMESTAMP, due_at TIMESTAMP, returned_at TIMESTAMP, fee DOUBLE
)
"""


class Loan(NamedTuple):
    member: int | None
    lent: datetime | None
    due: datetime | None
    back: datetime | None
    fee: float | None


def library() -> RelationalSchema:
    marks = {"due_at": {"planned": True, "fixed": True}, "returned_at": {"ends": True}}
    kinds = {"due_at": "TIMESTAMP", "returned_at": "TIMESTAMP", "fee": "DOUBLE"}
    loans = table("loans", time="lent_at", loan_id="INTEGER", member_id="INTEGER", lent_at="TIMESTAMP", **kinds)
    loans = replace(loans, columns=tuple(replace(c, **marks.get(c.name, {})) for c in loans.columns))
    return schema(table("members", member_id="INTEGER"), loans, links={"loans.member_id": "members.member_id"})


LIBRARY = library()
_LOANS = LIBRARY.table("loans")
OF_MEMBERS = bind(parse("PREDICT COUNT(loans.*, 0, 5, days) FOR EACH members.member_id"), LIBRARY)
_KEY, _FEE = (BoundColumn(_LOANS, _LOANS.column(name)) for name in ("loan_id", "fee"))
OF_LOANS = Task("", TaskKind.REGRESSION, _KEY, _FEE, None, of_events=True)
CONNECTION = duckdb.connect(config={"threads": 1})

_amounts = st.none() | st.integers(0, 9).map(lambda quarters: quarters / 4)
_loans = st.builds(Loan, st.sampled_from([1, 1, 2, None]), st.none() | moments, *[st.none() | moments] * 2, _amounts)
several = settings(max_examples=8, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
some_loans = st.lists(_loans, max_size=12).map(lambda loans: dict(enumerate(loans)))
asked_about = st.lists(st.tuples(st.sampled_from([1, 2]), moments), min_size=1, max_size=5, unique=True)


def told(loans: Mapping[int, Loan], asked: Sequence[tuple[int, datetime]], task: Task = OF_MEMBERS) -> list[dict]:
    """The features of each example, in the order of (anchor, entity)."""
    CONNECTION.execute(MEMBERS)
    CONNECTION.execute(LOANS)
    if loans:
        rows = [(i, *loan) for i, loan in loans.items()]
        CONNECTION.executemany("insert into loans values (?, ?, ?, ?, ?, ?)", rows)
    examples = [*((*each, "query") for each in asked), (999, START - 90 * DAY, "context")]
    entity, anchor, split = zip(*examples, strict=True)
    at = pa.array(anchor, pa.timestamp("us"))
    labels = {"entity": pa.array(entity, pa.int32()), "anchor_time": at, "known_at": at, "split": split}
    labelled = pa.table({**labels, "label": pa.array([1.0] * len(examples))})
    late = Delay(Window(0, 3)) if task is OF_LOANS else None
    found = collect_labelled(task, LIBRARY, DuckDB(CONNECTION), Options(backtest=False), labels=labelled, late=late)
    ids = [r["example_id"] for r in found.examples.to_pylist() if r["split"] == "query"]
    features = {r["example_id"]: r for r in found.features.to_pylist()}
    return [features[i] for i in ids]


def walked(loans: Sequence[Loan], at: datetime) -> dict[str, float | None]:
    """What is told of a member's loans, one by one."""
    begun = [loan for loan in loans if loan.lent is not None and loan.lent <= at]
    open_now = [loan for loan in begun if loan.back is None or loan.back > at]
    late = [loan for loan in open_now if loan.due is not None and loan.due <= at]
    fees = [loan.fee for loan in open_now if loan.fee is not None]
    found: dict[str, float | None] = {
        "open.count.all": len(open_now),
        "open.tenure": max(((at - loan.lent) / DAY for loan in open_now), default=None),
        "open.fee.sum.all": sum(fees) if fees else None,
        "over due_at.count.all": len(late),
        "over due_at.tenure": max(((at - max(loan.due, loan.lent)) / DAY for loan in late), default=None),
    }
    came_back = [(back_at(loan), loan) for loan in begun if loan.back is not None and loan.back <= at]
    for name, length in WINDOWS.items():
        inside = [loan for moment, loan in came_back if moment > at - length]
        days = [(loan.back - loan.lent) / DAY for loan in inside]
        after = [(loan.back - loan.due) / DAY for loan in inside if loan.due is not None]
        found[f"ended.count.{name}"] = len(inside)
        found[f"ended.days.mean.{name}"] = mean(days)
        found[f"ended.days after due_at.mean.{name}"] = mean(after)
        found[f"ended.after due_at.mean.{name}"] = mean([d > 0 for d in after])
    return found


def back_at(loan: Loan) -> datetime | None:
    """When it was known to have come back; never without both moments."""
    return max(loan.back, loan.lent) if loan.back is not None and loan.lent is not None else None


def mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


@several
@given(some_loans, asked_about, st.booleans())
def test__lasting__drawn_rows__as_a_walk_over_them_says(loans, asked, stored):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshots, "are_few", lambda asked, entities: stored)
        rows = told(loans, asked)
    for row, (member, at) in zip(rows, sorted(asked, key=lambda each: each[::-1]), strict=True):
        for name, value in walked([loan for loan in loans.values() if loan.member == member], at).items():
            assert row[f"loans.returned_at.{name}"] == pytest.approx(value), (name, member, at)


@several
@given(some_loans)
def test__lasting__of_events__what_ended_before_them_as_a_walk_says(loans):
    asked = sorted((loan.lent, i) for i, loan in loans.items() if loan.lent is not None and loan.member is not None)
    rows = told(loans, [(i, at) for at, i in asked], OF_LOANS) if asked else []
    for row, (at, i) in zip(rows, asked, strict=True):
        kin = sorted(
            (back_at(o), k) for k, o in loans.items() if o.member == loans[i].member and back_at(o) is not None
        )
        before = [loans[k] for moment, k in kin if moment < at]
        days = [(loan.back - loan.lent) / DAY for loan in before]
        after = [(loan.back - loan.due) / DAY for loan in before if loan.due is not None]
        expected = {
            "count.all": len(before),
            "days.mean.all": mean(days),
            "days.last": days[-1] if days else None,
            "days after due_at.mean.all": mean(after),
            "after due_at.mean.all": mean([d > 0 for d in after]),
        }
        for name, value in expected.items():
            assert row[f"loans>members<loans.returned_at.ended.{name}"] == pytest.approx(value), (name, i)


@several
@given(some_loans, some_loans, asked_about, moments, st.sampled_from([OF_MEMBERS, OF_LOANS]), st.data())
def test__lasting__rows_and_ends_after_the_examples_changed__stay_the_same(loans, others, drawn, cut, task, data):
    """Later rows are others, and an end that had not come by then comes at another time, or never."""
    after = st.none() | st.integers(1, 40).map(lambda half_days: cut + half_days * DAY / 2)
    known = {i: loan for i, loan in loans.items() if loan.lent is not None and loan.lent <= cut}
    later = {
        i: loan._replace(back=data.draw(after)) if loan.back is None or loan.back > cut else loan
        for i, loan in known.items()
    }
    later |= {100 + i: loan._replace(lent=data.draw(after)) for i, loan in others.items()}
    of_members = sorted({(member, min(at, cut)) for member, at in drawn})
    asked = of_members if task is OF_MEMBERS else [(i, loan.lent) for i, loan in known.items()]

    assert not asked or told(loans, asked, task) == told(later, asked, task)
